"""Every sighting of a run: MOTChallenge text for each camera, and one table over all of them."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from foundation.arrays import IntArray
from foundation.files import open_whole
from foundation.mot_files import MotTable, format_results
from tracker.geometry import xyxy_to_xywh
from tracker.stages import Identities
from tracker.types import CameraName

SIGHTINGS = pa.schema(
    [
        ("camera", pa.dictionary(pa.int16(), pa.string())),
        ("frame", pa.int64()),
        ("time", pa.float64()),
        ("track", pa.int64()),
        ("identity", pa.int64()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("x2", pa.float32()),
        ("y2", pa.float32()),
        ("score", pa.float32()),
    ]
)


class ResultFiles:
    """``mot/CAMERA.txt`` and ``sightings.parquet``, filled piece by piece; use it in a ``with`` statement.

    A track that stayed undecided has identity 0 in the table. The text must number every track, or scoring
    one camera would lose its boxes: there it has a number of its own (`IdentityTable.numbered`).
    A camera that ``failed`` before its first frame gets no file: it is not known who was there.
    Memory does not grow with the length of the run. A cut leaves the files of before, or all of
    the new one; writing again gives the same bytes.

    Attributes:
        paths: The files.
    """

    def __init__(
        self,
        folder: Path,
        cameras: list[CameraName],
        identities: Identities,
        failed: Collection[CameraName] = (),
    ) -> None:
        self._cameras, self._identities = cameras, identities
        self._indices = [index for index, camera in enumerate(cameras) if camera not in failed]
        texts = [folder / "mot" / f"{cameras[index]}.txt" for index in self._indices]
        self.paths = [*texts, folder / "sightings.parquet"]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.paths[-1].with_name("mot").mkdir(exist_ok=True)
        with ExitStack() as stack:
            *self._texts, table = (stack.enter_context(open_whole(path)) for path in self.paths)
            self._table = stack.enter_context(pq.ParquetWriter(table, SIGHTINGS, compression="zstd"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._stack.__exit__(*exception)

    def add(self, rows: NDArray[np.void], identity_ids: IntArray) -> None:
        """Append rows (R,) with their identities (R,)."""
        self._table.write_table(as_arrow(rows, self._cameras, identity_ids))
        for index, text in zip(self._indices, self._texts, strict=True):
            here = rows["camera"] == index
            numbers = self._identities.numbered(self._cameras[index], rows["track"][here])
            text.write(_as_mot_text(rows[here], numbers).encode("ascii"))


def as_arrow(
    rows: NDArray[np.void], cameras: list[CameraName], identity_ids: IntArray | None = None
) -> pa.Table:
    """Rows (R,) of the journal with their identities (R,); None: 0 for all."""
    identity_ids = np.zeros(len(rows), np.int64) if identity_ids is None else identity_ids
    indices = _as_column(rows["camera"].astype(np.int16))
    columns = {
        "frame": rows["frame"],
        "time": rows["time"],
        "track": rows["track"],
        "identity": identity_ids,
        **{name: rows["box"][:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))},
        "score": rows["score"],
    }
    names = pa.DictionaryArray.from_arrays(indices, _as_strings(cameras))
    return pa.table(
        {"camera": names, **{name: _as_column(column) for name, column in columns.items()}}, schema=SIGHTINGS
    )


def _as_column(values: NDArray[Any]) -> pa.Array:
    """What ``pa.array`` gives; but that loads pandas, where it is installed, to ask whether this is one of
    its columns, and loading it takes longer than linking a video."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def _as_strings(texts: Sequence[str]) -> pa.Array:
    """What ``pa.array`` gives; see `_as_column`."""
    encoded = [text.encode() for text in texts]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _as_mot_text(rows: NDArray[np.void], numbers: IntArray) -> str:
    boxes, scores = xyxy_to_xywh(rows["box"].astype(np.float64)), rows["score"].astype(np.float64)
    return format_results(MotTable.of_people(rows["frame"], numbers, boxes, scores))
