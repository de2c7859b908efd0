"""What every route of the server works with."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from tracker.events.store import EventStore
from tracker.live.accounts import Accounts, Tries
from tracker.live.carriers import Carriers
from tracker.live.errors import ApiError
from tracker.live.guard import Doors, Guard
from tracker.live.hub import Hub, NotRunningError
from tracker.live.labels import Labels
from tracker.live.link import Message
from tracker.live.people import People
from tracker.live.photos import Photos
from tracker.live.rights import Role, Viewer, read_camera_keys
from tracker.live.site import Site


@dataclass(frozen=True, slots=True)
class Live:
    """One server.

    Attributes:
        site: What is kept.
        hub: What the tracker tells.
    """

    site: Site
    store: EventStore
    accounts: Accounts
    guard: Guard
    hub: Hub
    people: People
    photos: Photos
    carriers: Carriers
    tries: Tries = field(default_factory=Tries)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @classmethod
    def of(cls, site: Site, doors: Doors) -> "Live":
        """A server of this site; the hub is not connected yet."""
        accounts, hub, store = Accounts(site), Hub(site), EventStore(site.events)
        guard = Guard(accounts, doors)
        people = People(site, store, hub.labels)
        return cls(
            site, store, accounts, guard, hub, people, Photos(site, people), Carriers(site, store, hub.labels)
        )

    @property
    def is_tracking(self) -> bool:
        """Whether a tracker runs, so that something can be changed; not where a finished run is looked at."""
        return self.hub.is_live and self.site.run is None

    def reload(self) -> None:
        """What the site keeps has changed: let the tracker read it again. Any thread may call it."""
        self.hub.reload()

    @property
    def labels(self) -> Labels:
        """What cameras and people are called."""
        return self.hub.labels

    def people_here(self) -> list[dict[str, Any]]:
        """Who is in view now."""
        return self.hub.people()

    def privacy(self) -> dict[str, Any]:
        """What may be shown of people; see `Publisher`."""
        return self.site.privacy()

    async def ask(self, header: dict[str, Any], body: bytes = b"") -> Message:
        """Ask the tracker.

        Raises:
            ApiError: It does not run, or says why it cannot be done.
        """
        try:
            answer, content = await self.hub.ask(header, body)
        except NotRunningError:
            raise ApiError(503, "the tracker does not run, or does not answer") from None
        if "refused" in answer:
            raise ApiError(409, answer["refused"])
        return answer, content

    def camera(self, key: str, viewer: Viewer) -> tuple[int, str]:
        """Id and name of a camera of the run that this viewer may see.

        Raises:
            ApiError: There is none; one that may not be seen is as if it were not there.
        """
        try:
            (number,) = read_camera_keys([key]) or {0}
        except ValueError:
            number = 0
        name = self.hub.camera_name(number)
        if name is None or not viewer.sees(number):
            raise ApiError(404, f"there is no camera {key[:20]!r}", "unknown_camera")
        return number, name


def _live(connection: HTTPConnection) -> Live:
    live: Live = connection.app.state.live
    return live


def _viewer(connection: HTTPConnection) -> Viewer:
    viewer: Viewer | None = connection.state.viewer
    return viewer or Viewer("", Role.ANYBODY, frozenset())


Server = Annotated[Live, Depends(_live)]
Who = Annotated[Viewer, Depends(_viewer)]
