"""What the network's parts raise for whatever a user can mend."""

from foundation.errors import ReuniteError as ReidError

__all__ = ["ReidError"]
