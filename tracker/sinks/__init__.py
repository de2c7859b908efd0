"""Where sightings go while a run goes on: the journal, events, overlay videos, a window, a progress bar."""
