"""What the network's parts raise for whatever a user can mend."""

from foundation.errors import ReuniteError


class ReidError(ReuniteError):
    """Something a user can mend; the message names the thing, the value and the way out."""
