"""What a run keeps: its folder, a journal of all sightings, checkpoints, and with them the way to resume."""
