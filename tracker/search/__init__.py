"""Who is on this photo? Its person is compared with everybody whom a gallery remembers."""
