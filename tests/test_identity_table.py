"""Who is who stands in one table: what is told holds to the end, and replaying the events gives it back."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_identity import CONFIG, A, B, C, Visit, crowd, play
from tracker.config import IdentityConfig, MaturityConfig
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.identity.decisions import ENDED_S
from tracker.identity.table import NOBODY_FROM, IdentityTable
from tracker.identity.tracklets import UNKNOWN, TrackletTable
from tracker.types import CameraName, Frame, IdentityEvent, Tracks, blank_image

Key = tuple[CameraName, int]
NO_TRACKS = Tracks(np.empty(0, np.int64), np.empty((0, 4)), np.empty(0), np.empty((0, 64), np.float32))


def replay(events: Iterable[IdentityEvent]) -> dict[Key, int]:
    """Who each track is that any event told of, as docs/running.md says."""
    who: dict[Key, int] = {}
    for event in events:
        if event.kind == "merged":
            who |= {key: event.identity for key, number in who.items() if number == event.other}
        who[event.camera, event.track_id] = event.identity
    return who


def known(linker: IdentityLinker) -> dict[Key, int]:
    tracks = linker.tracks()
    keys = zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True)
    return dict(zip(keys, tracks.identity_ids.tolist(), strict=True))


def check_events(events: list[IdentityEvent]) -> None:
    """Numbers begin once, end once, and never come back; each event fits what was told before."""
    who: dict[Key, int] = {}
    begun: set[int] = set()
    ended: set[int] = set()
    for event in events:
        key = event.camera, event.track_id
        assert event.other == who.get(key, UNDECIDED)
        assert event.identity not in ended
        if event.kind == "new":
            assert event.identity not in begun
        if event.kind in ("returned", "merged"):
            assert event.identity in begun
        if event.kind == "merged":
            assert event.identity < event.other  # the older number stays
            ended.add(event.other)
        if event.kind != "split":
            assert event.identity != UNDECIDED
        begun.add(event.identity)
        who = replay([IdentityEvent(0.0, "new", *key, number) for key, number in who.items()] + [event])


# The table alone


def table_of(*tracks: tuple[float, int]) -> tuple[IdentityTable, TrackletTable]:
    """Tracks 1, 2, ... of one camera: when each began, and in how many frames it was seen."""
    tracklets = TrackletTable(1)
    for number, (begin, frames) in enumerate(tracks, start=1):
        for frame in range(frames):
            tracklets.see(0, np.array([number]), begin + frame / 10, 0)
    return IdentityTable(tracklets, [A]), tracklets


def opened(*tracks: tuple[float, int]) -> IdentityTable:
    table, tracklets = table_of(*tracks)
    for row in range(len(tracklets)):
        table.open(row, 9.0)
    table.events()
    return table


def test_a_track_that_never_was_is_unknown_whatever_its_number() -> None:
    _, tracklets = table_of((0, 3), (1, 3))
    assert tracklets.find(0, np.array([2, -1, 1, -2, 99])).tolist() == [1, UNKNOWN, 0, UNKNOWN, UNKNOWN]


def test_asking_changes_nothing() -> None:
    table, _ = table_of((0, 3), (1, 3))
    before = {name: repr(value) for name, value in table.state().items()}
    assert table.lookup(0, np.array([2, 1, 2, 77])).tolist() == [UNDECIDED] * 4
    assert (table.num_identities, table.undecided) == (0, 2)
    table.numbered()
    assert {name: repr(value) for name, value in table.state().items()} == before
    assert table.events() == []
    with pytest.raises(ValueError, match="read-only"):
        table.identity[0] = 5


def test_whoever_is_undecided_has_a_number_of_its_own_that_is_nobodys() -> None:
    table, _ = table_of((0, 3), (1, 3), (2, 3))
    table.open(1, 2.0)
    assert table.numbered().tolist() == [NOBODY_FROM, 1, NOBODY_FROM + 1]
    table.remember(np.array([0]), np.array([NOBODY_FROM + 7]))  # a gallery that has seen many
    assert table.numbered().tolist() == [NOBODY_FROM + 7, 1, 10 * NOBODY_FROM]


def test_of_two_who_turn_out_to_be_one_the_older_number_stays() -> None:
    table = opened((0, 3), (1, 30), (2, 3))
    table.adopt(np.array([0, 0, 1]), np.ones(2, np.bool_), 9.5)
    assert table.identity.tolist() == [1, 1, 3]
    assert table.events() == [IdentityEvent(9.5, "merged", A, 2, 1, 2)]


def test_a_number_stays_with_whom_most_of_its_frames_are() -> None:
    table, _ = table_of((0, 3), (1, 9), (2, 3), (3, 5))
    table.open(0, 1.0)
    table.join(1, 1, 2.0)
    table.open(2, 3.0)
    table.join(3, 1, 4.0)
    table.events()
    # The first track alone, the second and fourth one person: the number goes with these.
    table.adopt(np.array([0, 1, 2, 1]), np.ones(3, np.bool_), 9.5)
    assert table.identity.tolist() == [3, 1, 2, 1]
    assert table.events() == [IdentityEvent(9.5, "split", A, 1, 3, 1)]


def test_who_is_torn_apart_and_goes_to_others_is_split_and_merged() -> None:
    table, _ = table_of((0, 9), (1, 9), (2, 3), (3, 4))
    table.open(0, 1.0)
    table.open(1, 1.0)
    table.open(2, 1.0)
    table.join(3, 3, 1.0)
    told = table.events()
    table.adopt(np.array([0, 1, 0, 1]), np.ones(2, np.bool_), 9.5)
    assert table.identity.tolist() == [1, 2, 1, 2]
    assert table.events() == [
        IdentityEvent(9.5, "split", A, 3, 1, 3),
        IdentityEvent(9.5, "merged", A, 4, 2, 3),
    ]
    assert len(told) == 4


def test_who_is_not_seen_enough_of_gets_no_number_after_the_last_frame() -> None:
    table, _ = table_of((0, 9), (1, 1), (2, 9), (3, 1))
    table.open(0, 1.0)
    table.adopt(np.array([0, 1, 2, 2]), np.array([True, False, True]), 9.5)
    assert table.identity.tolist() == [1, UNDECIDED, 2, 2]
    kinds = [(event.kind, event.track_id, event.identity) for event in table.events()]
    assert kinds == [("new", 1, 1), ("new", 3, 2), ("returned", 4, 2)]
    assert table.decided_s.tolist() == pytest.approx([1.0, np.nan, 9.5, 9.5], nan_ok=True)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_linking_once_more_is_told_whatever_was_told_before(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    frames = data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    table, _ = table_of(*((float(row), frames[row]) for row in range(count)))
    for row in range(count):
        told = sorted(set(table.identity.tolist()) - {UNDECIDED})
        match data.draw(st.sampled_from(["open", "join", "wait", "merge"])):
            case "open":
                table.open(row, 1.0)
            case "join" if told:
                table.join(row, data.draw(st.sampled_from(told)), 1.0)
            case "merge" if len(told) > 1:
                table.merge(told[1], told[0], 1.0)
    before, events = table.identity.copy(), table.events()
    parts = data.draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
    firsts = list(dict.fromkeys(parts))
    people = np.array([firsts.index(part) for part in parts])
    is_somebody = np.array(data.draw(st.lists(st.booleans(), min_size=len(firsts), max_size=len(firsts))))
    table.adopt(people, is_somebody, 9.5)
    events += table.events()
    now = table.identity
    check_events(events)
    who = replay(events)
    assert [who.get((A, row + 1), UNDECIDED) for row in range(count)] == now.tolist()
    has_number = now != UNDECIDED
    for person in range(len(firsts)):  # one person, one number; two people, two
        assert len(set(now[people == person].tolist())) == 1
    assert len(set(now[has_number].tolist())) == len(set(people[has_number].tolist()))
    kept = set(now.tolist())
    for number in set(before.tolist()) - {UNDECIDED}:
        share = np.bincount(people, np.where(before == number, frames, 0), len(firsts))
        (home,) = set(now[people == share.argmax()].tolist())
        assert home == number or (home < number and number not in kept)
    table.adopt(people, is_somebody, 9.6)
    assert table.events() == []  # nothing is found out by asking the same again


def test_numbers_are_never_used_again_and_never_those_of_people_from_before() -> None:
    table, _ = table_of((0, 3), (1, 3), (2, 3), (3, 3))
    table.remember(np.array([0]), np.array([41]))
    table.open(1, 1.0)
    table.open(2, 1.0)
    table.merge(43, 42, 1.0)
    other = IdentityTable(table._tracklets, [A])
    other.restore(table.state())
    for each in (table, other):
        each.open(3, 2.0)
        assert each.identity.tolist() == [41, 42, 42, 44]


def test_numbers_come_from_a_reserve_in_blocks() -> None:
    asked: list[int] = []

    def reserve(count: int) -> list[int]:
        asked.append(count)
        return list(range(1000 * len(asked), 1000 * len(asked) + count))

    _, tracklets = table_of(*[(0.0, 1)] * 3)
    table = IdentityTable(tracklets, [A], reserve)
    table.prepare()
    table.open(0, 1.0)
    assert len(asked) == 1
    other = IdentityTable(tracklets, [A], reserve)
    other.restore(table.state())
    table.open(1, 1.0)
    other.open(1, 1.0)
    assert table.identity.tolist() == other.identity.tolist() == [1000, 1001, UNDECIDED]


# The linker


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), spread=st.sampled_from([0.2, 1.0, 3.0]))
def test_the_events_of_a_run_replayed_give_its_tracks_before_and_after_linking_once_more(
    seed: int, spread: float
) -> None:
    linker = IdentityLinker(CONFIG, (A, B, C))
    play(linker, crowd(seed), seed, spread)
    events = linker.events()
    told = {key: number for key, number in known(linker).items() if number != UNDECIDED}
    assert {key: number for key, number in replay(events).items() if number != UNDECIDED} == told
    linker.link_offline()
    linker.finalize()
    events += linker.events()
    who = replay(events)
    assert {key: who.get(key, UNDECIDED) for key in known(linker)} == known(linker)
    assert who.keys() <= known(linker).keys()
    check_events(events)
    assert linker.num_identities == len(set(known(linker).values()) - {UNDECIDED})
    times = [event.time for event in events]
    assert times == sorted(times)
    linker.link_offline()
    assert linker.events() == []  # as when a run is resumed that was cut off while it wrote its results


def test_a_short_track_is_decided_soon_after_its_camera_no_longer_shows_it() -> None:
    linker = IdentityLinker(CONFIG, (A, B, C))
    play(linker, [Visit(0, A, 0, 1), Visit(1, B, 0, 6)], cameras=(A, B))
    (event,) = [event for event in linker.events() if event.camera == A]
    assert (event.kind, event.time) == ("new", 1 + ENDED_S)


def test_where_a_camera_gives_no_more_frames_a_track_is_decided_by_the_clock_of_the_others() -> None:
    linker = IdentityLinker(CONFIG, (A, B, C))
    play(linker, [Visit(0, A, 0, 1)], cameras=(A,))
    for frame, time in enumerate(np.arange(1.25, 4, 0.25), start=6):
        linker.observe(Frame(B, frame, float(time), blank_image(320, 240)), NO_TRACKS)
    (event,) = linker.events()
    assert (event.kind, event.time) == ("new", 1 + CONFIG.decide_s)
    assert linker.tracks().decided_s.tolist() == [1 + CONFIG.decide_s]


def test_a_camera_whose_clock_is_late_is_given_as_much_time() -> None:
    def undecided_for(late_s: float) -> float:
        """Seconds until somebody in the camera that is late is somebody."""
        linker = IdentityLinker(CONFIG, (A, B))
        for step in range(40):
            for camera, late in ((A, 0.0), (B, late_s)):
                time = 100 + step / 10 - late
                embedding = np.eye(8, dtype=np.float32)[[int(camera == B)]]
                tracks = Tracks(np.array([1]), np.array([[1.0, 2, 30, 90]]), np.ones(1), embedding)
                now = Frame(camera, step + 1, time, blank_image(64, 48))
                if linker.observe(now, tracks)[0] != UNDECIDED and camera == B:
                    return step / 10
        raise AssertionError("never")

    assert undecided_for(30.0) == undecided_for(0.0)


def test_what_never_matures_stays_undecided_for_a_live_run_and_for_files() -> None:
    least = MaturityConfig(min_frames=4, min_s=0.5, min_embeddings=2)
    visits = [Visit(0, A, 0, 6), Visit(1, A, 7, 7.3), Visit(2, A, 8, 14)]
    for is_live in (True, False):
        linker = IdentityLinker(IdentityConfig(maturity=least), (A,))
        play(linker, visits, cameras=(A,))
        if not is_live:
            linker.link_offline()
        linker.finalize()
        assert known(linker) == {(A, 1): 1, (A, 2): UNDECIDED, (A, 3): 2}
        assert (linker.num_identities, linker.undecided) == (2, 1)
        assert [event.track_id for event in linker.events()] == [1, 3]
        assert linker.numbered(A, np.array([3, 2, 2, 1])).tolist() == [2, NOBODY_FROM, NOBODY_FROM, 1]


def test_whoever_is_recognised_need_not_be_seen_for_long() -> None:
    least = MaturityConfig(min_frames=8, min_s=1.5)
    linker = IdentityLinker(IdentityConfig(maturity=least), (A,))
    play(linker, [Visit(0, A, 0, 6), Visit(0, A, 8, 9)], cameras=(A,))
    linker.finalize()
    assert known(linker) == {(A, 1): 1, (A, 2): 1}


def test_a_track_that_was_never_there_has_no_number() -> None:
    linker = IdentityLinker(CONFIG, (A,))
    assert linker.lookup(A, np.array([5, 1])).tolist() == [UNDECIDED, UNDECIDED]
    assert (linker.num_identities, linker.undecided) == (0, 0)
    with pytest.raises(ValueError, match="camera 'a' had no track 5"):
        linker.numbered(A, np.array([5]))
