"""The server's application: every route and the wall, behind one guard."""

import asyncio
import logging
import socket
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from foundation.command import installed_version
from foundation.errors import ReuniteError
from tracker.live.corrections import erase_due, let_go_of_old
from tracker.live.errors import ApiError, add_handlers
from tracker.live.guard import Doors, Shield
from tracker.live.rights import API, Role, Viewer
from tracker.live.routes import cameras, events, health, people, search, sessions, settings, zones
from tracker.live.site import Site
from tracker.live.state import Live, Server
from tracker.live.wall import SESSION_OVER, WallViewer, serve_wall

logger = logging.getLogger(__name__)

PROMISES_S, PRUNE_S = 5.0, 3600.0
"""How often it is looked what is due, and what is too old."""

STATIC = Path(__file__).with_name("static")
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".md": "text/plain",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
    ".webmanifest": "application/manifest+json",
}
"""What is served of the page's folder, and as what."""


def create_app(site: Site, doors: Doors | None = None, link: socket.socket | None = None) -> FastAPI:
    """The application of a site.

    Args:
        site: What is kept.
        doors: How it can be reached; None: from this machine, without TLS.
        link: The server's end of the socket to the tracker; None: nothing is tracked.
    """
    live = Live.of(site, doors or Doors())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(live.carriers.start)
        tasks = [asyncio.create_task(live.hub.tell_events(live.store))]
        tasks += [asyncio.create_task(_keep_promises(live))]
        tasks += [asyncio.create_task(live.hub.listen(link))] if link else []
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await run_in_threadpool(live.carriers.close)

    app = FastAPI(
        title="Reunite",
        version=installed_version(),
        description="Everything that the page of `reunite live` does; docs/api.md has it in prose.",
        openapi_url=None,  # it would stand outside of the guard
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        dependencies=[Depends(live.guard.authorize)],
    )
    app.state.live = live
    add_handlers(app)
    for part in (sessions, cameras, health, search, people, events, zones, settings):
        app.include_router(part.router)
    _add_page(app)
    _add_wall(app)
    app.add_middleware(Shield, doors=live.guard.doors)
    return app


async def _keep_promises(live: Live) -> None:
    """What is due is erased, sooner or later: what fails is tried again."""
    pruned_s = 0.0
    while True:
        try:
            await erase_due(live)
            if time.monotonic() - pruned_s > PRUNE_S:
                await let_go_of_old(live)
                pruned_s = time.monotonic()
        except (ApiError, ReuniteError, sqlite3.Error) as error:
            logger.warning("%s", error)
        await asyncio.sleep(PROMISES_S)


def _add_page(app: FastAPI) -> None:
    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html", media_type="text/html")

    files = StaticFiles(directory=STATIC)

    @app.get("/static/{path:path}", include_in_schema=False)
    def part(request: Request, path: str) -> Response:
        file = (STATIC / path.replace("\0", "")).resolve()
        if not file.is_relative_to(STATIC) or file.suffix not in TYPES or not file.is_file():
            raise ApiError(404, "there is no such file")
        headers = {"cache-control": "no-cache"}  # may be kept, but is asked for again each time
        kind = TYPES[file.suffix]
        response = FileResponse(file, headers=headers, media_type=kind, stat_result=file.stat())
        is_kept = files.is_not_modified(response.headers, request.headers)
        return NotModifiedResponse(response.headers) if is_kept else response

    @app.get(f"{API}/openapi.json", include_in_schema=False)
    def openapi() -> JSONResponse:
        return JSONResponse(app.openapi())


def _add_wall(app: FastAPI) -> None:
    @app.websocket(f"{API}/wall")
    async def wall(socket: WebSocket, live: Server) -> None:
        """Pictures and people; docs/api.md."""
        viewer = await live.guard.identify(socket)
        await socket.accept()
        has_token = "authorization" in socket.headers
        is_ours = has_token or ("origin" in socket.headers and live.guard.doors.is_own_origin(socket))
        if viewer is None or not is_ours or viewer.role < Role.VIEWER:
            await socket.close(SESSION_OVER)
            return

        async def still_holds() -> Viewer | None:
            return await live.guard.identify(socket)

        await serve_wall(socket, WallViewer(viewer), live.hub, still_holds)
