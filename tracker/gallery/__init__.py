"""What is remembered of people between runs: one SQLite file, and an index in memory that answers queries."""

from tracker.gallery.database import GalleryBusyError
from tracker.gallery.index import GalleryIndex, Ranking
from tracker.gallery.people import (
    Appearances,
    Merge,
    Person,
    PersonSummary,
    PictureKey,
    Pictures,
    Presence,
)
from tracker.gallery.store import Gallery, UnknownPersonError
from tracker.gallery.writer import GalleryWriter
from tracker.types import Network

__all__ = [
    "Appearances",
    "Gallery",
    "GalleryBusyError",
    "GalleryIndex",
    "GalleryWriter",
    "Merge",
    "Network",
    "Person",
    "PersonSummary",
    "PictureKey",
    "Pictures",
    "Presence",
    "Ranking",
    "UnknownPersonError",
]
