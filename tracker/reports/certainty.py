"""How sure the number of people is, and what would make it surer."""

from collections.abc import Collection, Sequence

from tracker.config import GroundConfig
from tracker.identity.count import PeopleCount
from tracker.types import CameraName

SURE_SHARE = 0.2
"""An interval that is no wider than this share of the people, or than one person, is as good as can be."""


def what_would_help(
    count: PeopleCount,
    overlaps: Collection[tuple[CameraName, CameraName]],
    cameras: Sequence[CameraName],
    ground: GroundConfig,
) -> str:
    """The rest of a sentence that says how many people there were; empty where that is sure.

    Args:
        count: How many there were.
        overlaps: Pairs of cameras that see one place.
        cameras: All of them.
        ground: Which of them have a homography.
    """
    if count.high - count.low <= max(1.0, SURE_SHARE * count.expected):
        return ""
    if len(cameras) > 1 and not overlaps and not ground.homographies:
        return (
            "to be surer: if cameras see one place, say so (identity.overlap=all, or pairs of them), or give "
            "their homographies (reunite ground)"
        )
    if any(camera not in ground.homographies for pair in overlaps for camera in pair):
        return "to be surer: give the homographies of the cameras that see one place (reunite ground)"
    return "to be surer: take a network that tells these people better apart (reunite judge compares them)"
