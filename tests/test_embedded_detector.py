"""The embedded detector: people by their motion, on drawn scenes whose people are known, and on PETS."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from foundation.arrays import FloatArray, Image
from foundation.mot_files import read_mot
from tests.conftest import shared_folder
from tracker.config import EmbeddedDetectorConfig
from tracker.detectors.background import Background
from tracker.detectors.embedded import EmbeddedDetector
from tracker.detectors.silhouettes import HeightLine, PersonPlacer
from tracker.geometry import iou_matrix, xywh_to_xyxy
from tracker.types import CameraName, Detections, Frame, State, Tick, blank_image

FRAME_RATE = 10.0
WIDTH, HEIGHT = 480, 320
SLOPE, OFFSET = 0.35, 10.0
"""People's height by the row of their feet, in the drawn scenes."""


@dataclass(frozen=True)
class Walker:
    """Somebody in the drawn scene: x of the feet at time 0 and its speed, row of the feet, colours, times."""

    x: float
    speed: float
    row: float
    coat: tuple[int, int, int] = (40, 40, 140)
    trousers: tuple[int, int, int] = (60, 30, 30)
    first: float = 0.0
    last: float = 1e9

    def box(self, time: float) -> tuple[float, float, float, float]:
        """x1, y1, x2, y2."""
        height = SLOPE * self.row + OFFSET
        x = self.x + self.speed * time
        return x - 0.17 * height, self.row - height, x + 0.17 * height, self.row


def draw(
    background: Image, walkers: Sequence[Walker], time: float, noise: np.random.Generator, sigma: float = 2.0
) -> tuple[Image, FloatArray]:
    """The picture at a time, and (N, 4) boxes of those who are wholly in it."""
    image = background.copy()
    boxes = []
    for walker in sorted(walkers, key=lambda somebody: somebody.row):
        if not walker.first <= time < walker.last:
            continue
        x1, y1, x2, y2 = box = walker.box(time)
        middle, height = (x1 + x2) / 2, y2 - y1
        swing = 0.12 * height * np.sin(time * 6 + walker.row)

        def at(x: float, y: float) -> tuple[int, int]:
            return round(x), round(y)

        head, hip, neck = at(middle, y1 + 0.08 * height), y1 + 0.5 * height, y1 + 0.17 * height
        for foot in (middle - swing, middle + swing):
            cv2.line(image, at(middle, hip), at(foot, y2), walker.trousers, max(2, round(0.11 * height)))
        coat = np.array(
            [
                at(middle - 0.14 * height, neck),
                at(middle + 0.14 * height, neck),
                at(middle + 0.1 * height, hip + 0.05 * height),
                at(middle - 0.1 * height, hip + 0.05 * height),
            ]
        )
        cv2.fillConvexPoly(image, coat, walker.coat)
        cv2.circle(image, head, max(2, round(0.075 * height)), (120, 150, 190), -1)
        if x1 > 0 and x2 < WIDTH:
            boxes.append(box)
    noisy = image + sigma * noise.standard_normal(image.shape, np.float32)
    return np.clip(noisy, 0, 255).astype(np.uint8), np.array(boxes).reshape(-1, 4)


def street(seed: int = 1) -> Image:
    """A still scene with soft structure."""
    rough = np.random.default_rng(seed).uniform(110, 190, (8, 12, 3)).astype(np.float32)
    return cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


PASSERS_BY = [
    Walker(-30.0 - 90.0 * number, 45.0, row, coat)
    for number, (row, coat) in enumerate(
        [
            (150.0, (40, 40, 140)),
            (250.0, (30, 90, 30)),
            (200.0, (20, 20, 20)),
            (300.0, (150, 60, 30)),
            (170.0, (230, 230, 230)),
            (280.0, (30, 30, 30)),
        ]
    )
]


Found = tuple[float, Detections, FloatArray]
"""Time of a frame, who was found and who is there."""


def run(
    detector: EmbeddedDetector,
    walkers: Sequence[Walker],
    seconds: tuple[float, float],
    camera: str = "street",
    sigma: float = 2.0,
    light: float = 1.0,
    background: Image | None = None,
) -> Iterator[Found]:
    """Show each frame to a detector."""
    scene = street() if background is None else background
    for number in range(round(seconds[0] * FRAME_RATE), round(seconds[1] * FRAME_RATE)):
        time = number / FRAME_RATE
        image, boxes = draw(scene, walkers, time, np.random.default_rng(number), sigma)
        lit = np.asarray(cv2.convertScaleAbs(image, alpha=light), np.uint8)
        (found,) = detector.detect(Tick(time, (Frame(CameraName(camera), number + 1, time, lit),)))
        yield time, found, boxes


def recall_and_precision(frames: Sequence[Found], min_score: float = 0.3) -> tuple[float, float]:
    hits = people = found = 0
    for _, detections, boxes in frames:
        sure = detections.boxes[detections.scores >= min_score]
        overlaps = iou_matrix(sure, boxes) >= 0.5
        hits += int(overlaps.any(axis=0).sum()) if len(sure) else 0
        # Who is cut by the edge is not in the boxes, but may be found.
        inside = (sure[:, 0] > 5) & (sure[:, 2] < WIDTH - 5)
        found += int((inside | overlaps.any(axis=1)).sum()) if len(boxes) else int(inside.sum())
        people += len(boxes)
    return hits / max(people, 1), hits / max(found, 1)


@pytest.fixture(scope="module")
def a_while() -> tuple[list[Found], State]:
    """20 seconds of the street with people, and what is remembered of them."""
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    return list(run(detector, PASSERS_BY, (0.0, 20.0))), detector.state()


@pytest.fixture
def experienced(a_while: tuple[list[Found], State]) -> EmbeddedDetector:
    """A detector that knows the street."""
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    detector.restore(a_while[1])
    return detector


def test_people_who_walk_by_are_found(a_while: tuple[list[Found], State]) -> None:
    frames, _ = a_while
    assert sum(len(boxes) for _, _, boxes in frames) > 200
    recall, precision = recall_and_precision(frames[40:])
    assert recall > 0.9
    assert precision > 0.9


def test_a_restored_detector_gives_the_very_same_numbers() -> None:
    whole, first = (EmbeddedDetector(EmbeddedDetectorConfig()) for _ in range(2))
    names = ("hall/left", "hall")

    def both(detector: EmbeddedDetector, seconds: tuple[float, float]) -> list[Detections]:
        found = []
        for name in names:
            walkers = PASSERS_BY[: 4 if name == "hall" else 6]
            found += [people for _, people, _ in run(detector, walkers, seconds, camera=name)]
        return found

    for seconds in ((0.0, 1.0), (1.0, 6.0), (6.0, 8.0)):
        expected = both(whole, seconds)
        second = EmbeddedDetector(EmbeddedDetectorConfig())
        second.restore(first.state())
        for want, have in zip(expected, both(second, seconds), strict=True):
            assert np.array_equal(want.boxes, have.boxes)
            assert np.array_equal(want.scores, have.scores)
        first = second


def test_a_state_does_not_change_after_it_was_taken() -> None:
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    list(run(detector, PASSERS_BY, (0.0, 3.0)))
    state: State = detector.state()
    copy = {name: array.copy() for name, array in state.items()}
    list(run(detector, PASSERS_BY, (3.0, 4.0)))
    assert all(np.array_equal(state[name], copy[name]) for name in copy)


def test_cameras_share_nothing() -> None:
    lonely, busy = (EmbeddedDetector(EmbeddedDetectorConfig()) for _ in range(2))
    alone = [people for _, people, _ in run(lonely, PASSERS_BY, (0.0, 4.0))]
    together = []
    other = run(busy, PASSERS_BY[2:], (0.0, 4.0), camera="other", background=street(2))
    for _, people, _ in run(busy, PASSERS_BY, (0.0, 4.0)):
        next(other)
        together.append(people)
    assert all(np.array_equal(a.boxes, b.boxes) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("sigma", [0.0, 5.0, 15.0])
def test_noise_alone_is_nobody(sigma: float) -> None:
    frames = run(EmbeddedDetector(EmbeddedDetectorConfig()), [], (0.0, 5.0), sigma=sigma)
    assert sum(len(found) for _, found, _ in frames) == 0


@pytest.mark.parametrize("light", [0.6, 1.3])
def test_light_that_is_switched_hides_nobody_and_makes_nobody_up(
    light: float, experienced: EmbeddedDetector
) -> None:
    walker = [Walker(0.0, 20.0, 220.0)]
    list(run(experienced, walker, (20.0, 21.0)))
    recall, precision = recall_and_precision(list(run(experienced, walker, (5.0, 8.0), light=light)))
    assert recall > 0.9
    assert precision > 0.9


def test_a_scene_that_changes_as_a_whole_is_learned_anew(experienced: EmbeddedDetector) -> None:
    elsewhere = 255 - street(3)
    elsewhere[::7] //= 2
    frames = list(run(experienced, [], (20.0, 24.0), background=elsewhere))
    assert sum(len(found) for _, found, _ in frames) == 0


def test_a_video_that_changes_size_goes_on(experienced: EmbeddedDetector) -> None:
    small = cv2.resize(street(), (WIDTH // 2, HEIGHT // 2)).astype(np.uint8)
    frame = Frame(CameraName("street"), 900, 90.0, small)
    assert len(experienced.detect(Tick(90.0, (frame,)))[0]) == 0
    recall, _ = recall_and_precision(list(run(experienced, PASSERS_BY, (0.0, 15.0)))[40:])
    assert recall > 0.85


def test_who_was_there_at_first_and_leaves_is_no_ghost_for_long() -> None:
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    leaving = [Walker(200.0, 60.0, 220.0), *PASSERS_BY]
    frames = [frame for frame in run(detector, leaving, (0.0, 8.0)) if frame[0] > 4.0]
    place = np.array([Walker(200.0, 60.0, 220.0).box(0.0)])
    ghosts = sum(
        bool((iou_matrix(found.boxes, place) > 0.5).any())
        for _, found, boxes in frames
        if len(found) and not (len(boxes) and (iou_matrix(boxes, place) > 0.1).any())
    )
    assert ghosts == 0


def test_who_stands_still_for_a_while_stays_visible(experienced: EmbeddedDetector) -> None:
    standing = [Walker(240.0, 0.0, 230.0)]
    frames = list(run(experienced, standing, (20.0, 35.0)))
    recall, precision = recall_and_precision(frames)
    assert recall > 0.95
    assert precision > 0.95


def test_two_people_side_by_side_are_two(experienced: EmbeddedDetector) -> None:
    pair = [Walker(-300.0, 25.0, 230.0), Walker(-272.0, 25.0, 233.0, (30, 90, 30))]
    for _, people, boxes in run(experienced, pair, (20.0, 23.0)):
        if len(boxes) == 2:
            overlaps = iou_matrix(people.boxes[people.scores > 0.3], boxes) > 0.5
            assert overlaps.any(axis=0).all()
            assert len(overlaps) == 2


def test_a_shadow_is_nobody(experienced: EmbeddedDetector) -> None:
    scene = street()
    for number in range(30):
        picture = scene.copy()
        mask = cv2.ellipse(
            np.zeros((HEIGHT, WIDTH), np.uint8), (100 + 5 * number, 200), (20, 45), 0, 0, 360, 1, -1
        ).astype(np.bool_)
        picture[mask] = (picture[mask] * 0.8).astype(np.uint8)
        time = 20.0 + number / FRAME_RATE
        (found,) = experienced.detect(Tick(time, (Frame(CameraName("street"), 201 + number, time, picture),)))
        assert (found.scores < 0.3).all()


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (640, 360), (1920, 1080), (100, 2000)])
def test_a_source_without_pixels_shows_nobody(size: tuple[int, int]) -> None:
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    for number in range(1, 4):
        frame = Frame(CameraName("blank"), number, number / 10, blank_image(*size))
        assert len(detector.detect(Tick(frame.time, (frame,)))[0]) == 0


def test_time_that_stands_still_or_runs_back_does_no_harm() -> None:
    background = Background.from_picture(street(), 5.0)
    for time in (5.0, 4.0, 4.0, 1e9):
        background.compare(street(), time)
    assert all(np.isfinite(array).all() for array in background.state().values())


def test_the_height_line_is_found_among_wrong_samples() -> None:
    random = np.random.default_rng(7)
    rows = random.uniform(60, 200, 200)
    heights = (0.4 * rows + 5) * random.normal(1, 0.03, 200)
    heights[:60] *= random.uniform(0.3, 0.8, 60)  # legs that have the colour of the floor
    line = HeightLine.fit(rows, heights, np.ones(200))
    assert line.at(np.array([60.0, 200.0])) == pytest.approx([29.0, 85.0], rel=0.06)


def test_samples_that_all_stand_in_one_row_make_a_line_of_the_usual_slope() -> None:
    line = HeightLine.fit(np.full(40, 100.0), np.full(40, 50.0), np.ones(40))
    assert line.at(np.array([100.0]))[0] == pytest.approx(50.0, rel=0.01)
    assert 0.3 < line.slope < 0.5


@pytest.mark.parametrize("slope", [-1.0, 0.0, 0.4, 3.0])
@pytest.mark.parametrize("offset", [-100.0, 0.0, 50.0, 1e4])
def test_any_line_makes_a_placer_that_finds_nobody_where_nothing_moves(slope: float, offset: float) -> None:
    placer = PersonPlacer(HeightLine(slope, offset), 96, 54, 0.1)
    still = np.zeros((54, 96), np.bool_)
    boxes, gains = placer.place(still, still)
    assert boxes.shape == (0, 4)
    assert gains.shape == (0,)


@pytest.mark.real
def test_people_of_pets_are_found() -> None:
    """The first 200 frames, with the background and the heights unknown at first."""
    folder = shared_folder() / "data" / "video"
    truth = read_mot(folder / "PETS09-S2L1" / "gt" / "gt.txt")
    capture = cv2.VideoCapture(str(folder / "PETS09-S2L1.mp4"))
    detector = EmbeddedDetector(EmbeddedDetectorConfig())
    hits = people = found = 0
    for number in range(1, 201):
        there, image = capture.read()
        assert there
        time = (number - 1) / 7
        frame = Frame(CameraName("pets"), number, time, np.asarray(image, np.uint8))
        (detections,) = detector.detect(Tick(time, (frame,)))
        rows = truth[truth.frames == number]
        overlaps = iou_matrix(detections.boxes[detections.scores > 0.45], xywh_to_xyxy(rows.boxes)) >= 0.5
        hits += int(overlaps[:, rows.scores > 0].any(axis=0).sum())
        people += int((rows.scores > 0).sum())
        found += len(overlaps)
    assert hits / people > 0.8
    assert hits / found > 0.8
