"""What is written and drawn of a run: the table of tracks, timeline, map, similarity calibration."""
