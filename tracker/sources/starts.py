"""When recordings began that did not begin together: as told, by their names, or as they say themselves."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

from foundation.errors import ReuniteError
from tracker.config import SourceConfig
from tracker.sources.addresses import Camera
from tracker.types import CameraName

DAY_S = 86_400.0
MAX_APART_S = DAY_S
"""Recordings of one run that begin further apart are taken for a mistake."""

EARLIEST = 1990
"""Files with an earlier year were made by a recorder whose clock was never set."""

DATE = r"(?P<year>20\d\d|19[89]\d)[-_.]?(?P<month>0[1-9]|1[0-2])[-_.]?(?P<day>0[1-9]|[12]\d|3[01])"
CLOCK = r"(?P<hour>[01]\d|2[0-3])(?P<sign>[-_.:h]?)(?P<minute>[0-5]\d)[-_.:m]?(?P<second>[0-5]\d)"
FRACTION = r"(?:\.(?P<fraction>\d{1,9})|(?P<milli>\d{3})|(?<=-\d\d)-(?P<micro>\d{6}))?"
PARTS = ("year", "month", "day", "hour", "minute", "second")
ZONE = r"(?P<zone>Z|[+-]\d\d:\d\d|\+\d{4})?"
DATE_AND_CLOCK = re.compile(rf"(?<!\d){DATE}(?:[-_T .]|, )?{CLOCK}{FRACTION}{ZONE}(?!\d)")
"""2026-11-28_14-03-22, 20261128140322, 2026-11-28T14:03:22Z, 2026_1128_140322123, and so on."""
UNIX = re.compile(r"(?<!\d)(?P<seconds>1\d{9})(?:\.(?P<fraction>\d{1,9})|(?P<milli>\d{3}))?(?!\d)")
"""1795874602, 1795874602.25, 1795874602250: seconds or milliseconds since 1970."""
IN_FOLDERS = (
    # Frigate's recordings: 2026-11-28/14/CAMERA/03.22.mp4, in UTC.
    (re.compile(rf"{DATE}/(?P<hour>[01]\d|2[0-3])/[^/]+/(?P<minute>[0-5]\d)\.(?P<second>[0-5]\d)"), True),
    # Dahua's: 2026-11-28/001/dav/14/14.03.22-14.10.00[M][0@0][0].dav.
    (re.compile(rf"{DATE}/(?:[^/]+/){{0,4}}{CLOCK}[^/]*"), False),
)


@dataclass(frozen=True, slots=True)
class Start:
    """When the recording of one camera began.

    Attributes:
        after_s: Seconds after the first of its run.
        known_from: How that is known, in words.
    """

    after_s: float
    known_from: str


def find_starts(
    cameras: Sequence[Camera], created: Mapping[CameraName, datetime | None], config: SourceConfig
) -> dict[CameraName, Start]:
    """When each recording began; empty where all are taken to begin together.

    Args:
        cameras: All of the run.
        created: Of those that could be opened, when the file says that it was made.
        config: What is told of it, and where else to look. A camera that nothing is told of begins at 0 s.

    Raises:
        ReuniteError: A camera that is told of is not there, a start is not known, some are seconds or have a
            time zone and others not, or they lie over a day apart.
    """
    if not config.starts and config.align == "none":
        return {}
    names = [camera.name for camera in cameras]
    for name in config.starts:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
            raise ReuniteError(f"reading.starts: there is no camera {name!r}; {hint}")
    told: dict[CameraName, tuple[float | datetime, str]] = {}
    for camera in cameras:
        if camera.name in config.starts:
            start = config.starts[camera.name]
            told[camera.name] = start, f"reading.starts says {start}"
        elif config.align == "names":
            moment = time_in_name(camera.address)
            if moment is None:
                raise ReuniteError(
                    f"camera {camera.name!r}: there is no date and time in its name; call it like "
                    f"{camera.name}_2026-11-28_14-03-22, or say when it began: "
                    f"reading.starts={{{camera.name}: ...}}"
                )
            told[camera.name] = moment, f"its name says {moment}"
        elif config.align == "metadata" and camera.name in created:
            moment = created[camera.name]
            if moment is None:
                raise ReuniteError(
                    f"camera {camera.name!r}: the file does not say when it was made; take --align names, or "
                    f"say when it began: reading.starts={{{camera.name}: ...}}"
                )
            told[camera.name] = moment, f"the file says {moment}"
        elif config.align == "none":
            told[camera.name] = 0.0, "nothing is said of it"
    return _after_the_first(told)


def time_in_name(address: str) -> datetime | None:
    """The first date and time in the name of a file, or in those of its folders; None where there is none.

    Without a time zone unless the name says one, or counts seconds since 1970.
    """
    path = unquote(urlsplit(address).path) if "://" in address else address.replace("\\", "/")
    name = PurePath(path).name
    if (found := DATE_AND_CLOCK.search(name)) and (moment := _moment(found)):
        return moment
    if found := UNIX.search(name):
        return datetime.fromtimestamp(int(found["seconds"]), UTC) + _fraction(found)
    for pattern, is_utc in IN_FOLDERS:
        for folders in pattern.finditer(path):
            moment = _moment(folders)
            if moment and folders.end() > len(path) - len(name):
                return moment.replace(tzinfo=UTC) if is_utc else moment
    return None


def creation_time(*metadata: Mapping[str, str]) -> datetime | None:
    """When a file says that it was made; None where it does not, or its recorder had no clock.

    Args:
        metadata: Of the container, then of the stream of pictures.
    """
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        for part in metadata:
            text = {name.lower(): value for name, value in part.items()}.get(key, "").strip()
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            if moment.year >= EARLIEST and ":" in text:  # a date alone is no start
                return moment
    return None


def _after_the_first(told: Mapping[CameraName, tuple[float | datetime, str]]) -> dict[CameraName, Start]:
    kinds: dict[str, CameraName] = {}
    for name, (start, _) in told.items():
        kinds.setdefault(_kind(start), name)
    if len(kinds) > 1:
        (one, first), (other, second), *_ = kinds.items()
        raise ReuniteError(
            f"cameras {first!r} and {second!r}: one start is {one}, the other {other}, so nobody knows what "
            "lies between them; give all in one way in reading.starts"
        )
    starts = {name: start for name, (start, _) in told.items()}
    zero = min(starts.values(), default=0.0)
    after_s = {name: _seconds(start, zero) for name, start in starts.items()}
    for name, seconds in after_s.items():
        if seconds > MAX_APART_S:
            first = min(after_s, key=lambda it: after_s[it])
            raise ReuniteError(
                f"camera {name!r} begins {seconds / DAY_S:.1f} days after camera {first!r} "
                f"({told[name][1]}, {told[first][1]}); track them in two runs, or say when they began in "
                "reading.starts"
            )
    return {name: Start(after_s[name], told[name][1]) for name in told}


def _kind(start: float | datetime) -> str:
    if isinstance(start, float):
        return "in seconds"
    return "a time without a zone" if start.tzinfo is None else "a time with a zone"


def _seconds(start: float | datetime, zero: float | datetime) -> float:
    apart = start - zero  # type: ignore[operator]
    return apart.total_seconds() if isinstance(apart, timedelta) else apart


def _moment(found: re.Match[str]) -> datetime | None:
    parts = found.groupdict()
    try:
        year, month, day, hour, minute, second = (int(parts[it]) for it in PARTS)
        moment = datetime(year, month, day, hour, minute, second)
        if zone := parts.get("zone"):
            moment = datetime.fromisoformat(f"{moment.isoformat()}{zone}")
    except ValueError:  # the 31st of February, or a zone of 30 hours
        return None
    return moment + _fraction(found)


def _fraction(found: re.Match[str]) -> timedelta:
    parts = found.groupdict()
    digits = parts.get("fraction") or parts.get("milli") or parts.get("micro") or "0"
    return timedelta(seconds=float(f"0.{digits}"))
