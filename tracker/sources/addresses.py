"""What a user types -> cameras with names. Looks at names and folders, opens nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

from foundation.errors import ReuniteError
from foundation.images import is_hidden, is_sequence, list_files, list_images, natural_order
from foundation.passwords import mask_logins, mask_password
from tracker.types import CameraName

STREAMED_SUFFIXES = frozenset({".ts", ".flv", ".mjpg", ".mjpeg", ".h264", ".264", ".h265", ".265", ".hevc"})
"""Videos that servers also send live, without an end, so http addresses with them count as live."""
VIDEO_SUFFIXES = STREAMED_SUFFIXES.union(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".asf"},
    {".3gp", ".ogv", ".vob", ".dav"},
)
MAX_NAME_BYTES = 200
"""Of a camera's name; file systems take 255 for a file, and endings are added to it."""
SCHEMES = ("rtsp", "rtsps", "http", "https")


class Kind(Enum):
    """What lies at an address."""

    VIDEO = "video"
    IMAGES = "images"
    SEQUENCE = "sequence"
    STREAM = "stream"
    WEBCAM = "webcam"


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera and where its frames come from.

    Attributes:
        name: Unique in its run, also where letter case is ignored; fit for a file name.
        address: A path, an address with its password, or a webcam number.
        secret_path_parts: See `SourceConfig`.
    """

    name: CameraName
    kind: Kind
    address: str
    secret_path_parts: tuple[int, ...] = ()

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return mask_password(self.address, self.secret_path_parts)

    @property
    def is_live(self) -> bool:
        """Whether frames come as they happen and cannot be read again."""
        return self.kind in (Kind.STREAM, Kind.WEBCAM)


def locate_cameras(
    addresses: Sequence[str], secret_path_parts: tuple[int, ...] = ()
) -> Mapping[CameraName, str]:
    """Name of each camera and its file, folder or address (without its password), in order; opens nothing.

    Raises:
        ReuniteError: As in ``open_source``.
    """
    return {camera.name: camera.shown for camera in find_cameras(addresses, secret_path_parts)}


def find_cameras(addresses: Sequence[str], secret_path_parts: tuple[int, ...] = ()) -> list[Camera]:
    """All cameras of one run, in order, with unique names; at least one.

    Raises:
        ReuniteError: As in ``open_source``.
    """
    try:
        alone = len(addresses) == 1
        cameras = [camera for it in addresses for camera in _expand(it, secret_path_parts, alone=alone)]
    except OSError as error:
        raise ReuniteError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if not cameras:
        raise ReuniteError("no source: name a video, a folder, a webcam number or an rtsp:// address")
    live = [camera for camera in cameras if camera.is_live]
    if live and len(live) < len(cameras):
        file = next(camera for camera in cameras if not camera.is_live)
        raise ReuniteError(
            f"{live[0].shown} is live and {file.shown} is a file: "
            "track them in two runs, since they share no clock"
        )
    taken: set[str] = set()
    return [replace(camera, name=_unique(_fit_for_files(camera.name), taken)) for camera in cameras]


def _expand(address: str, secret: tuple[int, ...], folder: Path = Path(), alone: bool = True) -> list[Camera]:
    """The cameras of one address; a relative path starts at ``folder``.

    A video that is missing ends the run only if it is ``alone``: beside others it is named when it is opened.
    """
    if address.isascii() and address.isdigit():
        return [Camera(CameraName(f"webcam{int(address)}"), Kind.WEBCAM, address)]
    if "://" in address:
        return [_expand_url(address, secret)]
    path = folder / address
    if path.is_dir():
        return _expand_folder(path)
    if path.suffix.lower() == ".streams" and path.is_file():
        return _expand_list(path, secret)
    if path.suffix.lower() in VIDEO_SUFFIXES and (path.is_file() or not alone):
        return [_camera(path, Kind.VIDEO)]
    if path.exists():
        raise ReuniteError(
            f"{path}: is not a video by its name; name a video ({', '.join(sorted(VIDEO_SUFFIXES))}), "
            "a folder of videos or images, or a .streams list"
        )
    shown = mask_logins(str(path))  # an address that is written wrong looks like a path
    raise ReuniteError(f"{shown}: no such file or folder; check the path, or write rtsp://... for a camera")


def _expand_url(address: str, secret: tuple[int, ...]) -> Camera:
    masked = mask_password(address, secret)
    try:
        parts = urlsplit(masked)
        host = parts.netloc.rpartition("@")[2]
        # A secret may stand right before the suffix.
        suffix = (Path(parts.path).suffix or Path(urlsplit(address).path).suffix).lower()
    except ValueError:
        parts, host, suffix = urlsplit(""), "", ""
    if parts.scheme.lower() not in SCHEMES or not host:
        raise ReuniteError(
            f"{masked}: is no address of a camera; write {'://HOST/..., '.join(SCHEMES)}://HOST/..."
        )
    name = re.sub(r"[^\w.]+", "-", host + parts.path).strip("-.")
    is_file = parts.scheme.lower().startswith("http") and suffix in VIDEO_SUFFIXES - STREAMED_SUFFIXES
    return Camera(CameraName(name or "camera"), Kind.VIDEO if is_file else Kind.STREAM, address, secret)


def _expand_list(path: Path, secret: tuple[int, ...]) -> list[Camera]:
    """A ``.streams`` list: one address a line, ``name = address`` gives the camera a name, # a comment."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ReuniteError(f"{path}: cannot be read as a text file of addresses") from None
    cameras = []
    for number, line in enumerate(lines, start=1):
        # A '#' inside an address belongs to it.
        text = re.sub(r"(^|\s)#.*", "", line).strip()
        if not text:
            continue
        # An '=' inside an address comes after a ':' or a '/', which no name may hold.
        named = re.fullmatch(r"([^:/\\=]*?)\s*=\s*(.+)", text)
        if (named.group(2) if named else text).lower().endswith(".streams"):
            raise ReuniteError(f"{path}, line {number}: a list cannot hold another list; name both instead")
        try:
            found = _expand(named.group(2) if named else text, secret, path.parent, alone=False)
        except ReuniteError as error:
            raise ReuniteError(f"{path}, line {number}: {error}") from None
        if named:
            name = re.sub(r"[^\w. -]+", "-", named.group(1)).strip(" .")
            if not name or len(found) > 1:
                raise ReuniteError(
                    f"{path}, line {number}: a name is for one camera, but {named.group(1)!r} is given to "
                    f"{len(found)}; write NAME = ADDRESS for each of them"
                )
            found = [replace(found[0], name=CameraName(name))]
        cameras += found
    if not cameras:
        raise ReuniteError(f"{path}: holds no address; write one on each line")
    return cameras


def _expand_folder(folder: Path) -> list[Camera]:
    if is_sequence(folder):
        return [_camera(folder, Kind.SEQUENCE)]
    if videos := list_files(folder, VIDEO_SUFFIXES):
        return [_camera(path, Kind.VIDEO) for path in videos]
    if list_images(folder):
        return [_camera(folder, Kind.IMAGES)]
    below = (path for path in folder.iterdir() if path.is_dir() and not is_hidden(path))
    folders = sorted(below, key=natural_order)
    if any(is_sequence(path) for path in folders):
        # Those with only detections or ground truth are named when they are opened, not left out.
        parts = ("seqinfo.ini", "img1", "det", "gt")
        folders = [path for path in folders if any((path / part).exists() for part in parts)]
        return [_camera(path, Kind.SEQUENCE) for path in folders]
    if (folder / "det").is_dir():
        raise ReuniteError(
            f"{folder}: has detections but neither pictures (img1/) nor a seqinfo.ini; add one of them, "
            "or track the video itself"
        )
    raise ReuniteError(
        f"{folder}: holds no videos, no images and no MOTChallenge sequences; name another folder"
    )


def _camera(path: Path, kind: Kind) -> Camera:
    name = path.stem if kind is Kind.VIDEO else path.resolve().name
    return Camera(CameraName(name or "camera"), kind, str(path))


def _fit_for_files(name: str) -> str:
    """A name without bytes that are no UTF-8, short enough for the files that are called by it."""
    name = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return name.encode()[:MAX_NAME_BYTES].decode("utf-8", "ignore") or "camera"


def _unique(name: str, taken: set[str]) -> CameraName:
    """The name, or the first of name-2, name-3, ... that is not taken yet; takes it."""
    wanted, number = name, 1
    while name.casefold() in taken:
        number += 1
        name = f"{wanted}-{number}"
    taken.add(name.casefold())
    return CameraName(name)
