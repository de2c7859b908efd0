"""The one exception that a command prints as a sentence instead of a traceback."""

from foundation.errors import ReuniteError as ReuniteError
