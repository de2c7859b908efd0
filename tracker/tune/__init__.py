"""Better numbers for a user's own sequences: a search within the ranges that the configuration states."""
