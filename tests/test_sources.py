"""Recorded sources: what an address means, and which frames come at which times."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from foundation.errors import ReuniteError
from foundation.mot_files import SequenceInfo, format_seqinfo
from foundation.passwords import mask_password
from tests.clips import draw_code, read_code, write_clip
from tests.conftest import shared_folder
from tracker.config import SourceConfig
from tracker.sources import locate_cameras, open_source
from tracker.stages import CameraReport
from tracker.types import CameraName, Tick

CONFIG = SourceConfig(image_frame_rate=10)


def read_all(
    *addresses: Path | str, done: dict[CameraName, int] | None = None
) -> tuple[list[Tick], dict[str, CameraReport]]:
    source = open_source([str(address) for address in addresses], CONFIG, done or {})
    ticks = list(source.ticks())
    source.close()
    return ticks, {str(name): report for name, report in source.reports.items()}


def codes_of(ticks: Sequence[Tick], camera: str) -> list[int]:
    return [read_code(frame.image) for tick in ticks for frame in tick.frames if frame.camera == camera]


def times_of(ticks: Sequence[Tick], camera: str) -> list[float]:
    return [frame.time for tick in ticks for frame in tick.frames if frame.camera == camera]


def names_of(*addresses: Path | str) -> list[str]:
    return list(locate_cameras([str(address) for address in addresses]))


def make_files(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def make_sequence(folder: Path, length: int, rate: float = 20, images: Sequence[str] = ()) -> Path:
    folder.mkdir(parents=True)
    info = SequenceInfo("any", frame_rate=rate, length=length, width=160, height=120)
    (folder / "seqinfo.ini").write_text(format_seqinfo(info))
    for code, name in enumerate(images):
        (folder / "img1").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "img1" / name), draw_code(code))
    return folder


def test_a_missing_video_among_others_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    write_clip(tmp_path / "there.mp4", range(3))
    (tmp_path / "link.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "all.streams").write_text("there.mp4\nlost.mp4\n")
    for addresses, lost in (([str(tmp_path)], "link"), ([str(tmp_path / "all.streams")], "lost")):
        source = open_source(addresses, SourceConfig(), {})
        problems = {name: report.problem for name, report in source.reports.items() if report.problem}
        assert list(problems) == [lost]
        assert "No such file" in problems[CameraName(lost)]
        assert len(list(source.ticks())) == 3
        source.close()


class TestAddresses:
    def test_a_folder_of_videos_is_a_camera_for_each_in_natural_order(self, tmp_path: Path) -> None:
        make_files(tmp_path, "cam10.mp4", "cam2.MP4", "Cam1.mkv", "README.md", "cam1.json", ".hidden.mp4")
        assert list(locate_cameras([str(tmp_path)]).items()) == [
            ("Cam1", str(tmp_path / "Cam1.mkv")),
            ("cam2", str(tmp_path / "cam2.MP4")),
            ("cam10", str(tmp_path / "cam10.mp4")),
        ]

    def test_videos_beside_their_ground_truth_are_a_folder_of_videos(self, tmp_path: Path) -> None:
        make_files(tmp_path, "cam1.mp4", "cam1/gt/gt.txt", "cam1/seqinfo.ini", "thumbnail.jpg")
        assert names_of(tmp_path) == ["cam1"]
        assert locate_cameras([str(tmp_path)])[CameraName("cam1")] == str(tmp_path / "cam1.mp4")

    def test_equal_names_get_numbers_that_no_other_camera_has(self, tmp_path: Path) -> None:
        make_files(tmp_path, "a/cam.mp4", "b/CAM.avi", "c/cam-2.mp4", "c/cam.mp4")
        assert names_of(tmp_path / "a", tmp_path / "b" / "CAM.avi", tmp_path / "c") == [
            "cam",
            "CAM-2",
            "cam-2-2",
            "cam-3",
        ]

    @pytest.mark.parametrize("part", ["seqinfo.ini", "img1/000001.jpg"])
    def test_a_sequence_and_a_folder_of_sequences(self, tmp_path: Path, part: str) -> None:
        make_files(tmp_path, f"MOT-2/{part}", f"MOT-10/{part}", "MOT-9/det/det.txt", "other/notes.txt")
        assert names_of(tmp_path / "MOT-2") == ["MOT-2"]
        assert names_of(tmp_path) == ["MOT-2", "MOT-9", "MOT-10"]

    def test_a_folder_of_images_is_one_camera(self, tmp_path: Path) -> None:
        assert names_of(make_files(tmp_path / "hall", "1.png", "2.PNG")) == ["hall"]

    def test_live_addresses_get_safe_names(self) -> None:
        addresses = [
            "0",
            "rtsp://me:secret@10.0.0.5:554/cam/ch?x=1",
            "http://host/a b/live.m3u8",
            "rtsps://host",
        ]
        assert names_of(*addresses) == ["webcam0", "10.0.0.5-554-cam-ch", "host-a-b-live.m3u8", "host"]

    def test_a_streams_list(self, tmp_path: Path) -> None:
        make_files(tmp_path, "lists/door.mp4", "hall.mp4")
        listed = tmp_path / "lists" / "all.streams"
        listed.write_text("# all cameras\n\nfront door = door.mp4   # by the street\n../hall.mp4\n")
        assert names_of(listed) == ["front door", "hall"]
        listed.write_text("rtsp://host/one?channel=1#a\nyard=rtsp://me:secret@host/two?channel=2\nback = 0\n")
        assert dict(locate_cameras([str(listed)])) == {
            "host-one": "rtsp://host/one?channel=1#***",
            "yard": "rtsp://***@host/two?channel=2",
            "back": "0",
        }

    @pytest.mark.parametrize(
        ("address", "message"),
        [
            ("nothing.mp4", "nothing.mp4: no such file or folder"),
            ("empty", "empty: holds no videos, no images and no MOTChallenge sequences"),
            ("notes.txt", "notes.txt: is not a video by its name"),
            ("detections", "has detections but neither pictures"),
            ("ftp://me:secret@host/x", "ftp://***@host/x: is no address of a camera"),
            ("rtsp://", "is no address of a camera"),
            ("http://[bad", "is no address of a camera"),
            ("missing.streams", "no such file or folder"),
            ("nothing.streams", "holds no address"),
            ("nested.streams", "line 2: a list cannot hold another list"),
            ("broken.streams", "line 1: .*lost: no such file"),
            ("named.streams", "line 1: a name is for one camera, but 'hall' is given to 2"),
            ("binary.streams", "cannot be read as a text file"),
        ],
    )
    def test_what_cannot_be_a_source_is_named(self, tmp_path: Path, address: str, message: str) -> None:
        make_files(tmp_path, "notes.txt", "detections/det/det.txt", "two/a.mp4", "two/b.mp4")
        (tmp_path / "empty").mkdir()
        (tmp_path / "nothing.streams").write_text("# later\n")
        (tmp_path / "nested.streams").write_text("0\nnothing.streams\n")
        (tmp_path / "broken.streams").write_text("lost\n")
        (tmp_path / "named.streams").write_text("hall = two\n")
        (tmp_path / "binary.streams").write_bytes(b"\xff\xfe\x00")
        path = address if "://" in address else str(tmp_path / address)
        with pytest.raises(ReuniteError, match=message.replace("***", r"\*\*\*")) as caught:
            locate_cameras([path])
        assert "secret" not in str(caught.value)

    def test_no_address_at_all_is_an_error(self) -> None:
        with pytest.raises(ReuniteError, match="no source: name a video"):
            locate_cameras([])

    def test_files_and_live_streams_do_not_mix(self, tmp_path: Path) -> None:
        make_files(tmp_path, "a.mp4")
        with pytest.raises(ReuniteError, match=r"rtsp://\*\*\*@host/x is live and .*a.mp4 is a file"):
            locate_cameras([str(tmp_path / "a.mp4"), "rtsp://me:secret@host/x"])

    @pytest.mark.parametrize(
        ("address", "masked"),
        [
            ("rtsp://me:secret@host:554/x", "rtsp://***@host:554/x"),
            ("rtsp://me:sec@ret@host/x", "rtsp://***@host/x"),
            ("rtsp://me:sec/ret@host/x", "rtsp://***@host/x"),
            ("rtsp://me:1234/secret@host/x", "rtsp://***@host/x"),
            ("rtsp://:secret@host", "rtsp://***@host"),
            ("rtsp://token@host/x", "rtsp://***@host/x"),
            ("rtsp://[fe80::1]:554/x", "rtsp://[fe80::1]:554/x"),
            (
                "http://host/x?user=me&password=secret&channel=1",
                "http://host/x?user=***&password=***&channel=1",
            ),
            ("http://host/x?user=me&PWD=secret", "http://host/x?user=***&PWD=***"),
            ("rtsp://host:554/user=me_password=secret_channel=1", "rtsp://host:554/user=***"),
            ("folder/me:secret@there.mp4", "folder/me:secret@there.mp4"),
            ("0", "0"),
        ],
    )
    def test_passwords_are_masked_and_nothing_else(self, address: str, masked: str) -> None:
        assert mask_password(address) == masked


class TestVideos:
    @pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".ts", ".h264"])
    @pytest.mark.parametrize("b_frames", [0, 2])
    def test_every_frame_comes_once_in_order_at_its_time(
        self, tmp_path: Path, suffix: str, b_frames: int
    ) -> None:
        # AVI and raw H.264 hold no times: there it is the frame rate that counts.
        write_clip(tmp_path / f"cam{suffix}", range(30), rate=20, b_frames=b_frames)
        ticks, reports = read_all(tmp_path)
        assert codes_of(ticks, "cam") == list(range(30))
        assert [frame.number for tick in ticks for frame in tick.frames] == list(range(1, 31))
        rate = 25 if suffix == ".h264" else 20  # what FFmpeg takes for a stream without a rate
        assert times_of(ticks, "cam") == pytest.approx([index / rate for index in range(30)], abs=1e-3)
        assert reports["cam"].read == 30
        assert reports["cam"].expected_frames in (0, 30)
        assert reports["cam"].problem == ""

    def test_times_of_a_variable_rate_are_those_in_the_file(self, tmp_path: Path) -> None:
        times = [0.5, 0.54, 0.6, 1.9, 1.91, 4.0, 4.25]
        write_clip(tmp_path / "cam.mp4", range(7), times=times)
        ticks, _ = read_all(tmp_path / "cam.mp4")
        assert times_of(ticks, "cam") == pytest.approx([time - 0.5 for time in times], abs=1e-3)

    @pytest.mark.parametrize("quarter", [90, -90, 180])
    def test_a_video_filmed_sideways_stands_upright_as_in_opencv(self, tmp_path: Path, quarter: int) -> None:
        path = write_clip(tmp_path / "phone.mp4", [5, 6], rotation=quarter)
        ticks, _ = read_all(path)
        capture = cv2.VideoCapture(str(path))
        for tick in ticks:
            _, image = capture.read()
            assert tick.frames[0].image.shape == image.shape
            assert np.array_equal(tick.frames[0].image, image)
        assert ticks[0].frames[0].size == ((160, 120) if quarter == 180 else (120, 160))

    @pytest.mark.parametrize("look", [{}, {"colorspace": "1"}, {"color_range": "pc"}])
    def test_colours_are_those_of_opencv(self, tmp_path: Path, look: dict[str, str]) -> None:
        path = write_clip(tmp_path / "cam.mp4", [3], size=(1280, 720), options=look)
        ticks, _ = read_all(path)
        _, image = cv2.VideoCapture(str(path)).read()
        assert np.abs(ticks[0].frames[0].image.astype(int) - image).max() <= 2

    def test_a_video_that_changes_size_goes_on_with_the_new_size(self, tmp_path: Path) -> None:
        parts = [write_clip(tmp_path / f"{width}.h264", range(8), size=(width, 120)) for width in (160, 320)]
        (tmp_path / "cam.h264").write_bytes(b"".join(part.read_bytes() for part in parts))
        ticks, reports = read_all(tmp_path / "cam.h264")
        assert [tick.frames[0].size for tick in ticks] == [(160, 120)] * 8 + [(320, 120)] * 8
        assert codes_of(ticks, "cam") == [*range(8), *range(8)]
        assert reports["cam"].problem == ""

    @pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
    def test_a_truncated_video_gives_what_it_has_and_says_so(self, tmp_path: Path, suffix: str) -> None:
        options = {"movflags": "faststart"} if suffix == ".mp4" else {}
        path = write_clip(tmp_path / f"cut{suffix}", range(100), rate=20, container_options=options)
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
        write_clip(tmp_path / "whole.mp4", range(100), rate=20)
        ticks, reports = read_all(tmp_path)
        codes = codes_of(ticks, "cut")
        assert codes == list(range(len(codes)))
        assert 30 < len(codes) < 80
        assert f"{path}: only {len(codes)} of 100 frames could be read" in reports["cut"].problem
        assert codes_of(ticks, "whole") == list(range(100))
        assert reports["whole"].problem == ""

    def test_a_damaged_middle_is_passed_over_and_named(self, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "cam.mp4", range(100), container_options={"movflags": "faststart"})
        data = bytearray(path.read_bytes())
        middle = len(data) * 6 // 10
        data[middle : middle + 300] = b"\xff" * 300
        path.write_bytes(bytes(data))
        ticks, reports = read_all(path)
        assert codes_of(ticks, "cam")[-1] == 99
        assert "cut off or damaged" in reports["cam"].problem

    def test_files_that_are_no_videos_are_named_and_the_others_go_on(self, tmp_path: Path) -> None:
        make_files(tmp_path, "empty.mp4")
        (tmp_path / "text.mp4").write_text("not a video at all\n" * 100)
        headless = write_clip(tmp_path / "headless.mp4", range(50))  # its index is at the end
        headless.write_bytes(headless.read_bytes()[:-200])
        write_clip(tmp_path / "good.mp4", range(5))
        ticks, reports = read_all(tmp_path)
        assert list(reports) == ["empty", "good", "headless", "text"]
        assert reports["empty"].problem == f"{tmp_path / 'empty.mp4'}: is empty"
        for name in ("headless", "text"):
            assert f"{name}.mp4: cannot be read as a video" in reports[name].problem
        assert reports["good"].problem == ""
        assert codes_of(ticks, "good") == list(range(5))

    def test_a_file_name_is_not_taken_for_a_protocol(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_clip(tmp_path / "plain.mp4", range(3)).rename(tmp_path / "http:cam%03d.mp4")
        monkeypatch.chdir(tmp_path)
        assert codes_of(read_all("http:cam%03d.mp4")[0], "http:cam%03d") == [0, 1, 2]

    @pytest.mark.real
    @pytest.mark.parametrize(("name", "frames"), [("PETS09-S2L1", 795), ("MOT16-11", 900)])
    def test_real_videos_look_as_in_opencv(self, name: str, frames: int) -> None:
        path = shared_folder() / "data" / "video" / f"{name}.mp4"
        source = open_source([str(path)], CONFIG, {})
        capture = cv2.VideoCapture(str(path))
        for tick in itertools.islice(source.ticks(), 65):  # past the second key frame
            _, image = capture.read()
            assert np.abs(tick.frames[0].image.astype(int) - image).max() <= 2
        assert source.reports[CameraName(name)].expected_frames == frames
        source.close()


class TestImages:
    def test_images_come_in_natural_order_at_the_configured_rate(self, tmp_path: Path) -> None:
        for code in range(12):
            cv2.imwrite(str(tmp_path / f"{code}.png"), draw_code(code))
        ticks, reports = read_all(tmp_path)
        assert codes_of(ticks, tmp_path.name) == list(range(12))
        assert [tick.frames[0].number for tick in ticks] == list(range(1, 13))
        assert [tick.time for tick in ticks] == pytest.approx([index / 10 for index in range(12)])
        assert reports[tmp_path.name] == CameraReport(expected_frames=12, read=12)

    def test_a_bad_image_leaves_a_gap_and_is_named(self, tmp_path: Path) -> None:
        for code in range(5):
            cv2.imwrite(str(tmp_path / f"{code}.png"), draw_code(code))
        (tmp_path / "1.png").write_bytes(b"")
        (tmp_path / "3.png").write_bytes(b"no image")
        ticks, reports = read_all(tmp_path)
        assert [tick.frames[0].number for tick in ticks] == [1, 3, 5]
        assert [tick.time for tick in ticks] == pytest.approx([0, 0.2, 0.4])
        assert reports[tmp_path.name].problem == (
            f"{tmp_path}: only 3 of 5 images could be read; the first bad one is 1.png"
        )

    def test_frames_of_a_sequence_have_the_numbers_of_their_files(self, tmp_path: Path) -> None:
        make_sequence(tmp_path / "seq", 4, rate=20, images=["000001.jpg", "000002.jpg", "000004.jpg"])
        ticks, reports = read_all(tmp_path / "seq")
        assert [(tick.frames[0].number, tick.time) for tick in ticks] == [(1, 0.0), (2, 0.05), (4, 0.15)]
        assert codes_of(ticks, "seq") == [0, 1, 2]
        assert "only 3 of 4 images could be read" in reports["seq"].problem

    def test_images_numbered_from_zero_are_counted_from_one(self, tmp_path: Path) -> None:
        make_sequence(tmp_path / "seq", 2, images=["000000.jpg", "000001.jpg"])
        assert [tick.frames[0].number for tick in read_all(tmp_path / "seq")[0]] == [1, 2]

    def test_a_sequence_without_pictures_is_black_and_of_its_size(self, tmp_path: Path) -> None:
        make_sequence(tmp_path / "seq", 3, rate=20)
        ticks, reports = read_all(tmp_path / "seq")
        assert [(tick.frames[0].number, tick.time) for tick in ticks] == [(1, 0.0), (2, 0.05), (3, 0.1)]
        assert all(frame.size == (160, 120) and not frame.image.any() for frame in ticks[0].frames)
        assert reports["seq"] == CameraReport(expected_frames=3, read=3, has_pictures=False)

    def test_sequences_that_cannot_be_used_are_named_and_the_others_go_on(self, tmp_path: Path) -> None:
        make_sequence(tmp_path / "good", 2)
        make_sequence(tmp_path / "no-rate", 2)
        (tmp_path / "no-rate" / "seqinfo.ini").write_text("[Sequence]\nseqLength=2\n")
        make_files(tmp_path, "no-size/det/det.txt")
        (tmp_path / "no-images" / "img1").mkdir(parents=True)
        ticks, reports = read_all(tmp_path)
        assert [frame.camera for tick in ticks for frame in tick.frames] == ["good", "good"]
        assert "[Sequence] has no frameRate" in reports["no-rate"].problem
        assert "has neither pictures (img1/) nor a seqinfo.ini" in reports["no-size"].problem
        assert "img1: holds no images" in reports["no-images"].problem


@pytest.fixture(scope="module")
def three_rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cameras of 25 and 10 frames/s and one whose times jump, of different lengths; one is no video."""
    folder = tmp_path_factory.mktemp("three-rates")
    write_clip(folder / "fast.mp4", range(40), rate=25, b_frames=2)
    write_clip(folder / "slow.mkv", range(12), rate=10)
    jumps = np.random.default_rng(1).uniform(0.045, 0.2, 12).cumsum()
    write_clip(folder / "vary.mp4", range(12), times=jumps.tolist())
    (folder / "wrong.mp4").write_text("not a video")
    return folder


def signature(ticks: Sequence[Tick]) -> Iterator[tuple[float, list[tuple[str, int, float, int]]]]:
    for tick in ticks:
        yield (
            tick.time,
            [(frame.camera, frame.number, frame.time, read_code(frame.image)) for frame in tick.frames],
        )


class TestTicks:
    def test_cameras_of_one_rate_share_every_tick_in_spite_of_jitter(self, tmp_path: Path) -> None:
        random = np.random.default_rng(0)
        for name in ("a", "b", "c"):
            times = (np.arange(30) / 20 + random.uniform(0, 0.01, 30)).tolist()
            write_clip(tmp_path / f"{name}.mp4", range(30), rate=20, times=[0.0, *times[1:]])
        ticks, _ = read_all(tmp_path)
        assert len(ticks) == 30
        for index, tick in enumerate(ticks):
            assert [(frame.camera, frame.number) for frame in tick.frames] == [
                ("a", index + 1),
                ("b", index + 1),
                ("c", index + 1),
            ]

    def test_cameras_of_any_rates_give_each_frame_once_in_ticks_that_hold_one_moment(
        self, three_rates: Path
    ) -> None:
        ticks, reports = read_all(three_rates)
        for name, length in (("fast", 40), ("slow", 12), ("vary", 12)):
            assert codes_of(ticks, name) == list(range(length))
            assert reports[name].read == length
        times = [tick.time for tick in ticks]
        assert times == sorted(times)
        for tick in ticks:
            assert max(frame.time for frame in tick.frames) < tick.time + 0.5 / 25
        for tick, after in itertools.pairwise(ticks):
            # No frame that belongs to a tick is left for the next one.
            here = {frame.camera for frame in tick.frames}
            assert all(
                frame.time >= tick.time + 0.5 / 25 - 1e-9
                for frame in after.frames
                if frame.camera not in here
            )

    def test_a_resumed_run_goes_on_exactly_where_the_first_one_stopped(self, three_rates: Path) -> None:
        whole, reports = read_all(three_rates)
        expected = list(signature(whole))
        done: dict[CameraName, int] = {}
        for index, tick in enumerate([None, *whole]):
            for frame in tick.frames if tick else ():
                done[frame.camera] = frame.number
            rest, resumed_reports = read_all(three_rates, done=done)
            assert list(signature(rest)) == expected[index:]
            assert resumed_reports == reports

    def test_pictures_after_a_resume_are_the_same_to_the_last_bit(self, three_rates: Path) -> None:
        whole, _ = read_all(three_rates)
        rest, _ = read_all(three_rates, done={CameraName("fast"): 25})
        images = [frame.image for tick in whole for frame in tick.frames if frame.camera == "fast"]
        again = [frame.image for tick in rest for frame in tick.frames if frame.camera == "fast"]
        assert len(again) == 15
        assert all(np.array_equal(a, b) for a, b in zip(images[25:], again, strict=True))

    def test_a_camera_that_is_gone_cannot_be_resumed(self, three_rates: Path) -> None:
        with pytest.raises(ReuniteError, match="camera 'door' is no longer there"):
            open_source([str(three_rates)], CONFIG, {CameraName("door"): 3})

    def test_closing_from_another_thread_ends_the_ticks(self, three_rates: Path) -> None:
        source = open_source([str(three_rates)], CONFIG, {})
        assert not source.is_live
        ticks = source.ticks()
        next(ticks)
        closing = threading.Thread(target=source.close)
        closing.start()
        closing.join()
        assert list(ticks) == []
        source.close()
        assert list(source.ticks()) == []
