"""``reunite live``: track, and show it in a browser."""

import argparse
import os
import sys
import threading
import time
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from foundation.command import Command, StopSignals
from foundation.errors import ReuniteError
from foundation.files import write_whole
from foundation.text import visible
from tracker.config import RunConfig, dump_config
from tracker.config.options import add_settings
from tracker.live.accounts import Accounts
from tracker.live.chosen import load_chosen
from tracker.live.keeper import ServerKeeper, listen
from tracker.live.replay import Player, RecordedRun
from tracker.live.site import Site
from tracker.live.tracking import LiveObserver
from tracker.recording.fitness import without_passwords
from tracker.recording.run import TrackingRun
from tracker.sources import locate_cameras
from tracker.sources.addresses import find_cameras

SAMPLE = Path(__file__).resolve().parents[2] / "videos"
"""The sample scene; a wheel does not have it."""

LOCAL = ("127.0.0.1", "::1", "localhost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command line may hold."""
    parser.add_argument(
        "source",
        nargs="*",
        metavar="SOURCE",
        help="rtsp:// or http:// address, webcam number, .streams file with one address a line; recordings "
        "are played again and again (default: the sample scene)",
    )
    parser.add_argument(
        "--run",
        type=Path,
        metavar="FOLDER",
        help="look at a finished run, such as runs/track; nothing is tracked",
    )
    add_settings(parser, "identity.max_false_merge_rate=0.005")
    server = parser.add_argument_group("the page")
    server.add_argument(
        "--host",
        default="127.0.0.1",
        help="where to listen (default: 127.0.0.1, this machine only); any other needs users: "
        "reunite user add",
    )
    server.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: 8765)")
    server.add_argument(
        "--host-name", action="append", default=[], metavar="NAME", help="a name this server is known by"
    )
    server.add_argument("--tls-cert", type=Path, metavar="PEM", help="serve https with this certificate")
    server.add_argument("--tls-key", type=Path, metavar="PEM", help="and its key")
    server.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument(
        "--site",
        type=Path,
        metavar="FOLDER",
        help="what is kept: people, events, users, zones (default: runs/site, for the sample scene "
        "runs/sample)",
    )


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Track and serve until Ctrl-C."""
    with StopSignals("stopped at once; what was seen until the last checkpoint is kept") as stop:
        return live(arguments, console, stop)


def live(arguments: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    """Track and serve until ``stop``; the exit code."""
    if arguments.run:
        return replay(arguments, console, stop)
    site = Site(arguments.site or Path("runs", "site" if arguments.source else "sample"))
    config = read_config(arguments, site)
    refuse_unsafe(arguments, site)
    cameras = locate_cameras(config.source, config.reading.secret_path_parts)
    site.know_cameras(cameras)
    write_whole(site.config, dump_config(without_passwords(config)).encode())
    with ExitStack() as stack:
        door = stack.enter_context(listen(arguments.host, arguments.port))
        observer = LiveObserver(site, f"{time.time():.3f}", cameras, config.identity.max_false_merge_rate)
        stack.callback(observer.close)
        keeper = ServerKeeper(server_arguments(arguments, site), door, observer.connect, observer.answer)
        stack.callback(keeper.close)
        # Meanwhile the server starts; the address is told once nothing is left that could be refused.
        tracking = stack.enter_context(TrackingRun(config, stop, observer=observer))
        observer.follow(tracking)
        announce(arguments, site, door.getsockname()[1], console)
        is_complete, _ = tracking.run(console)
        kept = f"the run is kept in {tracking.folder.path}"
        kept += " (reunite live --run shows it again)" if is_complete else ""
        console.print(visible(kept), soft_wrap=True, highlight=False)
    return 0


def replay(arguments: argparse.Namespace, console: Console, stop: threading.Event) -> int:
    """Show a finished run until ``stop``; the exit code."""
    if arguments.source or arguments.config or arguments.overrides:
        raise ReuniteError("--run shows what was tracked: leave sources, --config and --set out")
    run = arguments.run.resolve()
    recorded = RecordedRun(run)
    site = Site(arguments.site or run / "site", run)
    refuse_unsafe(arguments, site)
    site.begin_with(recorded.config.output)
    recorded.fill(site)
    with ExitStack() as stack:
        door = stack.enter_context(listen(arguments.host, arguments.port))
        player = Player(recorded, site)
        stack.callback(player.close)
        line = [*server_arguments(arguments, site), "--run", str(run)]
        keeper = ServerKeeper(line, door, player.publisher.connect, player.answer)
        stack.callback(keeper.close)
        announce(arguments, site, door.getsockname()[1], console)
        player.play(stop)
    return 0


def read_config(arguments: argparse.Namespace, site: Site) -> RunConfig:
    """The configuration that the command line asks for; people are kept by the site.

    Raises:
        ReuniteError: There is nothing to track.
    """
    is_sample = not arguments.source
    if is_sample and not SAMPLE.is_dir():
        raise ReuniteError("the sample scene is not here; name a camera: reunite live rtsp://...")
    paths: Sequence[Path | str] = arguments.config or (["embedded"] if is_sample else [])
    config = load_chosen(paths, arguments.overrides, site)
    sources = tuple(arguments.source) or (str(SAMPLE),)
    sources = tuple(str(Path(it).resolve()) if Path(it).exists() else it for it in sources)
    if site.added.exists() and any(it.is_live for it in find_cameras(sources)):
        sources = (*sources, str(site.added.resolve()))
    site.begin_with(config.output)
    shown = site.privacy()
    kept = {"path": str(site.gallery.resolve()), "thumbnails": shown["thumbnails"]}
    gallery = config.gallery.model_copy(update=kept)
    if config.embedder.kind != "reid" or not config.identity.link:
        gallery = config.gallery
    saved = {"blur": shown["blur"], "blur_but": shown["but"]}
    output = config.output.model_copy(update={"folder": str((site.folder / "runs").resolve()), **saved})
    reading = config.reading.model_copy(update={"loop": True})
    return config.model_copy(
        update={"source": sources, "gallery": gallery, "output": output, "reading": reading}
    )


def refuse_unsafe(arguments: argparse.Namespace, site: Site) -> None:
    """See that nobody comes in who should not.

    Raises:
        ReuniteError: They would.
    """
    if arguments.host not in LOCAL and not Accounts(site).has_users():
        raise ReuniteError(
            f"--host {arguments.host}: others could come in, and nobody has a password yet; first: "
            f"reunite user add NAME --role admin --site {site.folder}"
        )
    if bool(arguments.tls_cert) != bool(arguments.tls_key):
        raise ReuniteError("--tls-cert and --tls-key belong together; give both")
    for path in filter(None, (arguments.tls_cert, arguments.tls_key)):
        if not path.is_file():
            raise ReuniteError(f"{path}: no such file; check --tls-cert and --tls-key")


def server_arguments(arguments: argparse.Namespace, site: Site) -> list[str]:
    """What the server is started with."""
    line = ["--site", str(site.folder.resolve())]
    line += [] if arguments.host in LOCAL else ["--public"]
    for name in arguments.host_name:
        line += ["--host-name", name]
    if arguments.tls_cert:
        line += ["--tls-cert", str(arguments.tls_cert), "--tls-key", str(arguments.tls_key)]
    return line


def announce(arguments: argparse.Namespace, site: Site, port: int, console: Console) -> None:
    """Say where the page is, and open it where a browser can be."""
    is_local = arguments.host in LOCAL
    host = arguments.host_name[0] if arguments.host_name else arguments.host
    host = f"[{host}]" if ":" in host else host
    address = f"{'https' if arguments.tls_cert else 'http'}://{host}:{port}/"
    if is_local:
        address += f"#token={Accounts(site).one_time_token()}"
    console.print(visible(f"open {address}"), soft_wrap=True, highlight=False)
    console.print(visible(f"the site is kept in {site.folder}; Ctrl-C ends it"), soft_wrap=True)
    has_screen = sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if is_local and has_screen and console.is_terminal and not arguments.no_browser:
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


COMMAND = Command(
    name="live",
    description="Track live cameras and show them in a browser: everybody with one number over all cameras.",
    examples=(
        "                              the sample scene",
        "site.streams --config onnx",
        "--run runs/track             a finished run",
        "rtsp://10.0.0.5/stream --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
    ),
    add_arguments=add_arguments,
    run=run,
    remarks="The page is for this machine only, until users exist and --host says otherwise.",
    needs=("argon2", "fastapi", "uvicorn"),
)
main = COMMAND.main

if __name__ == "__main__":
    sys.exit(main(prog="python -m tracker.live.command"))
