"""The stream that shows whether linking keeps up: who is in it, how alike they are, and what is measured."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import linking
from benchmarks.linking import (
    FRAME_RATE,
    GONE,
    IN_VIEW,
    SPREAD,
    STAY_S,
    WALK_S,
    Crowd,
    main,
    plan_crowd,
    size_of,
    stream,
)
from foundation.arrays import EmbeddingArray
from tracker.types import Frame, Tracks

CAMERAS, SECONDS = 3, 90
FRAMES = SECONDS * FRAME_RATE


@pytest.fixture(scope="module")
def crowd() -> Crowd:
    return plan_crowd(CAMERAS, IN_VIEW, FRAMES, np.random.default_rng(1))


@pytest.fixture(scope="module")
def seen(crowd: Crowd) -> list[tuple[Frame, Tracks]]:
    return list(stream(crowd, FRAMES, SPREAD, np.random.default_rng(2)))


def whereabouts(crowd: Crowd) -> dict[int, list[tuple[int, float]]]:
    """When everybody came somewhere and left again, frames."""
    visits: dict[int, list[tuple[int, float]]] = {person: [] for person in range(crowd.people)}
    for place in (place for camera in crowd.visits for place in camera):
        for (begin, person), (end, _) in pairwise([*place, (sys.maxsize, -1)]):
            visits[person].append((begin, end))
    return {person: sorted(known) for person, known in visits.items()}


def test_people_walk_from_place_to_place_and_are_never_in_two(crowd: Crowd) -> None:
    stays, walks = [], []
    for visits in whereabouts(crowd).values():
        stays += [(end - begin) / FRAME_RATE for begin, end in visits if begin > 0 and end < FRAMES]
        walks += [(after[0] - before[1]) / FRAME_RATE for before, after in pairwise(visits)]
    assert STAY_S[0] <= min(stays) < 12
    assert 28 < max(stays) <= STAY_S[1] + 1 / FRAME_RATE
    assert min(walks) >= WALK_S[0] - 1 / FRAME_RATE
    left = sum(end < FRAMES - 60 * FRAME_RATE for visits in whereabouts(crowd).values() for _, end in visits)
    gone = sum(visits[-1][1] < FRAMES - 60 * FRAME_RATE for visits in whereabouts(crowd).values())
    assert gone / left == pytest.approx(GONE, abs=0.08)


def test_every_camera_always_sees_ten_people_and_each_track_is_one_visit(
    crowd: Crowd, seen: list[tuple[Frame, Tracks]]
) -> None:
    assert [frame.camera for frame, _ in seen[:4]] == ["cam01", "cam02", "cam03", "cam01"]
    assert [frame.time for frame, _ in seen[::CAMERAS]] == [index / FRAME_RATE for index in range(FRAMES)]
    for number in range(CAMERAS):
        begins = sorted(begin for place in crowd.visits[number] for begin, _ in place if begin < FRAMES)
        first: dict[int, int] = {}
        for frame, tracks in seen[number::CAMERAS]:
            assert len(np.unique(tracks.track_ids)) == IN_VIEW
            for track in tracks.track_ids.tolist():
                first.setdefault(track, frame.number - 1)
        assert sorted(first) == [*range(1, len(begins) + 1)]
        assert [first[track] for track in sorted(first)] == begins


def test_everybody_is_looked_at_once_a_second_and_looks_like_themselves(
    seen: list[tuple[Frame, Tracks]],
) -> None:
    embeddings_of: dict[int, list[tuple[int, EmbeddingArray]]] = {}
    for frame, tracks in seen[::CAMERAS]:
        for track, embeddings in zip(tracks.track_ids.tolist(), tracks.embeddings, strict=True):
            if embeddings.any():
                embeddings_of.setdefault(track, []).append((frame.number, embeddings))
    gaps = {after[0] - before[0] for known in embeddings_of.values() for before, after in pairwise(known)}
    assert gaps == {FRAME_RATE}
    cosines = [before[1] @ after[1] for known in embeddings_of.values() for before, after in pairwise(known)]
    # The moment's part, whose time constant is 0.7 s, is not quite another one after a second.
    assert np.mean(cosines) == pytest.approx(SPREAD.same_tracklet, abs=0.06)
    assert np.min(cosines) > SPREAD.other_camera
    assert SPREAD.length == 256 == tracks.embeddings.shape[1]


def test_the_same_seed_gives_the_same_stream(crowd: Crowd, seen: list[tuple[Frame, Tracks]]) -> None:
    again = plan_crowd(CAMERAS, IN_VIEW, FRAMES, np.random.default_rng(1))
    assert again == crowd
    for (_, ours), (_, theirs) in zip(
        seen[:300], stream(again, 100, SPREAD, np.random.default_rng(2)), strict=True
    ):
        assert np.array_equal(ours.embeddings, theirs.embeddings)
        assert np.array_equal(ours.boxes, theirs.boxes)


def test_the_size_of_a_thing_counts_all_that_it_holds_once() -> None:
    class Holder:
        def __init__(self) -> None:
            whole = np.zeros(1_000_000)
            self.views = [whole[:10], whole[10:20]]
            self.table = {"same": whole}

    assert size_of(Holder()) == pytest.approx(8_000_000, rel=0.01)


def test_the_command_prints_a_row_for_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(linking, "FRAME_RATE", 5)
    assert main(["--minutes", "1", "--cameras", "2"]) == 0
    about, _, row = capsys.readouterr().out.splitlines()
    assert about == "2 cameras, 10 people in view of each, 5 frames a second, embeddings of 256"
    minutes, tracks, people, true_people, mean_s, slowest_s, mib = (
        row.replace("(", " ").replace(")", " ").replace(",", " ").split()
    )
    assert minutes == "1"
    assert int(tracks) >= int(people) >= int(true_people) > 2 * IN_VIEW
    assert 0 < float(mean_s) <= float(slowest_s)
    assert (
        float(mib) > int(tracks) * 3 * 1024 / 2**20
    )  # of each track three sums of 256 numbers, 4 bytes each
