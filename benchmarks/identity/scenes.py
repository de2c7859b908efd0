"""What the cameras of a benchmark scene see: real pixels, a simulated world, real boxes without pixels."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from inspect import getfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.identity.appearance import NOBODY, CameraEmbeddings, DrawnPeople, Spread
from benchmarks.identity.cache import Arrays, cached, digest
from foundation.arrays import BoolArray, EmbeddingArray, IntArray
from foundation.errors import ReuniteError
from foundation.mot_files import MotTable, SequenceInfo, read_mot, read_seqinfo
from reid.weights import DEFAULT_WEIGHTS
from tracker.build import build_detector, build_embedder
from tracker.config import FileDetectorConfig, ReidEmbedderConfig, SourceConfig, UltralyticsDetectorConfig
from tracker.geometry import xywh_to_xyxy
from tracker.metrics import GroundTruth, compare
from tracker.metrics.overlap import EPSILON, MIN_IOU, match_highest
from tracker.simulate import SimulationConfig, simulate
from tracker.sources import open_source
from tracker.types import Detections, Tick

PETS = {
    "pets-2x1": (2, 1, 120),
    "pets-2x2": (2, 2, 24),
    "pets-overlap-2": (2, 1, -200),
    "pets-overlap-3": (3, 1, -200),
}
"""Columns, rows and blind pixels between the cells that PETS09-S2L1 is cut into. Where cells overlap (below
0), each but the first has another light, colour and sharpness, and every second one is a mirror image."""
PETS_PEOPLE = {19: 1, 13: 2, 11: 3, 12: 4, 9: 5, 10: 6, 14: 8, 15: 8, 18: 8}
"""Published number -> the number that the person had before: its ground truth gives whoever comes back a new
one. Found by looking at the pictures; the other ten numbers are ten people."""
CAMPUS_LIKELY_SCORE = 0.5
"""From which score on somebody is likely there; the detections that come with CAMPUS all have it."""
COLUMNS = ("frames", "boxes", "scores", "embeddings")
FLOOR_M = 8.0
"""How far from a camera of UFES people walk."""
NEWCOMERS = 0.9
"""Share of a simulation in which people come for the first time, at random times; else all would come in its
first seconds, when nobody has left yet for whom a stranger could be taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What a detector found in one camera, and what that looks like.

    Attributes:
        truth: Who is there; its name is the camera's.
        info: Picture size, frame rate, number of frames.
        found: All R detections, by frame.
        limits: (F + 1,) the detections of frame f (from 0) are rows ``limits[f]`` to ``limits[f + 1]``.
        likely_score: The detector's score from which somebody is likely there.
        embed: Frame (from 0) and (N,) which need an embedding -> (N, D), zeros for the others. Frames
            are asked for in rising order.
    """

    truth: GroundTruth
    info: SequenceInfo
    found: Detections
    limits: IntArray
    likely_score: float
    embed: Callable[[int, BoolArray], EmbeddingArray]


def watch_pets(
    name: str, use_truth: bool, as_published: bool, embedder: ReidEmbedderConfig, shared: Path, cache: Path
) -> list[Watched]:
    """PETS09-S2L1 cut into virtual cameras: real pixels; YOLO11n or true boxes.

    Whoever comes back is the same person in the truth, as `PETS_PEOPLE` says, or, ``as_published``, another.
    """
    folder = cut_pets(name, shared, cache)
    watched = _watch_videos(
        f"{name}{'-truth' * use_truth}", folder, folder, use_truth, embedder, shared, cache
    )
    if as_published:
        return watched
    return [replace(camera, truth=join_people(camera.truth, PETS_PEOPLE)) for camera in watched]


def watch_ufes(embedder: ReidEmbedderConfig, shared: Path, cache: Path) -> list[Watched]:
    """Four views of one room, three people in it, who were named by eye: real pixels, YOLO11n."""
    folder = shared / "data" / "ufes-4cam"
    return _watch_videos("ufes", folder, folder / "identities", False, embedder, shared, cache)


def ufes_homographies(shared: Path) -> dict[str, Any]:
    """For each camera of UFES the matrix of pixels to metres on the floor, by its calibration.

    The lenses bend straight lines, which no matrix does: it is the one that fits best over all floor in view
    up to `FLOOR_M` away, off by 0.04 m there (median; at most 0.3 m).
    """
    homographies: dict[str, Any] = {}
    for file in sorted((shared / "data" / "ufes-4cam").glob("[0-9].json")):
        calibration = json.loads(file.read_text(encoding="utf-8"))
        lens = np.array(calibration["intrinsic"]["doubles"]).reshape(3, 3)
        bend = np.array(calibration["distortion"]["doubles"])
        to_camera = np.array(calibration["extrinsic"][0]["tf"]["doubles"]).reshape(4, 4)
        size = calibration["resolution"]
        pixels = np.mgrid[0 : size["width"] : 24, 0 : size["height"] : 24].reshape(2, -1).T.astype(np.float64)
        straight = cv2.undistortPoints(pixels[:, None], lens, bend)[:, 0]
        floor_to_picture = to_camera[:3][:, [0, 1, 3]]  # where z = 0
        floor = np.column_stack((straight, np.ones(len(straight)))) @ np.linalg.inv(floor_to_picture).T
        metres = floor[:, :2] / floor[:, 2:]
        depth = metres @ to_camera[2, :2] + to_camera[2, 3]
        is_near = (depth > 0) & (depth < FLOOR_M)
        found, _ = cv2.findHomography(pixels[is_near], metres[is_near], 0)
        homographies[f"cam{file.stem}"] = found.tolist()
    if not homographies:
        raise ReuniteError(f"{shared}: has no calibration of UFES; --shared names the folder of real data")
    return homographies


def detector_of(shared: Path) -> UltralyticsDetectorConfig:
    """YOLO11n, in the form that is among the data."""
    return UltralyticsDetectorConfig(weights=str(shared / "weights" / "yolo11n_int8_openvino_model"))


def _watch_videos(
    name: str,
    folder: Path,
    truth_folder: Path,
    use_truth: bool,
    embedder: ReidEmbedderConfig,
    shared: Path,
    cache: Path,
) -> list[Watched]:
    """The videos of a folder, detected, or with true boxes, and everybody embedded; kept in the cache."""
    detector = detector_of(shared)
    truths = {video.stem: _read_truth(truth_folder / video.stem) for video in sorted(folder.glob("*.mp4"))}
    if not truths:
        raise ReuniteError(f"{folder}: has no videos; --shared names the folder of real data")

    def embed_everybody() -> Arrays:
        find = None if use_truth else build_detector(detector, {})
        embed = build_embedder(embedder)
        source = open_source([str(folder / f"{camera}.mp4") for camera in truths], SourceConfig(), {})
        seen_by: dict[str, list[tuple[NDArray[Any], ...]]] = {camera: [] for camera in truths}
        for tick in source.ticks():
            found = find.detect(tick) if find else _true_boxes(tick, truths)
            needed = [np.ones(len(people), np.bool_) for people in found]
            for frame, seen in zip(tick.frames, embed.embed(tick, found, needed), strict=True):
                numbers = np.full(len(seen), frame.number)
                seen_by[frame.camera].append((numbers, seen.boxes, seen.scores, seen.embeddings))
        source.close()
        if problems := [report.problem for report in source.reports.values() if report.problem]:
            raise ReuniteError("; ".join(problems))
        return {
            f"{camera}/{column}": np.concatenate(parts)
            for camera, frames in seen_by.items()
            for column, parts in zip(COLUMNS, zip(*frames, strict=True), strict=True)
        }

    made_of = digest(
        folder.name, use_truth, detector, embedder, Path(detector.weights), *network_of(embedder)
    )
    observed = cached(cache / f"{name}-embeddings-{made_of}.npz", embed_everybody)
    watched = []
    for camera, (truth, info) in truths.items():
        frames, embeddings = observed[f"{camera}/frames"], observed[f"{camera}/embeddings"]
        found = Detections(observed[f"{camera}/boxes"], observed[f"{camera}/scores"])
        limits = _limits(frames, info.length)

        def embed(
            frame: int, needed: BoolArray, embeddings: EmbeddingArray = embeddings, limits: IntArray = limits
        ) -> EmbeddingArray:
            return embeddings[limits[frame] : limits[frame + 1]] * needed[:, None]

        watched.append(Watched(truth, info, found, limits, detector.likely_score, embed))
    return watched


def network_of(embedder: ReidEmbedderConfig) -> list[Path]:
    """The files that embeddings depend on."""
    own = [DEFAULT_WEIGHTS, DEFAULT_WEIGHTS.with_suffix(".onnx")]
    return [Path(embedder.weights)] if embedder.weights else own


def join_people(truth: GroundTruth, person_of: Mapping[int, int]) -> GroundTruth:
    """The same truth, with other numbers for those people whose number is in ``person_of``."""
    ids = np.array([person_of.get(number, number) for number in truth.table.ids.tolist()], np.int64)
    return replace(truth, table=replace(truth.table, ids=ids))


def watch_campus(folder: Path, use_truth: bool, spread: Spread, seed: int) -> list[Watched]:
    """CAMPUS auditorium: four real views in two pairs that overlap; drawn embeddings."""
    cameras = []
    for path in sorted(file.parent for file in folder.glob("*/seqinfo.ini")):
        truth, info = _read_truth(path)
        found = read_mot(path / "det" / "det.txt")
        cameras.append((truth, info, truth.table if use_truth else match_people(found, truth)))
    if not cameras:
        raise ReuniteError(f"{folder}: has no sequences; --shared names the folder of real data")
    return draw_embeddings(cameras, CAMPUS_LIKELY_SCORE, spread, seed)


def watch_simulated(config: SimulationConfig, spread: Spread, cache: Path) -> list[Watched]:
    """A simulated world without pixels: its detections, whose noise the config states; drawn embeddings.

    Everybody has a time, up to `NEWCOMERS` of the whole, before which they are taken out.
    """
    folder = cache / f"simulated-{digest(config, Path(getfile(SimulationConfig)).parent)}"
    if not (folder / "calibration.json").exists():
        simulate(folder, config)
    last = max(2, round(NEWCOMERS * config.frames))
    first_frame = np.random.default_rng(config.seed).integers(1, last, config.people + 1)
    return draw_embeddings(
        read_simulated(folder, config, first_frame), FileDetectorConfig().likely_score, spread, config.seed
    )


def read_simulated(
    folder: Path, config: SimulationConfig, first_frame: IntArray
) -> list[tuple[GroundTruth, SequenceInfo, MotTable]]:
    """Truth, sequence and detections of the cameras of a simulated world; ids of detections are of people.

    Args:
        folder: What `simulate` wrote.
        config: The world.
        first_frame: (P + 1,) by person, from 1: before it they are taken out.
    """
    cameras = []
    for number in range(1, config.cameras + 1):
        truth, info = _read_truth(folder / f"cam{number}")
        found = read_mot(folder / f"cam{number}" / "det" / "det.txt")
        found = match_people(found[found.scores >= FileDetectorConfig().min_score], truth)
        found = found[(found.ids == NOBODY) | (found.frames >= first_frame[found.ids])]
        table = truth.table[truth.table.frames >= first_frame[truth.table.ids]]
        cameras.append((replace(truth, table=table), info, found))
    return cameras


def match_people(found: MotTable, truth: GroundTruth) -> MotTable:
    """The detections with ids: of whom each overlaps by `MIN_IOU` or more, one to one, else `NOBODY`."""
    people = np.full(len(found), NOBODY)
    for pair in compare(replace(found, ids=np.arange(len(found))), truth).values():
        rows, columns = match_highest(np.where(pair.ious >= MIN_IOU - EPSILON, pair.ious, 0.0))
        people[pair.tracks[columns]] = pair.people[rows]
    return replace(found, ids=people)


def draw_embeddings(
    cameras: Sequence[tuple[GroundTruth, SequenceInfo, MotTable]],
    likely_score: float,
    spread: Spread,
    seed: int,
) -> list[Watched]:
    """Truth, sequence and detections, whose ids say who each is, of cameras that share their people."""
    ids = np.unique(np.concatenate([truth.table.ids for truth, _, _ in cameras]))
    own, *others = np.random.default_rng(seed).spawn(1 + len(cameras))
    drawn = DrawnPeople(spread, len(ids), own)
    watched = []
    for (truth, info, found), rng in zip(cameras, others, strict=True):
        found = found[np.argsort(found.frames, kind="stable")]
        people = np.where(found.ids == NOBODY, NOBODY, np.searchsorted(ids, found.ids))
        limits = _limits(found.frames, info.length)
        draw = CameraEmbeddings(drawn, rng).draw

        def embed(
            frame: int,
            needed: BoolArray,
            draw: Callable[[float, IntArray, BoolArray], EmbeddingArray] = draw,
            people: IntArray = people,
            limits: IntArray = limits,
            frame_rate: float = info.frame_rate,
        ) -> EmbeddingArray:
            return draw(frame / frame_rate, people[limits[frame] : limits[frame + 1]], needed)

        boxes = Detections(xywh_to_xyxy(found.boxes), found.scores)
        watched.append(Watched(truth, info, boxes, limits, likely_score, embed))
    return watched


def _limits(frames: IntArray, num_frames: int) -> IntArray:
    """(F + 1,) where each frame's rows begin; ``frames`` (R,) count from 1 and rise."""
    return np.searchsorted(frames, np.arange(1, num_frames + 2))


def _read_truth(folder: Path) -> tuple[GroundTruth, SequenceInfo]:
    info = read_seqinfo(folder / "seqinfo.ini")
    return GroundTruth(folder.name, read_mot(folder / "gt" / "gt.txt", unique_ids=True), info.length), info


def _true_boxes(tick: Tick, truths: dict[str, tuple[GroundTruth, SequenceInfo]]) -> list[Detections]:
    found = []
    for frame in tick.frames:
        table = truths[frame.camera][0].table
        rows = table[(table.frames == frame.number) & (table.scores != 0)]
        found.append(Detections(xywh_to_xyxy(rows.boxes), np.ones(len(rows))))
    return found


def cut_pets(name: str, shared: Path, cache: Path) -> Path:
    """The folder of the virtual cameras that PETS09-S2L1 is cut into.

    Raises:
        ReuniteError: The data is not there.
    """
    tool = shared / "tools" / "split_cameras.py"
    video = shared / "data" / "video" / "PETS09-S2L1.mp4"
    truth = video.with_suffix("") / "gt" / "gt.txt"
    for path in (tool, video, truth):
        if not path.is_file():
            raise ReuniteError(f"{path}: no such file; --shared names the folder of real data")
    columns, rows, gap = PETS[name]
    folder = cache / f"{name}-{digest(tool, video, truth, columns, rows, gap)}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            out = Path(unfinished) / "cells"
            cut = [
                str(tool),
                str(video),
                str(truth),
                str(out),
                "--columns",
                str(columns),
                "--rows",
                str(rows),
            ]
            cut += ["--gap", str(gap), *(["--relight"] if gap < 0 else [])]
            subprocess.run([sys.executable, *cut], check=True, capture_output=True)
            out.rename(folder)
    return folder
