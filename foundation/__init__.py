"""What `tracker` and `reid` both stand on: errors, configuration, whole files. It imports neither."""
