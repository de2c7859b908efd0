"""Signing in and out."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from foundation.command import installed_version
from tracker.live.accounts import OWNER, SESSION_S
from tracker.live.errors import ApiError
from tracker.live.labels import iso
from tracker.live.rights import API
from tracker.live.state import Live, Server, Who

router = APIRouter(prefix=API)


class SignIn(BaseModel):
    """Either the one-time token, or a user and a password."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"user": "anna", "password": "correct horse battery"}]},
    )

    token: Annotated[str, Field(max_length=200)] | None = None
    user: Annotated[str, Field(max_length=200)] | None = None
    password: Annotated[str, Field(max_length=1000)] | None = None


@router.post("/session")
def sign_in(body: SignIn, request: Request, response: Response, live: Server) -> dict[str, Any]:
    """Open a session; its token goes into the cookie."""
    user = _use_token(body.token, live) if body.token is not None else _check(body, request, live)
    token = live.accounts.open_session(user)
    doors = live.guard.doors
    response.set_cookie(
        doors.cookie,
        token,
        max_age=int(SESSION_S),
        httponly=True,
        samesite="strict",
        secure=doors.has_tls,
        path="/",
    )
    live.site.note(user, "signed in")
    viewer = live.accounts.of_session(token)
    assert viewer is not None
    return who(viewer, live)


@router.get("/session")
def look(live: Server, viewer: Who) -> dict[str, Any]:
    """Who is signed in, and what they may see."""
    return who(viewer, live)


@router.delete("/session", status_code=204)
def sign_out(request: Request, response: Response, live: Server) -> None:
    """End the session."""
    doors = live.guard.doors
    if token := request.cookies.get(doors.cookie):
        live.accounts.close_session(token)
    response.delete_cookie(doors.cookie, path="/", secure=doors.has_tls, httponly=True, samesite="strict")


def who(viewer: Who, live: Live) -> dict[str, Any]:
    """The answer to ``GET /session``."""
    return {
        "user": viewer.user,
        "role": viewer.role.name.lower(),
        "cameras": viewer.camera_keys,
        "version": installed_version(),
        "live": live.is_tracking,
        "privacy": live.privacy(),
        "until": iso(live.store.end_s()) if live.site.run else None,
    }


def _use_token(token: str, live: Live) -> str:
    if not live.accounts.use_one_time(token):
        raise ApiError(
            401, "this address was used before or is too old; start again, or sign in with a password"
        )
    return OWNER


def _check(body: SignIn, request: Request, live: Live) -> str:
    if body.user is None or body.password is None:
        raise ApiError(422, "give a token, or a user and a password")
    keys = [f"address {request.client.host if request.client else ''}", f"user {body.user}"]
    if wait_s := live.tries.wait_s(keys):
        raise ApiError(
            429, "too many wrong passwords; wait some minutes", headers={"Retry-After": str(int(wait_s) + 1)}
        )
    if not live.accounts.check_password(body.user, body.password):
        live.tries.fail(keys)
        live.site.note(body.user[:64], "wrong password")
        raise ApiError(401, "user or password is wrong")
    live.tries.succeed(keys)
    return body.user
