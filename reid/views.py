"""Augmented views of the training pictures that are kept: what a teacher says of them, and how they look."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from math import prod
from os import getpid
from pathlib import Path
from shutil import disk_usage
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foundation.arrays import BoolArray, Image, IntArray
from foundation.errors import ReuniteError

Ask = Callable[[Sequence[Image]], NDArray[np.float32]]
"""From B augmented pictures to (B, E) what a teacher says of them."""

NOT_KEPT, SHOWS_SOMEBODY, SHOWS_NOBODY = range(3)


class Views:
    """The views of N pictures, in files beside the runs: one for each view, and for answers and pictures.

    They are filled as pictures come, so a run that is cut off loses nothing. Other students with the same
    pictures and augmentation share them, also while they run, as each would write the same.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        shape: tuple[int, int],
        size: tuple[int, int] | None = None,
        of_labels: str = "",
    ) -> None:
        """Keep the (N, E) answers of ``shape``, and with a ``size`` (height, width) the pictures too.

        ``of_labels`` is another fingerprint, of what a picture depends on and an answer does not.
        """
        self._folder, self._fingerprint, self._shape, self._size = folder, fingerprint, shape, size
        self._of_labels = of_labels
        self._view = -1
        self._said: NDArray[np.float16] = np.empty(0, np.float16)
        self._shown: NDArray[Any] = np.empty(0)

    def turn_to(self, view: int) -> None:
        """From now on this view is meant.

        Raises:
            ReuniteError: Its files are damaged, or of other pictures.
        """
        if view == self._view:
            return
        self._said = self._open("teacher", view, self._shape, np.dtype(np.float16), np.nan)
        if self._size:
            kind = np.dtype([("picture", np.uint8, (*self._size, 3)), ("state", np.uint8)])
            name = "pictures{}x{}{}".format(*self._size, self._of_labels and f"-{self._of_labels}")
            self._shown = self._open(name, view, self._shape[:1], kind)
        self._view = view

    def are_kept(self, rows: IntArray) -> BoolArray:
        """(B,) of which of the pictures ``rows`` both are there, so that none has to be made."""
        if not self._size:
            return np.zeros(len(rows), np.bool_)
        return np.asarray((self._shown["state"][rows] != NOT_KEPT) & self._are_answered(rows))

    def picture(self, row: int) -> tuple[Image, bool]:
        """One that is kept, (height, width, 3), and whether it shows nobody: mixed, or without identity."""
        return np.array(self._shown["picture"][row]), bool(self._shown["state"][row] == SHOWS_NOBODY)

    def keep(self, rows: IntArray, pictures: NDArray[np.uint8], show_nobody: BoolArray) -> None:
        """Keep (B, height, width, 3) pictures that are not there yet, if pictures are kept."""
        if self._size:
            new = np.flatnonzero(self._shown["state"][rows] == NOT_KEPT)
            self._shown["picture"][rows[new]] = pictures[new]
            self._shown["state"][rows[new]] = np.where(show_nobody[new], SHOWS_NOBODY, SHOWS_SOMEBODY)

    def answers(self, rows: IntArray, images: Sequence[Image], ask: Ask) -> NDArray[np.float32]:
        """(B, E) of the teacher, who is asked about those of the ``images`` that it did not see yet."""
        unknown = np.flatnonzero(~self._are_answered(rows))
        if len(unknown):
            self._said[rows[unknown]] = ask([images[place] for place in unknown.tolist()])
        return self._said[rows].astype(np.float32)

    def _are_answered(self, rows: IntArray) -> BoolArray:
        return np.asarray(np.isfinite(self._said[rows]).all(axis=1))

    def _open(
        self, name: str, view: int, shape: tuple[int, ...], dtype: np.dtype[Any], empty: float | None = None
    ) -> NDArray[Any]:
        path = self._folder / f"{name}-{self._fingerprint}-view{view}.npy"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            needed, free = prod(shape) * dtype.itemsize, disk_usage(self._folder).free
            if needed > free:
                raise ReuniteError(
                    f"{path}: needs {needed / 1e9:.1f} GB, and {free / 1e9:.1f} are free; make room, or set "
                    "distillation.keep_pictures=false"
                )
            part = path.with_suffix(f".{getpid()}.part")
            made = np.lib.format.open_memmap(part, mode="w+", dtype=dtype, shape=shape)
            if empty is not None:  # otherwise zeros, which take no room on the disk yet
                made[:] = empty
                made.flush()
            with suppress(FileExistsError):  # another training came first
                path.hardlink_to(part)
            part.unlink()
        try:
            # First to read: a file that is cut off is filled with zeros as soon as it is opened to write.
            np.lib.format.open_memmap(path, mode="r")
            found = np.lib.format.open_memmap(path, mode="r+")
        except (OSError, ValueError) as error:
            raise ReuniteError(f"{path}: cannot be read ({error}); remove it, and it is made anew") from None
        if found.shape != shape or found.dtype != dtype:
            raise ReuniteError(f"{path}: must hold {shape} of {dtype}, holds {found.shape}; remove it")
        return found
