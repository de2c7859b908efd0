"""What stands before every request: hosts, headers, sizes, who is there and what they may do."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tracker.live.accounts import Accounts
from tracker.live.errors import ApiError, answer
from tracker.live.rights import RULES, Role, Viewer

MAX_BODY = 10 << 20
"""Bytes; a photo is the largest that anybody sends."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
"""Of every answer."""


@dataclass(frozen=True, slots=True)
class Doors:
    """How the server can be reached.

    Attributes:
        is_local: Only from this machine.
        has_tls: By https.
        hosts: The names that a browser may have for it, beside addresses; empty: any.
    """

    is_local: bool = True
    has_tls: bool = False
    hosts: frozenset[str] = frozenset()

    @property
    def cookie(self) -> str:
        """What the session's cookie is called."""
        return "__Host-reunite" if self.has_tls else "reunite"

    def knows_host(self, host: str) -> bool:
        """Whether this is our name: else some other site's name was made to lead here (DNS rebinding)."""
        name = urlsplit(f"//{host}").hostname or ""
        if name in ("localhost", "127.0.0.1", "::1"):
            return True
        return not self.is_local and (not self.hosts or name in self.hosts)

    def is_own_origin(self, connection: HTTPConnection) -> bool:
        """Whether the page that asks is ours; nobody asks where there is no ``Origin``."""
        origin = connection.headers.get("origin")
        scheme = "https" if self.has_tls else "http"
        return origin is None or origin == f"{scheme}://{connection.headers.get('host', '')}"


class Shield:
    """Before and behind the whole application: known hosts only, no large bodies, headers on every answer."""

    def __init__(self, app: ASGIApp, doors: Doors) -> None:
        self._app, self._doors = app, doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        try:
            is_known = self._doors.knows_host(connection.headers.get("host", ""))
        except ValueError:
            is_known = False
        if scope["type"] == "websocket":
            if is_known:
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        taken = 0

        async def receive_some() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MAX_BODY:
                raise ApiError(413, f"at most {MAX_BODY >> 20} MB are taken")
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                have = {name.lower() for name, _ in message["headers"]}
                more = dict(HEADERS)
                if not scope["path"].startswith("/static/"):
                    more["cache-control"] = "no-store"
                if self._doors.has_tls:
                    more["strict-transport-security"] = "max-age=31536000"
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in more.items() if k.encode() not in have),
                ]
            await send(message)

        if not is_known:
            refused = answer(400, "bad_request", "this server is not known by that name")
            await refused(scope, receive, send_with_headers)
            return
        length = connection.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            refused = answer(413, "too_large", f"at most {MAX_BODY >> 20} MB are taken")
            await refused(scope, receive, send_with_headers)
            return
        await self._app(scope, receive_some, send_with_headers)


class Guard:
    """Says who is there, and refuses what they may not do."""

    def __init__(self, accounts: Accounts, doors: Doors) -> None:
        self._accounts, self.doors = accounts, doors

    async def identify(self, connection: HTTPConnection) -> Viewer | None:
        """Whoever holds the token or the session that came with a request; None: nobody."""
        kind, _, token = connection.headers.get("authorization", "").partition(" ")
        if kind:
            known = kind.lower() == "bearer"
            return await run_in_threadpool(self._accounts.of_token, token.strip()) if known else None
        session = connection.cookies.get(self.doors.cookie)
        return await run_in_threadpool(self._accounts.of_session, session) if session else None

    async def authorize(self, connection: HTTPConnection) -> None:
        """A dependency of every route: the viewer goes to ``state.viewer``, or the request is refused.

        Raises:
            ApiError: It is refused.
        """
        if connection.scope["type"] != "http":
            return  # the wall sees to it itself
        request = Request(connection.scope)
        rule = rule_of(request.method, request.scope["route"].path)
        if rule is None:
            raise ApiError(403, "nobody has been given the right to this")
        viewer = await self.identify(request)
        connection.state.viewer = viewer
        if request.method not in ("GET", "HEAD"):
            self._refuse_forged(request)
        if rule == Role.ANYBODY:
            return
        if viewer is None:
            bears = request.headers.get("authorization", "").lower().startswith("bearer ")
            raise ApiError(
                401, "nobody has this token; it may have been removed" if bears else "sign in first"
            )
        if viewer.role < rule:
            raise ApiError(403, f"this needs the role {rule.name.lower()}")

    def _refuse_forged(self, request: Request) -> None:
        """A page of somebody else must not act in the name of a user: neither by cookie nor as nobody."""
        if "authorization" in request.headers:
            return  # no page of somebody else knows the token
        if request.headers.get("x-reunite") != "1":
            raise ApiError(403, "the header X-Reunite: 1 is missing")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise ApiError(403, "another page asked for this")
        if not self.doors.is_own_origin(request):
            raise ApiError(403, "another page asked for this")


def rule_of(method: str, path: str) -> Role | None:
    """The role that a route needs; None where nobody ruled on it."""
    return RULES.get(("GET" if method == "HEAD" else method, path))
