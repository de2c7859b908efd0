"""Messages between the process that tracks and the one that serves: JSON, and bytes behind it."""

import json
import socket
import struct
import threading
from typing import Any

HEADER = struct.Struct("!II")
"""Bytes of the JSON, and of what follows it."""

MAX_BYTES = 64 << 20
"""No message is longer; whoever claims so is not understood."""

Message = tuple[dict[str, Any], bytes]


class Link:
    """One end of a socket, used by threads: any may send, one receives.

    Whatever breaks the connection is its end, and told as `ConnectionError`.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket, self._lock = end, threading.Lock()

    def send(self, header: dict[str, Any], body: bytes = b"") -> None:
        """Send a message; waits while the other end does not take it.

        Raises:
            ConnectionError: The other end is gone.
        """
        with self._lock:
            try:
                self._socket.sendall(pack(header, body))
            except OSError as error:
                raise ConnectionError(str(error)) from error

    def receive(self) -> Message:
        """The next message.

        Raises:
            ConnectionError: The other end is gone.
        """
        lengths = HEADER.unpack(self._read(HEADER.size))
        return unpack(self._read(lengths[0]), self._read(lengths[1]))

    def close(self) -> None:
        """Wake whoever sends or receives. May be called twice."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was closed before
        finally:
            self._socket.close()

    def _read(self, length: int) -> bytes:
        if length > MAX_BYTES:
            raise ConnectionError(f"a message of {length} bytes")
        parts = bytearray()
        while len(parts) < length:
            try:
                part = self._socket.recv(min(length - len(parts), 1 << 20))
            except OSError as error:
                raise ConnectionError(str(error)) from error
            if not part:
                raise ConnectionError("the other end is gone")
            parts += part
        return bytes(parts)


def pack(header: dict[str, Any], body: bytes = b"") -> bytes:
    """A message as it goes over the socket."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return HEADER.pack(len(text), len(body)) + text + body


def unpack(text: bytes, body: bytes) -> Message:
    """A message from its JSON and what followed it.

    Raises:
        ConnectionError: It is no message.
    """
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ConnectionError(f"no message: {error}") from error
    if not isinstance(header, dict):
        raise ConnectionError("no message: not an object")
    return header, body
