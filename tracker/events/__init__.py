"""What happens at a site, told once for each person: events, the log that keeps them, what carries them."""
