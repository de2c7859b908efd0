"""Where the real material lies, which tests run without it, and how many run beside each other."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

SHARED = Path(__file__).resolve().parents[2] / "shared"

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

MAX_WORKERS = 8
"""Each holds torch, OpenVINO and a few networks, which takes about 2 GB of memory."""

# Workers share the cores instead of each starting a thread for every core. The libraries read this once, so
# it stands before they are imported; programs that a test starts inherit it.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(variable, str(max(1, CORES // workers)))

# Without it OpenVINO and nncf send no usage statistics: each message forks the whole test process, and waits
# for an answer where there is no network.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

# A busy machine draws slowly, which is no fault of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def shared_folder() -> Path:
    """The folder of real videos, ground truth and weights that lies beside the repository."""
    return SHARED


@pytest.fixture
def blank_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed and not drawn: that takes longer than a small run, and the test looks at none."""
    for kind in ("png", "svg"):
        monkeypatch.setattr(f"foundation.figures.{kind}_of", lambda figure: b"")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """One for each core."""
    return min(CORES, MAX_WORKERS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave `real` tests out where there is no real material; where it is there they run, broken or not."""
    if SHARED.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("real")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
