"""A camera is added to a tracker that runs, and is there after the next start; the others go on."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.browser import LiveSite
from tests.clips import write_clip
from tests.live_server import DEADLINE_S, wait_until
from tests.loopback import RtspCamera, missing_for_rtsp
from tracker.live.rights import API

pytestmark = [pytest.mark.rtsp, pytest.mark.slow]


@pytest.fixture
def cameras(tmp_path: Path) -> Iterator[tuple[RtspCamera, RtspCamera]]:
    if reason := missing_for_rtsp():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    clip = write_clip(tmp_path / "loop.mp4", range(100))
    pair = RtspCamera(clip), RtspCamera(clip, login="me:s3cret")
    yield pair
    for camera in pair:
        camera.kill()


@contextlib.contextmanager
def admin(folder: Path, address: str) -> Iterator[httpx.Client]:
    """Somebody at a site with this camera."""
    site = LiveSite(folder, address, "--config", "embedded", "--set", "embedder.kind=none")
    headers = {"X-Reunite": "1"}
    with (
        contextlib.closing(site),
        httpx.Client(base_url=site.address + API[1:], headers=headers, timeout=DEADLINE_S) as client,
    ):
        token = site.entry.partition("#token=")[2]
        assert client.post("/session", json={"token": token}).status_code == 200
        yield client


def frames(client: httpx.Client) -> dict[str, int]:
    """How many frames each camera gave."""
    return {it["name"]: it["read"] for it in client.get("/cameras").json()["cameras"]}


def test_a_camera_is_added_paused_and_there_again_after_a_start(
    tmp_path: Path, cameras: tuple[RtspCamera, RtspCamera]
) -> None:
    first, second = cameras
    address = second.address("me:s3cret")
    with admin(tmp_path, first.address()) as client:
        wait_until(lambda: any(frames(client).values()))
        (before,) = frames(client).values()
        assert client.post("/cameras/test", json={"address": address}).json()["works"]
        answer = client.post("/cameras", json={"name": "yard", "address": address})
        assert (answer.status_code, answer.json()) == (201, {"id": "c2", "name": "yard"})
        wait_until(lambda: frames(client).get("yard", 0) > 10)
        known = {it["id"]: it for it in client.get("/cameras").json()["cameras"]}
        assert known["c1"]["read"] > before
        assert known["c1"]["reconnects"] == 0
        assert "s3cret" not in str(known)
        again = client.post("/cameras", json={"name": "Yard", "address": address})
        assert again.status_code == 409
        assert "already" in again.json()["error"]["message"]
        wrong = client.post("/cameras", json={"name": "file", "address": "/etc/passwd"})
        assert wrong.status_code == 422
        assert client.post("/cameras/c2/pause").status_code == 204
        wait_until(lambda: client.get("/cameras").json()["cameras"][1]["status"] == "paused")
        stands = frames(client)
        wait_until(lambda: min(it for name, it in frames(client).items() if name != "yard") > before + 50)
        assert frames(client)["yard"] <= stands["yard"] + 1
    with admin(tmp_path, first.address()) as client:
        wait_until(lambda: frames(client).get("yard", 0) > 0)
        assert [it["id"] for it in client.get("/cameras").json()["cameras"]] == ["c1", "c2"]
    assert not (tmp_path / "site").stat().st_mode & 0o077, "the list holds passwords"
