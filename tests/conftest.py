"""Where the real material lies, and which tests run without it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_folder() -> Path:
    """The folder of real videos, ground truth and weights that lies beside the repository."""
    return SHARED


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave `real` tests out where there is no real material; where it is there they run, broken or not."""
    if SHARED.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("real")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
