"""Pictures in folders, and the numbers of the frames that they are."""

import re
from collections.abc import Set
from pathlib import Path

from foundation.mot_files import SequenceInfo, read_seqinfo

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})

SYSTEM_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin"})
"""What Windows, macOS and network disks call theirs; compared without letter case."""


def is_sequence(folder: Path) -> bool:
    """Whether a folder is a MOTChallenge sequence that can be read: it has a size, or pictures."""
    return (folder / "seqinfo.ini").is_file() or (folder / "img1").is_dir()


def sequence_info(folder: Path) -> SequenceInfo | None:
    """What the seqinfo.ini of a folder says; None where it has none.

    Raises:
        MotFileError: It cannot be used.
    """
    path = folder / "seqinfo.ini"
    return read_seqinfo(path) if path.exists() else None


def sequence_images(folder: Path, info: SequenceInfo | None) -> Path:
    """Where the pictures of a MOTChallenge sequence lie, if it has any."""
    return folder / (info.image_folder if info else "img1")


def numbered_images(folder: Path, by_name: bool) -> list[tuple[int, Path]]:
    """The images in a folder, each with the number of its frame.

    Args:
        folder: Where they lie.
        by_name: As in a MOTChallenge sequence, whose detections and ground truth count so: 000007.jpg is
            frame 7, if all are called by different numbers from 1. Otherwise from 1 in natural order.
    """
    images = list_images(folder)
    stems = [image.stem for image in images]
    if images and by_name and all(stem.isdecimal() for stem in stems):
        numbers = [int(stem) for stem in stems]
        if numbers[0] >= 1 and len(set(numbers)) == len(numbers):
            return list(zip(numbers, images, strict=True))
    return list(enumerate(images, start=1))


def list_images(folder: Path) -> list[Path]:
    """The images in a folder, in natural order: 2.jpg before 10.jpg."""
    return list_files(folder, IMAGE_SUFFIXES)


def list_files(folder: Path, suffixes: Set[str]) -> list[Path]:
    """Files with these suffixes, in natural order.

    Hidden ones are left out, see `is_hidden`. A link that leads nowhere is one of them, so that it is named
    when it is opened.
    """
    found = (path for path in folder.iterdir() if path.suffix.lower() in suffixes and not is_hidden(path))
    return sorted((path for path in found if path.is_file() or path.is_symlink()), key=natural_order)


def is_hidden(path: Path) -> bool:
    """Whether a file or folder is one that systems put beside those of a user: ._1.jpg, Thumbs.db, @eaDir."""
    return path.name.startswith(".") or path.name.casefold() in SYSTEM_NAMES


def natural_order(path: Path) -> tuple[list[int | str], str]:
    """A key to sort by: 2.jpg before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [int(part) if part.isdecimal() else part for part in parts], path.name
