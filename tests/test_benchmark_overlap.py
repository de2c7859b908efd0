"""Sites without overlap, and sites that have it, as the benchmark of false overlaps simulates them."""

import pytest

from benchmarks import overlap
from benchmarks.overlap import Site
from tracker.identity.count import PeopleCount
from tracker.types import CameraName


def test_a_false_overlap_is_printed_and_fails_and_intervals_are_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = (CameraName("cam1"), CameraName("cam3"))

    def link_site(seed: int, layout: str) -> Site:
        return Site([pair] if seed == 6 else [], PeopleCount(11.0, 10, 12), 10 + seed // 4)

    monkeypatch.setattr(overlap, "link_site", link_site)
    assert overlap.main(["--sites", "5", "--first-seed", "1"]) == 0
    assert overlap.main(["--sites", "16"]) == 1
    printed = capsys.readouterr().out
    assert "site 6: cam1 and cam3 are said to overlap" in printed
    assert "site 8: about 11 people (10 to 12), truly 12" in printed
    assert (
        "crowds               4 sites: 1 of 12 pairs overlap; people within the interval 3 times" in printed
    )
    assert overlap.main(["--sites", "8", "--layout", "overlapping"]) == 0


def test_rooms_apart_do_not_overlap_and_one_hall_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "CAMERAS", 2)
    monkeypatch.setattr(overlap, "SECONDS", 60)
    apart = overlap.link_site(1, "separate")
    assert apart.overlaps == []
    assert apart.expected is not None
    assert 0 < apart.people <= overlap.PEOPLE
    monkeypatch.setattr(overlap, "SECONDS", 30)  # of one hall it is known in half the time
    assert overlap.link_site(0, "overlapping").overlaps == [("cam1", "cam2")]
