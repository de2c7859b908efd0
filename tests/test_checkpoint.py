"""Where a run stands, in one file that is always whole."""

from pathlib import Path

import numpy as np
import pytest

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.recording.checkpoint import Progress, load_checkpoint, save_checkpoint
from tracker.types import CameraName, State


def test_what_was_saved_comes_back_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.npz"
    rng = np.random.default_rng(0)
    states: dict[str, State] = {
        "detector": {"cam/1/background": rng.integers(0, 255, (4, 5, 3), np.uint8)},
        "tracker": {"cam/1/ids": np.arange(3), "mean": rng.normal(size=(3, 8))},
        "memory": {"ids": np.zeros(0, np.int64)},
    }
    progress = Progress([CameraName("b")], {CameraName("b"): 7}, {CameraName("b"): 6}, {"read": 0.5}, 12)
    save_checkpoint(path, progress, states)
    loaded, loaded_states = load_checkpoint(path)
    assert loaded == progress
    assert loaded_states.keys() == states.keys()
    for name, state in states.items():
        assert loaded_states[name].keys() == state.keys()
        for key, array in state.items():
            assert loaded_states[name][key].dtype == array.dtype
            assert np.array_equal(loaded_states[name][key], array)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.npz"
    path.write_bytes(content)
    with pytest.raises(ReuniteError, match="start the run anew") as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value)


def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.npz"
    monkeypatch.setattr("tracker.recording.checkpoint.VERSION", 99)
    save_checkpoint(path, Progress(), {})
    monkeypatch.undo()
    with pytest.raises(ReuniteError, match="version 99"):
        load_checkpoint(path)


def test_a_failed_write_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.json"
    write_whole(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("summary.json", b"old")]
