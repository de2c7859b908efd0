"""Who is who while frames come: lost tracks found again, late and frequent embeddings, people from before."""

import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from tests.test_identity import CONFIG, LENGTH, A, B, C, Visit, embeddings_of, unit
from tracker.identity import UNDECIDED, IdentityLinker, site_similarity
from tracker.identity.similarity import SimilarityCalibration
from tracker.types import CameraName, Frame, KnownIdentities, Tracks, blank_image


class Site:
    """Feeds a linker frame by frame, each look a little different."""

    def __init__(self, linker: IdentityLinker) -> None:
        self._linker, self._random = linker, np.random.default_rng(0)

    def see(self, camera: CameraName, time: float, embeddings: dict[int, EmbeddingArray]) -> list[int]:
        """Who the tracks are, by rising number, that look like this."""
        noise = self._random.normal(size=(len(embeddings), LENGTH)) * 0.4 / np.sqrt(LENGTH)
        rows = np.array(list(embeddings.values()), np.float32).reshape(-1, LENGTH)
        rows = np.where(rows.any(axis=1, keepdims=True), rows + noise, 0)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        boxes = np.tile([10.0, 10.0, 50.0, 110.0], (len(embeddings), 1))
        tracks = Tracks(
            np.array(list(embeddings), np.int64), boxes, np.ones(len(embeddings)), rows.astype(np.float32)
        )
        frame = Frame(camera, 1 + round(time * 100), time, blank_image(320, 240))
        return [int(identity) for identity in self._linker.observe(frame, tracks)]


@pytest.mark.parametrize("end_s", [6.1, 15.0])
def test_a_lost_track_that_is_found_again_keeps_its_number_and_shares_it_with_nobody(end_s: float) -> None:
    # Track 1 is lost from 5.0 to 6.2 s; track 2 begins meanwhile and, looking like it, is taken for it.
    linker, (embedding,) = IdentityLinker(CONFIG, (A,)), embeddings_of(1, 0)
    site, said = Site(linker), {1: set[int](), 2: set[int]()}
    for time in np.arange(0, 20, 0.1).round(1).tolist():
        here = {1: embedding} if time < 5 or time >= 6.2 else {}
        here |= {2: embedding} if 5.3 <= time <= end_s else {}
        identities = site.see(A, time, here)
        assert len(set(identities) - {0}) == len([identity for identity in identities if identity])
        for track, identity in zip(here, identities, strict=True):
            said[track].add(identity)
    assert said == {1: {0, 1}, 2: {0, 1} if end_s < 6.2 else {0, 1, 2}}
    kinds = [(event.kind, event.track_id, event.identity) for event in linker.events()]
    # It is not mature yet. Track 1 lasted all the while, as far as is known later.
    split = [("split", 2, UNDECIDED), *([] if end_s < 6.2 else [("new", 2, 2)])]
    assert kinds == [("new", 1, 1), ("returned", 2, 1), *split]


def test_whoever_is_looked_at_late_may_still_be_somebody_known() -> None:
    linker, (embedding,) = IdentityLinker(CONFIG, (A,)), embeddings_of(1, 0)
    site = Site(linker)
    for time in np.arange(0, 5, 0.1):
        site.see(A, float(time), {1: embedding})
    for time in np.arange(10, 16, 0.1):  # nothing is embedded before it has to be decided
        identities = site.see(A, float(time), {2: embedding if time > 13 else np.zeros_like(embedding)})
    assert identities == [1]


@pytest.mark.parametrize("step_s", [0.04, 0.25])
def test_overlapping_cameras_are_noticed_however_often_somebody_looks(step_s: float) -> None:
    linker, embeddings = IdentityLinker(CONFIG, (A, B, C)), embeddings_of(12, 0)
    site = Site(linker)
    visits = [
        Visit(person, camera, 4.0 * person, 4.0 * person + 3) for person in range(12) for camera in (A, B)
    ]
    for time in np.arange(0, 48, step_s).tolist():
        for camera in (A, B):
            here = [it.person for it in visits if it.camera == camera and it.begin <= time <= it.end]
            site.see(camera, time, {1 + person: embeddings[person] for person in here})
    transit_times = linker.places.transit_times
    assert transit_times.overlap.tolist() == [[False, True, False], [True, False, False], [False] * 3]
    assert transit_times.state()["tests"].sum() == 12  # each pair of tracks counts once


def test_the_time_between_two_runs_says_nothing() -> None:
    linker, embeddings = IdentityLinker(CONFIG, (A, B, C)), embeddings_of(1, 0)
    names = np.array(["a", "c"], np.object_)
    linker.remember(KnownIdentities(np.array([7, 7]), names, np.array([-3.0, -3000.0]), embeddings[[0, 0]]))
    for _ in range(30):
        linker.places.transit_times.add(0, 1, 4.0)  # from a to b
    rows = linker._tracklets.see(1, np.array([1]), 1.0, LENGTH)
    linker._tracklets.add_embeddings(rows, embeddings)
    assert linker._decisions.candidates(rows).extra.tolist() == [0.0]


def test_whoever_is_undecided_at_the_end_is_somebody_new_if_mature() -> None:
    linker, embeddings = IdentityLinker(CONFIG, (A,)), embeddings_of(2, 0)
    site = Site(linker)
    for time in np.arange(0, 1.5, 0.1).round(1).tolist():
        site.see(A, time, {1: embeddings[0]} | ({2: embeddings[1]} if time < 0.05 else {}))
    assert linker.tracks().identity_ids.tolist() == [UNDECIDED, UNDECIDED]
    linker.finalize()
    tracks = linker.tracks()
    assert tracks.identity_ids.tolist() == linker.lookup(A, np.array([1, 2])).tolist() == [1, UNDECIDED]
    assert tracks.decided_s.tolist() == pytest.approx([1.4, np.nan], nan_ok=True)
    assert (linker.num_identities, linker.undecided) == (1, 1)
    assert [event.kind for event in linker.events()] == ["new"]


def test_the_time_between_two_runs_teaches_no_way() -> None:
    linker, embeddings = IdentityLinker(CONFIG, (A,)), embeddings_of(1, 0)
    linker.remember(KnownIdentities(np.array([7]), np.array(["a"], np.object_), np.array([-1.0]), embeddings))
    site = Site(linker)
    for time in np.arange(2, 8, 0.1):
        identities = site.see(A, float(time), {1: embeddings[0]})
    assert identities == [7]
    assert linker.places.transit_times.state()["absences"].size == 0
    for time in np.arange(20, 26, 0.1):
        identities = site.see(A, float(time), {2: embeddings[0]})
    assert identities == [7]
    assert len(linker.places.transit_times.state()["absences"]) == 1
    tracklets = linker._tracklets
    taught = linker.places.taught_by(tracklets, linker._table.identity).transit_times.state()["absences"]
    assert len(taught) == 1  # from the first track to the second


def test_what_cosines_mean_is_learnt_ever_more_rarely_where_all_tracks_are_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    def count(*arguments: object) -> SimilarityCalibration:
        made.append(len(linker._tracklets))
        return SimilarityCalibration(*arguments)  # type: ignore[arg-type]

    linker, random = IdentityLinker(CONFIG, (A,)), np.random.default_rng(1)
    site = Site(linker)
    monkeypatch.setattr(site_similarity, "SimilarityCalibration", count)
    for pair in range(100):
        embeddings = unit(random.normal(size=(2, LENGTH)))
        for step in range(10):  # 1.8 s: none is looked at twice so late that it is another pose
            site.see(A, 3.0 * pair + 0.2 * step, {1 + 2 * pair: embeddings[0], 2 + 2 * pair: embeddings[1]})
    assert linker.similarity.pairs[1] == 0
    assert len([tracks for tracks in made if tracks > 100]) < 12  # of 50 more
