"""What users say of who is who: done, written down, and undone."""

import json
import time
from typing import Any

from starlette.concurrency import run_in_threadpool

from tracker.gallery import Gallery, UnknownPersonError
from tracker.live.errors import ApiError
from tracker.live.labels import iso
from tracker.live.people import GALLERY_WAIT_S
from tracker.live.rights import Role, Viewer
from tracker.live.state import Live

DAY_S = 86_400.0

FORGET_S = 600.0
"""Whoever is to be forgotten is erased after this time; until then it can be undone."""


async def merge(live: Live, user: str, first: int, second: int) -> dict[str, Any]:
    """Two people are one; the older number stays."""
    kept, gone = sorted((first, second))
    if kept == gone:
        raise ApiError(409, f"{kept} and {gone} are one person already")
    stays = await run_in_threadpool(live.store.stays, "person = ?", (gone,))
    # The gallery first: the run saves nobody's pictures under another number where the gallery has the merge.
    await run_in_threadpool(_in_gallery, live, "merge", kept, gone)
    try:
        answer, _ = await live.ask({"type": "correct", "kind": "merge", "kept": kept, "gone": gone})
    except ApiError:
        await run_in_threadpool(_in_gallery, live, "split", kept, gone)
        raise
    detail = {
        "tracks": answer["tracks"],
        "stays": [[stay.run, stay.camera, stay.track] for stay in stays],
        **_teaches(answer),
    }
    number = await run_in_threadpool(_write_down, live, user, "merge", kept, gone, detail)
    live.reload()
    return {"correction": number, "kept": kept}


async def split(
    live: Live, user: str, person: int, tracks: list[tuple[str | None, str, int]]
) -> dict[str, Any]:
    """These tracks, by run, camera and number, are somebody else; without a run those of all runs."""
    theirs = await run_in_threadpool(live.store.stays, "person = ?", (person,))
    names = [(it.run, it.camera, it.track) for it in theirs]
    chosen: dict[tuple[str, str, int], None] = {}  # in order, each once
    for run, camera, track in tracks:
        found = [name for name in names if name[1:] == (camera, track) and run in (None, name[0])]
        if not found:
            of_run = f" in run {run}" if run else ""
            raise ApiError(409, f"track {track} of {camera}{of_run} is not person {person}")
        chosen |= dict.fromkeys(found)
    stays = [list(name) for name in chosen]
    answer, _ = await live.ask({"type": "correct", "kind": "part", "stays": stays})
    detail = {"stays": stays, **_teaches(answer)}
    number = await run_in_threadpool(_write_down, live, user, "split", person, answer["person"], detail)
    live.reload()
    return {"correction": number, "person": answer["person"]}


async def forget(live: Live, user: str, person: int) -> dict[str, Any]:
    """Hide a person at once, and erase them later."""
    due_s = time.time() + FORGET_S
    number = await run_in_threadpool(_write_down, live, user, "forget", person, None, {}, due_s)
    live.labels.refresh(now=True)
    return {"correction": number, "erased_at": iso(due_s)}


async def undo(live: Live, viewer: Viewer, number: int) -> None:
    """Take a correction back."""
    row = await run_in_threadpool(live.site.row, "SELECT * FROM correction WHERE id = ?", (number,))
    if row is None:
        raise ApiError(404, f"there is no correction {number}")
    if row["undone"] is not None or row["done"] is not None:
        raise ApiError(409, "this cannot be undone any more")
    kind, person, other, detail = row["kind"], row["person"], row["other"], json.loads(row["detail"])
    if kind == "forget" and viewer.role < Role.ADMIN:
        raise ApiError(403, "this needs the role admin")
    if kind == "merge":
        stays = _stays_in(detail) - await run_in_threadpool(_corrected_since, live, number, row["time"])
        await live.ask({"type": "correct", "kind": "part", "stays": sorted(stays, key=repr), "person": other})
        await run_in_threadpool(_in_gallery, live, "split", person, other)
    elif kind == "split":
        await live.ask({"type": "correct", "kind": "merge", "kept": person, "gone": other})
    await run_in_threadpool(_mark, live, number, "undone")
    live.reload()
    live.site.note(viewer.user, f"undid {kind}", str(person))


def _corrected_since(live: Live, number: int, time_s: float) -> set[tuple[str | None, str, int]]:
    """Run, camera and number of tracks of which somebody said more since a merge: they were split from it, or
    a merge before it was undone, which gave them back."""
    rows = live.site.rows(
        "SELECT detail FROM correction WHERE (kind = 'split' AND id > ? AND undone IS NULL) "
        "OR (kind = 'merge' AND id < ? AND undone > ?)",
        (number, number, time_s),
    )
    said = set()
    for row in rows:
        said |= _stays_in(json.loads(row["detail"]))
    return said


def _stays_in(detail: dict[str, Any]) -> set[tuple[str | None, str, int]]:
    """Run, camera and number of the tracks of a correction, as the linker knew them and as the log did."""
    known = {(detail.get("run"), *it) for it in detail.get("tracks", ())}
    return known | {tuple(it) for it in detail.get("stays", ())}


def _teaches(answer: dict[str, Any]) -> dict[str, Any]:
    """What a correction says of cosines, and in which run; see `tracker.live.taught`."""
    return {name: answer[name] for name in ("cosines", "network", "run")}


def list_corrections(live: Live, before: int | None, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """The newest first, and where to go on."""
    rows = live.site.rows(
        "SELECT * FROM correction WHERE id < ? ORDER BY id DESC LIMIT ?", (before or 1 << 62, limit + 1)
    )
    told = [
        {
            "id": row["id"],
            "kind": row["kind"],
            "person": row["person"],
            "other": row["other"],
            "time": iso(row["time"]),
            "user": row["user"],
            "undone": row["undone"] is not None,
            "is_final": row["done"] is not None,
        }
        for row in rows[:limit]
    ]
    return told, rows[limit - 1]["id"] if len(rows) > limit else None


async def erase_due(live: Live) -> None:
    """Erase everybody whose time has come: gallery, log, names, watchlist, and what the tracker remembers."""
    rows = await run_in_threadpool(
        live.site.rows,
        "SELECT id, person FROM correction WHERE kind = 'forget' AND undone IS NULL AND done IS NULL "
        "AND due <= ?",
        (time.time(),),
    )
    for row in rows:
        person = row["person"]
        if live.is_tracking:
            await live.ask({"type": "correct", "kind": "forget", "person": person})
        await run_in_threadpool(_in_gallery, live, "forget", person, person)
        await run_in_threadpool(live.store.forget, person)
        await run_in_threadpool(_erase, live, row["id"], person)


async def let_go_of_old(live: Live) -> None:
    """Leave nothing that is older than the privacy settings allow: log, stays, and people not seen since."""
    days = live.privacy()["retention_days"]
    if days is not None:
        before_s = time.time() - days * DAY_S
        await run_in_threadpool(live.store.prune, before_s)
        await run_in_threadpool(_prune_gallery, live, before_s)


def _prune_gallery(live: Live, before_s: float) -> None:
    with live.people.gallery() as gallery:
        if gallery is not None:
            gallery.prune(before_s)


def _erase(live: Live, correction: int, person: int) -> None:
    with live.site.writing() as connection:
        connection.execute("DELETE FROM person_name WHERE person = ?", (person,))
        connection.execute("DELETE FROM watch WHERE person = ?", (person,))
        connection.execute("UPDATE correction SET done = ? WHERE id = ?", (time.time(), correction))


def _in_gallery(live: Live, what: str, kept: int, gone: int) -> None:
    """Say it to the gallery too; who was not saved there yet will be as the tracker has it by then.

    Raises:
        ReuniteError: It cannot be written: what was asked for is not done, and can be asked for again.
    """
    if not live.site.gallery.exists():
        return
    with Gallery(live.site.gallery, wait_s=GALLERY_WAIT_S) as gallery:
        try:
            if what == "merge":
                gallery.merge(kept, gone)
            elif what == "split":
                if gone in gallery.survivors():
                    gallery.split(gone)
            else:
                gallery.forget(kept)
        except UnknownPersonError:
            pass


def _write_down(
    live: Live,
    user: str,
    kind: str,
    person: int,
    other: int | None,
    detail: dict[str, Any],
    due_s: float | None = None,
) -> int:
    with live.site.writing() as connection:
        done = connection.execute(
            "INSERT INTO correction (kind, person, other, detail, time, user, due) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (kind, person, other, json.dumps(detail), time.time(), user, due_s),
        )
        assert done.lastrowid is not None
    live.site.note(user, kind, str(person) if other is None else f"{person}, {other}")
    return done.lastrowid


def _mark(live: Live, number: int, column: str) -> None:
    with live.site.writing() as connection:
        connection.execute(f"UPDATE correction SET {column} = ? WHERE id = ?", (time.time(), number))
