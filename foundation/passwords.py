"""Passwords in addresses, made fit to be shown and stored."""

import re
from collections.abc import Collection

HIDDEN = "***"
HARMLESS = re.compile(
    r"channel(id)?|ch|chn|chid|cam|camera|view|(sub)?stream(type|no)?|subtype|profile|video|audio|"
    r"(video|audio)?codec(type)?|resolution|res|width|height|w|h|size|fps|framerate|rate|bitrate|quality|"
    r"compression|rotat(ion|e)|mirror|format|fmt|type|proto(col)?|transport(mode)?|unicast|multicast|"
    r"inst(ance)?|track(id)?|interval|duration|page|n|nr|no|num|number|index|idx|overview|snapshot|mode|x|y",
    re.IGNORECASE,
)
"""Keys whose values tell what is sent, not who may see it. Whatever is not among them is hidden."""
HARMLESS_VALUE = re.compile(r"[\w.,:*-]{0,12}")
KEYS = r"passw(or)?[dt]|passphrase|loginpas\w*|secret|token|api_?key|authbasic|signature|x-amz-[\w-]+"
SHORT_KEYS = r"pass|pwd|psw|pw|p|auth|sig|key"
"""The keys that tell of a secret where nobody knows whether a text holds an address."""


def mask_password(address: str, secret_path_parts: Collection[int] = ()) -> str:
    """An address with ``***`` for whatever may be secret in it; a path of a file stays as it is.

    That is who logs in; every value behind ``?`` or in the path (``key=value``), unless its key is known to
    be harmless; what comes behind ``#``; and the chosen parts of the path.

    Args:
        address: A path, or an address with ``://``.
        secret_path_parts: Which parts of the path are secret, counted from 1.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address
    # Up to the last '@' of all: a password may hold an '@' or '/' that should have been escaped.
    rest = re.sub(r"^(?:[^:@/?#]*:.*@|[^/?#]*@)", f"{HIDDEN}@", rest, flags=re.DOTALL)
    before, hash_sign, fragment = rest.partition("#")
    place, question, query = before.partition("?")
    host, *parts = place.split("/")
    path = [
        HIDDEN if part and number in secret_path_parts else _mask_values(part)
        for number, part in enumerate(parts, start=1)
    ]
    values = [_mask_value(part) if index % 2 == 0 else part for index, part in enumerate(_pairs(query))]
    shown = "/".join([host, *path]) + question + "".join(values)
    return scheme + separator + shown + hash_sign + (HIDDEN if fragment else "")


def mask_logins(text: str) -> str:
    """A message with ``***`` for whatever looks like a password: addresses may be written wrong."""
    text = re.sub(r"\w+://[^\s'\"]+", lambda found: mask_password(found[0]), text)
    text = re.sub(r"([^:@/?#\s'\"]*):(?!//)[^\s]*@", rf"\1:{HIDDEN}@", text)
    text = re.sub(
        r"([?&])([^=&\s'\"]*)=([^&#\s'\"]*)", lambda found: found[1] + _mask_value(found[0][1:]), text
    )
    return re.sub(rf"(?i)((?:{KEYS}|(?<![a-z0-9])(?:{SHORT_KEYS}))=)[^&#/\s'\"]+", rf"\1{HIDDEN}", text)


def _pairs(query: str) -> list[str]:
    """``key=value`` and what parts them, in turn."""
    return re.split(r"([&;])", query)


def _mask_value(pair: str) -> str:
    key, _, value = pair.partition("=")
    if not pair or (HARMLESS.fullmatch(key) and HARMLESS_VALUE.fullmatch(value)):
        return pair
    # Without a value the key may be the secret itself, as in ?TOKEN or ?BASE64==
    return f"{key}={HIDDEN}" if value.strip("=") and re.fullmatch(r"[\w.%-]{1,32}", key) else HIDDEN


def _mask_values(part: str) -> str:
    """A part of a path, such as ``user=me_password=secret_channel=1``, up to its first secret."""
    for found in re.finditer(r"([A-Za-z0-9-]*)=([^_&;,]*)", part):
        if not HARMLESS.fullmatch(found[1]) or not HARMLESS_VALUE.fullmatch(found[2]):
            is_value = found[2].strip("=") and 0 < len(found[1]) <= 32
            return f"{part[: found.start()]}{found[1]}={HIDDEN}" if is_value else HIDDEN
    return part
