"""How good tracking is: CLEAR (MOTA), identity (IDF1) and HOTA, for one sequence, many, or many cameras.

`compare` lays result and ground truth side by side, frame by frame; `count_clear`, `count_identity` and
`count_hota` count; `Scores` turns counts into figures. Counts of sequences are added, and every figure of
a benchmark comes from the sums. Conventions are those of TrackEval, whose figures the field publishes;
docs/evaluation.md says where other tools differ and by how much.
"""

from tracker.metrics.counts import (
    ClearCounts,
    ClearMatches,
    HotaCounts,
    IdentityCounts,
    count_clear,
    count_hota,
    count_identity,
    match_clear,
)
from tracker.metrics.overlap import FramePair, GroundTruth, compare
from tracker.metrics.scores import Scores, score_cameras, score_sequence

__all__ = [
    "ClearCounts",
    "ClearMatches",
    "FramePair",
    "GroundTruth",
    "HotaCounts",
    "IdentityCounts",
    "Scores",
    "compare",
    "count_clear",
    "count_hota",
    "count_identity",
    "match_clear",
    "score_cameras",
    "score_sequence",
]
