"""Overlay, window and progress."""

import io
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from rich.console import Console

from foundation.arrays import Image
from foundation.errors import ReuniteError
from tracker.colors import person_color
from tracker.sinks.blur import Blur, blur_bodies
from tracker.sinks.overlay import OverlayPainter, OverlayVideos, bgr_of
from tracker.sinks.progress import ProgressBars
from tracker.sinks.window import Window
from tracker.stages import CameraReport
from tracker.types import CameraName, Frame, Sightings, blank_image

CAMERA = CameraName("door")


def frame(number: int, image: Image, time: float | None = None) -> Frame:
    return Frame(CAMERA, number, number / 10 if time is None else time, image)


def person(identity: int, *box: float) -> Sightings:
    return Sightings(np.array([1]), np.array([identity]), np.array([box]), np.array([0.9]))


NOBODY = Sightings(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))


def test_a_box_is_drawn_in_the_color_of_its_identity_and_the_frame_stays_clean() -> None:
    image = np.full((240, 320, 3), 128, np.uint8)
    picture = OverlayPainter().paint(frame(1, image), person(7, 100, 80, 160, 200))
    assert picture[140, 100].tolist() == list(bgr_of(person_color(7)))
    assert picture[140, 130].tolist() == [128, 128, 128]
    assert (image == 128).all()


@pytest.mark.parametrize("box", [(-1e9, -50, 1e9, 900), (400, 300, 420, 330), (10, -90, 40, -20)])
def test_a_box_beyond_the_picture_is_no_problem(box: tuple[float, ...]) -> None:
    picture = OverlayPainter().paint(frame(1, blank_image(320, 240)), person(1, *box))
    assert picture.shape == (240, 320, 3)


def test_a_trail_follows_the_feet_and_forgets() -> None:
    painter, image = OverlayPainter(), blank_image(320, 240)
    for number in range(10):
        picture = painter.paint(frame(number, image), person(3, 20 * number, 10, 20 * number + 30, 200))
    assert picture[200, 40].any()  # the way the feet came
    assert picture[200, 100].any()
    later = painter.paint(frame(100, image), NOBODY)
    assert not later.any()


def read_video(path: Path) -> list[tuple[float, tuple[int, int]]]:
    with av.open(str(path)) as container:
        return [(float(image.time or 0), (image.width, image.height)) for image in container.decode(video=0)]


def test_a_video_keeps_times_and_size_whatever_the_frames_do(tmp_path: Path) -> None:
    videos = OverlayVideos(tmp_path / "videos")
    times = [5.0, 5.1, 5.5, 5.5]  # frames may be dropped, and a clock may stand still
    for number, (time, size) in enumerate(
        zip(times, [(65, 49), (65, 49), (200, 100), (30, 80)], strict=True)
    ):
        videos.write(frame(number, blank_image(*size), time), person(1, 5, 5, 20, 40))
    videos.close()
    assert videos.files == [tmp_path / "videos" / "door.mp4"]
    images = read_video(videos.files[0])
    assert [time for time, _ in images] == pytest.approx([0.0, 0.1, 0.5, 0.501])
    assert {size for _, size in images} == {(64, 48)}


@pytest.mark.parametrize("size", [(66, 50), (65, 49)])
def test_a_video_shows_every_picture_as_it_was(tmp_path: Path, size: tuple[int, int]) -> None:
    videos = OverlayVideos(tmp_path)
    levels = [40, 200, 120]
    for number, level in enumerate(levels):
        image = np.full((size[1], size[0], 3), level, np.uint8)
        image[:, : size[0] // 2] = 0
        videos.write(frame(number, image, number / 10), NOBODY)
    videos.close()
    with av.open(str(tmp_path / "door.mp4")) as container:
        shown = [image.to_ndarray(format="bgr24") for image in container.decode(video=0)]
    for picture, level in zip(shown, levels, strict=True):
        assert np.abs(picture[:, :28].astype(int)).max() < 12
        assert np.abs(picture[:, 36:].astype(int) - level).max() < 12


def test_a_blurred_body_has_few_colours_and_all_else_stays() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    before = picture.copy()
    blurred = blur_bodies(
        picture,
        np.array([[40.0, 60.0, 80.0, 200.0], [-50.0, -50.0, -10.0, -10.0], [310.0, 230.0, 900.0, 900.0]]),
    )
    assert (picture == before).all()
    body = blurred[60:200, 40:80].reshape(-1, 3)
    assert len(np.unique(body, axis=0)) <= 60
    untouched = np.ones((240, 320), np.bool_)
    untouched[60:200, 40:80] = untouched[230:, 310:] = False
    assert (blurred[untouched] == picture[untouched]).all()


@pytest.mark.parametrize(
    ("blur", "hidden"), [(Blur(), ()), (Blur("all"), (0, 1)), (Blur("all_but", 7), (1,))]
)
def test_saved_video_shows_nobody_whom_it_must_not(
    tmp_path: Path, blur: Blur, hidden: tuple[int, ...]
) -> None:
    stripes = np.zeros((240, 320, 3), np.uint8)
    stripes[::8] = stripes[1::8] = stripes[2::8] = stripes[3::8] = 255
    boxes = [[40.0, 40.0, 90.0, 200.0], [200.0, 40.0, 250.0, 200.0]]
    people = Sightings(np.array([1, 2]), np.array([7, 0]), np.array(boxes), np.full(2, 0.9))
    now = [Blur()]
    videos = OverlayVideos(tmp_path / "videos", lambda: now[0])
    videos.write(frame(0, stripes, 0.0), people)
    now[0] = blur  # it may change while the video is written
    videos.write(frame(1, stripes, 0.1), people)
    videos.close()
    with av.open(str(videos.files[0])) as container:
        first, second = (it.to_ndarray(format="gray") for it in container.decode(video=0))
    for number, left in enumerate((50, 210)):
        inside = (slice(60, 180), slice(left, left + 30))
        assert first[inside].std() > 60
        assert (second[inside].std() < 60) == (number in hidden)


def test_a_video_that_is_cut_off_plays_as_far_as_it_goes(tmp_path: Path) -> None:
    videos = OverlayVideos(tmp_path / "videos")
    for number in range(300):
        videos.write(frame(number, blank_image(64, 48)), NOBODY)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes((tmp_path / "videos" / "door.mp4").read_bytes())
    videos.close()
    assert 100 < len(read_video(cut)) < 300
    assert len(read_video(videos.files[0])) == 300


def test_a_window_without_a_screen_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    with pytest.raises(ReuniteError, match="--save-video"):
        Window(threading.Event())


def test_progress_in_a_log_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("tracker.sinks.progress.time.monotonic", lambda: now[0])
    out = io.StringIO()
    bars = ProgressBars(Console(file=out), {CAMERA: CameraReport(expected_frames=400)}, {CAMERA: 100})
    for number in range(100):
        now[0] += 0.125
        bars.write(frame(number, blank_image(4, 4)), NOBODY)
    bars.close()
    assert out.getvalue() == "door 180/400 (8.0 frames/s, 0:00:28 left)\n"
