"""What a run keeps of the people it sees: a gallery and, where that is allowed, a picture of each track."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from foundation.errors import ReuniteError
from tracker.config import RunConfig
from tracker.identity import IdentityLinker
from tracker.identity.table import Reserve
from tracker.recording.gallery import OWN_GALLERY, RunGallery
from tracker.sinks.portraits import Portraits
from tracker.stages import Remembering
from tracker.types import IdentityEvent, Network, Tracklets

logger = logging.getLogger(__name__)


class RunPeople:
    """The gallery of a run, named by its settings or its own, and the pictures for it.

    Attributes:
        portraits: A sink that keeps the pictures; None where none may be kept.
        forgotten: Of a live run, whom somebody forgot while it went on, as of the last `save`.
        problem: Why the gallery could not be written the last time; empty when all is well.

    Raises:
        ReuniteError: The gallery cannot be used, or a setting asks for what the others make impossible.
    """

    def __init__(self, config: RunConfig, network: Network | None, *, is_live: bool) -> None:
        self._network, self._is_live = _network_of_gallery(config, network), is_live
        self._gallery: RunGallery | None = None
        self._stack = ExitStack()
        self.portraits = Portraits() if self._network and config.gallery.thumbnails else None
        self.problem = ""
        self.forgotten: list[int] = []
        self._known: set[int] = set()  # people of the run, as of the last `save`
        if config.gallery.path:
            self._open(Path(config.gallery.path), is_own=False)

    @property
    def reserve(self) -> Reserve | None:
        """Gives numbers that were never used in the gallery; None where the run numbers people itself."""
        return self._gallery.reserve if self._gallery else None

    @property
    def gallery(self) -> Path | None:
        """The gallery; None where there is none."""
        return self._gallery.path if self._gallery else None

    def tell(self, identities: IdentityLinker) -> None:
        """Say who is remembered from before the run."""
        if self._gallery:
            identities.remember(self._gallery.known())

    def open_own(self, folder: Path) -> None:
        """Where no gallery is named, the run has one of its own."""
        if not self._gallery:
            self._open(folder / OWN_GALLERY, is_own=True)

    def stages(self) -> dict[str, Remembering]:
        """What remembers something that a resumed run needs."""
        stages = {"gallery": self._gallery, "portraits": self.portraits}
        return {name: stage for name, stage in stages.items() if stage is not None}

    def save(
        self, identities: IdentityLinker, merged: Sequence[IdentityEvent], checkpoint: Callable[[], None]
    ) -> bool:
        """Write a checkpoint, then add the people to the gallery; whether that could be done.

        In this order a resumed run saves the same people under the same numbers again.

        Args:
            identities: Who is who.
            merged: Who turned out to be one person since the last time.
            checkpoint: Writes it.
        """
        if self._gallery is None:
            checkpoint()
            return True
        try:
            try:
                portraits = self.portraits.portraits() if self.portraits else {}
                for event in merged:
                    if not identities.corrections().tracks_of(event.other):  # else it was undone since
                        self._gallery.merged(event.other, event.identity)
                self._gallery.update(identities.tracks(), portraits)
            finally:
                checkpoint()  # whether or not the gallery can be read
            self._gallery.save()
            if self._is_live:
                known = set(identities.last_seen())
                self.forgotten = self._gallery.forgotten(known | self._known)
                self._known = known
        except ReuniteError as error:
            if self.problem != str(error):
                logger.warning("%s", error)
            self.problem = str(error)
            return False
        self.problem = self._gallery.problem
        return True

    def retire(self, tracks: Tracklets, left: Tracklets) -> None:
        """These tracks are over for good, ``left`` are those that can still change; what was saved stays.

        Follows a `save` that succeeded.
        """
        if self._gallery:
            self._gallery.retire(tracks, left, self.portraits.portraits() if self.portraits else {})
        if self.portraits:
            self.portraits.forget(zip(tracks.cameras.tolist(), tracks.track_ids.tolist(), strict=True))

    def drop_before(self, people_s: float | None, thumbnails_s: float | None) -> None:
        """Forget people of the run's own gallery who were seen last before, and delete older thumbnails.

        Raises:
            ReuniteError: The gallery cannot be written.
        """
        if self._gallery:
            self._known -= set(self._gallery.drop_before(people_s, thumbnails_s))

    def close(self) -> None:
        self._stack.close()

    def _open(self, path: Path, *, is_own: bool) -> None:
        if self._network:
            self._gallery = RunGallery(path, self._network, is_live=self._is_live, is_own=is_own)
            self._stack.callback(self._gallery.close)


def _network_of_gallery(config: RunConfig, network: Network | None) -> Network | None:
    """The network whose people the run remembers; None where it remembers no people.

    Raises:
        ReuniteError: A setting asks for what the others make impossible.
    """
    missing = ""
    if network is None:
        missing = f"embedder.kind={config.embedder.kind} does not say what they look like: take another"
    elif not config.identity.link:
        missing = "identity.link=false joins no tracks: set it to true"
    asked = [key for key in ("path", "thumbnails") if getattr(config.gallery, key)]
    if missing and asked:
        raise ReuniteError(
            f"gallery.{asked[0]}: people cannot be recognised, as {missing}, or leave gallery.{asked[0]} out"
        )
    return None if missing else network
