"""Who may import whom, read from the source itself."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from graphlib import TopologicalSorter
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "foundation": {"foundation"},
    "reid": {"foundation", "reid"},
    "tracker": {"foundation", "reid", "tracker"},
}
"""Each may import these of our own; of `tracker`, `HEAVY` says which rooms import `reid`."""

FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

LAYERS = [
    {"types"},
    {"colors"},
    {"stages", "config", "geometry", "kalman", "association", "letterbox", "clock"},
    {"ground"},
    {
        "camera_motion",
        "camera_tracker",
        "identity",
        "gallery",
        "sources",
        "detectors",
        "embedders",
        "sinks",
        "simulate",
        "smoothing",
        "metrics",
    },
    {"build", "exits"},
    {"multi_camera_tracker"},
    {"pipeline", "reports", "events"},
    {"analytics"},
    {"recording"},
    {"run", "evaluate", "search"},
    {"live"},
    {"tune"},
    {"cli"},
    {"__main__"},
]
"""Each room sees only what stands above it; rooms of one layer see each other only as `NEIGHBOURS` says."""

NEIGHBOURS = {("run", "evaluate"), ("gallery", "recording")}

HEAVY = {
    "torch": ("tracker/detectors", "tracker/embedders", "reid"),
    "ultralytics": ("tracker/detectors/yolo.py",),
    "onnxruntime": ("foundation/onnx_session.py",),
    "openvino": ("foundation/quiet_openvino.py", "tracker/detectors/openvino_yolo.py"),
    "cv2": (
        "tracker/ground.py",
        "tracker/identity/overlap.py",
        "tracker/letterbox.py",
        "tracker/camera_motion",
        "tracker/sources",
        "tracker/sinks",
        "tracker/reports",
        "tracker/detectors",
        "tracker/embedders",
        "tracker/simulate",
        "tracker/search",
        "tracker/live",
        "reid",
    ),
    "matplotlib": ("foundation/figures.py", "tracker/reports", "tracker/search", "reid/curves.py"),
    "motmetrics": (),
    "optuna": ("tracker/tune/search.py",),
    "reid": ("tracker/embedders", "tracker/cli.py", "reid"),
}
"""Only these places may import the library; ultralytics is AGPL-3.0 and stands in one file."""


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def layer_of(room: str) -> int:
    return next(index for index, rooms in enumerate(LAYERS) if room in rooms)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_imports_only_what_stands_below_it(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    for module in imported(path):
        library = module.split(".")[0]
        if library in HEAVY:
            assert place.startswith(HEAVY[library]), f"{place} may not import {library}"
        if library == "tracker" and place.startswith("tracker/"):
            room, needs = path.relative_to(ROOT / "tracker").parts[0].removesuffix(".py"), room_of(module)
            if room == "__init__" or needs in ("", room):
                continue
            lower = layer_of(needs) < layer_of(room)
            assert lower or (room, needs) in NEIGHBOURS, f"{place} may not import {module}"
        if library in PACKAGES:
            assert library in PACKAGES[place.split("/")[0]], f"{place} may not import {library}"


def test_no_file_imports_itself_by_way_of_others() -> None:
    names = {module_of(path): path for path in FILES}
    needs = {name: {other for other in imported(path) if other in names} for name, path in names.items()}
    TopologicalSorter(needs).prepare()  # CycleError names a circle


def test_the_rules_know_every_room() -> None:
    rooms = {
        path.relative_to(ROOT / "tracker").parts[0].removesuffix(".py")
        for path in FILES
        if "tracker" in path.parts
    }
    known = set().union(*LAYERS) | {"__init__"}
    assert rooms <= known


def test_nobody_is_told_that_openvino_is_used() -> None:
    program = """
from foundation.quiet_openvino import load_openvino
load_openvino()
from openvino.tools.ovc import convert_impl, telemetry_utils
print(convert_impl.tm.__name__, telemetry_utils.tm.__name__)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == 2 * ["openvino.tools.ovc.telemetry_stub"]


def test_the_command_that_tracks_loads_no_more_than_it_needs() -> None:
    """Each of these takes 50 to 500 MB, and seconds at every start."""
    late = {"torch", "matplotlib", "pyarrow", "pandas", "onnxruntime", "openvino", "ultralytics", "optuna"}
    program = f"import sys, tracker.run; print(*sorted({late} & sys.modules.keys()))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []


def test_people_are_tracked_without_any_extra() -> None:
    """Every package that the core's own requirements do not bring is hidden."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed, waiting = {"reunite"}, [Requirement(it).name for it in project["dependencies"]]
    while waiting:
        name = _normal(waiting.pop())
        if name not in needed:
            needed.add(name)
            waiting += [
                it.name
                for it in map(Requirement, requires(name) or ())
                if it.marker is None or it.marker.evaluate({"extra": ""})
            ]
    hidden = [
        module
        for module, brought_by in packages_distributions().items()
        if not needed & set(map(_normal, brought_by)) and module not in ("foundation", "tracker", "reid")
    ]
    assert {"torch", "openvino", "ultralytics", "fastapi"} <= {*hidden}
    program = f"""
import sys
sys.modules.update(dict.fromkeys({hidden}))
import numpy as np
from tracker import MultiCameraTracker, Tick, load_config
tracker = MultiCameraTracker(["door"], load_config("embedded"))
for number in range(3):
    tracker.step(Tick.of(number / 10, {{"door": np.zeros((240, 320, 3), np.uint8)}}))
print(len(tracker.finish()))
"""
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
