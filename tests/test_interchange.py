"""Detections from other libraries, and sightings to them."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import supervision as sv
import torch

from foundation.errors import ReuniteError
from tracker.types import Detections, Sightings, Tick, blank_image

BOXES: list[list[float]] = [[0.0, 1, 20, 50], [30, 1, 60, 52], [5, 5, 9, 9]]
NAMES = {0: "person", 2: "car"}


def test_detections_of_plain_lists_and_arrays() -> None:
    people = Detections.of(BOXES, [0.5, 0.75, 1])
    assert people.boxes.dtype == people.scores.dtype == np.float64
    assert people.boxes.tolist() == BOXES
    assert Detections.of(np.array(BOXES, np.float32)).scores.tolist() == [1, 1, 1]
    assert len(Detections.of([], [])) == len(Detections.of(np.empty((0, 4)))) == 0
    with pytest.raises(ValueError, match=r"Detections.boxes must have shape \(3, 4\), got \(3, 3\)"):
        Detections.of(np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"Detections.scores must have shape \(3\), got \(2,\)"):
        Detections.of(BOXES, [1, 1])


@pytest.mark.parametrize("kind", ["torch", "numpy"])
def test_detections_from_ultralytics(kind: str) -> None:
    # What `ultralytics.engine.results.Results` holds, on the device or after .numpy().
    as_it = torch.tensor if kind == "torch" else np.array
    boxes = SimpleNamespace(xyxy=as_it(BOXES), conf=as_it([0.5, 0.75, 1.0]), cls=as_it([0.0, 2.0, 0.0]))
    result = SimpleNamespace(boxes=boxes, names=NAMES)
    people = Detections.from_ultralytics(result)
    assert people.boxes.tolist() == [BOXES[0], BOXES[2]]
    assert people.scores.tolist() == [0.5, 1.0]
    assert len(Detections.from_ultralytics(result, class_name=None)) == 3
    assert len(Detections.from_ultralytics(result, class_name="car")) == 1
    with pytest.raises(ValueError, match="the result has no boxes"):
        Detections.from_ultralytics(SimpleNamespace(boxes=None, names=NAMES))


def test_detections_from_the_real_results_of_ultralytics() -> None:
    results = pytest.importorskip("ultralytics.engine.results")
    data = torch.tensor([[*box, 0.5, kind] for box, kind in zip(BOXES, (0, 2, 0), strict=True)])
    result = results.Results(np.zeros((60, 60, 3), np.uint8), "", NAMES, boxes=data)
    assert Detections.from_ultralytics(result).boxes.tolist() == [BOXES[0], BOXES[2]]
    empty = results.Results(np.zeros((60, 60, 3), np.uint8), "", NAMES, boxes=torch.zeros((0, 6)))
    assert len(Detections.from_ultralytics(empty)) == 0


def test_detections_from_supervision() -> None:
    names = np.array(["person", "car", "person"])
    scores = np.array([0.5, 0.75, 1.0])
    people = Detections.from_supervision(
        sv.Detections(np.array(BOXES), None, scores, data={"class_name": names})
    )
    assert people.boxes.tolist() == [BOXES[0], BOXES[2]]
    assert people.scores.tolist() == [0.5, 1.0]
    assert Detections.from_supervision(sv.Detections(np.array(BOXES))).scores.tolist() == [1, 1, 1]
    assert len(Detections.from_supervision(sv.Detections.empty())) == 0


def test_boxes_that_were_clipped_to_nothing_are_left_out() -> None:
    # Clipping takes the upper and the lower edge to the border each by itself.
    boxes = [[300.0, 480, 350, 480], BOXES[0], [5, 5, 4, 9], [5, 5, 5, 5]]
    people = Detections.from_supervision(sv.Detections(np.array(boxes), None, np.full(4, 0.5)))
    assert people.boxes.tolist() == [BOXES[0]]
    boxes[3] = [np.nan, 0, 9, 9]
    values = SimpleNamespace(xyxy=np.array(boxes), conf=np.full(4, 0.5), cls=np.zeros(4))
    result = SimpleNamespace(boxes=values, names={0: "person"})
    assert Detections.from_ultralytics(result).boxes.tolist() == [BOXES[0]]


SEEN = Sightings(np.array([4, 9]), np.array([2, 0]), np.array(BOXES[:2]), np.array([0.5, 0.75]))


def test_sightings_to_supervision_can_be_drawn_and_come_back() -> None:
    people = SEEN.to_supervision()
    assert isinstance(people, sv.Detections)
    np.testing.assert_array_equal(people.tracker_id, [2, 0])
    np.testing.assert_array_equal(people.data["track_id"], [4, 9])
    picture = np.zeros((60, 80, 3), np.uint8)
    sv.BoxAnnotator().annotate(picture, people)
    sv.TraceAnnotator().annotate(picture, people)
    assert picture.any()
    back = Detections.from_supervision(people)
    assert back.boxes.tolist() == SEEN.boxes.tolist()
    assert back.scores.tolist() == SEEN.scores.tolist()
    assert len(SEEN[:0].to_supervision()) == 0


def test_sightings_to_pandas() -> None:
    table = SEEN.to_pandas()
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == ["track", "identity", "x1", "y1", "x2", "y2", "score"]
    assert table.iloc[1].tolist() == [9, 0, *BOXES[1], 0.75]
    assert len(SEEN[:0].to_pandas()) == 0


@pytest.mark.parametrize("library", ["supervision", "pandas"])
def test_a_library_that_is_missing_is_one_sentence(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ReuniteError, match=f"pip install {library}"):
        getattr(SEEN, f"to_{library}")()


def test_neither_is_loaded_before_it_is_asked_for() -> None:
    program = "import sys, tracker.types; assert not {'supervision', 'pandas', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_tick_of_pictures() -> None:
    tick = Tick.of(2.5, {"door": blank_image(8, 4), "hall": blank_image(6, 4)}, number=7)
    assert [(it.camera, it.number, it.time, it.size) for it in tick.frames] == [
        ("door", 7, 2.5, (8, 4)),
        ("hall", 7, 2.5, (6, 4)),
    ]
