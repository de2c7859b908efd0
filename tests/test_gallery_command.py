"""python -m tracker.gallery."""

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.galleries import MONDAY, NETWORK, content, drawn_person, drawn_thumbnails, numbers_of
from tracker.gallery import Gallery, GalleryWriter
from tracker.gallery.command import main, read_duration


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three people in the working folder's gallery: seen now, an hour ago, on a Monday; 1 has thumbnails."""
    monkeypatch.chdir(tmp_path)
    gallery = Path("gallery.sqlite")
    with GalleryWriter(gallery, NETWORK) as writer:
        times = zip(writer.reserve(3), (time.time(), time.time() - 3600, MONDAY), strict=True)
        people = [drawn_person(number, last_seen=seen) for number, seen in times]
        writer.save(people, drawn_thumbnails(people[0]))
    return gallery


def left(path: Path) -> list[tuple[int, ...]]:
    with Gallery(path) as gallery:
        return numbers_of(gallery.people())


def printed_json(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def rows_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[list[str]]:
    """The printed cells, which stand two blanks apart."""
    assert main(words) == 0
    return [re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.splitlines()]


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Sit at a terminal and type."""
    typed = io.StringIO(text)
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)


def test_the_folder_of_a_run_stands_for_its_gallery(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Path("runs/track")
    run.mkdir(parents=True)
    assert main(["list", "--gallery", str(run)]) == 2
    assert "runs/track: no gallery.sqlite in this folder" in capsys.readouterr().err
    path.rename(run / path)
    assert len(printed_json(capsys, "list", "--gallery", str(run))["people"]) == 3


def test_list_shows_everybody(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", "2", "1"]) == 0
    assert "1 is person 2 now; 'split 1' undoes it" in capsys.readouterr().out
    rows = rows_of(capsys, "list")
    assert rows[0] == ["person", "also", "first seen", "last seen", "sightings", "pictures", "cameras"]
    assert rows[2][:2] == ["2", "1"]
    assert rows[2][5] == "6 (3)"
    third = drawn_person(3, last_seen=MONDAY)
    last_seen = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(MONDAY))
    assert (rows[3][0], rows[3][2]) == ("3", last_seen)
    assert rows[3][-1] == ", ".join(third.presence)
    report = printed_json(capsys, "list")
    assert [person["number"] for person in report["people"]] == [2, 3]
    assert report["people"][1]["last_seen"] == MONDAY
    assert report["network"] == {"name": "drawn", "fingerprint": "c0ffee", "dimension": 16}


def test_show_finds_a_person_by_a_merged_number(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["merge", "2", "1"])
    capsys.readouterr()
    report = printed_json(capsys, "show", "1")
    assert (report["number"], report["also"], report["num_pictures"]) == (2, [1], 6)
    assert [it["number"] for it in report["pictures"]] == [2, 2, 2, 1, 1, 1]
    assert [it["has_thumbnail"] for it in report["pictures"]] == [False] * 3 + [True] * 3
    cameras = {camera for number in (1, 2) for camera in drawn_person(number).presence}
    assert report["cameras"].keys() == cameras
    rows = rows_of(capsys, "show", "1")
    assert [row[0] for row in rows if row[0] in cameras] == sorted(cameras), "[bold] is a name, no markup"
    assert sum(row[-2:-1] == ["yes"] for row in rows) == 3


def test_split_takes_a_merge_back(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["merge", "3", "1"])
    assert left(path) == [(2,), (3, 1)]
    assert main(["split", "1"]) == 0
    assert left(path) == [(1,), (2,), (3,)]
    assert "3 and 1 are two people again" in capsys.readouterr().out
    assert main(["split", "1"]) == 2
    assert "person 1 was not merged with anybody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("show 9", "gallery.sqlite: nobody is remembered as person 9"),
        ("merge 1 9", "nobody is remembered as person 9"),
        ("merge 2 2", "2 and 2 are one person already"),
        ("split 9", "nobody is remembered as person 9"),
        ("forget 9 --yes", "nobody is remembered as person 9"),
        ("list --gallery none.sqlite", "none.sqlite: no such gallery; name one that a run has written"),
        ("forget 1", "There is no terminal to ask at: add --yes"),
        ("prune --older-than 1s", "There is no terminal to ask at: add --yes"),
        ("export .", ".: is not empty"),
        ("export gallery.sqlite", "gallery.sqlite: cannot write the export"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    path: Path, words: str, sentence: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # a pipe, nobody sits there
    assert main(words.split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert sentence in err
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert left(path) == [(1,), (2,), (3,)]


def test_forget_asks_first(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["merge", "3", "1"])
    for no in ("n\n", "\n", ""):
        answer(monkeypatch, no)
        assert main(["forget", "1"]) == 1
    out, err = capsys.readouterr()
    assert err == "forget 1, 3 for good? [y/N] nobody was forgotten\n" * 3
    assert "2026-01-05" in out, "who it is stands above the question"
    assert left(path) == [(2,), (3, 1)]
    answer(monkeypatch, "Yes\n")
    assert main(["forget", "1"]) == 0
    assert "forgot: 1, 3" in capsys.readouterr().out
    assert left(path) == [(2,)]


def test_forget_can_be_tried_and_need_not_ask(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(capsys, "forget", "2", "--dry-run") == {"would_forget": [2]}
    assert left(path) == [(1,), (2,), (3,)]
    assert printed_json(capsys, "forget", "2", "--yes") == {"forgotten": [2]}
    assert left(path) == [(1,), (3,)]


def test_prune_forgets_by_age(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_json(capsys, "prune", "--older-than", "59m", "--dry-run") == {"would_forget": [2, 3]}
    assert printed_json(capsys, "prune", "--older-than", "2h", "--yes") == {"forgotten": [3]}
    assert main(["prune", "--older-than", "2h", "--yes"]) == 0
    assert capsys.readouterr().out == "forgot: none\n"
    assert left(path) == [(1,), (2,)]


def test_durations() -> None:
    given = ("90s", "1.5m", "2h", "7d", "2w")
    assert [read_duration(text) for text in given] == [90, 90, 7200, 604800, 1209600]


@pytest.mark.parametrize("text", ["7", "d", "-1d", "7 d", "7y", "1e3s", ""])
def test_what_is_no_duration_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["prune", f"--older-than={text}"])
    assert ended.value.code == 2
    assert "for example 7d" in capsys.readouterr().err


def test_export_holds_everything(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["merge", "3", "1"])
    assert main(["export"]) == 0
    folder = Path("gallery-export")
    assert capsys.readouterr().out.endswith("people: 2; written to gallery-export\n")
    report = json.loads((folder / "people.json").read_text())
    embeddings = np.load(folder / "embeddings.npy")
    assert embeddings.shape == (9, 16)
    assert [(person["number"], person["also"]) for person in report["people"]] == [(2, []), (3, [1])]
    assert [(merge["kept"], merge["merged"]) for merge in report["merges"]] == [(3, 1)]
    with Gallery(path) as gallery:
        for number in (1, 2, 3):
            person, thumbnails = gallery.person(number), gallery.thumbnails(number)
            written = [it for them in report["people"] for it in them["pictures"] if it["number"] == number]
            for key, row in content(person)[2].items():
                (picture,) = (it for it in written if (it["camera"], it["time"]) == key[1:])
                assert embeddings[picture["row"]].tobytes() == row
                file = picture["thumbnail"]
                assert (folder / file).read_bytes() == thumbnails[key] if file else key not in thumbnails
    assert len(list((folder / "thumbnails").iterdir())) == 3
    assert main(["export"]) == 2, "what was forgotten meanwhile must not stay beside what is written"


def test_help_has_examples_that_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    examples = re.findall(r"reunite gallery (\w.*?)(?:   .*)?\n", capsys.readouterr().out)
    commands = {"list", "show", "merge", "split", "forget", "prune", "export", "check", "repair"}
    assert {line.split()[0] for line in examples} == commands
    for line in examples:
        assert main([*line.split(), *(["--yes"] if line.startswith("forget") else [])]) in (0, 2), line
    assert "unrecognized" not in capsys.readouterr().err


def test_options_may_stand_before_the_command_or_after_it(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.rename("other.sqlite")
    for words in ("--gallery other.sqlite --json list", "--json list --gallery other.sqlite"):
        assert main(words.split()) == 0
        assert len(json.loads(capsys.readouterr().out)["people"]) == 3


def test_it_runs_as_a_module(path: Path) -> None:
    command = [sys.executable, "-m", "tracker.gallery", "list", "--json", "--gallery", str(path.absolute())]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1])
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["people"]) == 3
