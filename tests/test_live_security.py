"""Who may do what: every route and message for every role, and whatever may be sent to them."""

import io
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from foundation.errors import ReuniteError
from tests.live_server import DEADLINE_S, LiveServer, live_server, receive_text
from tracker.live import app as app_module
from tracker.live.accounts import MIN_PASSWORD, TRIES, Accounts
from tracker.live.app import create_app
from tracker.live.command import main as live_main
from tracker.live.guard import Doors
from tracker.live.rights import API, MESSAGES, RULES, Role, Viewer, read_camera_keys
from tracker.live.site import Site
from tracker.live.wall import WallViewer

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with live_server(tmp_path_factory.mktemp("site")) as server:
        server.see({"door": [(1, 7, (40, 60, 80, 200))]})
        yield server


def routes_of(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of every route of HTTP, however they were put together."""
    found: set[tuple[str, str]] = set()

    def collect(routes: Any) -> None:
        for route in routes:
            inner = getattr(route, "original_router", None)
            if inner is not None:
                collect(inner.routes)
            else:
                methods = getattr(route, "methods", None) or ()
                found.update((method, route.path) for method in methods if method != "HEAD")

    collect(app.routes)
    return found


def test_every_route_was_ruled_on_and_no_rule_is_without_a_route(tmp_path: Path) -> None:
    assert routes_of(create_app(Site(tmp_path / "site"))) == set(RULES)


def test_every_message_of_the_wall_was_ruled_on() -> None:
    source = Path(app_module.__file__).with_name("wall.py").read_text()
    assert set(re.findall(r'case "(\w+)"', source)) == set(MESSAGES)


def address_of(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "999", path.replace("{path:path}", "app.js").replace("{camera}", "c1"))


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_every_role_may_do_what_the_table_says_and_nothing_else(
    server: LiveServer, role: Role | None
) -> None:
    client = server.client(role) if role else server.browser()
    with client:
        for (method, path), needed in sorted(RULES.items()):
            if path.endswith("/stream"):
                continue  # an answer without an end; it has the same guard
            url = f"http://{server.address}{address_of(path)}"
            answer = client.request(method, url, json={} if method in ("POST", "PUT") else None)
            is_refused = answer.status_code in (401, 403)
            if path.endswith("/session") and method == "POST":
                assert answer.status_code == 422, "it is open to all, and nothing was given"
            elif (role or Role.ANYBODY) >= needed:
                assert not is_refused, f"{role} should be let in to {method} {path}: {answer.text}"
            else:
                assert answer.status_code == (403 if role else 401), f"{role}: {method} {path}"
            assert answer.status_code < 500 or answer.json()["error"]["code"] == "not_running"


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_needs_its_role(kind: str, server: LiveServer) -> None:
    viewer = WallViewer(Viewer("nobody", Role.ANYBODY, frozenset()))
    told: list[dict[str, Any]] = []
    viewer.tell = told.append  # type: ignore[method-assign, assignment]
    viewer.receive(json.dumps({"type": kind}), None)  # type: ignore[arg-type]
    assert "needs the role" in told[0]["message"]


def test_a_route_that_nobody_ruled_on_is_refused_to_everybody(tmp_path: Path) -> None:
    app = create_app(Site(tmp_path / "site"))

    @app.get("/forgotten")
    def forgotten() -> str:
        return "secret"

    assert ask(app, "GET", "/forgotten").status_code == 403


def ask(app: FastAPI, method: str, path: str, **more: Any) -> httpx.Response:
    """One request, without a server."""
    import asyncio

    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **more)

    return asyncio.run(go())


# Sessions


def test_the_token_that_is_printed_opens_one_session(server: LiveServer) -> None:
    token = server.accounts.one_time_token()
    with server.browser() as browser:
        answer = browser.post(f"{API}/session", json={"token": token})
        assert answer.json()["role"] == "admin"
        (cookie,) = answer.headers.get_list("set-cookie")
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}
        assert browser.get(f"{API}/cameras").status_code == 200
        assert browser.delete(f"{API}/session").status_code == 204
        assert browser.get(f"{API}/cameras").status_code == 401
        again = browser.post(f"{API}/session", json={"token": token})
        assert again.status_code == 401


def test_under_tls_the_cookie_is_for_this_host_alone(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    app = create_app(site, Doors(has_tls=True))
    token = Accounts(site).one_time_token()
    answer = ask(app, "POST", f"{API}/session", json={"token": token}, headers={"X-Reunite": "1"})
    assert answer.headers["set-cookie"].startswith("__Host-reunite=")
    assert "Secure" in answer.headers["set-cookie"]
    assert "max-age" in answer.headers["strict-transport-security"]


def test_nothing_that_opens_lies_in_the_site(server: LiveServer) -> None:
    server.accounts.add_user("anna", PASSWORD, Role.VIEWER, None)
    session = server.accounts.open_session("anna")
    _, token = server.accounts.add_token("desk", Role.VIEWER, None)
    once = server.accounts.one_time_token()
    kept = b"".join(path.read_bytes() for path in server.site.folder.glob("site.sqlite*"))
    for secret in (PASSWORD, session, token, once):
        assert secret.encode() not in kept
    assert server.site.folder.stat().st_mode & 0o077 == 0


def test_wrong_passwords_are_counted_and_the_right_one_waits_too(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    accounts = Accounts(site)
    accounts.add_user("anna", PASSWORD, Role.OPERATOR, frozenset({2}))
    app = create_app(site)

    def sign_in(user: str, password: str) -> httpx.Response:
        body = {"user": user, "password": password}
        return ask(app, "POST", f"{API}/session", json=body, headers={"X-Reunite": "1"})

    right = sign_in("anna", PASSWORD)
    assert (right.json()["role"], right.json()["cameras"]) == ("operator", ["c2"])
    for _ in range(TRIES):
        assert sign_in("anna", "wrong").status_code == 401
    refused = sign_in("anna", PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_who_is_taken_away_is_out_at_once(server: LiveServer) -> None:
    server.accounts.add_user("bert", PASSWORD, Role.VIEWER, None)
    with server.browser() as browser:
        browser.post(f"{API}/session", json={"user": "bert", "password": PASSWORD})
        assert browser.get(f"{API}/session").json()["user"] == "bert"
        server.accounts.add_user("bert", PASSWORD + "!", Role.VIEWER, None)
        assert browser.get(f"{API}/session").status_code == 401


@pytest.mark.parametrize("name", ["", "owner", "a:b", "x" * 65, "a\nb"])
def test_a_name_that_could_be_taken_for_another_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReuniteError, match="choose another"):
        Accounts(Site(tmp_path / "site")).add_user(name, PASSWORD, Role.VIEWER, None)


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReuniteError, match="choose a longer one"):
        Accounts(Site(tmp_path / "site")).add_user("anna", "x" * (MIN_PASSWORD - 1), Role.VIEWER, None)


# Other pages


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"X-Reunite": "0"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
    ],
)
def test_another_page_cannot_act_for_a_user(server: LiveServer, headers: dict[str, str], status: int) -> None:
    with server.browser() as browser:
        token = server.accounts.one_time_token()
        assert browser.post(f"{API}/session", json={"token": token}).status_code == 200
        assert browser.delete(f"{API}/session", headers=headers).status_code == status


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[", "a b"])
def test_a_name_that_was_made_to_lead_here_is_not_ours(tmp_path: Path, host: str) -> None:
    app = create_app(Site(tmp_path / "site"))
    assert ask(app, "GET", "/healthz", headers={"Host": host}).status_code == 400


def test_every_answer_says_what_a_browser_may_do_with_it(server: LiveServer) -> None:
    with server.browser() as browser:
        for path in ("/", "/healthz", "/static/app.js", "/nowhere", f"{API}/cameras"):
            answer = browser.get(path)
            assert "default-src 'none'" in answer.headers["content-security-policy"], path
            assert "unsafe" not in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert browser.get("/static/..%2f..%2frights.py").status_code == 404
        assert browser.get("/static/../rights.py").status_code == 404


def test_a_browser_that_has_the_page_is_not_sent_it_again(server: LiveServer) -> None:
    with server.browser() as browser:
        first = browser.get("/static/app.js")
        for name, value in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
            again = browser.get("/static/app.js", headers={name: first.headers[value]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["cache-control"] == "no-cache"
        assert browser.get("/static/app.js", headers={"if-none-match": '"another"'}).content == first.content


def test_other_machines_come_in_only_where_somebody_has_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert live_main(["--host", "0.0.0.0", "--port", "0"]) == 2
    assert "reunite user add" in capsys.readouterr().err


# What may be sent


def test_rights_to_a_camera_are_rights_to_its_id() -> None:
    assert read_camera_keys(None) is None
    assert read_camera_keys(["c1", "c12"]) == frozenset({1, 12})
    for wrong in ("1", "c", "c-1", "c²", "c1 ", "cam1", "c" + "1" * 20):
        with pytest.raises(ValueError, match="no id of a camera"):
            read_camera_keys([wrong])


def malformed_bodies(rng: random.Random) -> Iterator[tuple[bytes, str]]:
    """Bodies of requests that nobody should send, and their types."""
    values: list[Any] = [
        None,
        True,
        -1,
        1e308,
        2**70,
        "",
        "x" * 5000,
        "\x00",
        "\ud800",
        [],
        {},
        [[]],
        {"a": {}},
    ]
    fields = ["token", "user", "password", "person", "other", "name", "tracks", "camera", "kind", "points"]
    fields += ["box", "role", "cameras", "note", "blur", "but", "webhooks", "mqtt", "retention_days"]
    while True:
        match rng.randrange(4):
            case 0:
                yield rng.randbytes(rng.randrange(200)), "application/json"
            case 1:
                chosen = {name: rng.choice(values) for name in rng.sample(fields, rng.randrange(1, 6))}
                yield json.dumps(chosen).encode("utf-8", "surrogatepass"), "application/json"
            case 2:
                yield json.dumps(rng.choice(values)).encode("utf-8", "surrogatepass"), "application/json"
            case _:
                yield damaged_picture(rng), rng.choice(["image/jpeg", "image/png", "image/x", "text/plain"])


def damaged_picture(rng: random.Random) -> bytes:
    suffix = rng.choice([".jpg", ".png", ".webp"])
    _, coded = cv2.imencode(suffix, np.full((20, 30, 3), rng.randrange(256), np.uint8))
    data = bytearray(coded.tobytes())
    for _ in range(rng.randrange(1, 10)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data) + 1)])


def test_500_malformed_requests_are_refused_without_a_traceback(server: LiveServer) -> None:
    rng = random.Random(0)
    routes = [it for it in sorted(RULES) if it[0] != "GET" and not it[1].endswith("/stream")]
    routes += [it for it in sorted(RULES) if it[0] == "GET" and "?" not in it[1]]
    bodies = malformed_bodies(rng)
    queries = ["", "?cursor=%00", "?limit=0", "?from=x&to=1e99", "?box=nan,0,1,1", "?after=-1", "?q=%ff"]
    with server.client() as client:
        for _ in range(500):
            method, path = rng.choice(routes)
            if path.endswith("/stream"):
                continue
            inserted = rng.choice(
                ["1", "0", "-1", "x", "%00", "9" * 30, "c1", "c999", "..%2f", "%f0%9f%98%80"]
            )
            url = f"http://{server.address}" + re.sub(r"\{[^}]*\}", inserted, path) + rng.choice(queries)
            body, kind = next(bodies)
            content = body if method != "GET" else None
            answer = client.request(method, url, content=content, headers={"Content-Type": kind})
            assert answer.status_code < 500 or answer.json()["error"]["code"] == "not_running", (
                method,
                url,
                body[:200],
                answer.text[:300],
            )
            assert "Traceback" not in answer.text


def test_500_malformed_messages_leave_the_wall_open(server: LiveServer) -> None:
    rng = random.Random(0)
    bodies = malformed_bodies(rng)
    with server.client() as client, server.wall(client) as wall:
        receive_text(wall, "hello")
        for number in range(500):
            body, _ = next(bodies)
            if number % 3 == 0:
                wall.send(body)
            elif number % 3 == 1:
                kind = rng.choice([*MESSAGES, "merge", None, 3])
                wall.send(json.dumps({"type": kind, "cameras": rng.choice([{}, None, {"c1": []}, 3])}))
            else:
                wall.send(body.decode("latin-1")[:100])
        wall.send(json.dumps({"type": "follow", "person": 424242}))
        end = time.monotonic() + DEADLINE_S
        while receive_text(wall, "where")["person"] != 424242:
            assert time.monotonic() < end


def test_a_picture_is_measured_before_it_is_unpacked(server: LiveServer) -> None:
    from PIL import Image

    data = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(data, "PNG")
    with server.client() as client:
        answer = client.post("/search", content=data.getvalue(), headers={"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        large = client.post("/search", content=b"x" * (11 << 20), headers={"Content-Type": "image/png"})
        assert large.status_code == 413
        text = client.post("/search", content=b"hello", headers={"Content-Type": "image/png"})
        assert (text.status_code, text.json()["error"]["code"]) == (415, "not_a_picture")
