"""The files that are written when a run is over, from its journal and from who is who."""

from collections.abc import Collection, Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tracker.config import RunConfig
from tracker.ground import GroundPlane
from tracker.identity import IdentityLinker
from tracker.recording.sightings import known_sightings
from tracker.reports.map import WayFinder, write_map
from tracker.reports.offline import OfflineFiles
from tracker.reports.similarity import write_similarity
from tracker.reports.tables import ResultFiles
from tracker.reports.timeline import write_timeline
from tracker.reports.tracks import write_tracks
from tracker.reports.visits import VisitFinder
from tracker.stages import Identities
from tracker.types import CameraName, Tracklets


def write_results(
    folder: Path,
    config: RunConfig,
    cameras: list[CameraName],
    failed: Collection[CameraName],
    ground: GroundPlane,
    linker: IdentityLinker,
    rows: Iterable[NDArray[np.void]],
    known: Identities,
    tracks: Iterable[Tracklets],
    *,
    is_all_known: bool,
) -> list[Path]:
    """All files that are written from the journal, in one pass, and from who is who; the files.

    Those of ``offline/`` come only where every frame was seen, the map where a camera has a homography.

    Args:
        folder: The folder of the run.
        config: Of the run.
        cameras: All, in order.
        failed: Those that gave no frame.
        ground: Of the run.
        linker: Who is who, and what it rests on.
        rows: Of the journal, in pieces.
        known: Who the tracks of the rows are: the linker, or what a live run has stored.
        tracks: All of the run, in pieces.
        is_all_known: Whether every frame was seen, and all was linked once more.
    """
    visits, ways = VisitFinder(), WayFinder(cameras, ground)
    with ExitStack() as stack:
        offline = OfflineFiles(folder, cameras, linker, config, failed)
        if is_all_known:
            stack.enter_context(offline)
        with ResultFiles(folder, cameras, known, failed) as results:
            for piece, who in known_sightings(rows, cameras, known):
                results.add(piece, who)
                visits.add(piece["camera"], piece["time"], who)
                if config.ground.homographies:
                    ways.add(piece["camera"], piece["time"], who, piece["box"])
                if is_all_known:
                    offline.add(piece)
        files = [
            *results.paths,
            write_tracks(folder / "tracks.csv", tracks),
            folder / "events.jsonl",
            *write_timeline(folder / "timeline.png", visits.visits(), cameras),
        ]
        if config.ground.homographies:
            files += write_map(folder / "map.png", ways.ways(), cameras, is_y_down=ground.is_y_down)
        if is_all_known:
            files += offline.write()
    if (similarity := linker.similarity_report()) is not None:
        files += write_similarity(folder, similarity)
    return files
