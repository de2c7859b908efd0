"""Reunite: people in, over many cameras, each with one identity."""
