"""Live sources: no camera stops, delays or hides another, whatever happens to it."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from foundation.arrays import Image
from tests.clips import draw_code, read_code, write_clip
from tests.loopback import NonsenseServer, RtspCamera, free_port, missing_for_rtsp
from tracker.config import LiveConfig, SourceConfig
from tracker.sources import live, open_source, streams
from tracker.sources.addresses import Camera, Kind
from tracker.sources.live import LiveSource
from tracker.sources.streams import LostError, RefusedError
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame

LOOP = 250
"""Frames of the clip that an RTSP camera sends round and round."""
PATIENT = LiveConfig(
    queue_frames=100,
    open_timeout_s=4,
    read_timeout_s=1,
    first_pause_s=0.1,
    max_pause_s=0.4,
    max_tick_wait_s=0,
)
"""Short timeouts, so that tests are; a long queue, so that a busy machine drops nothing."""
DEADLINE_S = 30.0

Pictures = Generator[tuple[float, Image], None, None]
Script = Callable[[threading.Event], Pictures]


class Watch:
    """Takes ticks of a live source until something has happened."""

    def __init__(self, config: LiveConfig, *addresses: str) -> None:
        self.source = open_source(addresses, SourceConfig(live=config), {})
        self.frames: dict[CameraName, list[Frame]] = {name: [] for name in self.source.reports}
        self._ticks = self.source.ticks()
        self._timer = threading.Timer(3 * DEADLINE_S, self.source.close)  # so that no test can hang
        self._timer.start()

    def until(self, happened: Callable[[], bool]) -> None:
        """Go on until it has happened; fail if it takes too long. At least one camera must give frames."""
        deadline = time.monotonic() + DEADLINE_S
        while not happened():
            assert time.monotonic() < deadline, f"waited in vain; {dict(self.source.reports)}"
            for frame in next(self._ticks).frames:
                self.frames[frame.camera].append(frame)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()
        self.source.close()


def assert_lost_nothing(watch: Watch, camera: CameraName) -> None:
    """Every frame that the camera sent has come, from the first, in order, and none was dropped."""
    frames = watch.frames[camera]
    codes = [read_code(frame.image) for frame in frames]
    assert codes[0] == 0
    assert all((after - before) % LOOP == 1 for before, after in itertools.pairwise(codes))
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    report = watch.source.reports[camera]
    assert (report.dropped, report.reconnects, report.problem) == (0, 0, "")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "loop.mp4", range(LOOP))


@pytest.fixture
def rtsp(clip: Path) -> Iterator[Callable[..., RtspCamera]]:
    """Makes RTSP cameras, and ends them after the test."""
    if reason := missing_for_rtsp():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    cameras: list[RtspCamera] = []

    def make(login: str = "") -> RtspCamera:
        cameras.append(RtspCamera(clip, login))
        return cameras[-1]

    yield make
    for camera in cameras:
        camera.kill()


@pytest.mark.rtsp
class TestRtsp:
    @pytest.mark.parametrize("trouble", ["killed", "frozen", "garbage", "endless garbage", "silence"])
    def test_trouble_in_one_camera_costs_the_other_no_frame(
        self, rtsp: Callable[..., RtspCamera], trouble: str
    ) -> None:
        good, bad = rtsp(), rtsp()
        with Watch(PATIENT, good.address(), bad.address()) as watch:
            good_name, bad_name = watch.frames
            report = watch.source.reports[bad_name]
            watch.until(lambda: min(map(len, watch.frames.values())) >= 10)
            seen_before = len(watch.frames[bad_name])
            if trouble == "frozen":
                bad.freeze()
                watch.until(lambda: "no frame for 1.0 s" in report.problem)
                bad.thaw()
            else:
                bad.kill()
                watch.until(lambda: bool(report.problem))
                answers = {"garbage": b"\x00nonsense\r\n\r\n", "endless garbage": b"\xffnonsense" * 9999}
                if trouble != "killed":
                    with NonsenseServer(answers.get(trouble, b""), bad.port) as nonsense:
                        watch.until(lambda: nonsense.visits >= 2)
                bad.switch_on()
            watch.until(lambda: report.reconnects == 1 and len(watch.frames[bad_name]) > seen_before + 10)
            assert report.problem == ""
            numbers = [frame.number for frame in watch.frames[bad_name]]
            assert numbers == list(range(1, len(numbers) + 1))
            assert_lost_nothing(watch, good_name)

    def test_a_camera_that_comes_up_late_joins_in(self, rtsp: Callable[..., RtspCamera]) -> None:
        good, late = rtsp(), rtsp()
        late.kill()
        with Watch(PATIENT, good.address(), late.address(), f"rtsp://127.0.0.1:{free_port()}/never") as watch:
            good_name, late_name, never_name = watch.frames
            watch.until(lambda: "attempt 2" in watch.source.reports[late_name].problem)
            late.switch_on()
            watch.until(lambda: len(watch.frames[late_name]) >= 10)
            assert watch.source.reports[late_name].reconnects == 0  # it was never lost
            assert "(Connection refused), reconnecting in" in watch.source.reports[never_name].problem
            assert_lost_nothing(watch, good_name)

    def test_a_camera_that_is_added_joins_in_and_costs_the_other_no_frame(
        self, rtsp: Callable[..., RtspCamera]
    ) -> None:
        good, more = rtsp(), rtsp()
        with Watch(PATIENT, good.address()) as watch:
            (good_name,) = watch.frames
            watch.until(lambda: len(watch.frames[good_name]) >= 10)
            assert isinstance(watch.source, LiveSource)
            added = Camera(CameraName("added"), Kind.STREAM, more.address())
            watch.frames[added.name] = []
            watch.source.add(added)
            watch.until(lambda: len(watch.frames[added.name]) >= 10)
            assert list(watch.source.reports) == [good_name, "added"]
            assert_lost_nothing(watch, good_name)
            assert_lost_nothing(watch, added.name)

    def test_a_wrong_password_ends_that_camera_and_is_never_shown(
        self,
        rtsp: Callable[..., RtspCamera],
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        door = rtsp(login="me:right-secret")
        caplog.set_level(logging.DEBUG)
        with Watch(
            PATIENT, door.address("me:right-secret"), door.address("me:wrong-secret"), door.address()
        ) as watch:
            known, wrong, none = watch.source.reports.values()
            watch.until(lambda: len(next(iter(watch.frames.values()))) >= 10)
            watch.until(lambda: bool(wrong.problem and none.problem))
            for report in (wrong, none):
                assert "the user name or password is refused" in report.problem
            assert "rtsp://***@127.0.0.1" in wrong.problem
            assert known.problem == ""
        shown = "".join([*capfd.readouterr(), caplog.text, wrong.problem, none.problem, *watch.frames])
        assert "secret" not in shown


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\n\r\n", b"\xff\x00" * 999])
@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_closing_does_not_wait_for_a_camera_that_answers_wrongly_or_never(scheme: str, answer: bytes) -> None:
    with NonsenseServer(answer) as server:
        source = open_source([f"{scheme}://127.0.0.1:{server.port}/x"], SourceConfig(live=PATIENT), {})
        ticks = source.ticks()
        thread = threading.Thread(target=lambda: [None for _ in ticks])
        thread.start()
        while not server.visits:
            time.sleep(0.01)
        start = time.monotonic()
        source.close()
        thread.join()
        source.close()
        assert time.monotonic() - start < 3  # its own timeout is longer
        readers = [thread for thread in threading.enumerate() if thread.name.startswith("camera ")]
    for reader in readers:
        reader.join(DEADLINE_S)
        assert not reader.is_alive()


@pytest.mark.parametrize("ending", ["source.close()", "pass"])
def test_a_program_does_not_end_under_a_thread_that_waits_for_a_camera(ending: str) -> None:
    # FFmpeg asks the interpreter whether to wait on; one that was gone let the process crash.
    program = (
        "import atexit, sys, threading\n"
        "from tracker.config import LiveConfig, SourceConfig; from tracker.sources import open_source\n"
        "said = lambda: print([it.name for it in threading.enumerate() if it.name.startswith('camera')])\n"
        "atexit.register(said)\n"  # called after what is registered later
        "config = SourceConfig(live=LiveConfig(open_timeout_s=2, read_timeout_s=60))\n"
        "source = open_source(sys.argv[1:], config, {})\n"
        "threading.Thread(target=lambda: list(source.ticks()), daemon=True).start()\n"
        f"sys.stdin.readline(); {ending}; said()"
    )
    with NonsenseServer(b"") as server:
        command = [sys.executable, "-c", program, f"rtsp://127.0.0.1:{server.port}/x"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        while not server.visits:
            time.sleep(0.01)
            assert process.poll() is None
        said, complaints = process.communicate("\n", timeout=400)
    assert (process.returncode, complaints) == (0, "")
    assert said.splitlines() == [f"['camera 127.0.0.1-{server.port}-x']", "[]"]


def test_a_run_ends_at_once_while_a_camera_says_nothing(tmp_path: Path) -> None:
    with NonsenseServer(b"") as server:
        address = f"rtsp://127.0.0.1:{server.port}/x"
        settings = ["--config", "embedded", "--set", "reading.live.open_timeout_s=600"]
        command = [sys.executable, "-m", "tracker.run", address, *settings]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while not server.visits:
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said, complaints = process.communicate(timeout=400)  # less than the timeout of the camera
    assert (process.returncode, complaints) == (0, b"")
    assert b"summary.json" in said
    assert (tmp_path / "runs" / "track" / "summary.json").exists()


def test_opening_a_live_camera_again_connects_to_nothing() -> None:
    # What was missed is gone; a resumed run only writes down what it had seen.
    source = open_source(["rtsp://host/x"], SourceConfig(), {CameraName("host-x"): 3})
    assert source.is_live
    assert source.reports[CameraName("host-x")] == CameraReport()
    source.close()


class TestHttp:
    def serve(self, handler: Callable[..., BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        return server

    @pytest.fixture
    def folder_server(self, tmp_path: Path) -> Iterator[str]:
        class Handler(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        with self.serve(partial(Handler, directory=str(tmp_path))) as server:
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()

    def test_a_video_file_is_read_as_a_file(self, folder_server: str, tmp_path: Path) -> None:
        write_clip(tmp_path / "cam.mp4", range(60))
        source = open_source([f"{folder_server}/cam.mp4", f"{folder_server}/no.mp4"], SourceConfig(), {})
        assert not source.is_live
        frames = [frame for tick in source.ticks() for frame in tick.frames]
        source.close()
        assert [read_code(frame.image) for frame in frames] == list(range(60))
        assert [frame.time for frame in frames] == pytest.approx(
            [index / 25 for index in range(60)], abs=1e-3
        )
        good, missing = source.reports.values()
        assert (good.read, good.problem) == (60, "")
        assert "/no.mp4: cannot be read as a video (Server returned 404 Not Found)" in missing.problem

    def test_an_hls_recording_plays_at_its_own_pace_and_ends(
        self, folder_server: str, tmp_path: Path
    ) -> None:
        write_clip(tmp_path / "cam.m3u8", range(30), rate=20, container_options={"hls_time": "0.5"})
        with Watch(PATIENT, f"{folder_server}/cam.m3u8") as watch:
            frames = [frame for tick in watch.source.ticks() for frame in tick.frames]
            assert watch.source.is_live
        assert [read_code(frame.image) for frame in frames] == list(range(30))
        assert frames[-1].time - frames[0].time == pytest.approx(29 / 20, abs=0.2)
        assert [report.problem for report in watch.source.reports.values()] == [""]

    def test_an_mjpeg_stream_that_ends_is_opened_again(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for code in range(20):
                    picture = cv2.imencode(".jpg", draw_code(code))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    try:
                        self.wfile.write(head.encode() + picture + b"\r\n")
                    except OSError:  # the viewer has closed
                        return
                    time.sleep(0.01)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        with self.serve(Handler) as server:
            with Watch(PATIENT, f"http://127.0.0.1:{server.server_port}/video.mjpg") as watch:
                (name,) = watch.frames
                watch.until(lambda: watch.source.reports[name].reconnects >= 2)
            server.shutdown()
        codes = [read_code(frame.image) for frame in watch.frames[name]]
        assert codes[:20] == list(range(20))
        assert codes[20:40] == list(range(20))
        numbers = [frame.number for frame in watch.frames[name]]
        assert numbers == list(range(1, len(numbers) + 1))

    def test_sound_that_goes_on_does_not_hide_that_the_pictures_have_stopped(self, tmp_path: Path) -> None:
        path = tmp_path / "sound.ts"
        with av.open(path, "w") as container:
            video = container.add_stream("libx264", rate=25, options={"bf": "0"})
            video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
            sound = container.add_stream("mp2", rate=48_000)
            for code in range(10):
                container.mux(video.encode(av.VideoFrame.from_ndarray(draw_code(code), format="bgr24")))
            container.mux(video.encode())
            for _ in range(400):  # 9.6 s
                silence = np.zeros((1, 2 * 1152), np.int16)
                frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
                frame.sample_rate = 48_000
                container.mux(sound.encode(frame))

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                data = path.read_bytes()
                try:
                    for start in range(0, len(data), 4000):
                        self.wfile.write(data[start : start + 4000])
                        time.sleep(0.03)
                except OSError:  # the viewer has closed
                    return

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        with self.serve(Handler) as server:
            camera = Camera(CameraName("door"), Kind.STREAM, f"http://127.0.0.1:{server.server_port}/live")
            pictures = streams.receive_pictures(camera, PATIENT, threading.Event())
            with closing(pictures), pytest.raises(LostError, match=r"no frame for 1\.0 s"):  # noqa: PT012
                for number, (_, image) in enumerate(pictures):
                    assert read_code(image) == number
            server.shutdown()


PICTURE = np.zeros((4, 4, 3), np.uint8)


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LiveSource]]:
    """Live sources whose cameras follow scripts: for each connection one script, the last one for ever."""
    sources: list[LiveSource] = []

    def make(config: LiveConfig, **scripts: Sequence[Script]) -> LiveSource:
        acts = {f"rtsp://me:secret@{name}": iter(acts) for name, acts in scripts.items()}

        def receive(camera: Camera, _: LiveConfig, stop: threading.Event) -> Pictures:
            act = next(acts[camera.address], None)
            if act is None:
                raise LostError("the script has ended")
            return act(stop)

        monkeypatch.setattr(live, "receive_pictures", receive)
        source = open_source(list(acts), SourceConfig(live=config), {})
        assert isinstance(source, LiveSource)
        sources.append(source)
        return source

    yield make
    for source in sources:
        source.close()


def give(count: int, pause_s: float = 0.0, then: Exception | None = None) -> Script:
    """Give this many pictures at this pace, then end, or fail."""

    def act(stop: threading.Event) -> Pictures:
        for _ in range(count):
            yield time.monotonic(), PICTURE
            stop.wait(pause_s)
        if then is not None:
            raise then

    return act


def give_for_ever(pause_s: float) -> Script:
    """Give pictures at this pace until the source is closed."""

    def act(stop: threading.Event) -> Pictures:
        while not stop.wait(pause_s):
            yield time.monotonic(), PICTURE

    return act


def fail(error: Exception) -> Script:
    return give(0, then=error)


class TestFeeds:
    def test_the_oldest_frames_go_and_are_counted_when_nobody_takes_them(
        self, play: Callable[..., LiveSource]
    ) -> None:
        go, gone = threading.Event(), threading.Event()

        def act(stop: threading.Event) -> Pictures:
            yield from give(1)(stop)
            go.wait(DEADLINE_S)
            yield from give(10)(stop)
            gone.set()

        source = play(LiveConfig(overload="drop", queue_frames=3), door=[act])
        ticks = source.ticks()
        assert next(ticks).frames[0].number == 1
        go.set()
        assert gone.wait(DEADLINE_S)
        assert [frame.number for tick in ticks for frame in tick.frames] == [9, 10, 11]
        (report,) = source.reports.values()
        assert (report.read, report.dropped, report.problem) == (11, 7, "")

    def test_times_are_unix_times_and_grow(self, play: Callable[..., LiveSource]) -> None:
        before = time.time()
        ticks = list(play(LiveConfig(queue_frames=50), door=[give(20, 0.002)]).ticks())
        times = [tick.frames[0].time for tick in ticks]
        assert before - 1 < times[0] < times[-1] < time.time() + 1
        assert times == sorted(times) == [tick.time for tick in ticks]

    @pytest.mark.parametrize("waits", [True, False])
    def test_a_tick_waits_for_frames_that_are_due(self, play: Callable[..., LiveSource], waits: bool) -> None:
        """Two cameras take turns; the late one's frames are due 0.3 s after the early one's.

        Their times are told and not waited for, and each frame comes when what it depends on has happened.
        """
        taken: list[Frame] = []
        given = threading.Semaphore(0)
        start_s = time.monotonic() + 60  # in the future: nothing is overdue, however slow the machine is

        def wait_until_taken(count: int) -> None:
            deadline = time.monotonic() + DEADLINE_S
            while len(taken) < count and time.monotonic() < deadline:
                time.sleep(0.001)

        def early(stop: threading.Event) -> Pictures:
            for number in range(20):
                wait_until_taken(2 * number)
                yield start_s + number, PICTURE
                given.release()

        def late(stop: threading.Event) -> Pictures:
            for number in range(20):
                given.acquire(timeout=DEADLINE_S)
                if not waits:
                    wait_until_taken(2 * number + 1)
                yield start_s + number + 0.3, PICTURE

        config = LiveConfig(queue_frames=50, max_tick_wait_s=0.5 if waits else 0.0)
        sizes = []
        for tick in play(config, early=[early], late=[late]).ticks():
            sizes.append(len(tick.frames))
            taken.extend(tick.frames)
        assert set(sizes[6:]) == {2 if waits else 1}

    def test_no_tick_waits_for_a_camera_that_has_fallen_silent(self, play: Callable[..., LiveSource]) -> None:
        def falls_silent(stop: threading.Event) -> Pictures:
            yield from give(10, 0.02)(stop)
            stop.wait()

        config = LiveConfig(queue_frames=50, max_tick_wait_s=10)
        source = play(config, good=[give(50, 0.02)], silent=[falls_silent])
        delays = []
        for tick in source.ticks():
            delays.append(time.time() - tick.time)
            if tick.frames[0].number == 50:
                break
        assert max(delays) < 2

    def test_pauses_grow_until_the_camera_has_given_frames_for_longer(
        self, play: Callable[..., LiveSource], caplog: pytest.LogCaptureFixture
    ) -> None:
        lost = LostError("no frame for 5.0 s")
        acts = [fail(lost), fail(lost), give(1, then=lost), fail(lost), give(20, 0.03, lost), give(20, 0.01)]
        source = play(LiveConfig(first_pause_s=0.1, max_pause_s=0.3, queue_frames=50), door=acts)
        list(source.ticks())
        warnings = [record.getMessage().removeprefix("camera 'door") for record in caplog.records]
        assert warnings == [
            "' (rtsp://***@door): no frame for 5.0 s, reconnecting in 0.1 s (attempt 1)",
            "' (rtsp://***@door): no frame for 5.0 s, reconnecting in 0.2 s (attempt 2)",
            "': gives frames again",
            "': no frame for 5.0 s, reconnecting in 0.3 s (attempt 3)",
            "': no frame for 5.0 s, reconnecting in 0.3 s (attempt 4)",
            "': gives frames again",
            "': no frame for 5.0 s, reconnecting in 0.1 s (attempt 1)",
            "': gives frames again",
        ]
        (report,) = source.reports.values()
        assert (report.read, report.reconnects, report.problem) == (41, 2, "")

    def test_a_camera_that_is_paused_gives_nothing_and_stops_no_other(
        self, play: Callable[..., LiveSource]
    ) -> None:
        source = play(LiveConfig(queue_frames=50), door=[give_for_ever(0.01)], hall=[give_for_ever(0.01)])
        source.pause(CameraName("door"), paused=True)
        seen: list[str] = []
        for tick in source.ticks():
            seen += [frame.camera for frame in tick.frames]
            if len(seen) == 10:
                assert set(seen) == {"hall"}
                source.pause(CameraName("door"), paused=False)
            if "door" in seen:
                break
        assert source.reports[CameraName("door")].read > 0

    def test_a_password_refused_at_the_start_ends_the_camera(self, play: Callable[..., LiveSource]) -> None:
        refused = RefusedError("the user name or password is refused")
        source = play(LiveConfig(), door=[fail(refused), give(5)])
        assert list(source.ticks()) == []
        (report,) = source.reports.values()
        assert report.problem == (
            "camera 'door' (rtsp://***@door): the user name or password is refused; "
            "correct it and start again"
        )

    def test_a_password_that_worked_before_is_tried_again_slowly(
        self, play: Callable[..., LiveSource], caplog: pytest.LogCaptureFixture
    ) -> None:
        refused = RefusedError("the user name or password is refused")
        config = LiveConfig(first_pause_s=0.01, max_pause_s=0.2, queue_frames=50)
        source = play(config, door=[give(2, then=refused), fail(refused), give(2)])
        assert sum(1 for _ in source.ticks()) == 4
        pauses = [record.getMessage() for record in caplog.records if "reconnecting" in record.getMessage()]
        assert len(pauses) == 2
        assert all("refused, reconnecting in 0.2 s" in pause for pause in pauses)

    def test_a_fault_of_our_own_in_one_camera_leaves_the_others_alone(
        self, play: Callable[..., LiveSource], caplog: pytest.LogCaptureFixture
    ) -> None:
        fault = ZeroDivisionError("while reading rtsp://me:secret@odd")
        config = LiveConfig(first_pause_s=0.05, queue_frames=100)
        source = play(config, odd=[give(3, then=fault), give(3)], good=[give(30, 0.01)])
        list(source.ticks())
        odd, good = source.reports.values()
        assert (odd.read, odd.reconnects, good.read, good.reconnects) == (6, 1, 30, 0)
        assert "unexpected ZeroDivisionError: while reading rtsp://***@odd" in caplog.text
        assert "secret" not in caplog.text

    def test_closing_ends_a_pause_and_all_threads(self, play: Callable[..., LiveSource]) -> None:
        source = play(
            LiveConfig(first_pause_s=60, max_pause_s=60),
            lost=[fail(LostError("gone"))],
            good=[give_for_ever(0.01)],
        )
        next(source.ticks())
        start = time.monotonic()
        source.close()
        assert time.monotonic() - start < 5
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("camera ")]


class TestWebcams:
    def test_a_webcam_that_is_not_there_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "platform", "linux")
        camera = Camera(CameraName("webcam99"), Kind.WEBCAM, "99")
        with pytest.raises(LostError, match="there is no /dev/video99"):
            next(streams.receive_pictures(camera, LiveConfig(), threading.Event()))

    def test_pictures_come_until_the_plug_is_pulled(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        video = write_clip(tmp_path / "webcam.mp4", range(5))
        real = cv2.VideoCapture
        monkeypatch.setattr(sys, "platform", "any")
        monkeypatch.setattr(cv2, "VideoCapture", lambda number: real(str(video) if number == 0 else ""))
        camera = Camera(CameraName("webcam0"), Kind.WEBCAM, "0")
        codes = []
        with pytest.raises(LostError, match="it gives no more frames"):  # noqa: PT012
            for _, image in streams.receive_pictures(camera, LiveConfig(), threading.Event()):
                codes.append(read_code(image))
        assert codes == [0, 1, 2, 3, 4]
