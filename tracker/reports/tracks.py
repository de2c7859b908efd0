"""``tracks.csv``: one line for each track of a run, who it was and when that was known."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from foundation.errors import ReuniteError
from foundation.files import open_whole
from tracker.types import Tracklets

HEADER = ("camera", "track", "identity", "first_seen", "last_seen", "decided", "frames", "embeddings")


def write_tracks(path: Path, pieces: Iterable[Tracklets]) -> Path:
    """Write ``tracks.csv`` piece by piece; a cut leaves the file of before, or all of the new one.

    Times are seconds with three decimals, by the clock of `Frame.time`; ``decided`` is empty where it is
    undecided, as is identity 0. The embeddings are not in it.
    """
    with open_whole(path) as file:
        file.write(_as_csv([HEADER]))
        for tracks in pieces:
            file.write(_as_csv(_lines_of(tracks)))
    return path


def _as_csv(lines: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()


def _lines_of(tracks: Tracklets) -> Iterator[tuple[object, ...]]:
    for row in range(len(tracks)):
        yield (
            tracks.cameras[row],
            tracks.track_ids[row],
            tracks.identity_ids[row],
            f"{tracks.begin_s[row]:.3f}",
            f"{tracks.end_s[row]:.3f}",
            "" if math.isnan(tracks.decided_s[row]) else f"{tracks.decided_s[row]:.3f}",
            tracks.frames[row],
            tracks.num_embeddings[row],
        )


def read_tracks(path: Path) -> Tracklets | None:
    """Read what `write_tracks` wrote, embeddings (T, 0); None where there is no such file.

    Raises:
        ReuniteError: The file cannot be read, or is not such a table.
    """
    if not path.is_file():
        return None
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")))
        if not lines or tuple(lines[0]) != HEADER:
            raise ValueError(f"its first line is not {','.join(HEADER)}")
        if any(len(line) != len(HEADER) for line in lines):
            raise ValueError("a line is cut off, or has too many columns")
        columns = zip(*lines[1:], strict=True) if lines[1:] else [()] * len(HEADER)
        cameras, *numbers = columns
        track_ids, identity_ids, begin_s, end_s, decided_s, frames, num_embeddings = numbers
        return Tracklets(
            cameras=np.array(cameras, object),
            track_ids=np.array(track_ids, np.int64),
            identity_ids=np.array(identity_ids, np.int64),
            begin_s=np.array(begin_s, np.float64),
            end_s=np.array(end_s, np.float64),
            decided_s=np.array([second or "nan" for second in decided_s], np.float64),
            frames=np.array(frames, np.int64),
            num_embeddings=np.array(num_embeddings, np.int64),
            embeddings=np.zeros((len(cameras), 0), np.float32),
        )
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        raise ReuniteError(f"{path}: cannot be read: {error}; delete it to do without") from None
