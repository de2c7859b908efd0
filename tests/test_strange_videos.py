"""Videos that lie, begin late, are mirrored or damaged: read as well as they can be, and it is said."""

import gc
import itertools
import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from foundation.video import STAMPS_AROUND, ImageConverter, VideoFile, display, with_judgement
from tests.clips import read_code, write_clip
from tests.conftest import shared_folder
from tracker.cli import main
from tracker.config import SourceConfig
from tracker.sources import open_source
from tracker.sources.video import FrameClock, VideoReader
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Tick

pytestmark = pytest.mark.usefixtures("blank_figures")

MILLISECOND = Fraction(1, 1000)


def read_all(*paths: Path) -> tuple[list[Tick], dict[str, CameraReport]]:
    source = open_source([str(path) for path in paths], SourceConfig(image_frame_rate=10), {})
    ticks = list(source.ticks())
    source.close()
    return ticks, {str(name): report for name, report in source.reports.items()}


def frames_of(ticks: Sequence[Tick], camera: str) -> list[Frame]:
    return [frame for tick in ticks for frame in tick.frames if frame.camera == camera]


def write_stamped(path: Path, stamps: Sequence[int], unit: Fraction = MILLISECOND) -> Path:
    """A video of one picture for each stamp, whose packets say just these stamps, right or wrong."""
    clip = write_clip(path.with_name(f"clip-of-{path.stem}.mp4"), range(len(stamps)), rate=10)
    with av.open(clip) as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.time_base = unit
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for packet, stamp in zip(packets, stamps, strict=True):
            packet.stream, packet.time_base = stream, unit
            packet.pts = packet.dts = stamp
            packet.duration = round(Fraction(1, 10) / unit)
            target.mux(packet)
    clip.unlink()
    return path


def cover_first(clip: Path, path: Path) -> None:
    """A copy of an MP4 file with an attached picture, which a reader finds before the video."""
    cover = cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    path.parent.mkdir()
    with av.open(clip) as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        picture = target.add_stream("mjpeg")
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuvj420p"
        picture.disposition = Disposition.attached_pic
        packet: Any = av.Packet(cover)
        packet.stream, packet.pts, packet.dts = picture, 0, 0
        target.mux(packet)
        for it in source.demux(video=0):
            if it.size:
                it.stream = stream
                target.mux(it)
    # The streams are numbered as their boxes come in "moov", which is the last box.
    data = path.read_bytes()
    track, extra, end = data.index(b"trak") - 4, data.index(b"udta") - 4, len(data)
    assert track < extra
    path.write_bytes(data[:track] + data[extra:end] + data[track:extra])
    with av.open(path) as made:
        assert made.streams.video[0].disposition & Disposition.attached_pic


class TestClock:
    @pytest.mark.parametrize(
        "unit", [MILLISECOND, Fraction(1, 30), Fraction(1001, 30_000), Fraction(1, 90_000)]
    )
    @pytest.mark.parametrize("seed", range(5))
    def test_time_rises_whatever_the_stamps_are(self, unit: Fraction, seed: int) -> None:
        random = np.random.default_rng(seed)
        kinds = [None, 0, 1, -1, 2**62, -(2**62), *random.integers(-(10**6), 10**6, 5).tolist()]
        clock = FrameClock(unit, 1 / 30, max_gap_s=3600)
        stamps = [kinds[index] for index in random.integers(0, len(kinds), 200)]
        times = [clock.time_of(stamp) for stamp in stamps]
        assert all(after > before for before, after in itertools.pairwise(times))
        assert times[0] == 0
        assert times[-1] <= 200 * 3600

    def test_a_stamp_between_two_floats_does_not_stop_the_time(self) -> None:
        # Thirds compared exactly, then rounded, gave the time before once more.
        clock = FrameClock(Fraction(1, 3), 1 / 3, max_gap_s=3600)
        times = [clock.time_of(stamp) for stamp in [0, 1, 1, 2, 2, 3, 3, 4, 7, 7, 8, 9, 10, 10, 11]]
        assert all(after > before for before, after in itertools.pairwise(times))

    @pytest.mark.parametrize(("jump_s", "word"), [(36_000, "ahead"), (-36_000, "back"), (-11, "back")])
    def test_a_clock_that_is_set_goes_on_a_period_later_and_says_so(self, jump_s: int, word: str) -> None:
        clock = FrameClock(MILLISECOND, 0.1, max_gap_s=3600)
        stamps = [100 * index + (1000 * jump_s if index >= 150 else 0) for index in range(300)]
        assert [clock.time_of(stamp) for stamp in stamps] == pytest.approx([it / 10 for it in range(300)])
        assert clock.remark.startswith(f"its time stamps jump {abs(jump_s)} s {word} after 14.9 s")

    def test_a_pause_of_a_recording_is_believed(self) -> None:
        clock = FrameClock(MILLISECOND, 0.1, max_gap_s=3600)
        assert [clock.time_of(stamp) for stamp in (0, 100, 600_000, 600_100)] == [0, 0.1, 600, 600.1]
        assert clock.remark == ""


def judged(stamps: Sequence[int | None], far_off: float = 10_000) -> list[bool]:
    return [good for _, good in with_judgement(iter(stamps), lambda stamp: stamp, far_off)]


class TestJudgement:
    @pytest.mark.parametrize("place", [0, 1, 20, 38, 39])
    @pytest.mark.parametrize("off", [36_000_000, -36_000_000])
    @pytest.mark.parametrize("length", [1, 3])
    def test_a_jump_that_does_not_last_is_not_believed(self, place: int, off: int, length: int) -> None:
        stamps = [100 * index for index in range(40)]
        wrong = [place] if length == 1 or place > 36 else list(range(place, place + length))
        for index in wrong:
            stamps[index] += off
        assert [index for index, good in enumerate(judged(stamps)) if not good] == wrong

    @pytest.mark.parametrize(
        "stamps",
        [
            [],
            [5],
            [None] * 30,
            [0, 36_000_000],
            [100 * index for index in range(40)],
            [60_000 * index for index in range(40)],  # a picture a minute
            [100 * index + 10**9 * (index > 20) for index in range(40)],  # a jump that lasts
            [0, 400, 200, 100, 300, 800, 600, 500, 700, 1200, 1000, 900, 1100],  # as B-frames are decoded
            [0, 40_000, 20_000, 10_000, 30_000, 80_000, 60_000, 50_000, 70_000, 120_000, 100_000, 90_000],
        ],
    )
    def test_everything_else_is_believed(self, stamps: list[int | None]) -> None:
        assert all(judged(stamps))
        assert len(judged(stamps)) == len(stamps)

    def test_what_came_before_an_error_is_given_before_it(self) -> None:
        def packets() -> Iterator[int]:
            yield from range(STAMPS_AROUND // 2)
            raise av.InvalidDataError(1, "broken", "file")

        judged = with_judgement(packets(), lambda stamp: stamp, 1e4)
        given = [packet for packet, _ in itertools.islice(judged, STAMPS_AROUND // 2)]
        with pytest.raises(av.InvalidDataError):
            next(judged)
        assert given == list(range(STAMPS_AROUND // 2))


class TestStamps:
    def test_equal_stamps_are_a_period_apart(self, tmp_path: Path) -> None:
        stamps = [100 * index for index in range(20)]
        stamps[8] = stamps[7]
        ticks, reports = read_all(write_stamped(tmp_path / "cam.mkv", stamps))
        assert [frame.time for frame in frames_of(ticks, "cam")] == pytest.approx([i / 10 for i in range(20)])
        assert reports["cam"].problem == ""

    @pytest.mark.parametrize(
        ("parts", "remark"),
        [
            ([(600, 15), (36_000, 1), (601.6, 24)], ""),  # one frame is stamped hours ahead
            ([(600, 15), (60, 1), (601.6, 24)], ""),
            ([(600, 20), (36_602, 20)], "its time stamps jump 36000 s ahead after 1.9 s"),
            ([(6000, 20), (2, 20)], "its time stamps jump"),
        ],
    )
    def test_whatever_its_stamps_are_a_camera_stays_with_the_others(
        self, tmp_path: Path, parts: list[tuple[float, int]], remark: str
    ) -> None:
        data = b""
        for begin_s, length in parts:
            stamps = [round(90_000 * begin_s) + 9_000 * index for index in range(length)]
            data += write_stamped(tmp_path / "part.ts", stamps, Fraction(1, 90_000)).read_bytes()
        (tmp_path / "liar").mkdir()
        (tmp_path / "liar" / "liar.ts").write_bytes(data)
        write_clip(tmp_path / "liar" / "other.mp4", range(40), rate=10)
        ticks, reports = read_all(tmp_path / "liar")
        assert [len(tick.frames) for tick in ticks] == [2] * 40
        times = [frame.time for frame in frames_of(ticks, "liar")]
        assert times == pytest.approx([index / 10 for index in range(40)])
        assert reports["liar"].problem == ""
        assert reports["liar"].remark.startswith(remark)
        assert bool(reports["liar"].remark) == bool(remark)

    def test_a_later_part_of_a_recording_is_whole(self, tmp_path: Path) -> None:
        path = write_stamped(tmp_path / "cam.mkv", [62_000 + 100 * index for index in range(20)])
        ticks, reports = read_all(path)
        assert [frame.time for frame in frames_of(ticks, "cam")] == pytest.approx([i / 10 for i in range(20)])
        assert (reports["cam"].problem, reports["cam"].expected_frames) == ("", 20)


class TestContainers:
    def test_the_cover_of_a_film_is_not_the_film(self, tmp_path: Path) -> None:
        cover_first(write_clip(tmp_path / "clip.mp4", range(20), rate=10), tmp_path / "cover" / "film.mp4")
        ticks, reports = read_all(tmp_path / "cover")
        assert [read_code(frame.image) for frame in frames_of(ticks, "film")] == list(range(20))
        assert reports["film"].problem == ""

    @pytest.mark.parametrize(
        ("matrix", "shown"),
        [
            ([[1, 0], [0, 1]], [[1, 2, 3], [4, 5, 6]]),
            ([[-1, 0], [0, 1]], [[3, 2, 1], [6, 5, 4]]),  # mirrored
            ([[1, 0], [0, -1]], [[4, 5, 6], [1, 2, 3]]),  # upside down
            ([[-1, 0], [0, -1]], [[6, 5, 4], [3, 2, 1]]),  # turned by 180 degrees
            ([[0, 1], [-1, 0]], [[4, 1], [5, 2], [6, 3]]),  # a quarter turn to the right
            ([[0, -1], [1, 0]], [[3, 6], [2, 5], [1, 4]]),  # and to the left
            ([[0, 1], [1, 0]], [[1, 4], [2, 5], [3, 6]]),  # rows and columns change places
            ([[0, -1], [-1, 0]], [[6, 3], [5, 2], [4, 1]]),
            ([[0, 0], [0, 0]], [[1, 2, 3], [4, 5, 6]]),
        ],
    )
    def test_every_display_matrix(self, matrix: list[list[int]], shown: list[list[int]]) -> None:
        image = np.repeat(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., None], 3, axis=2)
        whole = np.zeros((3, 3), np.int64)
        whole[:2, :2] = np.array(matrix) * 65536
        assert display(image, whole)[..., 0].tolist() == shown

    def test_decoded_pictures_are_not_held(self, tmp_path: Path) -> None:
        converter, held = ImageConverter(), 0
        gc.collect()  # what other tests left
        gc.disable()  # which would let go of most
        try:
            with av.open(write_clip(tmp_path / "cam.mp4", range(50))) as container:
                for frame in container.decode(video=0):
                    converter.convert(frame)
            held = sum(type(it) is av.VideoFrame for it in gc.get_objects())
        finally:
            gc.enable()
        assert held < 10

    def test_pictures_that_the_decoder_guessed_are_counted_and_said(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write_clip(tmp_path / "cam.mp4", range(20))
        pictures = VideoFile.pictures

        def some_corrupt(self: VideoFile, skip: int = 0) -> Iterator[Any]:
            for picture in pictures(self, skip):
                self.num_corrupt += picture.number % 2
                yield picture

        monkeypatch.setattr(VideoFile, "pictures", some_corrupt)
        _, reports = read_all(path)
        assert reports["cam"].problem.startswith(f"{path}: 10 of 20 pictures are damaged")

    def test_a_film_without_a_decoder_ends_alone_in_a_sentence(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "cam.mp4", range(20))
        path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
        write_clip(tmp_path / "good.mp4", range(20))
        ticks, reports = read_all(tmp_path)
        assert "a format that FFmpeg cannot decode here" in reports["cam"].problem
        assert len(frames_of(ticks, "good")) == 20

    @pytest.mark.parametrize(
        "text",
        [
            "ffconcat version 1.0\nfile neighbour.mp4\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nneighbour.mp4\n#EXT-X-ENDLIST\n",
            "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        ],
    )
    def test_a_list_in_the_name_of_a_video_opens_no_neighbour(self, tmp_path: Path, text: str) -> None:
        write_clip(tmp_path / "neighbour.mp4", range(20))
        (tmp_path / "cam.mp4").write_text(text)
        ticks, reports = read_all(tmp_path)
        assert "it is a list that names other files, which is not followed" in reports["cam"].problem
        assert not frames_of(ticks, "cam")
        assert len(frames_of(ticks, "neighbour")) == 20


@pytest.mark.parametrize("error", [ValueError("of a stamp\nin two lines"), RuntimeError(), MemoryError()])
def test_an_error_of_one_camera_ends_that_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for name in ("bad", "good"):
        write_clip(tmp_path / f"{name}.mp4", range(20))
    frames = VideoReader.frames

    def broken(self: VideoReader) -> Iterator[Frame]:
        for frame in frames(self):
            if frame.camera == "bad" and frame.number == 8:
                raise error
            yield frame

    monkeypatch.setattr(VideoReader, "frames", broken)
    ticks, reports = read_all(tmp_path)
    assert len(frames_of(ticks, "bad")) == 7
    assert len(frames_of(ticks, "good")) == 20
    assert reports["bad"].problem.startswith(f"{tmp_path / 'bad.mp4'}: cannot be read further: unexpected")
    assert type(error).__name__ in reports["bad"].problem
    assert "\n" not in reports["bad"].problem
    assert reports["good"].problem == ""


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        (b"caf\xe9.mp4", "caf\ufffd"),
        (b"n" * 251 + b".mp4", "n" * 200),
        ("é".encode() * 125 + b".mp4", "é" * 100),
    ],
    ids=["not UTF-8", "long", "long in bytes"],
)
@pytest.mark.parametrize("direct", [True, False])
def test_any_name_of_a_file_is_tracked(tmp_path: Path, name: bytes, camera: str, direct: bool) -> None:
    write_clip(tmp_path / "clip.mp4", range(8))
    (tmp_path / "folder").mkdir()
    path = os.path.join(os.fsencode(tmp_path / "folder"), name)
    os.rename(tmp_path / "clip.mp4", path)
    source = os.fsdecode(path) if direct else str(tmp_path / "folder")
    runs = tmp_path / "runs"
    code = main(["track", source, "--config", "embedded", "--save-video", "--set", f"output.folder={runs}"])
    assert code == 0
    assert (runs / "track" / "mot" / f"{camera}.txt").exists()
    assert not (runs / "track" / "state").exists()


@pytest.mark.real
@pytest.mark.parametrize(
    "name",
    ["duplicate-stamp.mkv", "later-part.mkv", "cover-art-first.mp4", "mirrored.mp4", "outlier-stamp.ts"],
)
def test_cases_of_other_projects_are_read_whole(name: str) -> None:
    ticks, reports = read_all(shared_folder() / "cases" / name)
    (report,) = reports.values()
    assert (report.problem, report.read) == ("", 20)
    times = [tick.time for tick in ticks]
    assert times == pytest.approx([index / 10 for index in range(20)])
    assert ticks[0].frames[0].size == (320, 240)


@pytest.mark.real
def test_a_mirrored_video_is_upright() -> None:
    upright, _ = read_all(shared_folder() / "cases" / "cover-art-first.mp4")
    mirrored, _ = read_all(shared_folder() / "cases" / "mirrored.mp4")
    one, other = (ticks[3].frames[0].image.astype(int) for ticks in (upright, mirrored))
    assert np.abs(one - other[:, ::-1]).mean() < np.abs(one - other[::-1, ::-1]).mean() / 2
    assert CameraName("mirrored") == mirrored[0].frames[0].camera
