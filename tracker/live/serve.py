"""The process that serves; `tracker.live.keeper` starts it: python -m tracker.live.serve."""

import argparse
import logging
import os
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from foundation.errors import ReuniteError
from tracker.live.app import create_app
from tracker.live.guard import Doors
from tracker.live.site import Site
from tracker.live.wall import MAX_MESSAGE

GIVES_WAY = 5
"""Added to the niceness of the tracker's own process: viewers may wait, tracking does not."""


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until the process is ended; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tracker.live.serve")
    parser.add_argument("--site", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a finished run that is looked at")
    parser.add_argument("--door", type=int, required=True, help="number of the socket that listens")
    parser.add_argument("--link", type=int, help="number of the socket to the tracker")
    parser.add_argument("--public", action="store_true", help="other machines may come")
    parser.add_argument("--host-name", action="append", default=[])
    parser.add_argument("--tls-cert")
    parser.add_argument("--tls-key")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="server: %(message)s")
    _end_with_parent()
    doors = Doors(
        is_local=not arguments.public,
        has_tls=bool(arguments.tls_cert),
        hosts=frozenset(arguments.host_name),
    )
    link = socket.socket(fileno=arguments.link) if arguments.link is not None else None
    if link:
        link.setblocking(False)
        os.nice(GIVES_WAY)
    try:
        app = create_app(Site(arguments.site, arguments.run), doors, link)
    except ReuniteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        ws_max_size=MAX_MESSAGE * 4,
        ws_per_message_deflate=False,  # a JPEG gets no smaller
        ssl_certfile=arguments.tls_cert,
        ssl_keyfile=arguments.tls_key,
        timeout_graceful_shutdown=2,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=arguments.door)])
    return 0


def _end_with_parent() -> None:
    """A tracker that was killed leaves no server behind."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            threading.Event().wait(1.0)
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
