"""What a program may import, and that the examples in the documents run as they are written."""

import doctest
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

import tracker
from tracker.sources.files import FileSource

ROOT = Path(__file__).resolve().parents[1]


def python_in(document: str, heading: str = "") -> str:
    """All Python of a document, or of one part of it, from top to bottom."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if heading:
        text = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```python\n(.*?)```", text, re.S))


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the sample videos, where runs may be written; they end after two seconds."""
    shutil.copytree(ROOT / "videos", tmp_path / "videos")
    ticks = FileSource.ticks
    monkeypatch.setattr(FileSource, "ticks", lambda source: islice(ticks(source), 20))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_of_the_package_runs() -> None:
    result = doctest.testmod(tracker)
    assert result.attempted > 5
    assert result.failed == 0


def test_every_name_is_there_and_no_other() -> None:
    assert all(getattr(tracker, name) is not None for name in tracker.__all__)
    assert set(tracker.__all__) <= set(dir(tracker))
    with pytest.raises(AttributeError, match="has no attribute 'MultiCamTracker'"):
        tracker.MultiCamTracker  # noqa: B018


def test_importing_it_loads_nothing_that_is_not_used() -> None:
    program = (
        "import sys, tracker; assert 'numpy' not in sys.modules; from tracker import CameraTracker, Tick; "
        "assert not {'torch', 'cv2', 'av', 'onnxruntime', 'pyarrow', 'rich', 'pandas'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


@pytest.mark.slow
def test_the_examples_in_docs_python_run_from_top_to_bottom(checkout: Path) -> None:
    program = python_in("docs/python.md")
    assert program.count("MultiCameraTracker(") > 4
    exec(compile(program, "docs/python.md", "exec"), {"__name__": "example"})
    assert (checkout / "runs/track/summary.json").is_file()


def test_the_example_in_the_readme_runs(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = python_in("README.md", "From Python")
    assert 5 <= len(program.splitlines()) <= 12
    exec(compile(program, "README.md", "exec"), {"__name__": "example"})
    assert "cam3" in capsys.readouterr().out
