"""Events by HTTP to whoever wants them, signed, at least once."""

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from foundation.errors import ReuniteError
from foundation.passwords import mask_password
from tracker.events.carriers import CarrierError
from tracker.events.maker import Event
from tracker.events.store import EventStore

TIMEOUT_S = 10.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A receiver that sends events elsewhere is not followed."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Webhook:
    """Posts ``{"events": [...]}``; any answer from 200 to 299 says that all were taken.

    ``X-Reunite-Signature: t=UNIX,v1=HEX`` is the HMAC-SHA256 of ``UNIX.BODY`` with the secret: who checks it,
    and that the time is not long ago, knows who sent it and when. An event may come twice: ``seq`` says so.

    Args:
        name: Of the receiver, for its place in the log.
        address: http or https.
        secret: For the signature.

    Raises:
        ReuniteError: It is no such address.
    """

    def __init__(self, name: str, address: str, secret: str) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ReuniteError(f"{mask_password(address)}: is no http:// or https:// address of a receiver")
        self.name = f"webhook {name}"
        self._address, self._secret = address, secret.encode()
        self._open = urllib.request.build_opener(_NoRedirects()).open

    def start_after(self, store: EventStore) -> int:
        """What happens from now on."""
        return store.last_seq()

    def deliver(self, events: Sequence[Event]) -> None:
        """Post them."""
        body = json.dumps({"events": list(events)}, ensure_ascii=False, separators=(",", ":")).encode()
        request = urllib.request.Request(
            self._address,
            body,
            {
                "Content-Type": "application/json",
                "X-Reunite-Signature": sign(body, self._secret, time.time()),
            },
            method="POST",
        )
        try:
            with self._open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            raise CarrierError(f"the receiver answers {error.code}") from None
        except (OSError, HTTPException) as error:
            reason = (
                getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
            )
            raise CarrierError(f"the receiver cannot be reached ({reason})") from None

    def close(self) -> None:
        """Every delivery has a connection of its own."""


def sign(body: bytes, secret: bytes, time_s: float) -> str:
    """What ``X-Reunite-Signature`` holds."""
    stamp = str(int(time_s))
    digest = hmac.new(secret, stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"
