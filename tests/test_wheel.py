"""The wheel: built, installed elsewhere, and used in an empty folder where the sources are not."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.clips import cut_clip

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("foundation", "tracker", "reid", "configs")
FILES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

PROGRAM = '''
"""What a typed program imports."""

from tracker import Detections, MultiCameraTracker, Sightings, Tick, blank_image, load_config

config = load_config("file", ["camera_motion.kind=none", "embedder.kind=none", "tracking.max_lost_s=2"])
seconds: float = config.tracking.max_lost_s
assert seconds == 2
tracker = MultiCameraTracker(["door"], config)
tick = Tick.of(0.0, {"door": blank_image(64, 48)})
people: Sightings = tracker.step(tick, {"door": Detections.of([[1, 2, 30, 40]], scores=[0.9])})["door"]
assert people.track_ids.tolist() == [1]
'''


def run(*words: str | Path, folder: Path) -> str:
    """What a command prints; it must be well."""
    done = subprocess.run(
        [str(word) for word in words], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment that holds the wheel, and sees the packages of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    sources.mkdir()
    for name in SOURCES:
        shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, sources)
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, sources, folder=folder)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    run(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel, folder=folder)
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=folder).strip()
    # A line of a .pth is put behind the environment's own packages, and runs no .pth of that folder in turn.
    (Path(site) / "packages-of-the-tests.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def test_a_sample_video_is_tracked_by_name_in_an_empty_folder(
    python: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    program = python.with_name("reunite")
    video = cut_clip(ROOT / "videos" / "cam1.mp4", tmp_path_factory.mktemp("videos"), 150)
    printed = run(program, "track", video, "--config", "embedded", folder=tmp_path)
    assert "runs/track" in printed
    assert (tmp_path / "runs" / "track" / "mot" / "cam1.txt").read_text()
    recipe = run(
        python,
        "-c",
        "from reid.config import load_config; print(load_config('reid/ha-cnn').name)",
        folder=tmp_path,
    )
    assert recipe == "ha-cnn\n"


def test_a_typed_program_imports_the_package(python: Path, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    where = run(python, "-c", "import tracker; print(tracker.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(python.parents[1])
    run(python, "program.py", folder=tmp_path)
    # What lies behind the package's own types plays no part, and takes most of the time.
    behind = "mypy-torch.*,torchvision.*,cv2.*,matplotlib.*,supervision.*,rich.*"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\n[{behind}]\nfollow_imports = skip\n")
    run(python, "-m", "mypy", "--strict", "program.py", folder=tmp_path)
