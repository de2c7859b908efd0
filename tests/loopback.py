"""Cameras on loopback that can be killed, frozen and replaced by nonsense, for tests and benchmarks."""

import functools
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

SYSTEM_PYTHON = Path("/usr/bin/python3")
"""The Python for which Debian installs GStreamer's bindings."""
SERVER = Path(__file__).with_name("rtsp_server.py")
PACKAGES = (
    "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    " gstreamer1.0-plugins-bad"
)


@functools.cache
def missing_for_rtsp() -> str:
    """Why there can be no RTSP server here, and the way out; empty if there can."""
    if not SYSTEM_PYTHON.exists():
        return f"there is no {SYSTEM_PYTHON} to run a GStreamer RTSP server"
    probe = [str(SYSTEM_PYTHON), str(SERVER), "--help"]
    found = subprocess.run(probe, capture_output=True, text=True, timeout=60, check=False)
    if found.returncode == 0:
        return ""
    reason = found.stderr.strip().splitlines()[-1:]
    return f"no GStreamer RTSP server ({' '.join(reason)}): apt-get install {PACKAGES}"


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class RtspCamera:
    """A process that streams a clip round and round; switched on when it is made.

    Args:
        login: ``user:password`` that a viewer must give.
    """

    def __init__(self, clip: Path, login: str = "", rate: int = 25) -> None:
        self.port = free_port()
        self._command = [str(SYSTEM_PYTHON), str(SERVER), str(clip), f"--port={self.port}", f"--rate={rate}"]
        if login:
            self._command.append(f"--login={login}")
        self._process: subprocess.Popen[str] | None = None
        self.switch_on()

    def address(self, login: str = "") -> str:
        """Where to watch it."""
        return f"rtsp://{login + '@' if login else ''}127.0.0.1:{self.port}/live"

    def switch_on(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "ready\n":
            self.kill()
            raise RuntimeError(f"the RTSP server did not start: {' '.join(self._command)}")

    def kill(self) -> None:
        """End it at once, as a power cut does, if it runs."""
        if self._process is not None:
            self._process.kill()  # works on a stopped process too
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Stop it with all connections open: nothing comes, nothing is closed."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


class NonsenseServer:
    """Listens on a port and sends the same bytes to whoever connects, over and over.

    Args:
        answer: What it sends; empty says nothing and keeps the connection open.
    """

    def __init__(self, answer: bytes, port: int = 0) -> None:
        self._answer, self._stop = answer, threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.settimeout(0.05)
        self.port = int(self._listener.getsockname()[1])
        self.visits = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        visitors: list[socket.socket] = []
        while not self._stop.is_set():
            try:
                visitors.append(self._listener.accept()[0])
                self.visits += 1
            except TimeoutError:
                pass  # look whether to stop, and go on
            for visitor in list(visitors) if self._answer else ():
                try:
                    visitor.settimeout(0.05)
                    visitor.sendall(self._answer)
                except OSError:  # it has gone
                    visitors.remove(visitor)
                    visitor.close()
        for visitor in visitors:
            visitor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._listener.close()
