"""Result files scored against ground truth files: one report over all sequences or cameras."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.errors import ReuniteError
from foundation.mot_files import MotTable
from tracker.evaluate.files import (
    ALL_FRAMES,
    find_ground_truth,
    find_results,
    frames_to_score,
    read_ground_truth,
    read_info,
    read_result,
    read_starts,
)
from tracker.metrics import FramePair, Scores, compare, score_cameras
from tracker.metrics.calibration import read_calibration
from tracker.metrics.decided import decided_after, find_tracks
from tracker.metrics.reentry import (
    MIN_AWAY_S,
    Presence,
    Reentry,
    count_reentries,
    find_presence,
    find_visits,
)
from tracker.reports.tracks import read_tracks


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """Scores of every sequence and of all together.

    Attributes:
        sequences: Scores of each sequence or camera by itself, by name.
        combined: Of all sequences, from the sums of their counts; with ``many_cameras`` of all cameras,
            where the same id in every camera is the same person.
        many_cameras: Which of the two ``combined`` is.
        missing: Sequences with ground truth and no result; scored as if no people had been found.
        reentry: With ``many_cameras``: what became of people who came back; None where a camera is untimed.
        untimed: Cameras without a seqinfo.ini, whose frames have no known time.
        frames: The frames of each sequence that were scored.
        pairs: Ground truth and result of those in which anything is, by sequence and frame number.
        has_other_tracks: The tracks.csv beside the results has other tracks or another clock, so it is not
            known when it was decided who they are.
    """

    sequences: Mapping[str, Scores]
    combined: Scores
    many_cameras: bool
    missing: tuple[str, ...]
    reentry: Reentry | None
    untimed: tuple[str, ...]
    frames: Mapping[str, range]
    pairs: Mapping[str, Mapping[int, FramePair]]
    has_other_tracks: bool

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON; fractions, not percent."""
        return {
            "many_cameras": self.many_cameras,
            "missing": list(self.missing),
            "combined": self.combined.as_dict(),
            "reentry": self.reentry.as_dict() if self.reentry else None,
            "sequences": {name: scores.as_dict() for name, scores in self.sequences.items()},
        }


def evaluate_results(
    results: Path,
    ground_truth: Path,
    many_cameras: bool = False,
    frames: str = ALL_FRAMES,
    min_away_s: float = MIN_AWAY_S,
) -> Report:
    """Score result files against ground truth files.

    Result and ground truth are paired by name. A result file that is named itself, not its folder, is
    scored alone: with its sequence, or, where the ground truth is one sequence, with that whatever its name.

    Args:
        results: A text file, a folder of NAME.txt, or a folder that has those in ``mot`` or ``data``.
        ground_truth: A gt.txt, a folder with gt/gt.txt, or a folder of NAME/gt/gt.txt or
            train/NAME/gt/gt.txt. A seqinfo.ini beside ``gt`` says how many frames there are; without it
            the last box of ground truth or result is in the last frame.
        many_cameras: Identities are shared by all sequences, and frame 1 is taken at the same moment,
            unless the run folder says when each camera began.
        frames: ``all``, ``second-half`` or ``A-B``, both included.
        min_away_s: With ``many_cameras``: seconds out of all cameras that make a return.

    Raises:
        ReuniteError: Nothing is there, a result has no ground truth, a file cannot be read, a box is in a
            frame after the last, ``frames`` lies outside of a sequence, or ``min_away_s`` is no longer than
            the time between two frames.
    """
    truth_files = find_ground_truth(ground_truth)
    result_files = find_results(results)
    if results.is_file():
        name = next(iter(truth_files)) if len(truth_files) == 1 else results.stem
        result_files = {name: results}
        truth_files = {name: truth_files[name]} if name in truth_files else truth_files
    for name, file in result_files.items():
        if name not in truth_files:
            raise ReuniteError(
                f"{file}: no ground truth named '{name}' in {ground_truth}, "
                f"which has {', '.join(truth_files)}"
            )
    sequences: dict[str, Scores] = {}
    frame_pairs: dict[str, dict[int, FramePair]] = {}
    windows: dict[str, range] = {}
    presence: list[Presence] = []
    untimed: list[str] = []
    starts_s = read_starts(results / "summary.json") if many_cameras else {}
    for name, file in truth_files.items():
        result = read_result(result_files[name]) if name in result_files else MotTable.empty()
        truth = read_ground_truth(file, name, result)
        window = windows[name] = frames_to_score(frames, truth)
        pairs = frame_pairs[name] = compare(result, truth, window)
        sequences[name] = score_cameras([[*pairs.values()]])
        if many_cameras:
            info = read_info(file)
            if info is None:
                untimed.append(name)
                continue
            if not min_away_s > 1 / info.frame_rate:
                raise ReuniteError(
                    f"--min-away {min_away_s:g}: must be longer than the {1 / info.frame_rate:g} s between "
                    f"two frames of {name}"
                )
            camera, start_s = len(frame_pairs) - 1, starts_s.get(name, 0.0)
            presence.append(find_presence(camera, truth, pairs, window, info.frame_rate, start_s))
    reentry, has_other_tracks = None, False
    if many_cameras and not untimed:
        reentry, has_other_tracks = judge_returns(
            Presence.together(presence), min_away_s, results, [*truth_files]
        )
    first, *others = sequences.values()
    return Report(
        sequences=sequences,
        combined=score_cameras([*it.values()] for it in frame_pairs.values())
        if many_cameras
        else sum(others, start=first),
        many_cameras=many_cameras,
        missing=tuple(name for name in truth_files if name not in result_files),
        reentry=reentry,
        untimed=tuple(untimed),
        frames=windows,
        pairs=frame_pairs,
        has_other_tracks=has_other_tracks,
    )


def judge_returns(
    presence: Presence, min_away_s: float, results: Path, cameras: Sequence[str]
) -> tuple[Reentry, bool]:
    """What became of people who came back, beside what a run folder says; see `Report.has_other_tracks`."""
    visits = find_visits(presence, min_away_s)
    decided_s, table = None, read_tracks(results / "tracks.csv")
    tracks = None if table is None else find_tracks(presence, cameras, table)
    if table is not None and tracks is not None:
        decided_s = decided_after(visits, presence, tracks, table.decided_s, min_away_s)
    calibration = read_calibration(results / "calibration.json")
    reentry = Reentry(min_away_s, count_reentries(visits), calibration, decided_s)
    return reentry, table is not None and tracks is None
