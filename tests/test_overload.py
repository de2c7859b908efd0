"""More comes than can be tracked: it is said, tracks live on, and people keep their boxes."""

import io
import json
import logging
import threading
import time
from collections.abc import Sequence

import numpy as np
import pytest

from tests.test_pipeline import OneWalker, tracker_of
from tracker.camera_tracker import CameraTracker
from tracker.clock import Delays
from tracker.config import LiveConfig, TrackingConfig
from tracker.pipeline import LOOK_EVERY_S, SHARES, PictureSizes
from tracker.sinks import live as live_sinks
from tracker.sinks.live import JsonLines, LiveScreen, as_json, live_line, people_table
from tracker.sinks.now import OVER_S, CamerasNow, count_people
from tracker.sources.addresses import Camera, Kind
from tracker.sources.live import MAX_SKIPPED, LiveSource
from tracker.stages import CameraReport
from tracker.types import CameraName, Detections, Frame, Observations, Sightings, Tick, blank_image

DOOR, YARD = CameraName("door"), CameraName("yard")
IMAGE = blank_image(640, 480)


def frame(number: int, camera: CameraName = DOOR, time_s: float | None = None) -> Frame:
    return Frame(camera, number, number / 25 if time_s is None else time_s, IMAGE)


def sightings(*people: tuple[int, int]) -> Sightings:
    """Track and identity of each."""
    tracks, identities = np.array(people, np.int64).reshape(-1, 2).T
    count = len(people)
    return Sightings(tracks, identities, np.tile([1.0, 2.0, 30.0, 90.0], (count, 1)), np.full(count, 0.9))


class Fed:
    """A live source whose only camera gives what a test puts in, without a stream."""

    def __init__(self, config: LiveConfig) -> None:
        self.source = LiveSource([Camera(DOOR, Kind.STREAM, "rtsp://nowhere/x")], config)
        self.feed = self.source._feeds[0]
        self.feed.start = lambda: None  # type: ignore[method-assign]
        self.ticks = self.source.ticks()

    def put(self, count: int) -> None:
        for _ in range(count):
            self.feed._put(time.monotonic(), IMAGE)

    def take(self) -> Tick:
        return next(self.ticks)


def test_frames_that_make_way_are_given_first_and_nobody_looks_at_them() -> None:
    fed = Fed(LiveConfig(queue_frames=2, max_tick_wait_s=0))
    fed.put(6)
    ticks = [fed.take() for _ in range(6)]
    assert [(tick.frames[0].number, tick.is_skipped) for tick in ticks] == [
        (1, True), (2, True), (3, True), (4, True), (5, False), (6, False),
    ]  # fmt: skip
    report = fed.source.reports[DOOR]
    assert (report.read, report.skipped, report.dropped) == (6, 4, 0)


def test_what_waits_is_bounded_and_the_rest_is_dropped_and_counted() -> None:
    fed = Fed(LiveConfig(queue_frames=1, max_tick_wait_s=0))
    fed.put(MAX_SKIPPED + 11)
    report = fed.source.reports[DOOR]
    assert (report.read, report.skipped, report.dropped) == (MAX_SKIPPED + 11, MAX_SKIPPED, 10)
    assert fed.take().frames[0].number == 11


@pytest.mark.parametrize("overload", ["drop", "smaller"])
def test_where_nothing_is_skipped_the_oldest_is_dropped(overload: str) -> None:
    fed = Fed(LiveConfig.model_validate({"queue_frames": 2, "max_tick_wait_s": 0, "overload": overload}))
    fed.put(6)
    assert [(it.frames[0].number, it.is_skipped) for it in (fed.take(), fed.take())] == [
        (5, False), (6, False),
    ]  # fmt: skip
    assert (fed.source.reports[DOOR].skipped, fed.source.reports[DOOR].dropped) == (0, 4)


def walker(time_s: float) -> Observations:
    """One who walks to the right, 60 pixels a second."""
    left = 100 + 60 * time_s
    box = np.array([[left, 100.0, left + 40, 220.0]])
    return Observations(box, np.array([0.9]), np.zeros((1, 0), np.float32))


@pytest.mark.parametrize("looks_every", [2, 5, 12])
def test_a_track_coasts_where_it_belongs_between_two_looks(looks_every: int) -> None:
    tracker = CameraTracker(DOOR, TrackingConfig())
    tracks, errors = set(), []
    for number in range(1, 100):
        time_s = number / 25
        if number % looks_every == 1:
            found = walker(time_s)
            seen = tracker.update(tracker.compare(tracker.predict(time_s), found), found).tracks
        else:
            seen = tracker.coast(time_s)
            assert (seen.scores == 0).all()
        assert len(seen) == 1
        tracks.update(seen.track_ids.tolist())
        if number > 50:
            errors.append(float(np.abs(seen.boxes - walker(time_s).boxes).max()))
    assert tracks == {1}
    assert max(errors) < 12  # a tenth of the height


def test_coasting_changes_no_more_than_time() -> None:
    """Looked at every fifth frame, it makes no difference whether tracks coast in between."""
    with_frames, without = (CameraTracker(DOOR, TrackingConfig()) for _ in range(2))
    for number in range(1, 60):
        time_s = number / 25
        if number % 5:
            with_frames.coast(time_s)
            continue
        found = walker(time_s)
        boxes = [
            it.update(it.compare(it.predict(time_s), found), found).tracks.boxes
            for it in (with_frames, without)
        ]
        assert boxes[0] == pytest.approx(boxes[1])


def test_a_skipped_tick_gives_everybody_who_was_there_and_teaches_nothing() -> None:
    tracker = tracker_of(OneWalker(), DOOR)
    for number in range(1, 60):
        seen = tracker.step(Tick(number / 25, (frame(number),)))[DOOR]
    before = tracker.identities.tracks().frames.tolist()
    coasted = tracker.coast(Tick(60 / 25, (frame(60),), is_skipped=True))[DOOR]
    assert coasted.identity_ids.tolist() == seen.identity_ids.tolist() == [1]
    assert coasted.scores.tolist() == [0.0]
    assert tracker.identities.tracks().frames.tolist() == before


class Resized:
    """Writes down the sizes that it is asked for."""

    def __init__(self) -> None:
        self.shares: list[float] = []

    def resize(self, share: float) -> bool:
        self.shares.append(share)
        return True


def test_pictures_become_smaller_while_frames_are_dropped_and_larger_when_it_is_calm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("tracker.pipeline.time.monotonic", lambda: now)
    report, detector = CameraReport(), Resized()
    sizes = PictureSizes(detector, {DOOR: report})

    def pass_time(seconds: float, dropped: int) -> None:
        nonlocal now
        for _ in range(int(seconds / LOOK_EVERY_S)):
            now += LOOK_EVERY_S
            report.read += 50
            report.dropped += dropped
            sizes.adapt()

    pass_time(10, 1)
    assert detector.shares == []  # one of fifty is no overload
    pass_time(20, 10)
    assert detector.shares == list(SHARES[1:])
    pass_time(28, 0)
    assert len(detector.shares) == 2
    pass_time(4, 0)
    assert detector.shares[2:] == [SHARES[1]]
    pass_time(2, 10)  # that was too early
    assert detector.shares[3:] == [SHARES[2]]
    pass_time(50, 0)
    assert len(detector.shares) == 4
    pass_time(16, 0)
    assert detector.shares[4:] == [SHARES[1]]


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_of_delays_are_right_within_their_steps(seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(-2, 1.5, 500)
    delays = Delays()
    for value in values.tolist():
        delays.add(value)
    again = Delays(delays.counts)
    for share in (0.05, 0.5, 0.95):
        exact = np.quantile(np.maximum(values, 0.001), share, method="inverted_cdf")
        assert again.quantile(share) == pytest.approx(exact, rel=0.031)
    assert np.isnan(Delays().quantile(0.5))


def test_who_is_where_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("tracker.sinks.now.time.monotonic", lambda: clock)
    monkeypatch.setattr("tracker.sinks.now.time.time", lambda: 1000.0 + clock)
    reports = {DOOR: CameraReport(), YARD: CameraReport()}
    now = CamerasNow(reports, {DOOR: 10}, is_live=True)
    for number in range(20):
        clock += 0.25
        reports[DOOR].read += 4
        reports[DOOR].dropped += 2
        reports[DOOR].skipped += 1
        now.write(frame(number, DOOR, 1000.0 + clock - 0.5), sightings((1, 7), (2, 0)))
        if number >= 10:
            now.write(frame(number, YARD, 1000.0 + clock - 0.1), sightings((1, 7)))
    cameras = now.now()
    door, yard = cameras[DOOR], cameras[YARD]
    assert (door.frames, door.frames_per_second, door.dropped, door.skipped) == (30, 4.0, 0.5, 0.25)
    assert door.delay_s == pytest.approx(0.5)
    assert yard.delay_s == pytest.approx(0.1)
    assert count_people(cameras) == (1, 1)
    assert [it.since_s for it in door.people] == pytest.approx([1099.75, 1099.75])
    assert yard.people[0].since_s == pytest.approx(1102.65)
    line = live_line(cameras)
    assert "door 30 (4.0 frames/s, 50% dropped, 25% skipped, 0.50 s late, 2 in view)" in line
    assert line.endswith("now 1 people, 1 undecided")
    told = as_json(cameras, 5.0)
    assert (told["people"], told["undecided"]) == (1, 1)
    assert told["cameras"]["door"]["people"][0]["identity"] == 7
    columns = [list(column.cells) for column in people_table(cameras).columns]
    assert columns[:2] == [["7", "?"], ["door, yard", "door"]]
    clock += 2.0
    assert count_people(now.now()) == (0, 0)  # nothing has come for so long that nobody knows


def test_what_is_old_is_let_go_where_nobody_asks_who_is_where(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("tracker.sinks.now.time.monotonic", lambda: clock)
    now = CamerasNow({DOOR: CameraReport()}, {}, is_live=True)
    for number in range(1000):
        clock += 0.25
        now.write(frame(number, DOOR, clock), sightings((1, 7)))
    assert len(now._delays[DOOR]) <= 4 * (OVER_S + 1)
    assert len(now._marks[DOOR]) <= 2 * (OVER_S + 1)


def test_overload_is_said_when_it_begins_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    monkeypatch.setattr("tracker.sinks.now.time.monotonic", lambda: clock)
    monkeypatch.setattr(live_sinks, "LINE_EVERY_S", 3600.0)
    caplog.set_level(logging.INFO)
    reports = {DOOR: CameraReport()}
    now, out = CamerasNow(reports, {}, is_live=True), io.StringIO()
    from rich.console import Console

    screen = LiveScreen(Console(file=out, width=200), now, with_people=True)

    def pass_time(seconds: int, dropped: int) -> None:
        nonlocal clock
        for _ in range(seconds):
            clock += 1
            reports[DOOR].read += 10
            reports[DOOR].dropped += dropped
            now.write(frame(1, DOOR, clock), sightings((1, 1)))
        screen._show()

    pass_time(5, 0)
    assert not caplog.messages
    pass_time(5, 6)
    assert "camera 'door': more comes than can be tracked: 30% of its frames are dropped" in caplog.text
    pass_time(5, 6)
    assert len(caplog.messages) == 1  # once
    pass_time(15, 0)
    assert caplog.messages[1:] == ["camera 'door': every frame is tracked again"]
    screen.close()
    assert out.getvalue().count("s late, 1 in view); now 1 people, 0 undecided") == 4


def test_json_lines_go_on_without_frames_and_outlive_their_reader(caplog: pytest.LogCaptureFixture) -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    now = CamerasNow({DOOR: CameraReport(problem="camera 'door': lost")}, {}, is_live=True)
    out = io.StringIO()
    JsonLines(now, out).close()
    assert json.loads(out.getvalue())["cameras"]["door"]["problem"] == "camera 'door': lost"
    lines = JsonLines(now, Gone())
    lines.close()
    lines._print()
    assert caplog.text.count("standard output is closed") == 1


def test_the_detector_gets_no_skipped_tick() -> None:
    from tests.test_pipeline import ListedSource
    from tracker.clock import StageClock
    from tracker.pipeline import steps_of

    class Counted(OneWalker):
        def __init__(self) -> None:
            self.numbers: list[int] = []

        def detect(self, tick: Tick) -> list[Detections]:
            self.numbers.append(tick.frames[0].number)
            return super().detect(tick)

    ticks: Sequence[Tick] = [Tick(it / 25, (frame(it),), is_skipped=it % 3 > 0) for it in range(60)]
    detector = Counted()
    steps = steps_of(
        ListedSource(ticks), tracker_of(detector, DOOR), threading.Event(), StageClock(), StageClock()
    )
    seen = [(step.tick.frames[0].number, len(step.sightings[DOOR])) for step in steps]
    assert detector.numbers == list(range(0, 60, 3))
    assert [number for number, _ in seen] == list(range(60))
    assert {people for _, people in seen[30:]} == {1}
