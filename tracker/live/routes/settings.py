"""What admins see to: privacy, settings, users, tokens, carriers, the audit log."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from foundation.config import Section
from foundation.errors import ReuniteError
from foundation.settings import as_yaml, settings_of
from tracker.config import RunConfig
from tracker.live.chosen import KEY, changed, chosen, is_at_once, may_be_chosen
from tracker.live.cursors import Cursor, Limit, read_cursor, write_cursor
from tracker.live.errors import ApiError
from tracker.live.labels import iso
from tracker.live.rights import API, Role, read_camera_keys
from tracker.live.routes.people import Body
from tracker.live.state import Server, Who

router = APIRouter(prefix=API)

RoleName = Literal["viewer", "operator", "admin"]
Keys = Annotated[list[Annotated[str, Field(max_length=20)]], Field(max_length=1000)]


class PrivacyBody(Body):
    """What may be shown of people, and how long it is kept."""

    blur: Literal["none", "all", "all_but"] = "none"
    but: Annotated[int, Field(ge=1, le=1 << 53)] | None = None
    pictures: bool = True
    thumbnails: bool = True
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None


class UserBody(Body):
    """A user."""

    name: Annotated[str, Field(max_length=64)]
    password: Annotated[str, Field(max_length=1000)]
    role: RoleName
    cameras: Keys | None = None


class TokenBody(Body):
    """An API token."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: RoleName
    cameras: Keys | None = None


@router.get("/privacy")
def privacy(live: Server) -> dict[str, Any]:
    """What may be shown."""
    return live.privacy()


@router.put("/privacy")
def protect(body: PrivacyBody, live: Server, viewer: Who) -> dict[str, Any]:
    """Show more, or less; at once. Whether thumbnails are kept holds from the next start."""
    if body.blur == "all_but" and body.but is None:
        raise ApiError(422, "but: name the person who is not blurred")
    live.site.set("privacy", body.model_dump())
    live.reload()
    live.site.note(viewer.user, "changed privacy", body.model_dump_json())
    return live.privacy()


@router.get("/settings")
def settings(live: Server) -> dict[str, Any]:
    """Every setting of the run, with what it means."""
    config, wanted = live.photos.config(), chosen(live.site)
    told = []
    for setting in settings_of(RunConfig):
        value = None if setting.is_section else _value(config, setting.key, setting.kind)
        told.append(
            {
                "key": setting.key,
                "kind": setting.kind,
                "description": setting.description,
                "type": setting.type,
                "bounds": setting.bounds,
                "default": setting.default,
                "value": value,
                "is_section": setting.is_section,
                "is_at_once": is_at_once(setting.key),
                "may_be_chosen": may_be_chosen(setting.key),
                "chosen": wanted.get(setting.key),
            }
        )
    return {"settings": told}


class Choice(Body):
    """A setting and its value, as YAML; null takes back what was chosen."""

    key: Annotated[str, Field(max_length=200, pattern=r"^[a-z_.]+$")]
    value: Annotated[str, Field(max_length=2000)] | None


@router.put("/settings")
async def choose(body: Choice, live: Server, viewer: Who) -> dict[str, Any]:
    """Change a setting: at once where that can be, else from the next start on."""
    if not may_be_chosen(body.key):
        raise ApiError(422, f"{body.key}: is no single setting, or one of the command line or of privacy")
    value = body.value
    if value is not None:
        try:
            await run_in_threadpool(changed, live.site, body.key, value)
        except ReuniteError as error:
            raise ApiError(422, str(error).partition("\n")[2].strip() or str(error)) from None
    is_now = value is not None and is_at_once(body.key) and live.is_tracking
    async with live.changing:
        if is_now:
            await live.ask({"type": "set", "key": body.key, "value": value})
        wanted = await run_in_threadpool(chosen, live.site)
        wanted.pop(body.key, None)
        if value is not None:
            wanted[body.key] = value
        await run_in_threadpool(live.site.set, KEY, wanted)
    await run_in_threadpool(live.site.note, viewer.user, "changed setting", f"{body.key}={value}")
    return {"key": body.key, "value": value, "needs_restart": not is_now}


@router.get("/users")
def users(live: Server) -> dict[str, Any]:
    """Everybody who has a password."""
    return {"users": live.accounts.users()}


@router.post("/users", status_code=201)
def add_user(body: UserBody, live: Server, viewer: Who) -> dict[str, Any]:
    """Add a user, or change one; their sessions end."""
    cameras = _cameras(body.cameras)
    try:
        live.accounts.add_user(body.name, body.password, Role.of(body.role), cameras)
    except ReuniteError as error:
        raise ApiError(422, str(error)) from None
    live.site.note(viewer.user, "added user", body.name)
    return {"name": body.name, "role": body.role, "cameras": body.cameras}


@router.delete("/users/{name}", status_code=204)
def remove_user(name: Annotated[str, Path(max_length=64)], live: Server, viewer: Who) -> None:
    """Take a user away; their sessions end."""
    if not live.accounts.remove_user(name):
        raise ApiError(404, f"there is no user {name!r}")
    live.site.note(viewer.user, "removed user", name)


@router.get("/tokens")
def tokens(live: Server) -> dict[str, Any]:
    """All API tokens, without what opens them."""
    return {"tokens": [{**it, "created": iso(float(str(it["created"])))} for it in live.accounts.tokens()]}


@router.post("/tokens", status_code=201)
def add_token(body: TokenBody, live: Server, viewer: Who) -> dict[str, Any]:
    """A new API token, which is told this once."""
    number, token = live.accounts.add_token(body.name, Role.of(body.role), _cameras(body.cameras))
    live.site.note(viewer.user, "added token", body.name)
    return {"id": number, "name": body.name, "role": body.role, "cameras": body.cameras, "token": token}


@router.delete("/tokens/{number}", status_code=204)
def remove_token(number: Annotated[int, Path(ge=1, le=1 << 53)], live: Server, viewer: Who) -> None:
    """Take an API token away."""
    if not live.accounts.remove_token(number):
        raise ApiError(404, f"there is no token {number}")
    live.site.note(viewer.user, "removed token", str(number))


@router.get("/audit")
def audit(
    live: Server,
    cursor: Cursor = None,
    limit: Limit = 50,
    user: Annotated[str | None, Query(max_length=100)] = None,
) -> dict[str, Any]:
    """Who looked at whom and changed what, the newest first."""
    before = read_cursor(cursor, int)
    rows = live.site.rows(
        "SELECT id, time, user, action, target FROM audit WHERE id < ? AND (? IS NULL OR user = ?) "
        "ORDER BY id DESC LIMIT ?",
        (before[0] if before else 1 << 62, user, user, limit + 1),
    )
    told = [{**dict(row), "time": iso(row["time"])} for row in rows[:limit]]
    return {"entries": told, "next": write_cursor((told[-1]["id"],) if len(rows) > limit else None)}


def _cameras(keys: list[str] | None) -> frozenset[int] | None:
    try:
        return read_camera_keys(keys)
    except ValueError as error:
        raise ApiError(422, f"cameras: {error}") from None


def _value(config: Section, key: str, kind: str) -> str | None:
    """The value of a setting as YAML; None where the run has a section of another kind, or several."""
    if kind:
        place, _, wanted = kind.partition("=")
        if _find(config, place) != wanted:
            return None
    value = _find(config, key)
    return None if value is None and "N" in key.split(".") else as_yaml(_plain(value))


def _find(config: Any, key: str) -> Any:
    for name in key.split("."):
        config = getattr(config, name, None)
    return config


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.model_dump(mode="json")
    return [_plain(it) for it in value] if isinstance(value, tuple) else value
