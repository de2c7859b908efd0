"""Passwords in addresses, made fit to be shown and stored."""

import re

KEYS = "password|passwd|passwort|pass|pwd|loginpas|loginpass|auth|token|secret|apikey|api_key|key"


def mask_password(address: str) -> str:
    """The address with ``***`` for every password in it; a path stays as it is."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    # Up to the last '@' of all: a password may hold an '@' or '/' that should have been escaped.
    rest = re.sub(r"^([^:@/?#]*):.*@", r"\1:***@", rest)
    return scheme + separator + re.sub(rf"(?i)((?:{KEYS})=)[^&#/]+", r"\1***", rest)


def mask_logins(text: str) -> str:
    """A message with ``***`` for whatever looks like a password: addresses may be written wrong."""
    text = re.sub(r"([^:@/?#\s'\"]*):(?!//)\S*@", r"\1:***@", text)
    return re.sub(rf"(?i)((?:{KEYS})=)[^&#/\s'\"]+", r"\1***", text)
