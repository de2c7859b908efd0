"""The folder of one run: made once, never overwritten, continued where it was cut off."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from foundation.errors import ReuniteError
from foundation.files import write_whole
from tracker.config import RunConfig, dump_config, load_config

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
UNWRITABLE = (*NO_ROOM, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


class RunFolder:
    """Where the files of one run lie.

    ``state/`` is there as long as the run is not complete: a journal of all sightings and a
    checkpoint of every stage.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.summary = path / "summary.json"
        self.videos = path / "videos"
        self._state = path / "state"
        self.journal = self._state / "journal.bin"
        self.checkpoint = self._state / "checkpoint.npz"

    @classmethod
    def create(cls, config: RunConfig) -> "RunFolder":
        """Make FOLDER/NAME, or NAME2, NAME3, ... where that exists, with the configuration in it.

        Raises:
            ReuniteError: It cannot be written.
        """
        parent = Path(config.output.folder)
        number = 1
        while True:
            folder = cls(parent / f"{config.output.name}{'' if number == 1 else number}")
            try:
                parent.mkdir(parents=True, exist_ok=True)
                folder.path.mkdir()
                folder._state.mkdir()
                write_whole(folder.config, dump_config(config).encode())
                return folder
            except FileExistsError:
                if not folder.path.exists():
                    raise ReuniteError(f"{parent}: is a file; set output.folder to a folder") from None
                number += 1
            except OSError as error:
                raise ReuniteError(
                    f"{folder.path}: cannot be written: {error.strerror}; set output.folder to another place"
                ) from None

    @classmethod
    def reopen(cls, path: Path) -> tuple["RunFolder", RunConfig]:
        """A run that was cut off, and its configuration.

        Raises:
            ReuniteError: There is no run, or it is complete.
        """
        folder = cls(path)
        if not folder.config.is_file():
            raise ReuniteError(f"{path}: no config.yaml in it, so there is no run to resume")
        if not folder.is_unfinished:
            raise ReuniteError(f"{path}: this run is complete, there is nothing to resume")
        return folder, load_config(folder.config)

    @classmethod
    def newest_unfinished(cls, parent: Path) -> Path:
        """The run that was cut off last.

        Raises:
            ReuniteError: There is none.
        """
        runs = [path for path in parent.glob("*/") if cls(path).is_unfinished and cls(path).config.is_file()]
        if not runs:
            raise ReuniteError(f"{parent}: no run in it was cut off, there is nothing to resume")
        return max(runs, key=lambda path: (path / "state").stat().st_mtime)

    @property
    def is_unfinished(self) -> bool:
        """Whether the run can be resumed."""
        return self._state.is_dir()

    @contextmanager
    def way_out(self) -> Iterator[None]:
        """Whatever goes wrong within says that nothing is lost, and how to go on.

        Raises:
            ReuniteError: Something went wrong.
        """
        kept, go_on = "nothing that was saved is lost", f"then go on with: reunite track --resume {self.path}"
        try:
            yield
        except ReuniteError as error:
            raise ReuniteError(f"{error}; {kept}: mend that, {go_on}") from error
        except OSError as error:
            what = "write" if error.errno in UNWRITABLE else "go on"
            first = "make room" if error.errno in NO_ROOM else "mend that"
            reason = error.strerror or error
            raise ReuniteError(f"{self.path}: cannot {what} ({reason}); {kept}: {first}, {go_on}") from error

    def finish(self) -> None:
        """The run is complete: let go of what only a resumed run would need."""
        shutil.rmtree(self._state)
