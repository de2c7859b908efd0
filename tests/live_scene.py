"""People in the API's tests: a server whose tracker is a linker that gets tracks from the test."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.live_server import LiveServer, live_server, wait_until
from tracker.config import IdentityConfig, MaturityConfig, load_config
from tracker.gallery import GalleryWriter, Network, Person, PictureKey, Pictures, Presence
from tracker.identity import IdentityLinker
from tracker.types import CameraName, Frame, Tracks, blank_image

BOX = (40.0, 60.0, 80.0, 200.0)
QUICK = IdentityConfig(
    decide_s=0.2, min_embeddings=1, maturity=MaturityConfig(min_frames=2, min_s=0.1, min_embeddings=2)
)


class Scene:
    """A server whose tracker is a linker that gets tracks from the test."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.linker = IdentityLinker(QUICK, [CameraName("door"), CameraName("hall")])
        tracking = SimpleNamespace(
            config=load_config(),
            identities=self.linker,
            network="drawn",
            source=SimpleNamespace(reports=server.observer._reports()),
        )
        server.observer.follow(tracking)  # type: ignore[arg-type]
        self._now_s = time.time() - 600
        self._numbers = {"door": 0, "hall": 0}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._ticks = threading.Thread(target=self._tick)
        self._ticks.start()

    def close(self) -> None:
        self._ended.set()
        self._ticks.join()

    def _tick(self) -> None:
        """As a run does, even while nobody is in view."""
        while not self._ended.wait(0.02):
            with self._lock:
                self.server.observer.obey()

    def see(self, camera: str, track: int, person: int, frames: int = 8) -> int:
        """Somebody who looks like ``person`` is in view for a while; who it is taken for."""
        with self._lock:
            return self._see(camera, track, person, frames)

    def _see(self, camera: str, track: int, person: int, frames: int) -> int:
        looks = np.eye(64, dtype=np.float32)[person][None]
        for _ in range(frames):
            self._now_s += 0.1
            self._numbers[camera] += 1
            boxes = np.array([BOX])
            frame = Frame(CameraName(camera), self._numbers[camera], self._now_s, blank_image(320, 240))
            ids = self.linker.observe(frame, Tracks(np.array([track]), boxes, np.ones(1), looks))
            self.server.see({camera: [(track, int(ids[0]), BOX)]}, self._now_s, self.linker.events())
        self._now_s += 3.0
        self.server.see({camera: []}, self._now_s)
        return int(self.linker.lookup(CameraName(camera), np.array([track]))[0])


@contextmanager
def open_scene(folder: Path) -> Iterator[Scene]:
    """Three people; the first was in both cameras."""
    with live_server(folder / "site") as server:
        scene = Scene(server)
        assert scene.see("door", 1, 1) == 1
        assert scene.see("door", 2, 2) == 2
        assert scene.see("hall", 1, 3) == 3
        wait_until(lambda: len(server.observer.store.people()) == 3)
        yield scene
        scene.close()


def keep_pictures(scene: Scene) -> None:
    """The gallery has a picture of person 1 from each camera."""
    with_pictures = scene.server.site.gallery
    writer = GalleryWriter(with_pictures, Network("drawn", "0", 4))
    writer.reserve(3)
    keys = [PictureKey(1, CameraName("door"), 100.0), PictureKey(1, CameraName("hall"), 200.0)]
    shown = Pictures(
        np.array([key.camera for key in keys], np.object_),
        np.array([key.time for key in keys]),
        np.eye(4, dtype=np.float32)[:2],
    )
    presence = {key.camera: Presence(key.time, key.time, 1) for key in keys}
    jpegs = {keys[0]: b"\xff\xd8door", keys[1]: b"\xff\xd8hall"}
    writer.save([Person(1, presence, shown)], jpegs)
    writer.close()
