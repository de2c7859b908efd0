"""Early exits: which crops stop at an early embedding, what that costs, and what it must not change."""

from collections.abc import Sequence

import numpy as np
import pytest

from foundation.arrays import BoolArray
from foundation.errors import ReuniteError
from tests.test_multi_camera_tracker import CAMERAS, FRAMES, RATE, KnowsByWidth, found_in
from tracker.camera_motion.none import NoCameraMotion
from tracker.config import RunConfig, load_config
from tracker.multi_camera_tracker import MultiCameraTracker
from tracker.types import Detections, Observations, State, Tick, blank_image


class Looked:
    """Early embeddings."""

    def __init__(self, observations: Sequence[Observations]) -> None:
        self.observations = observations


class Staged(KnowsByWidth):
    """Early embeddings are those of the whole network, or of nobody in particular where ``is_blind``."""

    first_share = 0.25

    def __init__(self, *, is_blind: bool = False) -> None:
        self.is_blind = is_blind
        self.deep: list[list[BoolArray]] = []
        self._last: tuple[Tick, Sequence[Detections]] | None = None

    def look(self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]) -> Looked:
        self._last = tick, detections
        seen = self.embed(tick, detections, needed)
        if self.is_blind:
            for people in seen:
                people.embeddings[people.embeddings.any(axis=1)] = np.eye(1, people.embeddings.shape[1])
        return Looked(seen)

    def finish(self, look: Looked, deep: Sequence[BoolArray]) -> Sequence[Observations]:
        assert self._last is not None
        self.deep.append(list(deep))
        whole = self.embed(*self._last, deep)
        return [
            Observations(its.boxes, its.scores, np.where(is_deep[:, None], its.embeddings, early.embeddings))
            for its, early, is_deep in zip(whole, look.observations, deep, strict=True)
        ]

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass


def config_of(budget: float | None, *more: str) -> RunConfig:
    exits = "null" if budget is None else f"{{rule: margin, budget: {budget}}}"
    return load_config(None, [f"embedder.exits={exits}", "camera_motion.kind=none", *more])


def tracker_of(embedder: KnowsByWidth, budget: float | None = 0.5) -> MultiCameraTracker:
    return MultiCameraTracker(CAMERAS, config_of(budget), embedder=embedder, camera_motion=NoCameraMotion())


def steps(tracker: MultiCameraTracker, numbers: Sequence[int]) -> list[list[int]]:
    """Who is seen in each frame of each camera."""
    seen = []
    for number in numbers:
        tick = Tick.of(number / RATE, {camera: blank_image(320, 240) for camera in CAMERAS}, number)
        found = tracker.step(tick, {camera: found_in(camera, number) for camera in CAMERAS})
        seen += [found[camera].identity_ids.tolist() for camera in CAMERAS]
    return seen


def test_known_people_stop_early_and_are_who_they_are_without_exits() -> None:
    plain, early = tracker_of(KnowsByWidth(), None), tracker_of(Staged())
    assert plain.exits is None
    found = []
    for tracker in (plain, early):
        steps(tracker, range(1, FRAMES + 1))
        tracks = tracker.finish()
        found.append([tracks.cameras.tolist(), tracks.track_ids.tolist(), tracks.identity_ids.tolist()])
    assert found[0] == found[1]
    assert early.exits is not None
    report = early.exits.report()
    assert min(report["early"], report["whole"]) > 0
    assert report["multiply_adds_saved"] == pytest.approx(
        0.75 * report["early"] / (report["early"] + report["whole"]), abs=1e-4
    )


def test_whom_an_early_embedding_does_not_tell_goes_through_the_whole_network() -> None:
    saved = []
    for is_blind in (False, True):
        tracker = tracker_of(Staged(is_blind=is_blind))
        steps(tracker, range(1, 30))
        assert tracker.exits is not None
        saved.append(tracker.exits.report()["multiply_adds_saved"])
    assert saved[1] < saved[0]


def test_a_track_begins_with_an_embedding_of_the_whole_network() -> None:
    embedder = Staged()
    steps(tracker_of(embedder), range(39, 42))
    door = [it[CAMERAS.index("door")].tolist() for it in embedder.deep]
    assert door == [[], [], [True]]  # somebody is there from frame 41 on


def test_a_margin_that_costs_less_than_the_budget_rises() -> None:
    margins = []
    for budget in (0.25, 0.5, 1.0):
        tracker = tracker_of(Staged(), budget)
        steps(tracker, range(1, 30))
        margins.append(float(tracker.state()["exits/margin"]))
    assert margins[0] < margins[1] < margins[2]


@pytest.mark.parametrize("moment", [1, 20, 50])
def test_a_restored_tracker_lets_the_same_crops_stop(moment: int) -> None:
    whole, rest = Staged(), Staged()
    before, after = tracker_of(whole), tracker_of(rest)
    steps(before, range(1, moment + 1))
    after.restore(before.state())
    whole.deep.clear()
    numbers = range(moment + 1, FRAMES + 1)
    assert steps(before, numbers) == steps(after, numbers)
    for ours, theirs in zip(whole.deep, rest.deep, strict=True):
        assert [it.tolist() for it in ours] == [it.tolist() for it in theirs]
    assert before.exits is not None
    assert after.exits is not None
    assert before.exits.report() == after.exits.report()


def test_a_budget_that_no_crop_can_keep_is_refused() -> None:
    with pytest.raises(ReuniteError, match=r"embedder\.exits\.budget: must be from 0\.25, .* to 1, got 0\.2"):
        tracker_of(Staged(), 0.2)


def test_an_embedder_that_cannot_be_left_is_refused() -> None:
    with pytest.raises(ReuniteError, match="this embedder cannot be left early"):
        tracker_of(KnowsByWidth())
