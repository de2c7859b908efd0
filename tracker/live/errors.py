"""What goes wrong in the API, as its clients are told."""

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from foundation.errors import ReuniteError

CODES = {
    400: "bad_request",
    401: "not_signed_in",
    403: "forbidden",
    404: "not_found",
    405: "not_allowed",
    409: "conflict",
    413: "too_large",
    415: "not_a_picture",
    422: "invalid",
    429: "too_many_tries",
    503: "not_running",
}
"""What each status is called, unless more is known."""


class ApiError(Exception):
    """A request that is refused.

    Args:
        status: Of HTTP.
        message: A sentence for people.
        code: For programs; empty: what the status is called.
        headers: To be added.
    """

    def __init__(
        self, status: int, message: str, code: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code or CODES[status]
        self.headers = dict(headers or {})


def add_handlers(app: FastAPI) -> None:
    """Let every error be told in one form, and none with a traceback."""

    @app.exception_handler(ApiError)
    async def refused(_: Request, error: ApiError) -> JSONResponse:
        return answer(error.status, error.code, error.message, headers=error.headers)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        code = CODES.get(error.status_code, "error")
        return answer(error.status_code, code, str(error.detail).lower(), headers=error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = [
            {"field": ".".join(map(str, it["loc"][1:])) or str(it["loc"][0]), "message": it["msg"]}
            for it in error.errors()
        ]
        told = "; ".join(f"{it['field']}: {it['message']}" for it in fields)
        return answer(422, "invalid", told, fields=fields)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, __: Exception) -> JSONResponse:
        return answer(500, "error", "something went wrong in the server; its log says what")

    @app.exception_handler(ReuniteError)
    async def ours(_: Request, error: ReuniteError) -> JSONResponse:
        return answer(503, "not_running", str(error))


def answer(
    status: int,
    code: str,
    message: str,
    *,
    fields: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An error as the API tells it."""
    error: dict[str, object] = {"code": code, "message": message}
    if fields:
        error["fields"] = list(fields)
    return JSONResponse({"error": error}, status, dict(headers or {}))
