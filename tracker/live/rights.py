"""Who may do what: one table of every route and every message, and nothing that is not in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each may what those before it may."""

    ANYBODY = 0
    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @classmethod
    def of(cls, name: str) -> "Role":
        """The role of this name.

        Raises:
            ValueError: There is none, or nobody can be given it.
        """
        for role in (cls.VIEWER, cls.OPERATOR, cls.ADMIN):
            if role.name.lower() == name:
                return role
        raise ValueError(f"{name!r} is no role; there are viewer, operator and admin")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whoever is signed in.

    Attributes:
        user: The name; that of a token begins with ``token:``.
        role: What they may.
        cameras: The ids of the cameras they may see; None: all.
    """

    user: str
    role: Role
    cameras: frozenset[int] | None

    def sees(self, camera: int) -> bool:
        """Whether this camera may be looked at."""
        return self.cameras is None or camera in self.cameras

    @property
    def camera_keys(self) -> list[str] | None:
        """As the API writes them."""
        return None if self.cameras is None else [f"c{it}" for it in sorted(self.cameras)]


def read_camera_keys(keys: Iterable[str] | None) -> frozenset[int] | None:
    """The ids that the API writes ``c1``, ``c2``.

    Raises:
        ValueError: One is none.
    """
    if keys is None:
        return None
    found = set()
    for key in keys:
        if not (key.startswith("c") and key[1:].isascii() and key[1:].isdigit() and len(key) < 12):
            raise ValueError(f"{key!r} is no id of a camera, such as c1")
        found.add(int(key[1:]))
    return frozenset(found)


API = "/api/v1"

RULES: dict[tuple[str, str], Role] = {
    ("GET", "/"): Role.ANYBODY,
    ("GET", "/static/{path:path}"): Role.ANYBODY,
    ("GET", "/healthz"): Role.ANYBODY,
    ("GET", "/metrics"): Role.VIEWER,
    ("GET", f"{API}/openapi.json"): Role.VIEWER,
    ("POST", f"{API}/session"): Role.ANYBODY,
    ("GET", f"{API}/session"): Role.VIEWER,
    ("DELETE", f"{API}/session"): Role.VIEWER,
    ("GET", f"{API}/cameras"): Role.VIEWER,
    ("GET", f"{API}/cameras/{{camera}}/picture"): Role.VIEWER,
    ("POST", f"{API}/cameras"): Role.ADMIN,
    ("POST", f"{API}/cameras/test"): Role.ADMIN,
    ("POST", f"{API}/cameras/{{camera}}/pause"): Role.OPERATOR,
    ("POST", f"{API}/cameras/{{camera}}/resume"): Role.OPERATOR,
    ("GET", f"{API}/people"): Role.VIEWER,
    ("GET", f"{API}/people/here"): Role.VIEWER,
    ("GET", f"{API}/people/{{person}}"): Role.VIEWER,
    ("GET", f"{API}/people/{{person}}/route"): Role.VIEWER,
    ("GET", f"{API}/people/{{person}}/thumb"): Role.VIEWER,
    ("GET", f"{API}/people/{{person}}/picture"): Role.VIEWER,
    ("GET", f"{API}/people/{{person}}/why"): Role.VIEWER,
    ("PUT", f"{API}/people/{{person}}/name"): Role.OPERATOR,
    ("POST", f"{API}/people/{{person}}/merge"): Role.OPERATOR,
    ("POST", f"{API}/people/{{person}}/split"): Role.OPERATOR,
    ("POST", f"{API}/people/{{person}}/forget"): Role.ADMIN,
    ("GET", f"{API}/corrections"): Role.OPERATOR,
    ("POST", f"{API}/corrections/{{number}}/undo"): Role.OPERATOR,
    ("GET", f"{API}/events"): Role.VIEWER,
    ("GET", f"{API}/events/stream"): Role.VIEWER,
    ("GET", f"{API}/timeline"): Role.VIEWER,
    ("GET", f"{API}/zones"): Role.VIEWER,
    ("POST", f"{API}/zones"): Role.OPERATOR,
    ("PUT", f"{API}/zones/{{zone}}"): Role.OPERATOR,
    ("DELETE", f"{API}/zones/{{zone}}"): Role.OPERATOR,
    ("POST", f"{API}/search"): Role.OPERATOR,
    ("POST", f"{API}/search/photo"): Role.OPERATOR,
    ("POST", f"{API}/search/camera"): Role.OPERATOR,
    ("GET", f"{API}/people/{{person}}/similar"): Role.OPERATOR,
    ("GET", f"{API}/watchlist"): Role.OPERATOR,
    ("POST", f"{API}/watchlist"): Role.OPERATOR,
    ("DELETE", f"{API}/watchlist/{{entry}}"): Role.OPERATOR,
    ("GET", f"{API}/privacy"): Role.VIEWER,
    ("PUT", f"{API}/privacy"): Role.ADMIN,
    ("GET", f"{API}/settings"): Role.ADMIN,
    ("PUT", f"{API}/settings"): Role.ADMIN,
    ("GET", f"{API}/carriers"): Role.ADMIN,
    ("PUT", f"{API}/carriers"): Role.ADMIN,
    ("GET", f"{API}/users"): Role.ADMIN,
    ("POST", f"{API}/users"): Role.ADMIN,
    ("DELETE", f"{API}/users/{{name}}"): Role.ADMIN,
    ("GET", f"{API}/tokens"): Role.ADMIN,
    ("POST", f"{API}/tokens"): Role.ADMIN,
    ("DELETE", f"{API}/tokens/{{number}}"): Role.ADMIN,
    ("GET", f"{API}/audit"): Role.ADMIN,
    ("GET", f"{API}/counts"): Role.VIEWER,
    ("GET", f"{API}/counts.csv"): Role.VIEWER,
}
"""Method and path of every route. One that is missing is refused to everybody, and a test fails."""

MESSAGES: dict[str, Role] = {"subscribe": Role.VIEWER, "follow": Role.VIEWER, "drawn": Role.VIEWER}
"""Every message that the wall takes."""
