"""What each replaceable stage promises, in the order in which a frame meets them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from foundation.arrays import BoolArray, FloatArray, IntArray
from foundation.cosine_prior import CosinePrior
from tracker.types import (
    CameraName,
    Detections,
    Frame,
    IdentityEvent,
    Network,
    Observations,
    Sightings,
    State,
    Tick,
)

Look = TypeVar("Look", bound="EarlyLook")


@dataclass(slots=True)
class CameraReport:
    """How reading one camera went so far; its source counts, everybody else reads.

    Attributes:
        expected_frames: How many frames the file says it has, 0 where it is not known.
        read: Frames that were read, dropped ones included.
        dropped: Frames that were read and thrown away because a newer one was there (live only).
        skipped: Frames in which nobody looked for people, as newer ones were there, so that tracks coasted
            (live only).
        reconnects: How often a live camera came back after it was lost.
        problem: Why the camera ended early or never began, in one sentence; empty when all is well.
        remark: What the file says that was not believed, in one sentence; empty when there is nothing.
        has_pictures: Whether its frames show anything; a sequence may have only detections.
        can_go_on: Whether a resumed run may get the rest: the connection to a recording was lost.
        start_s: Seconds after the first recording of the run at which this one began.
        start_known_from: How that is known, in words; empty where all are taken to begin together.
    """

    expected_frames: int = 0
    read: int = 0
    dropped: int = 0
    skipped: int = 0
    reconnects: int = 0
    problem: str = ""
    remark: str = ""
    has_pictures: bool = True
    can_go_on: bool = False
    start_s: float = 0.0
    start_known_from: str = ""


class Source(Protocol):
    """Frames of one or more cameras, as ticks."""

    @property
    def reports(self) -> Mapping[CameraName, CameraReport]:
        """One report for each camera, cameras that failed to open included; in the order of the cameras."""

    @property
    def is_live(self) -> bool:
        """Whether frames come as they happen and cannot be read again."""

    def ticks(self) -> Iterator[Tick]:
        """All ticks from where the source was opened, once. Ends when every camera has ended."""

    def close(self) -> None:
        """Let go of files, sockets and threads. May be called twice, and from another thread."""


class Remembering(Protocol):
    """Carries something from frame to frame that a resumed run needs."""

    def state(self) -> State:
        """What it remembers of earlier frames; empty when it remembers nothing."""

    def restore(self, state: State) -> None:
        """Take up a state that ``state`` gave."""


class Detector(Remembering, Protocol):
    """Finds people."""

    @property
    def ticks_at_once(self) -> int:
        """In how many threads ``detect`` may be called at once; 1 for a detector that remembers anything."""

    def detect(self, tick: Tick) -> Sequence[Detections]:
        """The people of each frame of the tick, in the order of its frames."""


@runtime_checkable
class Resizable(Protocol):
    """A detector that may be able to look at smaller pictures, in less time."""

    def resize(self, share: float) -> bool:
        """Look at pictures whose sides are this share of the full size, in (0, 1], from now on.

        Returns:
            Whether it can; a network may be made for one size.
        """


class CameraMotion(Remembering, Protocol):
    """Says how the picture moved because the camera did; one object for all cameras of a run."""

    def estimate(self, frame: Frame, boxes: FloatArray) -> FloatArray:
        """Where the places of this camera's frame before are in this one.

        Args:
            frame: The next frame of its camera.
            boxes: (N, 4) where people are in it, in pixels; they move by themselves.

        Returns:
            (2, 3) [[a, b, tx], [c, d, ty]]: x' = a x + b y + tx, y' = c x + d y + ty, in pixels. The
            identity for the first frame of a camera, for one that stands still, and where it cannot be told.
        """


class Embedder(Protocol):
    """Embeds detections: a vector of appearance for each."""

    @property
    def network(self) -> Network | None:
        """Which network embeds; None: its embeddings cannot be compared with those of another run."""

    @property
    def prior(self) -> CosinePrior | None:
        """What cosines of its embeddings mean before a site has shown it; None: not known."""

    def embed(
        self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]
    ) -> Sequence[Observations]:
        """The people of each frame with their appearance, in the order of the frames.

        Args:
            tick: The frames.
            detections: The people found in each.
            needed: (N,) of each frame, which ones need an embedding; the others may be left at zeros.
        """


class EarlyLook(Protocol):
    """What a staged embedder saw at first; `StagedEmbedder.finish` takes it up."""

    @property
    def observations(self) -> Sequence[Observations]:
        """The people of each frame, the wanted ones with their early embedding."""


@runtime_checkable
class StagedEmbedder(Remembering, Protocol[Look]):
    """An embedder that can be left early: cheap embeddings of all, and its own, comparable, of some."""

    first_share: float
    """Of what an embedding costs, the share of an early one."""

    def look(self, tick: Tick, detections: Sequence[Detections], needed: Sequence[BoolArray]) -> Look:
        """As `Embedder.embed`, with early embeddings."""

    def finish(self, look: Look, deep: Sequence[BoolArray]) -> Sequence[Observations]:
        """The same people, those of ``deep``, (N,) of each frame, with its own embedding."""


class Identities(Protocol):
    """Knows who tracks are."""

    def lookup(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """The identities (R,) of tracks (R,) as far as they are known; else 0."""

    def numbered(self, camera: CameraName, track_ids: IntArray) -> IntArray:
        """What stands for tracks (R,) in files that number every track; see `IdentityTable.numbered`."""


class Sink(Protocol):
    """Takes what was seen."""

    def write(self, frame: Frame, sightings: Sightings) -> None:
        """Take the people of one frame; also called for a frame without people."""

    def close(self) -> None:
        """Finish what was begun."""


class Observer(Protocol):
    """Follows a run from outside, as the live application does."""

    def observe(
        self, tick: Tick, sightings: Mapping[str, Sightings], events: Sequence[IdentityEvent]
    ) -> None:
        """A tick went through all stages; called by the thread that tracks, so it must be quick.

        Nothing is half done then: here the identities may be corrected.

        Args:
            tick: Its frames.
            sightings: The people of each of its cameras.
            events: What was found out since the last call.
        """

    def obey(self) -> None:
        """No tick comes just now; called again and again by the thread that tracks, as between two ticks."""
