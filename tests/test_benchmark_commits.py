"""Two commits take turns at one command."""

import subprocess
from pathlib import Path

import pytest

from benchmarks import commits
from foundation.errors import ReuniteError

WORK = "sum(range({}))"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Has a commit `v1`, and one after it that does a thousand times the work."""
    monkeypatch.setattr(commits, "ROOT", tmp_path)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=me", "-c", "user.email=me@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for name, numbers in (("v1", 10**4), ("v2", 10**7)):
        (tmp_path / "job.py").write_text(f"import sys; {WORK.format(numbers)}; open(sys.argv[1], 'x')\n")
        subprocess.run([*git, "add", "--all"], check=True)
        subprocess.run([*git, "commit", "--quiet", "--message", name], check=True)
        subprocess.run([*git, "tag", name], check=True)
    return tmp_path


def test_more_work_is_slower(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--repeats", "1", "--", "-m", "job", "{folder}/written"]
    assert commits.main(["v1", "HEAD", *command]) == 1
    assert commits.main(["v2", "v1", *command]) == 0
    assert "v1 takes 0." in capsys.readouterr().out
    listed = subprocess.run(
        ["git", "-C", str(repository), "worktree", "list"], capture_output=True, text=True, check=True
    )
    assert len(listed.stdout.splitlines()) == 1


@pytest.mark.parametrize(("commit", "module"), [("nowhere", "job"), ("v1", "nothing")])
def test_what_fails_is_said(repository: Path, commit: str, module: str) -> None:
    del repository
    with pytest.raises(ReuniteError, match=r"nowhere|No module named nothing"):
        commits.main([commit, "v2", "--repeats", "1", "--", "-m", module])
