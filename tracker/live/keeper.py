"""Keeps a server running beside the run: started again whenever it ends, on the same port."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from foundation.errors import ReuniteError
from tracker.live.link import Link, Message

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 10.0
"""Between the end of a server and the start of the next; each pause is twice as long as the one before."""

MAX_PORT = 65535

STOP_S = 5.0
"""How long a server may take to end before it is killed."""


def listen(host: str, port: int) -> socket.socket:
    """The socket that visitors come to; it stays open while servers come and go.

    Raises:
        ReuniteError: The address cannot be used.
    """
    if not 0 <= port <= MAX_PORT:  # the system takes it modulo 65536, and says nothing
        raise ReuniteError(
            f"--port {port}: a port is a number from 0 to {MAX_PORT}; 0 takes one that is free"
        )
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        door = socket.socket(family, socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        door.listen(128)
    except OSError as error:
        raise ReuniteError(
            f"{host}:{port}: cannot be listened at ({error.strerror}); --port 0 takes a port that is free"
        ) from None
    return door


class ServerKeeper:
    """Runs `tracker.live.serve` as a process of its own.

    Args:
        arguments: Behind ``python -m tracker.live.serve``.
        door: See `listen`.
        connect: Is given the link to each server that starts, and None when it is gone.
        answer: Is given what the server says.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        door: socket.socket,
        connect: Callable[[Link | None], None],
        answer: Callable[[Message], None],
    ) -> None:
        self._arguments, self._door, self._connect, self._answer = arguments, door, connect, answer
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()  # held while a server is started: none may start after `close`
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)
        self._thread.start()

    @property
    def process_id(self) -> int:
        """That of the server that runs now; 0 where none does."""
        return self._process.pid if self._process else 0

    def close(self) -> None:
        """End the server. May be called twice."""
        with self._starting:
            self._stop.set()
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._thread.join()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stop.is_set():
            ours, theirs = socket.socketpair()
            inherited = (self._door.fileno(), theirs.fileno())
            line = [sys.executable, "-m", "tracker.live.serve", *self._arguments]
            line += ["--door", str(inherited[0]), "--link", str(inherited[1])]
            with self._starting, theirs:
                if self._stop.is_set():
                    ours.close()
                    return
                self._process = subprocess.Popen(
                    # Not hit by Ctrl-C; in its own session Linux would not heed its niceness beside ours.
                    line,
                    pass_fds=inherited,
                    env=_environment(),
                    process_group=0,
                    stdin=subprocess.DEVNULL,
                )
            link = Link(ours)
            self._connect(link)
            try:
                while True:
                    self._answer(link.receive())
                    pause_s = FIRST_PAUSE_S
            except ConnectionError:
                self._connect(None)
                link.close()
            code = self._process.wait()
            if not self._stop.is_set():
                logger.warning("the server has ended (code %s), starting it again in %.1f s", code, pause_s)
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, MAX_PAUSE_S)


def _environment() -> dict[str, str]:
    """The server finds this very package, from whatever folder it was started."""
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
