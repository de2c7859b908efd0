"""The front door: frames of many cameras in, people out, each with one identity."""

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from foundation.arrays import BoolArray, FloatArray
from foundation.cosine_prior import CosinePrior
from foundation.errors import ReuniteError
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import load_config
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.types import Detections, Network, Observations, Sightings, State, Tick, blank_image

CAMERAS = ("door", "hall")
RATE, FRAMES, LENGTH = 10, 75, 1024
VISITS = {"door": ((1, 1, 30), (3, 41, 75)), "hall": ((2, 1, 30), (1, 41, 75))}
"""Of each camera: who is seen, in which frames. The first person goes from the door to the hall."""


def found_in(camera: str, number: int) -> Detections:
    """Everybody who is in a frame; how wide a box is says who it is."""
    here = [(person, number - first) for person, first, last in VISITS[camera] if first <= number <= last]
    boxes = [[50 + 2.0 * step, 20, 80 + 2.0 * step + person, 120] for person, step in here]
    return Detections.of(boxes, np.full(len(boxes), 0.9))


def unit(values: FloatArray) -> FloatArray:
    return np.asarray(values / np.linalg.norm(values))


class KnowsByWidth:
    """An embedder that tells people apart as well as a good network does."""

    network: Network | None = Network("widths", "51de", LENGTH)
    prior: CosinePrior | None = None

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> list[Observations]:
        observations = []
        for frame, people, want in zip(tick.frames, detections, needed, strict=True):
            embeddings = np.zeros((len(people), LENGTH), np.float32)
            for row in np.flatnonzero(want):
                person = round(people.boxes[row, 2] - people.boxes[row, 0]) - 30
                look = unit(np.random.default_rng(person).normal(size=LENGTH))
                off = unit(np.random.default_rng([person, frame.number]).normal(size=LENGTH))
                embeddings[row] = unit(look + 0.3 * off)
            # A copy, as the embedder of a stranger may well give.
            observations.append(Observations(people.boxes.copy(), people.scores.copy(), embeddings))
        return observations


class FindsAll:
    """A detector that remembers how many ticks it saw."""

    ticks_at_once = 1

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, tick: Tick) -> list[Detections]:
        self.seen += 1
        return [found_in(frame.camera, frame.number) for frame in tick.frames]

    def state(self) -> State:
        return {"seen": np.array(self.seen)}

    def restore(self, state: State) -> None:
        self.seen = int(state["seen"])


def tick_of(number: int, *cameras: str) -> Tick:
    return Tick.of(number / RATE, {camera: blank_image(320, 240) for camera in cameras or CAMERAS}, number)


def tracker_of(detector: FindsAll | None = None, cameras: Sequence[str] = CAMERAS) -> MultiCameraTracker:
    return MultiCameraTracker(
        cameras, detector=detector, embedder=KnowsByWidth(), camera_motion=NoCameraMotion()
    )


def columns_of(people: Mapping[str, Sightings]) -> list[object]:
    return [
        (camera, it.track_ids.tolist(), it.identity_ids.tolist(), it.boxes.tolist(), it.scores.tolist())
        for camera, it in people.items()
    ]


def test_who_goes_from_one_camera_to_the_other_keeps_one_identity() -> None:
    tracker = tracker_of()
    for number in range(1, FRAMES + 1):
        tick = tick_of(number)
        people = tracker.step(tick, {camera: found_in(camera, number) for camera in CAMERAS})
        assert list(people) == list(CAMERAS)
    tracks = tracker.finish()
    who = {
        (camera, track): person
        for camera, track, person in zip(
            tracks.cameras, tracks.track_ids.tolist(), tracks.identity_ids.tolist(), strict=True
        )
    }
    assert who["door", 1] == who["hall", 2]
    assert len(set(who.values())) == 3
    kinds = [event.kind for event in tracker.events()]
    assert kinds.count("new") == 3
    assert "returned" in kinds
    assert tracker.events() == []


def test_ready_detections_and_a_detector_of_ones_own_give_the_same() -> None:
    ready, own = tracker_of(), tracker_of(FindsAll())
    for number in range(1, 50):
        found = {camera: found_in(camera, number) for camera in CAMERAS}
        assert columns_of(ready.step(tick_of(number), found)) == columns_of(own.step(tick_of(number)))
    assert ready.num_detections == own.num_detections == 29 * 2 + 2 * 9 + 2
    assert 0 < own.num_embedded < own.num_detections


def test_a_detector_that_is_not_needed_is_not_opened() -> None:
    config = load_config(overrides=["detector.kind=onnx", "detector.weights=nowhere.onnx"])
    tracker = MultiCameraTracker(CAMERAS, config, embedder=KnowsByWidth(), camera_motion=NoCameraMotion())
    tracker.step(tick_of(1), {camera: found_in(camera, 1) for camera in CAMERAS})
    with pytest.raises(ReuniteError, match=r"nowhere\.onnx"):
        tracker.step(tick_of(2))


@pytest.mark.parametrize("moment", [0, 1, 35, 60])
def test_a_restored_tracker_goes_on_bit_for_bit(moment: int) -> None:
    whole, before = tracker_of(FindsAll()), tracker_of(FindsAll())
    for number in range(1, moment + 1):
        whole.step(tick_of(number))
        before.step(tick_of(number))
    whole.events()
    detector = FindsAll()
    after = tracker_of(detector)
    after.restore(before.state())
    assert detector.seen == moment
    for number in range(moment + 1, FRAMES + 1):
        assert columns_of(whole.step(tick_of(number))) == columns_of(after.step(tick_of(number)))
    for tracker in (whole, after):
        tracker.finish()
    assert whole.events() == after.events()
    assert whole.num_detections == after.num_detections


def test_who_is_known_is_recognised_by_a_camera_that_was_added_since() -> None:
    tracker, whole = tracker_of(cameras=("door",)), tracker_of()
    people: dict[str, Sightings] = {}
    for number in range(1, FRAMES + 1):
        if number == 35:
            tracker.add_camera("hall")
            with pytest.raises(ValueError, match="there already"):
                tracker.add_camera("hall")
        if number == 60:  # and a run that was cut off goes on with both
            state = tracker.state()
            tracker = tracker_of()
            tracker.restore(state)
        cameras = CAMERAS if number >= 35 else ("door",)
        tick = tick_of(number, *cameras)
        people = tracker.step(tick, {camera: found_in(camera, number) for camera in cameras})
        both = whole.step(tick_of(number), {camera: found_in(camera, number) for camera in CAMERAS})
        assert people["door"].boxes.tolist() == both["door"].boxes.tolist(), "the other goes on as ever"
    tracks = tracker.finish()
    keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
    who = dict(zip(keys, tracks.identity_ids.tolist(), strict=True))
    assert who["hall", 1] == who["door", 1]
    assert who["door", 2] != who["door", 1]
    assert people["hall"].identity_ids.tolist() == [who["door", 1]]


def test_trackers_share_nothing() -> None:
    lonely, busy = tracker_of(FindsAll()), tracker_of(FindsAll())
    before = columns_of(lonely.step(tick_of(1)))
    for number in range(1, 20):
        busy.step(tick_of(number))
    assert columns_of(tracker_of(FindsAll()).step(tick_of(1))) == before


def test_a_camera_may_have_no_frame_in_a_tick() -> None:
    tracker = tracker_of(FindsAll())
    assert list(tracker.step(tick_of(1, "hall"))) == ["hall"]
    assert list(tracker.step(tick_of(2, "door"))) == ["door"]


def test_what_does_not_fit_together_is_refused_by_name() -> None:
    tracker, nobody = tracker_of(FindsAll()), Detections.empty()
    with pytest.raises(ValueError, match="camera 'yard': this tracker's cameras are door, hall"):
        tracker.step(tick_of(1, "yard"))
    for wrong in ({"door": nobody}, {"door": nobody, "hall": nobody, "yard": nobody}, {}):
        with pytest.raises(ValueError, match="detections must be of the cameras that have a frame"):
            tracker.step(tick_of(1), wrong)
    for cameras in ([], ["door", "door"]):
        with pytest.raises(ValueError, match="each with a name of its own"):
            MultiCameraTracker(cameras)
    state = tracker.state()
    other = MultiCameraTracker(["door"], embedder=KnowsByWidth(), camera_motion=NoCameraMotion())
    with pytest.raises(ValueError, match="the state is of cameras door, hall, this tracker's are door"):
        other.restore(state)


def test_a_camera_of_a_pair_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture) -> None:
    pairs = "[[door, hal], [yard, door]]"
    config = load_config(None, [f"identity.overlap={pairs}", "identity.no_overlap=all"])
    MultiCameraTracker(CAMERAS, config, embedder=KnowsByWidth(), camera_motion=NoCameraMotion())
    warnings = [it.message for it in caplog.records if it.levelname == "WARNING"]
    assert warnings == [
        "identity.overlap: no camera 'hal' in this run, did you mean hall?",
        "identity.overlap: no camera 'yard' in this run, the cameras are door, hall",
    ]
