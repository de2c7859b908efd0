"""MultiCameraTracker: frames of many cameras in, people out, each with one identity; no folder, no thread."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from foundation.command import did_you_mean
from tracker.build import build_camera_motion, build_detector, build_embedder, build_tracker, similarity_of
from tracker.clock import StageClock
from tracker.config import RunConfig
from tracker.exits import EarlyExits
from tracker.ground import GroundPlane
from tracker.identity import UNDECIDED, IdentityLinker
from tracker.identity.table import Reserve
from tracker.sources import locate_cameras
from tracker.stages import CameraMotion, Detector, Embedder, Remembering
from tracker.types import (
    CameraName,
    Detections,
    Frame,
    IdentityEvent,
    Sightings,
    State,
    Tick,
    Tracklets,
    Tracks,
)

logger = logging.getLogger(__name__)


class MultiCameraTracker:
    """Follows people through all cameras; whoever comes back, in any camera, keeps one identity.

    Nothing is written anywhere, and nothing runs but what is called. Two trackers share nothing.

    Attributes:
        cameras: Their names, in order.
        identities: Who is who, and what it rests on.
        ground: Where people stand, where cameras have homographies.
        num_detections: How many people the detector found so far, over all frames.
        num_embedded: Of how many of them the appearance was taken.
        exits: Which crops leave the network early; None where none do.
    """

    def __init__(
        self,
        cameras: Iterable[str],
        config: RunConfig | None = None,
        *,
        detector: Detector | None = None,
        embedder: Embedder | None = None,
        camera_motion: CameraMotion | None = None,
        reserve: Reserve | None = None,
        clock: StageClock | None = None,
    ) -> None:
        """Open all stages that the configuration names and that are not given.

        Args:
            cameras: Their names, each once.
            config: Every setting; None takes the defaults. Its sources and its output play no part.
            detector: Your own; None takes the configuration's, which is opened when it is first needed: not
                where `step` always gets ready detections.
            embedder: Your own; None takes the configuration's.
            camera_motion: Your own; None takes the configuration's.
            reserve: Gives numbers for new people that were never used, as a gallery does; None counts from 1.
            clock: Counts the seconds of each stage.

        Raises:
            ReuniteError: A setting or model cannot be used.
            ValueError: There is no camera, or a name is there twice.
        """
        self.config = config or RunConfig()
        self.cameras = [CameraName(camera) for camera in cameras]
        if not self.cameras or len(set(self.cameras)) < len(self.cameras):
            raise ValueError(f"cameras must be one or more, each with a name of its own, got {self.cameras}")
        for problem in unknown_cameras(self.config, self.cameras):
            logger.warning("%s", problem)
        self.num_detections = self.num_embedded = 0
        self._clock = clock or StageClock()
        self._detector = detector
        self._camera_motion = camera_motion or build_camera_motion(self.config.camera_motion, self.cameras)
        self._embedder = embedder or build_embedder(self.config.embedder)
        exits = self.config.embedder.exits if self.config.embedder.kind == "reid" else None
        self.exits = None if exits is None else EarlyExits(exits, self._embedder, self.cameras)
        self._trackers = {camera: build_tracker(camera, self.config) for camera in self.cameras}
        self.ground = GroundPlane(self.config.ground, self.cameras)
        identity = self.config.identity
        similarity = similarity_of(identity.similarity, self._embedder)
        identity = identity.model_copy(update={"similarity": similarity})
        self.identities = IdentityLinker(identity, self.cameras, reserve, self.ground)

    def add_camera(self, camera: str) -> None:
        """Follow people through one camera more, from the next tick on; whom the others see stays.

        Raises:
            ValueError: There is one of this name.
        """
        name = CameraName(camera)
        if name in self._trackers:
            raise ValueError(f"camera {camera!r} is there already")
        self.cameras.append(name)
        self._trackers[name] = build_tracker(name, self.config)
        self.identities.add_camera(name)

    @property
    def detector(self) -> Detector:
        """What finds people; opened now, if it was not needed before.

        Raises:
            ReuniteError: It cannot be used.
        """
        if self._detector is None:
            source, parts = self.config.source, self.config.reading.secret_path_parts
            located = locate_cameras(source, parts) if source else {}
            locations = {camera: located.get(camera, camera) for camera in self.cameras}
            self._detector = build_detector(self.config.detector, locations)
        return self._detector

    def step(self, tick: Tick, detections: Mapping[str, Detections] | None = None) -> dict[str, Sightings]:
        """The people of each camera that has a frame in the tick, with what is known of who they are.

        Args:
            tick: The next frames; `Tick.of` makes one from pictures. Of each camera, time rises.
            detections: Who was found, of each camera that has a frame; None looks for people.

        Raises:
            ValueError: A camera is not one of the tracker's, the detections are of other cameras than the
                frames, or what `CameraTracker` refuses.
        """
        cameras = [frame.camera for frame in tick.frames]
        unknown = [camera for camera in cameras if camera not in self._trackers]
        if unknown:
            raise ValueError(f"camera {unknown[0]!r}: this tracker's cameras are {', '.join(self.cameras)}")
        if detections is None:
            return self.follow(tick, self.detector.detect(tick))
        if detections.keys() != set(cameras):
            raise ValueError(
                f"detections must be of the cameras that have a frame, {', '.join(cameras)}, "
                f"got {', '.join(detections) or 'none'}; Detections.empty() says that there are none"
            )
        return self.follow(tick, [detections[camera] for camera in cameras])

    def follow(self, tick: Tick, detections: Sequence[Detections]) -> dict[str, Sightings]:
        """What `step` does with people who were found; ``detections`` are those of each frame, in order."""
        frames, clock = tick.frames, self._clock
        with clock.of("camera motion"):
            motions = [
                self._camera_motion.estimate(frame, found.boxes)
                for frame, found in zip(frames, detections, strict=True)
            ]
        with clock.of("track"):
            trackers = [self._trackers[frame.camera] for frame in frames]
            candidates = [
                tracker.compare(tracker.predict(frame.time, motion), found)
                for tracker, frame, motion, found in zip(trackers, frames, motions, detections, strict=True)
            ]
            needed = [tracker.needs_embedding(it) for tracker, it in zip(trackers, candidates, strict=True)]
            # In which order cameras were named must not matter to who gets which number.
            order = sorted(range(len(frames)), key=lambda it: (frames[it].time, frames[it].camera))
        with clock.of("embed"):
            if self.exits is None:
                observations = self._embedder.embed(tick, detections, needed)
            else:
                observations = self.exits.embed(
                    self.identities, tick, detections, trackers, candidates, needed
                )
        sightings: dict[str, Sightings] = {}
        with clock.of("track"):
            for index in order:
                frame, seen = frames[index], observations[index]
                tracks, coasting = trackers[index].update(candidates[index], seen)
                sightings[frame.camera] = name_tracks(self.identities, frame, tracks, coasting)
                self.num_detections += len(seen)
                self.num_embedded += int(seen.embeddings.any(axis=1).sum())
        return {frame.camera: sightings[frame.camera] for frame in frames}

    def coast(self, tick: Tick) -> dict[str, Sightings]:
        """The people of each camera where their motion leads, without a look at the pictures.

        What the cameras did meanwhile is known with the next frame that `follow` gets.
        """
        with self._clock.of("track"):
            return {
                frame.camera: name_coasting(
                    self.identities, frame, self._trackers[frame.camera].coast(frame.time)
                )
                for frame in tick.frames
            }

    def events(self) -> list[IdentityEvent]:
        """What was found out about who is who since the last call, in its order."""
        return self.identities.events()

    def forget(self, identity_ids: Sequence[int]) -> None:
        """Nothing that was embedded of these people is left; whoever of them is in view is somebody new."""
        tracks = self.identities.tracks()
        for camera, tracker in self._trackers.items():
            is_theirs = np.isin(tracks.identity_ids, identity_ids) & (tracks.cameras == camera)
            tracker.forget(tracks.track_ids[is_theirs])
        self.identities.forget(identity_ids)

    def finish(self, *, link_offline: bool = True) -> Tracklets:
        """After the last frame: say of every track who it is; `events` tells what that brought.

        Args:
            link_offline: Link all tracks once more, knowing all of them.

        Returns:
            All tracks.
        """
        if link_offline:
            with self._clock.of("link"):
                self.identities.link_offline()
        self.identities.finalize()
        return self.identities.tracks()

    def state(self, detector: State | None = None) -> State:
        """All that `restore` needs; events that `events` has not given yet are not in it.

        Args:
            detector: What the detector remembered after the last tick, where it has been ahead since.
        """
        if detector is None:
            detector = self._detector.state() if self._detector else {}
        states = {"detector": detector} | {name: stage.state() for name, stage in self._stages().items()}
        arrays = {f"{name}/{key}": array for name, state in states.items() for key, array in state.items()}
        counts = np.array([self.num_detections, self.num_embedded])
        return arrays | {"cameras": np.array(self.cameras, np.str_), "counts": counts}

    def restore(self, state: State) -> None:
        """Take up a state that `state` gave; the cameras and the configuration must be the same.

        Raises:
            ValueError: The cameras are others.
        """
        cameras = state["cameras"].tolist()
        if cameras != self.cameras:
            raise ValueError(
                f"the state is of cameras {', '.join(cameras)}, this tracker's are {', '.join(self.cameras)}"
            )
        self.num_detections, self.num_embedded = state["counts"].tolist()
        states: dict[str, State] = {}
        for joined, array in state.items():
            name, slash, key = joined.partition("/")
            if slash:
                states.setdefault(name, {})[key] = array
        if "detector" in states:
            self.detector.restore(states["detector"])
        for name, stage in self._stages().items():
            stage.restore(states.get(name, {}))

    def _stages(self) -> dict[str, Remembering]:
        """All that remember something but the detector, by names without a slash."""
        trackers = {f"tracker {index}": self._trackers[it] for index, it in enumerate(self.cameras)}
        exits = {} if self.exits is None else {"exits": self.exits}
        return {"camera motion": self._camera_motion, "identities": self.identities, **exits, **trackers}


def unknown_cameras(config: RunConfig, cameras: Sequence[CameraName]) -> list[str]:
    """A sentence for each camera in a pair of ``identity`` that is none of these: it may be misspelt."""
    problems = []
    for key, pairs in (("overlap", config.identity.overlap), ("no_overlap", config.identity.no_overlap)):
        named = () if pairs == "all" else dict.fromkeys(camera for pair in pairs for camera in pair)
        for camera in named:
            if camera not in cameras:
                way_out = did_you_mean(camera, cameras) or f", the cameras are {', '.join(cameras)}"
                problems.append(f"identity.{key}: no camera {camera!r} in this run{way_out}")
    return problems


def name_tracks(identities: IdentityLinker, frame: Frame, tracks: Tracks, coasting: Tracks) -> Sightings:
    """The people of one frame with their identities, as far as they are known now.

    Whose track is coasting, and is there as another track too, is there once: as seen, if they are.
    """
    seen_ids = identities.observe(frame, tracks)
    return _once(
        Sightings(
            np.concatenate((tracks.track_ids, coasting.track_ids)),
            np.concatenate((seen_ids, identities.lookup(frame.camera, coasting.track_ids))),
            np.concatenate((tracks.boxes, coasting.boxes)),
            np.concatenate((tracks.scores, coasting.scores)),
        )
    )


def name_coasting(identities: IdentityLinker, frame: Frame, coasting: Tracks) -> Sightings:
    """The people of a frame at which nobody looked: asking who they are changes nothing."""
    identity_ids = identities.lookup(frame.camera, coasting.track_ids)
    return _once(Sightings(coasting.track_ids, identity_ids, coasting.boxes, coasting.scores))


def _once(sightings: Sightings) -> Sightings:
    """Of each person the first row; whoever is undecided stays."""
    is_kept = sightings.identity_ids == UNDECIDED
    is_kept[np.unique(sightings.identity_ids, return_index=True)[1]] = True
    return sightings[is_kept]
