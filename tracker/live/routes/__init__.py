"""The API, a file for each of its parts; who may do what stands in `tracker.live.rights`."""
