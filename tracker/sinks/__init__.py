"""Where sightings go: the journal, overlay videos, a window, a progress bar."""
