"""Zones and lines in the pictures of cameras, and what is counted there: people, not tracks."""
