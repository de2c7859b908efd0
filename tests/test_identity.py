"""Who is who: over cameras, after absence, at a stated rate of error."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foundation.arrays import EmbeddingArray, FloatArray
from tracker.config import GroundConfig, IdentityConfig, SimilarityConfig
from tracker.ground import GroundPlane
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.identity.candidates import EXTRA_STEP, Strangers
from tracker.identity.centroids import IdentityCentroids
from tracker.identity.places import CLOCK_TOLERANCE_S, Places
from tracker.identity.similarity import HIDDEN, SimilarityCalibration
from tracker.identity.table import IdentityTable
from tracker.identity.tracklets import TrackletTable
from tracker.identity.transit_times import TransitTimes
from tracker.types import CameraName, Frame, KnownIdentities, Tracks, blank_image

A, B, C = (CameraName(name) for name in ("a", "b/last", "c"))
CONFIG = IdentityConfig()
LENGTH = 64
STEP_S = 0.25


@dataclass(frozen=True)
class Visit:
    """Somebody in one camera, from begin to end in seconds."""

    person: int
    camera: CameraName
    begin: float
    end: float


def unit(rows: FloatArray) -> EmbeddingArray:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), np.float32)


def embeddings_of(people: int, seed: int) -> EmbeddingArray:
    return unit(np.random.default_rng(seed).normal(size=(people, LENGTH)))


def play(
    linker: IdentityLinker,
    visits: list[Visit],
    seed: int = 0,
    spread: float = 0.4,
    cameras: tuple[CameraName, ...] = (A, B, C),
) -> dict[Visit, list[int]]:
    """Show the visits to the linker; the identities that each had, look by look."""
    random = np.random.default_rng(seed + 1)
    shown_by = embeddings_of(1 + max(visit.person for visit in visits), seed)
    numbers = {visit: 1 + number for number, visit in enumerate(visits)}
    said: dict[Visit, list[int]] = {visit: [] for visit in visits}
    times = np.arange(0, max(visit.end for visit in visits) + STEP_S, STEP_S)
    for frame, time in enumerate(times, start=1):
        for camera in cameras:
            here = [visit for visit in visits if visit.camera == camera and visit.begin <= time <= visit.end]
            noise = spread / np.sqrt(LENGTH) * random.normal(size=(len(here), LENGTH))
            embeddings = (
                unit(shown_by[[visit.person for visit in here]] + noise) if here else np.empty((0, LENGTH))
            )
            tracks = Tracks(
                np.array([numbers[visit] for visit in here], np.int64),
                np.tile([10.0, 10.0, 50.0, 110.0], (len(here), 1)),
                np.ones(len(here)),
                embeddings.astype(np.float32),
            )
            identities = linker.observe(Frame(camera, frame, float(time), blank_image(320, 240)), tracks)
            for visit, identity in zip(here, identities.tolist(), strict=True):
                said[visit].append(identity)
    return said


def seen_together(first: Visit, second: Visit) -> bool:
    """Whether one frame of one camera shows both."""
    begin, end = max(first.begin, second.begin), min(first.end, second.end)
    return first.camera == second.camera and np.ceil(begin / STEP_S) * STEP_S <= end


def crowd(seed: int, people: int = 8, cameras: tuple[CameraName, ...] = (A, B, C)) -> list[Visit]:
    """Everybody goes from camera to camera, at random, with pauses."""
    random = np.random.default_rng(seed)
    visits = []
    for person in range(people):
        time = float(random.uniform(0, 10))
        for _ in range(int(random.integers(1, 5))):
            camera = cameras[int(random.integers(len(cameras)))]
            end = time + float(random.uniform(3, 9))
            visits.append(Visit(person, camera, time, end))
            time = end + float(random.uniform(2, 20))
    return visits


def test_somebody_who_leaves_and_returns_in_any_camera_keeps_the_number() -> None:
    visits = [
        Visit(0, A, 0, 6),
        Visit(1, A, 1, 7),
        Visit(0, B, 12, 18),
        Visit(1, C, 15, 20),
        Visit(0, A, 60, 66),
    ]
    said = play(IdentityLinker(CONFIG, (A, B, C)), visits)
    last = [said[visit][-1] for visit in visits]
    assert last == [last[0], last[1], last[0], last[1], last[0]]
    assert UNDECIDED not in last
    assert last[0] != last[1]


def test_a_track_is_undecided_until_it_is_known_and_at_most_so_long() -> None:
    said = play(IdentityLinker(CONFIG, (A,)), [Visit(0, A, 0, 5)], cameras=(A,))
    (identities,) = said.values()
    assert identities[0] == UNDECIDED
    decided = identities.index(1)
    assert decided * STEP_S <= CONFIG.decide_s + STEP_S
    assert set(identities[decided:]) == {1}


def test_a_decision_is_never_taken_back_while_the_track_lasts() -> None:
    for identities in play(IdentityLinker(CONFIG, (A, B, C)), crowd(3)).values():
        decided = [identity for identity in identities if identity != UNDECIDED]
        assert len(set(decided)) <= 1


def test_where_nobody_is_joined_every_track_is_somebody_as_soon_as_it_is_mature() -> None:
    linker = IdentityLinker(IdentityConfig(link=False), (A, B, C))
    said = play(linker, [Visit(0, A, 0, 6), Visit(0, B, 12, 18)])
    assert [list(dict.fromkeys(identities)) for identities in said.values()] == [[0, 1], [0, 2]]
    linker.link_offline()
    assert linker.lookup(B, np.array([2])).tolist() == [2]
    assert linker.similarity_report() is None


def test_without_embeddings_every_track_is_somebody_as_soon_as_it_is_mature() -> None:
    linker = IdentityLinker(CONFIG, (A,))
    tracks = Tracks(
        np.array([4, 7]), np.tile([1.0, 2, 3, 4], (2, 1)), np.ones(2), np.empty((2, 0), np.float32)
    )
    frames = [Frame(A, number, number / 10, blank_image(9, 9)) for number in range(1, 12)]
    said = [linker.observe(frame, tracks).tolist() for frame in frames]
    assert said[0] == [UNDECIDED, UNDECIDED]
    assert said[-1] == [1, 2]
    linker.link_offline()
    assert linker.lookup(A, np.array([7, 4, 9])).tolist() == [2, 1, UNDECIDED]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.2, 1.0, 3.0]))
def test_nobody_is_two_people_of_one_camera_at_one_time(seed: int, spread: float) -> None:
    visits = crowd(seed, people=5)
    linker = IdentityLinker(CONFIG, (A, B, C))
    said = play(linker, visits, seed, spread)
    used: set[int] = set()
    for first in visits:
        used.update(said[first])
        for second in visits:
            if first is second or not seen_together(first, second):
                continue
            both = set(said[first]) & set(said[second]) - {UNDECIDED}
            assert not both, f"{first} and {second}"
    linker.link_offline()
    numbers = {visit: 1 + number for number, visit in enumerate(visits)}
    final = {visit: int(linker.lookup(visit.camera, np.array([numbers[visit]]))[0]) for visit in visits}
    for first in visits:
        for second in visits:
            together = first.begin <= second.end and second.begin <= first.end
            if (
                first is not second
                and first.camera == second.camera
                and together
                and said[first]
                and said[second]
            ):
                assert final[first] != final[second]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equal_input_gives_equal_output_and_the_order_of_the_cameras_plays_no_part(seed: int) -> None:
    visits = crowd(seed, people=5)
    numbers = {visit: 1 + number for number, visit in enumerate(visits)}
    found = []
    for cameras in ((A, B, C), (C, A, B), (A, B, C)):
        linker = IdentityLinker(CONFIG, cameras)
        said = play(linker, visits, seed)
        linker.link_offline()
        found.append([int(linker.lookup(visit.camera, np.array([numbers[visit]]))[0]) for visit in visits])
        if cameras == (A, B, C):
            found[-1].extend(value for identities in said.values() for value in identities)
    assert found[0] == found[2]
    assert found[1] == found[0][: len(visits)]


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_restored_linker_goes_on_as_if_nothing_had_happened(seed: int) -> None:
    visits = sorted(crowd(seed, people=5), key=lambda visit: visit.begin)
    early = [visit for visit in visits if visit.end < 25] or visits[:1]
    whole, other = (IdentityLinker(CONFIG, (A, B, C)) for _ in range(2))
    play(whole, early, seed)
    other.restore(whole.state())
    again = [Visit(visit.person, visit.camera, visit.begin + 100, visit.end + 100) for visit in early]
    assert list(play(whole, early + again, seed).values()) == list(play(other, early + again, seed).values())
    for linker in (whole, other):
        linker.link_offline()
    for name, value in whole.state().items():
        np.testing.assert_array_equal(value, other.state()[name])


def test_relinking_finds_at_least_what_was_found_on_the_way() -> None:
    right_online = right_offline = 0
    for seed in range(5):
        visits = crowd(seed, people=12)
        linker = IdentityLinker(CONFIG, (A, B, C))
        said = play(linker, visits, seed, spread=1.0)
        linker.link_offline()
        final = [
            int(linker.lookup(visit.camera, np.array([number]))[0]) for number, visit in enumerate(visits, 1)
        ]
        for i, first in enumerate(visits):
            for j, second in enumerate(visits[:i]):
                if first.person == second.person:
                    right_online += said[first][-1] == said[second][-1]
                    right_offline += final[i] == final[j]
                else:
                    assert final[i] != final[j]
    assert right_offline >= right_online > 0


def draw(mean: float, sd: float, count: int, seed: int) -> FloatArray:
    share, variance = (mean + 1) / 2, sd * sd / 4
    size = share * (1 - share) / variance - 1
    return 2 * np.random.default_rng(seed).beta(share * size, (1 - share) * size, count) - 1


def test_enough_pairs_of_a_site_outweigh_the_prior() -> None:
    similarity = SimilarityCalibration(SimilarityConfig(), draw(0.3, 0.1, 5000, 0), draw(0.9, 0.05, 5000, 1))
    assert similarity.different == pytest.approx((0.3, 0.1), abs=0.01)
    assert similarity.within == pytest.approx((0.9, 0.05), abs=0.01)
    assert similarity.pairs == (5000, 5000)
    prior = SimilarityConfig().prior
    kept = (prior.mean_same - prior.mean_different) / (prior.mean_within - prior.mean_different)
    assert similarity.same[0] == pytest.approx(0.3 + 0.6 * kept, abs=0.01)
    alone = SimilarityCalibration(SimilarityConfig())
    assert alone.different == pytest.approx((prior.mean_different, prior.sd_different))
    assert alone.same == pytest.approx((prior.mean_same, prior.sd_same))


def test_odds_never_fall_and_rates_are_what_samples_show() -> None:
    cosines = draw(-0.05, 0.25, 200_000, 2)
    similarity = SimilarityCalibration(SimilarityConfig(look_alikes=0), cosines)
    odds = similarity.log_odds(np.linspace(-1, 1, 500))
    assert (np.diff(odds) >= 0).all()
    for cosine in (0.0, 0.3, 0.5):
        true = (cosines >= cosine).mean()
        assert similarity.stranger_rate(np.array([cosine]))[0] == pytest.approx(true, rel=0.05)
        at_odds = similarity.stranger_rate_at(similarity.log_odds(np.array([cosine])))
        assert at_odds[0] == pytest.approx(true, rel=0.05)
    assert similarity.stranger_rate(np.array([similarity.threshold(10, 0.01)]))[0] == pytest.approx(
        0.001, rel=0.02
    )


def test_a_tracklet_that_shows_little_of_a_person_does_not_outweigh_where_it_was() -> None:
    similarity = SimilarityCalibration(SimilarityConfig(), draw(-0.05, 0.12, 2_000, 3))
    assert similarity.log_odds(np.array([-1.0, 0.0])) == pytest.approx(np.log(HIDDEN), abs=0.01)
    assert similarity.log_odds(np.array([0.7]))[0] > 5


def test_how_many_people_dress_alike_is_learnt_and_lifts_the_rate_of_strangers() -> None:
    prior, at = SimilarityConfig().prior, np.array([0.6])
    mean = prior.mean_different + prior.more_of_look_alikes
    plain = draw(prior.mean_different, prior.sd_different, 40_000, 0)
    mixed = np.concatenate((plain, draw(mean, prior.sd_of_look_alikes, 2_000, 1)))
    dressed, alone = (SimilarityCalibration(SimilarityConfig(), shown) for shown in (mixed, plain))
    assert dressed.stranger_rate(at)[0] == pytest.approx((mixed >= 0.6).mean(), rel=0.25)
    assert dressed.stranger_rate(at)[0] > 10 * alone.stranger_rate(at)[0]
    assert dressed.log_odds(at)[0] < alone.log_odds(at)[0]
    few = SimilarityCalibration(SimilarityConfig(), plain[:40])  # tell nothing of what is rare
    assert few.stranger_rate(at)[0] > 10 * alone.stranger_rate(at)[0]


def test_until_a_site_shows_its_own_pairs_strangers_are_taken_to_scatter_more() -> None:
    config, at = SimilarityConfig(look_alikes=0), np.array([0.5])
    prior = config.prior
    rates = [
        float(
            SimilarityCalibration(
                config, draw(prior.mean_different, prior.sd_different, count, 2)
            ).stranger_rate(at)[0]
        )
        for count in (0, 100, 100_000)
    ]
    assert rates[0] > 5 * rates[1] > 5 * rates[2] > 0


def test_where_strangers_are_too_alike_no_cosine_suffices() -> None:
    similarity = SimilarityCalibration(SimilarityConfig(mean_different=0.3, sd_different=0.6))
    assert similarity.threshold(10_000, 0.01) == np.inf


@pytest.mark.parametrize("rate", [0.01, 0.1])
def test_strangers_reach_the_required_odds_as_rarely_as_stated(rate: float) -> None:
    shown = draw(0.0, 0.2, 100_000, 2)
    similarity, people = SimilarityCalibration(SimilarityConfig(look_alikes=0), shown), 30
    extra = np.random.default_rng(0).normal(0, 1.5, people)
    needed = Strangers(similarity, extra).required(rate)
    strangers = draw(0.0, 0.2, 20_000 * people, 1).reshape(-1, people)
    taken = (similarity.log_odds(strangers) + extra >= needed).any(axis=1).mean()
    assert 0.7 * rate < taken < 1.1 * rate


def test_who_is_far_away_or_surely_here_counts_as_it_would_one_by_one() -> None:
    similarity, rng = SimilarityCalibration(SimilarityConfig()), np.random.default_rng(0)
    extra = np.concatenate((rng.normal(0, 2, 30), [-5000.0, -300.0, 5000.0, -np.inf, np.inf]))
    together = rng.normal(0, 1, len(extra))
    strangers = Strangers(similarity, extra, together)
    for log_odds in (0.5, 5.0, 50.0):
        up = np.ceil(extra / EXTRA_STEP) * EXTRA_STEP
        rates = similarity.stranger_rate_at(log_odds - up) * np.exp(-np.maximum(together, 0))
        assert strangers.chance(log_odds) == pytest.approx(rates.sum(), rel=1e-9)


def test_who_was_seen_elsewhere_at_one_time_cannot_be_the_same() -> None:
    rng, cameras = np.random.default_rng(0), 3
    tracklets = TrackletTable(cameras)
    for camera in range(cameras):
        begins = rng.integers(0, 40, 20) / 2  # many touch, or share just what clocks may differ by
        for track, begin in enumerate(np.sort(begins).tolist()):
            [row] = tracklets.see(camera, np.array([track]), begin, 0)
            tracklets.end[row] = begin + rng.integers(0, 8) / 2
    names = [CameraName(f"cam{index}") for index in range(cameras)]
    places = Places(names, None, IdentityConfig(overlap=(("cam0", "cam1"),)))
    rows = np.arange(len(tracklets))
    for own in (rows[:0], rows[3:4], rows[::7]):
        expected = [any(_conflict(tracklets, row, other) for other in own.tolist()) for row in rows.tolist()]
        assert places.conflicts(tracklets, rows, own).tolist() == expected


def _conflict(tracklets: TrackletTable, one: int, other: int) -> bool:
    """Cameras 0 and 1 see one place."""
    shared_s = min(tracklets.end[one], tracklets.end[other]) - max(
        tracklets.begin[one], tracklets.begin[other]
    )
    cameras = {int(tracklets.camera[one]), int(tracklets.camera[other])}
    if len(cameras) == 1:
        return bool(shared_s >= 0)
    return cameras != {0, 1} and bool(shared_s > CLOCK_TOLERANCE_S)


def test_a_track_is_compared_with_the_mean_of_everybody_elses_and_its_own_other_tracklets() -> None:
    tracklets, shown_by, who = TrackletTable(1), embeddings_of(5, 0), [7, 7, 3, 3, 9]
    table = IdentityTable(tracklets, (A,))
    centroids = IdentityCentroids(tracklets, table)
    rows = tracklets.see(0, np.arange(1, 6), 0.0, LENGTH)
    tracklets.add_embeddings(rows, shown_by)
    for row, identity in zip(rows.tolist(), who, strict=True):
        table.join(row, identity, 0.0)
    for change in (None, 1):
        if change is not None:
            is_recentred = tracklets.add_embeddings(rows[[change]], shown_by[change + 1 : change + 2])
            table.join(change, 9, 0.0)
            centroids.forget(None if is_recentred else (7, 9))
            who[change] = 9
        centred = tracklets.centred.astype(np.float64)
        for row in range(5):
            others = {
                person: [other for other in range(5) if who[other] == person and other != row]
                for person in (3, 7, 9)
            }
            assert centroids.rows().identity_ids.tolist() == [3, 7, 9]
            cosines = centroids.cosines(np.array([row]))
            for cosine, theirs in zip(cosines.tolist(), others.values(), strict=True):
                if theirs:
                    expected = unit(centred[theirs].sum(axis=0)) @ centred[row]
                    assert cosine == pytest.approx(float(expected), abs=1e-5)


def test_learnt_ways_and_times_count_for_and_against() -> None:
    transit_times = TransitTimes(3)
    nothing = transit_times.log_odds(np.array([0, 1]), np.array([2, 2]), np.array([5.0, 5.0]))
    assert nothing == pytest.approx(0.0)
    for away_s in np.linspace(8, 12, 30):
        transit_times.add(0, 2, float(away_s))
    usual, late, elsewhere = transit_times.log_odds(
        np.array([0, 0, 1]), np.array([2, 2, 2]), np.array([10.0, 600.0, 10.0])
    )
    assert usual > 1.5
    assert late < -0.5
    assert abs(elsewhere) < 0.5


def test_cameras_that_see_one_place_are_noticed_and_chance_is_not() -> None:
    transit_times = TransitTimes(3)
    for step in range(200):
        transit_times.add_together(np.array([0]), 1, np.array([step % 4 == 0]))
        transit_times.add_together(np.array([0]), 2, np.array([step % 100 == 0]))
    assert transit_times.overlap.tolist() == [[False, True, False], [True, False, False], [False] * 3]


def test_somebody_in_two_overlapping_cameras_at_once_is_one_person() -> None:
    visits = [
        Visit(person, camera, 12.0 * person, 12.0 * person + 8) for person in range(12) for camera in (A, B)
    ]
    linker = IdentityLinker(CONFIG, (A, B, C))
    said = play(linker, visits)
    linker.link_offline()
    assert linker.places.transit_times.overlap[0, 1]
    numbers = {visit: 1 + number for number, visit in enumerate(visits)}
    for first, second in zip(visits[::2], visits[1::2], strict=True):
        assert linker.lookup(A, np.array([numbers[first]])) == linker.lookup(B, np.array([numbers[second]]))
    assert said[visits[-1]][-1] == said[visits[-2]][-1]


@pytest.mark.parametrize(("apart_m", "is_one"), [(0.2, True), (12.0, False)])
def test_where_people_stand_says_whether_two_cameras_see_one_of_them(apart_m: float, is_one: bool) -> None:
    metres = ((0.01, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 1.0))
    ground = GroundConfig.model_validate({"homographies": {A: metres, B: metres}})
    linker, shown_by = IdentityLinker(CONFIG, (A, B), plane=GroundPlane(ground, (A, B))), embeddings_of(9, 0)
    other, random = 100 * apart_m, np.random.default_rng(1)
    of_tracklet = {camera: 0.6 / np.sqrt(LENGTH) * random.normal(size=(5, LENGTH)) for camera in (A, B)}
    for frame, time in enumerate(np.arange(0, 6, STEP_S), start=1):
        # Beside the one in question, four strangers in each camera: the site is not one person.
        for camera, shift, crowd_of in ((A, 0.0, shown_by[1:5]), (B, other, shown_by[5:9])):
            x = 300 + shift + np.array([0.0, 1500, 3000, 4500, 6000])
            boxes = np.column_stack((x - 20, np.full(5, 100.0), x + 20, np.full(5, 200.0)))
            embeddings = unit(np.concatenate((shown_by[:1], crowd_of)) + of_tracklet[camera])
            tracks = Tracks(np.arange(1, 6), boxes, np.ones(5), embeddings)
            linker.observe(Frame(camera, frame, float(time), blank_image(9000, 400)), tracks)
    one, two = (int(linker.lookup(camera, np.array([1]))[0]) for camera in (A, B))
    assert (one == two) is is_one
    linker.link_offline()
    assert (linker.lookup(A, np.array([1])) == linker.lookup(B, np.array([1]))) == is_one


def test_people_from_before_the_run_keep_their_numbers_and_nobody_else_gets_them() -> None:
    shown_by = embeddings_of(4, 0)
    known = KnownIdentities(
        np.array([70, 70, 12]),
        np.array([A, "a camera that is gone", B], np.object_),
        np.array([-100.0, -50.0, -9.0]),
        shown_by[[0, 0, 1]],
    )
    free = iter(range(200, 1000))
    linker = IdentityLinker(CONFIG, (A, B, C), lambda count: [next(free) for _ in range(count)])
    linker.remember(known)
    visits = [
        Visit(0, B, 0, 6),
        Visit(2, A, 1, 8),
        Visit(1, C, 2, 9),
        Visit(3, C, 12, 18),
        Visit(2, B, 20, 26),
    ]
    said = play(linker, visits)
    assert [said[visit][-1] for visit in visits] == [70, 200, 12, 201, 200]
    other = IdentityLinker(CONFIG, (A, B, C), lambda count: [next(free) for _ in range(count)])
    other.restore(linker.state())
    for each in (linker, other):
        each.link_offline()
        tracks = each.tracks()
        assert dict(zip(tracks.track_ids.tolist(), tracks.identity_ids.tolist(), strict=True)) == {
            1: 70, 2: 200, 3: 12, 4: 201, 5: 200
        }  # fmt: skip
        assert each.num_identities == 4


def test_more_embeddings_turn_somebody_new_into_somebody_known() -> None:
    """The first embeddings show someone from behind; what was said by then is told to be wrong, once."""
    linker, shown_by = IdentityLinker(CONFIG, (A, B)), embeddings_of(12, 0)
    said, events = [], []
    for frame, time in enumerate(np.arange(0, 40, STEP_S), start=1):
        shown = {}
        if time < 8:
            shown = {A: (np.arange(1, 11), shown_by[:10])}
        elif time >= 15:
            unclear = time < 19
            shown = {B: (np.array([11]), shown_by[10:11] if unclear else shown_by[:1])}
        for camera, (numbers, embeddings) in shown.items():
            boxes = np.tile([10.0, 10.0, 50.0, 110.0], (len(numbers), 1))
            tracks = Tracks(numbers, boxes, np.ones(len(numbers)), embeddings)
            identities = linker.observe(Frame(camera, frame, float(time), blank_image(320, 240)), tracks)
            if camera == B:
                said.append(int(identities[0]))
        events += linker.events()
    first = next(event.identity for event in events if (event.camera, event.track_id) == (A, 1))
    assert said[0] == UNDECIDED
    assert list(dict.fromkeys(said[8:])) == [11, first]
    about = [event for event in events if event.camera == B]
    assert [(event.kind, event.identity, event.other) for event in about] == [
        ("new", 11, 0), ("merged", first, 11)
    ]  # fmt: skip
    assert linker.num_identities == 10


def test_where_nobody_was_looked_at_nothing_is_said_of_cosines() -> None:
    linker = IdentityLinker(CONFIG, (A,))
    assert linker.similarity_report() is None
    nobody = Tracks(np.array([4]), np.array([[1.0, 2, 3, 4]]), np.ones(1), np.zeros((1, 8), np.float32))
    for time in range(5):
        linker.observe(Frame(A, time + 1, float(time), np.zeros((8, 8, 3), np.uint8)), nobody)
    assert linker.similarity_report() is None
    play(linker := IdentityLinker(CONFIG, (A, B, C)), [Visit(0, A, 0, 6)])
    assert linker.similarity_report() is not None
