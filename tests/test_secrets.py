"""Nobody's secret, however an address is written, is in a name, a message or a file."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ReuniteError
from foundation.passwords import HARMLESS, mask_logins, mask_password
from tests.clips import write_clip
from tracker.cli import main
from tracker.sources import locate_cameras, open_source
from tracker.stages import Source

SECRET = st.text("ABCDEFGHJKMNPQRSTUVWZ0123456789", min_size=8, max_size=20)
KEYS = [
    *("pw", "psw", "p", "pass", "password", "passphrase", "authbasic", "sig", "token", "key", "user", "usr"),
    *("X-Amz-Signature", "X-Amz-Credential", "loginuse", "loginpas", "access_token", "k", "Policy", "jwt"),
]
PLACES = [
    "{scheme}://{secret}@host/live",
    "{scheme}://me:{secret}@host:554/live",
    "{scheme}://me:x@{secret}@host/live",
    "{scheme}://me:x/{secret}@host/live",
    "{scheme}://:{secret}@host",
    "{scheme}://host/live?{key}={secret}",
    "{scheme}://host/live?channel=1&{key}={secret}&subtype=0",
    "{scheme}://host/live?channel=1;{key}={secret}",
    "{scheme}://host/live?channel={secret}{secret}",
    "{scheme}://host/live?{secret}",
    "{scheme}://host/live?{secret}==",
    "{scheme}://host/live?{key}={secret}=={secret}",
    "{scheme}://host/live#{secret}",
    "{scheme}://host/user=me_{key}={secret}_channel=1_stream=0.sdp",
    "{scheme}://host/live;{key}={secret}/ch1",
    "{scheme}://host/{secret}=/ch1",
]


@given(SECRET, st.sampled_from(PLACES), st.sampled_from(KEYS), st.sampled_from(["rtsp", "http", "HTTPS"]))
def test_no_address_shows_its_secret(secret: str, place: str, key: str, scheme: str) -> None:
    address = place.format(secret=secret, key=key, scheme=scheme)
    assert secret not in mask_password(address)
    assert secret not in mask_logins(f"problem with '{address}' in cameras.yaml")
    assert secret not in str(locate_cameras([address]))
    assert mask_password(mask_password(address)) == mask_password(address)


@pytest.mark.parametrize("key", KEYS)
def test_no_message_shows_the_secret_of_an_address_that_is_written_wrong(key: str) -> None:
    for address in (f"rtsp:/host/x?{key}=SECRET", "rtsp:/me:SECRET@host/x", "me:SECRET@host"):
        assert "SECRET" not in mask_logins(f"--set source=[{address}]: no such file")


def test_what_says_what_is_sent_stays() -> None:
    address = "rtsp://host:554/cam/realmonitor?channel=1&subtype=0&width=640&Codec=h264"
    assert mask_password(address) == address
    assert mask_password("rtsp://host/channel=1_stream=0.sdp") == "rtsp://host/channel=1_stream=0.sdp"
    assert not any(HARMLESS.fullmatch(key) for key in KEYS)


def test_chosen_parts_of_the_path_are_hidden() -> None:
    address = "rtsp://host/user/SECRET/ch1"
    assert mask_password(address, {2}) == "rtsp://host/user/***/ch1"
    assert dict(locate_cameras([address], (1, 2))) == {"host-ch1": "rtsp://host/***/***/ch1"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Gives a video at every path; the host and port."""
    clip = write_clip(tmp_path / "clip.mp4", range(10))

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return str(clip)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_file_and_no_line_of_a_run_holds_a_secret(
    server: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = [f"SECRET{letter}" for letter in "ABCDEFGH"]
    a, b, c, d, e, f, g, h = secrets
    addresses = [
        f"http://{server}/user/{a}/ch1.mp4?pw={b}&X-Amz-Signature={c}",
        f"http://me:{d}@{server}/two/x/ch2.mp4?{e}",
        f"http://{f}@{server}/three/x/psw={g}_channel=1.mp4",
        f"http://127.0.0.1:9/four/{h}/gone.mp4?p={h}",
    ]
    settings = [
        f"output.folder={tmp_path / 'runs'}",
        "reading.secret_path_parts=[2]",
        "output.save_video=true",
    ]
    options = [option for setting in settings for option in ("--set", setting)]
    main(["track", *addresses, "--config", "embedded", "--save-video", *options])
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {"config.yaml", "summary.json", "tracks.csv"} <= {path.name for path in files}
    told = "".join(capfd.readouterr())
    for secret in secrets:
        assert secret not in told
        assert not [path for path in files if secret.encode() in path.read_bytes() or secret in str(path)]


@pytest.mark.parametrize(
    "line",
    [
        *("concat:a.mp4|b.mp4", "subfile,,start,0,end,0,,:a.mp4", "pipe:0", "data:video/mp4;base64,AAAA"),
        *(
            "file:a.mp4",
            "file:///a.mp4",
            "crypto:a.mp4",
            "async:a.mp4",
            "cache:a.mp4",
            "md5:a.mp4",
            "tee:a.mp4",
        ),
        *("ftp://host/a.mp4", "sftp://host/a.mp4", "smb://host/a.mp4", "rtmp://host/a", "udp://host:1"),
        *("tcp://host:1", "unix:///socket", "gopher://host/a.mp4", "lavfi://testsrc"),
    ],
)
def test_no_other_protocol_of_ffmpeg_is_reached(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.mp4", range(2))
    (tmp_path / "all.streams").write_text(f"{line}\n")
    for addresses in ([line], [str(tmp_path / "all.streams")]):
        source = open_source_or_none(addresses)
        assert source is None or all(report.problem for report in source.reports.values())


def open_source_or_none(addresses: list[str]) -> Source | None:
    try:
        return open_source(addresses)
    except ReuniteError:
        return None
