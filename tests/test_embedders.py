"""Colour histograms: unit vectors that tell people apart, whatever the boxes."""

import cv2
import numpy as np
import pytest

from foundation.arrays import BoolArray, EmbeddingArray, FloatArray, Image
from foundation.mot_files import read_mot
from tests.conftest import shared_folder
from tracker.config import ColorEmbedderConfig
from tracker.embedders.color import ColorEmbedder
from tracker.embedders.lomo import LomoEmbedder
from tracker.embedders.none import NoEmbedder
from tracker.geometry import xywh_to_xyxy
from tracker.types import CameraName, Detections, Frame, Tick, blank_image

GREEN, RED, BLUE, GREY = (40, 160, 40), (40, 40, 170), (170, 60, 30), (120, 120, 120)


def people_at(*boxes: tuple[float, float, float, float]) -> Detections:
    return Detections(np.array(boxes, np.float64).reshape(-1, 4), np.ones(len(boxes)))


def everybody(people: Detections) -> BoolArray:
    return np.ones(len(people), np.bool_)


def picture_of(*clothes: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Image:
    """People of 40 x 100 pixels side by side, 100 pixels apart, in coat and trousers of a colour."""
    image = np.full((200, 100 * len(clothes), 3), 200, np.uint8)
    for number, (coat, trousers) in enumerate(clothes):
        left = 100 * number + 30
        image[50:100, left : left + 40] = coat
        image[100:150, left : left + 40] = trousers
    return image


def box_of(number: int) -> tuple[float, float, float, float]:
    return 100 * number + 30, 50, 100 * number + 70, 150


def embed(image: Image, people: Detections, config: ColorEmbedderConfig | None = None) -> EmbeddingArray:
    tick = Tick(0.0, (Frame(CameraName("door"), 1, 0.0, image),))
    (observations,) = ColorEmbedder(config or ColorEmbedderConfig()).embed(
        tick, [people], [everybody(people)]
    )
    assert observations.boxes is people.boxes
    assert observations.scores is people.scores
    return observations.embeddings


def test_equal_clothes_are_alike_and_other_clothes_are_not() -> None:
    image = picture_of((RED, BLUE), (RED, BLUE), (GREEN, GREY))
    embeddings = embed(image, people_at(box_of(0), box_of(1), box_of(2)))
    similarity = embeddings @ embeddings.T
    assert similarity[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert similarity[0, 2] < 0.4


def test_a_red_coat_over_blue_trousers_is_not_a_blue_coat_over_red_trousers() -> None:
    embeddings = embed(picture_of((RED, BLUE), (BLUE, RED)), people_at(box_of(0), box_of(1)))
    assert embeddings[0] @ embeddings[1] < 0.5


def test_a_little_more_light_changes_little() -> None:
    dark = picture_of((RED, BLUE))
    bright = np.clip(dark * 1.05, 0, 255).astype(np.uint8)
    similarity = embed(dark, people_at(box_of(0)))[0] @ embed(bright, people_at(box_of(0)))[0]
    other = embed(dark, people_at(box_of(0)))[0] @ embed(picture_of((GREEN, GREY)), people_at(box_of(0)))[0]
    assert similarity > 0.9 > other + 0.4


@pytest.mark.parametrize(
    "box",
    [
        (-20.0, -50.0, 20.0, 50.0),
        (90.0, 150.0, 130.0, 250.0),
        (-500.0, -500.0, -400.0, -300.0),
        (1e9, 1e9, 1e9 + 50, 1e9 + 100),
        (-1e12, -1e12, 1e12, 1e12),
        (10.0, 10.0, 10.001, 10.001),
    ],
)
def test_every_box_gives_a_finite_vector_of_length_one(box: tuple[float, float, float, float]) -> None:
    embeddings = embed(picture_of((RED, BLUE)), people_at(box))
    assert np.isfinite(embeddings).all()
    assert np.linalg.norm(embeddings, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_the_part_beyond_the_picture_changes_nothing_in_the_part_within() -> None:
    image = picture_of((RED, BLUE))
    cut = embed(image[:, 50:], people_at((-20, 50, 20, 150)))
    assert cut[0] @ embed(image, people_at(box_of(0)))[0] == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("light_bins", [1, 2, 16])
@pytest.mark.parametrize("chroma_bins", [1, 2, 8])
def test_any_number_of_bins_gives_vectors_of_length_one(light_bins: int, chroma_bins: int) -> None:
    config = ColorEmbedderConfig(brightness_bins=light_bins, chroma_bins=chroma_bins)
    image = np.random.default_rng(1).integers(0, 256, (200, 100, 3), np.uint8)
    embeddings = embed(image, people_at(box_of(0)), config)
    assert embeddings.shape[1] == embed(image, people_at(), config).shape[1]
    assert np.linalg.norm(embeddings) == pytest.approx(1.0, abs=1e-5)


def test_nobody_gives_no_rows_of_the_usual_length() -> None:
    image = picture_of((RED, BLUE))
    nobody, somebody = embed(image, people_at()), embed(image, people_at(box_of(0)))
    assert nobody.shape == (0, somebody.shape[1])
    assert nobody.dtype == somebody.dtype == np.float32


def test_a_source_without_pixels_makes_all_people_alike() -> None:
    embeddings = embed(blank_image(640, 480), people_at((0, 0, 50, 100), (300, 200, 340, 300)))
    assert embeddings[0] @ embeddings[1] == pytest.approx(1.0, abs=1e-6)


def test_each_frame_is_embedded_from_its_own_picture() -> None:
    frames = tuple(
        Frame(CameraName(name), 1, 0.0, picture_of(clothes))
        for name, clothes in (("a", (RED, BLUE)), ("b", (GREEN, GREY)), ("c", (RED, BLUE)))
    )
    people = people_at(box_of(0))
    a, b, c = ColorEmbedder(ColorEmbedderConfig()).embed(
        Tick(0.0, frames), [people] * 3, [everybody(people)] * 3
    )
    assert (a.embeddings == c.embeddings).all()
    assert (a.embeddings != b.embeddings).any()


def test_lomo_embeds_whom_it_is_asked_for_and_says_what_its_cosines_mean() -> None:
    embedder = LomoEmbedder()
    people = people_at(box_of(0), box_of(1), box_of(2), (900, 900, 990, 990))
    frame = Frame(CameraName("door"), 1, 0.0, picture_of((RED, BLUE), (RED, BLUE), (GREEN, GREY)))
    needed = np.array([True, True, True, True])
    (found,) = embedder.embed(Tick(0.0, (frame,)), [people], [needed])
    assert np.linalg.norm(found.embeddings, axis=1) == pytest.approx([1, 1, 1, 0])
    similarity = found.embeddings @ found.embeddings.T
    assert similarity[0, 1] > 0.99 > similarity[0, 2] + 0.1
    assert embedder.prior is not None
    assert embedder.network is not None
    assert embedder.network.dimension == found.embeddings.shape[1]


def test_no_embedder_gives_embeddings_of_length_zero() -> None:
    tick = Tick(0.0, (Frame(CameraName("door"), 1, 0.0, blank_image(64, 48)),))
    people = people_at((0, 0, 5, 9), (9, 9, 20, 40))
    (observations,) = NoEmbedder().embed(tick, [people], [everybody(people)])
    assert observations.embeddings.shape == (2, 0)


def test_colours_of_other_settings_are_another_network() -> None:
    usual, same, other = (
        ColorEmbedder(ColorEmbedderConfig(brightness_bins=bins)).network for bins in (16, 16, 12)
    )
    assert usual is not None
    assert other is not None
    assert usual == same
    assert usual.fingerprint != other.fingerprint
    image = picture_of((RED, BLUE))
    assert embed(image, people_at(box_of(0))).shape[1] == usual.dimension
    assert NoEmbedder().network is None


@pytest.mark.real
def test_colours_recognise_people_a_second_later() -> None:
    """PETS09-S2L1, 7 frames per second: the most alike of all people a second later is the same person."""
    folder = shared_folder() / "data" / "video"
    truth = read_mot(folder / "PETS09-S2L1" / "gt" / "gt.txt")
    truth = truth[truth.scores > 0]
    embedder = ColorEmbedder(ColorEmbedderConfig())
    capture = cv2.VideoCapture(str(folder / "PETS09-S2L1.mp4"))
    seen: list[tuple[FloatArray, EmbeddingArray]] = []
    for number in range(1, 301):
        there, image = capture.read()
        assert there
        rows = truth[truth.frames == number]
        people = Detections(xywh_to_xyxy(rows.boxes), rows.scores)
        tick = Tick(0.0, (Frame(CameraName("pets"), number, 0.0, np.asarray(image, np.uint8)),))
        (observations,) = embedder.embed(tick, [people], [everybody(people)])
        seen.append((rows.ids.astype(np.float64), observations.embeddings))
    right = total = 0
    chance = 0.0
    for (ids, embeddings), (later_ids, later_embeddings) in zip(seen, seen[7:], strict=False):
        there_later = np.isin(ids, later_ids)
        best = (embeddings[there_later] @ later_embeddings.T).argmax(axis=1)
        right += int((later_ids[best] == ids[there_later]).sum())
        total += int(there_later.sum())
        chance += there_later.sum() / len(later_ids)
    assert total > 1000
    assert chance / total < 0.25
    assert right / total > 0.9
