"""Recordings that did not begin together: when each began, and that everything follows one clock."""

import csv
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foundation.errors import ReuniteError
from tests.clips import read_code, write_clip
from tracker.cli import main
from tracker.config import ConfigError, SourceConfig, load_config
from tracker.config.command import value_at
from tracker.sources import open_source
from tracker.sources.starts import creation_time, time_in_name
from tracker.types import Tick

pytestmark = pytest.mark.usefixtures("blank_figures")

MOMENT = datetime(2026, 11, 28, 14, 3, 22)
CEST = timezone(timedelta(hours=2))


def read_all(folder: Path, config: SourceConfig, done: Mapping[Any, int] | None = None) -> list[Tick]:
    source = open_source([str(folder)], config, done)
    ticks = list(source.ticks())
    source.close()
    return ticks


def told(**starts: Any) -> SourceConfig:
    return SourceConfig(starts=starts)


@pytest.mark.parametrize(
    ("address", "moment"),
    [
        ("front_2026-11-28_14-03-22.mp4", MOMENT),
        ("front 2026-11-28 14.03.22.mp4", MOMENT),
        ("20261128140322.mp4", MOMENT),
        ("front.20261128_140322.mp4", MOMENT),  # Blue Iris
        ("ch01_20261128140322_20261128150000.mp4", MOMENT),  # Hikvision: from, to
        ("NVR_ch1_main_20261128140322_20261128141000.dav", MOMENT),  # Dahua
        ("Front Door_00_20261128140322.mp4", MOMENT),  # Reolink
        ("RecM01_DST20261128_140322_140352_0_6732828.mp4", MOMENT),  # Reolink, on the card
        ("2026_1128_140322_001.MP4", MOMENT),
        ("Camera-20261128-140322-1795874602.mp4", MOMENT),  # Synology
        ("front_20261128_140322-20261128_141022.mp4", MOMENT),  # Frigate's exports
        ("2026-11-28T14-03-22.mp4", MOMENT),  # Shinobi
        ("20261128_14/20261128_140322_4A0B_ACCC8E.mkv", MOMENT),  # Axis
        ("2026-11-28_14-03-22-250000.mp4", MOMENT.replace(microsecond=250_000)),  # MediaMTX
        ("VID_20261128_140322250.mp4", MOMENT.replace(microsecond=250_000)),
        ("2026-11-28T14:03:22.5.mp4", MOMENT.replace(microsecond=500_000)),
        ("2026-11-28T14:03:22Z.mp4", MOMENT.replace(tzinfo=UTC)),
        ("2026-11-28T14:03:22+02:00.mp4", MOMENT.replace(tzinfo=CEST)),
        ("http://me:pw@nvr/play/2026-11-28T14%3A03%3A22Z.mp4?exp=1700000000", MOMENT.replace(tzinfo=UTC)),
        ("front-1795874602.25-x1y2.mp4", MOMENT.replace(tzinfo=UTC, microsecond=250_000)),  # Frigate's clips
        ("1795874602250.mp4", MOMENT.replace(tzinfo=UTC, microsecond=250_000)),
        ("recordings/2026-11-28/14/front/03.22.mp4", MOMENT.replace(tzinfo=UTC)),  # Frigate, in UTC
        ("sd/2026-11-28/001/dav/14/14.03.22-14.10.00[M][0@0][0].dav", MOMENT),  # Dahua, on the card
        ("2026-11-28/front.mp4", None),
        ("front.mp4", None),
        ("ch0001_00000000012000000.mp4", None),
        ("2026-13-28_14-03-22.mp4", None),
        ("2026-02-31_14-03-22.mp4", None),
        ("2026-11-28_25-03-22.mp4", None),
        ("front_2026-11-28.mp4", None),
    ],
)
def test_the_time_in_a_name(address: str, moment: datetime | None) -> None:
    found = time_in_name(address)
    assert found == moment
    assert found is None or moment is None or found.tzinfo == moment.tzinfo or found.tzinfo is not None


@given(
    st.text()
    | st.text("0123456789-_T:.Z+/")
    | st.from_regex(r"20\d\d[0-9_.T:-]{10,20}[Z+-]?[0-9:]{0,5}", fullmatch=True)
)
def test_any_name_has_a_time_or_none(name: str) -> None:
    for address in (name, f"rtsp://host/{name}", f"2026-11-28/{name}"):
        found = time_in_name(address)
        assert found is None or 1980 <= found.year <= 2100
    creation_time({"creation_time": name})


@pytest.mark.parametrize(
    ("metadata", "moment"),
    [
        ({"creation_time": "2026-11-28T14:03:22.000000Z"}, MOMENT.replace(tzinfo=UTC)),
        ({"DATE": "2026-11-28T14:03:22+02:00"}, MOMENT.replace(tzinfo=CEST)),
        (
            {
                "creation_time": "2026-11-28T12:03:25.000000Z",
                "com.apple.quicktime.creationdate": "2026-11-28T14:03:22+0200",
            },
            MOMENT.replace(tzinfo=CEST),
        ),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, None),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, None),
        ({"date": "2026-11-28"}, None),
        ({"date": "a nice day"}, None),
        ({}, None),
    ],
)
def test_what_a_file_says_of_when_it_was_made(metadata: dict[str, str], moment: datetime | None) -> None:
    assert creation_time(metadata) == creation_time({}, metadata) == moment


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Cameras a and b, 20 frames at 10 frames/s."""
    (tmp_path / "two").mkdir()
    for name, first in (("a", 0), ("b", 100)):
        write_clip(tmp_path / "two" / f"{name}.mp4", range(first, first + 20), rate=10)
    return tmp_path / "two"


class TestTicks:
    @pytest.mark.parametrize(
        "config",
        [
            told(b=1.2),
            told(a=3, b=4.2),
            told(a="2026-11-28T14:03:22", b="2026-11-28T14:03:23.2"),
            told(a="2026-11-28T14:03:22+00:00", b="2026-11-28T16:03:23.2+02:00"),
        ],
    )
    def test_cameras_follow_one_clock(self, two: Path, config: SourceConfig) -> None:
        ticks = read_all(two, config)
        assert [tick.time for tick in ticks] == pytest.approx([index / 10 for index in range(32)])
        assert ["".join(frame.camera for frame in tick.frames) for tick in ticks] == (
            ["a"] * 12 + ["ab"] * 8 + ["b"] * 12
        )
        of_b = [frame for tick in ticks for frame in tick.frames if frame.camera == "b"]
        assert [frame.number for frame in of_b] == list(range(1, 21))
        assert [read_code(frame.image) for frame in of_b] == list(range(100, 120))
        assert [frame.time for frame in of_b] == pytest.approx([1.2 + index / 10 for index in range(20)])

    @pytest.mark.parametrize("stop", [3, 12, 15, 25])
    def test_a_resumed_run_goes_on_exactly_where_the_first_one_stopped(self, two: Path, stop: int) -> None:
        def of(ticks: list[Tick]) -> list[Any]:
            return [(tick.time, [(it.camera, it.number, it.time) for it in tick.frames]) for tick in ticks]

        config = told(b=1.23)
        whole = read_all(two, config)
        done = {frame.camera: frame.number for tick in whole[:stop] for frame in tick.frames}
        assert of(whole[:stop]) + of(read_all(two, config, done)) == of(whole)

    def test_a_camera_that_cannot_be_opened_needs_no_start(self, two: Path) -> None:
        (two / "c.mp4").write_bytes(b"no video")
        source = open_source([str(two)], told(a=0, b=1.2))
        assert source.reports[next(name for name in source.reports if name == "c")].problem
        assert len(list(source.ticks())) == 32
        source.close()

    def test_names_and_metadata(self, two: Path) -> None:
        stems = {"a": "a_2026-11-28_14-03-22", "b": "b_2026-11-28_14-03-24"}
        for index, (name, stem) in enumerate(stems.items()):
            with av.open(two / f"{name}.mp4") as clip, av.open(two / f"{stem}.mp4", "w") as copy:
                copy.metadata["creation_time"] = f"2026-11-28T13:00:0{index}Z"
                stream = copy.add_stream_from_template(clip.streams.video[0])
                for packet in clip.demux(video=0):
                    if packet.size:
                        packet.stream = stream
                        copy.mux(packet)
            (two / f"{name}.mp4").unlink()
        for align, seconds in (("none", 0.0), ("names", 2.0), ("metadata", 1.0)):
            source = open_source([str(two)], SourceConfig.model_validate({"align": align}))
            assert [report.start_s for report in source.reports.values()] == [0, seconds]
            assert len(list(source.ticks())) == 20 + 10 * seconds
            source.close()
        mixed = told(**{stems["a"]: "2026-11-28T14:03:20"}).model_copy(update={"align": "names"})
        source = open_source([str(two)], mixed)
        assert [report.start_s for report in source.reports.values()] == [0, 4]
        source.close()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (told(cama=0), r"reading.starts: there is no camera 'cama'; there are a, b"),
        (told(a=0, bb=3), r"there is no camera 'bb'; did you mean 'b'\?"),
        (told(a=0, b=3 * 86_400), r"camera 'b' begins 3.0 days after camera 'a'.*two runs"),
        (told(a="2026-11-25T14:03:22", b="2026-11-28T14:03:22"), r"camera 'b' begins 3.0 days after"),
        (
            told(a="2026-11-28T14:03:22"),
            r"'a' and 'b': one start is a time without a zone, the other in seconds",
        ),
        (
            told(a="2026-11-28T14:03:22", b="2026-11-28T14:03:22Z"),
            "the other a time with a zone.*give all in one way",
        ),
        (SourceConfig(align="names"), r"camera 'a': there is no date and time in its name; call it like"),
        (
            SourceConfig(align="metadata"),
            r"camera 'a': the file does not say when it was made; take --align names",
        ),
    ],
)
def test_what_cannot_be_aligned_is_said(two: Path, config: SourceConfig, message: str) -> None:
    with pytest.raises(ReuniteError, match=message):
        open_source([str(two)], config)


def test_live_cameras_need_no_start() -> None:
    with pytest.raises(ReuniteError, match="live cameras share"):
        open_source(["rtsp://host/a"], told(a=1))


class TestSettings:
    @pytest.mark.parametrize(
        "start", ["yesterday", "2026-11-28", "'2026-11-31T10:00:00'", "true", "[]", ".nan", "1e400", "{}"]
    )
    def test_a_start_that_is_no_time_is_named_once(self, start: str) -> None:
        with pytest.raises(
            ConfigError, match=r"1 problem\(s\)\n  reading.starts.cam1: is no start; write"
        ) as error:
            load_config(None, [f"reading.starts={{cam1: {start}}}"])
        assert str(error.value).count("\n") == 1

    @pytest.mark.parametrize(
        ("start", "value"),
        [
            ("12.4", 12.4),
            ("3", 3.0),
            ("-1", -1.0),
            ("2026-11-28T14:03:22", MOMENT),
            ("'2026-11-28 14:03:22'", MOMENT),
        ],
    )
    def test_a_start_may_be_written_in_many_ways(self, start: str, value: float | datetime) -> None:
        config = load_config(None, [f"reading.starts={{7: {start}}}"])
        assert config.reading.starts == {"7": value}
        assert value_at(config, "reading.starts") is not None


def column(path: Path, name: str) -> list[str]:
    with path.open(encoding="utf-8", newline="") as lines:
        return [row[name] for row in csv.DictReader(lines)]


def test_a_run_says_what_it_took_and_keeps_it(
    two: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{name}_2026-11-28_14-03-{second}" for name, second in (("a", 22), ("b", 24))]
    # Somebody leaves camera a after half a second, and is in camera b from its beginning on.
    for path, name, last in zip(sorted(two.iterdir()), names, (5, 20), strict=True):
        path.rename(two / f"{name}.mp4")
        rows = [f"20,20,30,60,{score}\n" for score in ("0.9", "1,1,1")]
        texts = [
            "".join(f"{frame},{who},{row}" for frame in range(1, last + 1))
            for who, row in zip((-1, 1), rows, strict=True)
        ]
        truth = two / "gt" / name
        (truth / "gt").mkdir(parents=True)
        (two / f"{name}.txt").write_text(texts[0])
        (truth / "gt" / "gt.txt").write_text(texts[1])
        (truth / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nframeRate=10\nseqLength=20\nimWidth=160\nimHeight=120\n"
        )
    settings = [
        *(
            "--config",
            "file",
            "--set",
            f"detector.path={two}",
            "--set",
            "embedder.kind=none",
            "--align",
            "names",
        ),
        *("--set", f"output.folder={tmp_path / 'runs'}"),
    ]
    assert main(["track", str(two), *settings, "--save-video"]) == 0
    said = capsys.readouterr().out
    assert f"camera {names[1]} begins 2.000 s after the first: its name says 2026-11-28 14:03:24" in said
    run = tmp_path / "runs" / "track"
    summary = json.loads((run / "summary.json").read_text())
    assert [camera["start_s"] for camera in summary["cameras"].values()] == [0, 2]
    assert load_config(run / "config.yaml").reading.starts == dict(zip(names, (0.0, 2.0), strict=True))
    first_seen = dict(
        zip(column(run / "tracks.csv", "camera"), column(run / "tracks.csv", "first_seen"), strict=True)
    )
    assert {name: float(it) for name, it in first_seen.items()} == pytest.approx(
        {names[0]: 0.0, names[1]: 2.0}, abs=0.11
    )
    for name in names:
        with av.open(run / "videos" / f"{name}.mp4") as video:
            assert sum(1 for _ in video.decode(video=0)) == 20
    assert [row.split(",")[0] for row in (run / "mot" / f"{names[1]}.txt").read_text().splitlines()][
        -1
    ] == "20"
    scores = tmp_path / "scores.json"
    given = ["evaluate", str(run), "--gt", str(two / "gt"), "--many-cameras", "--json", str(scores)]
    for start_s, returns in ((2, 1), (0, 0)):  # had both begun together, nobody would have been away
        summary["cameras"][names[1]]["start_s"] = start_s
        (run / "summary.json").write_text(json.dumps(summary))
        assert main(given) == 0
        assert json.loads(scores.read_text())["reentry"]["returns"] == returns
    (run / "summary.json").write_text("{}")
    assert main(given) == 2
