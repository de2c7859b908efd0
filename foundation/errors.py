"""The one exception that a command prints as a sentence instead of a traceback."""


class ReuniteError(Exception):
    """Something a user can mend; the message names the thing, the value and the way out."""
