"""Search, watchlist, privacy, users, tokens, carriers, the audit log and metrics, as the API has them."""

import re
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from foundation.arrays import EmbeddingArray
from tests.live_server import LiveServer, live_server, receive_picture, wait_until
from tracker.config import RunConfig, dump_config, load_config
from tracker.gallery import GalleryWriter, Person, Pictures, Presence
from tracker.live.chosen import load_chosen
from tracker.live.rights import Role
from tracker.stages import Embedder
from tracker.types import CameraName, Detections, Network, Observations, Tick

BOX = (40.0, 60.0, 80.0, 200.0)
NETWORK = Network("drawn", "0", 64)


class ByBrightness:
    """An embedder to which people of one brightness are one: person 3 is at 3 x 60."""

    network: Network | None = NETWORK

    def embed(self, tick: Tick, detections: list[Detections], needed: object) -> list[Observations]:
        brightness = round(float(tick.frames[0].image.mean()) / 60)
        return [Observations(it.boxes, it.scores, looks(brightness)[None]) for it in detections]


def looks(person: int) -> EmbeddingArray:
    return np.asarray(np.eye(64)[person], np.float32)


def photo_of(person: int) -> bytes:
    picture = np.full((128, 64, 3), 60 * person, np.uint8)
    return bytes(cv2.imencode(".png", picture)[1].tobytes())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Persons 1 to 3 were seen at the door, and are remembered."""
    with live_server(tmp_path_factory.mktemp("site")) as server:
        server.site.config.write_text(dump_config(load_config()))
        writer = GalleryWriter(server.site.gallery, NETWORK)
        writer.reserve(3)
        now_s, door = time.time(), CameraName("door")
        for person in (1, 2, 3):
            shown = Pictures(np.array([door], np.object_), np.array([now_s]), looks(person)[None])
            writer.save([Person(person, {door: Presence(now_s, now_s, 1)}, shown)])
        writer.close()
        embedder: Embedder = ByBrightness()  # type: ignore[assignment]
        server.live.photos._embedder = embedder
        server.see({"door": [(1, 1, BOX), (2, 2, BOX), (3, 3, BOX)]}, now_s)
        wait_until(lambda: len(server.observer.store.people()) == 3)
        yield server


def test_a_photo_is_answered_with_who_it_is_or_nobody(server: LiveServer) -> None:
    with server.client() as client:
        png = {"Content-Type": "image/png"}
        found = client.post("/search", content=photo_of(3), headers=png).json()
        assert found["people"][0]["person"] == 3
        assert found["people"][0]["probability"] > found["people"][1]["probability"]
        total = found["nobody_probability"] + sum(it["probability"] for it in found["people"])
        assert total == pytest.approx(1, abs=0.01)
        whole = np.hstack([np.full((128, 64, 3), 60, np.uint8), np.full((128, 64, 3), 120, np.uint8)])
        both = cv2.imencode(".png", whole)[1].tobytes()
        right = client.post("/search?box=0.5,0,1,1", content=both, headers=png).json()
        assert right["people"][0]["person"] == 2
        assert client.post("/search?box=0,0,0,0", content=both, headers=png).status_code == 422
    with server.client(Role.OPERATOR, [2]) as other:
        nobody = other.post("/search", content=photo_of(3), headers=png).json()
        assert (nobody["person"], nobody["people"]) == (None, []), "that camera never saw them"


class FindsTwo:
    """A detector to which the two halves of every picture are somebody, and its corner perhaps."""

    def detect(self, tick: Tick) -> list[Detections]:
        width, height = tick.frames[0].size
        boxes = np.array([[width / 2, 0, width, height], [0, 0, width / 2, height], [9, 0, 20, height]])
        return [Detections.of(boxes, np.array([0.9, 0.9, 0.1]))]


def test_everybody_on_a_whole_photo_is_found_and_named_or_nobody(server: LiveServer) -> None:
    png = {"Content-Type": "image/png"}
    halves = [np.full((128, 64, 3), 60 * person, np.uint8) for person in (3, 0)]
    whole = cv2.imencode(".png", np.hstack(halves))[1].tobytes()
    with server.client() as client:
        server.live.photos._detector = FindsTwo()  # type: ignore[assignment]
        answer = client.post("/search/photo", content=whole, headers=png).json()
        assert answer["detects"]
        left, right = answer["found"]
        assert (left["person"], right["person"]) == (3, None)
        assert (left["box"], right["box"]) == ([0, 0, 0.5, 1], [0.5, 0, 1, 1])
        assert client.post("/search/photo", content=b"x", headers=png).status_code == 415
        server.site.config.write_text(dump_config(load_config("embedded")))
        still = client.post("/search/photo", content=whole, headers=png).json()
        assert still == {"detects": False, "found": []}, "it would need motion"
        server.site.config.write_text(dump_config(load_config()))


def test_somebody_on_a_camera_is_searched_and_others_who_are_alike(server: LiveServer) -> None:
    with server.client() as client:
        box = {"camera": "c1", "box": [0.1, 0.2, 0.5, 0.9]}
        answer = client.post("/search/camera", json=box)
        assert answer.status_code == 200
        assert {it["person"] for it in answer.json()["people"]} == {1, 2, 3}
        alike = client.get("/people/1/similar").json()
        assert 1 not in {it["person"] for it in alike["people"]}
        assert client.get("/people/9/similar").status_code == 404


def test_who_is_watched_for_is_told_when_seen(server: LiveServer) -> None:
    with server.client() as client:
        entry = client.post("/watchlist", json={"person": 2, "note": "call the desk"}).json()
        assert client.post("/watchlist", json={"person": 2}).status_code == 409
        assert client.post("/watchlist", json={"person": 99}).status_code == 404
        assert (
            client.post("/watchlist", content=b"{", headers={"Content-Type": "application/json"}).status_code
            == 422
        )
        png = {"Content-Type": "image/png"}
        photo = client.post("/watchlist?note=x&name=Eve", content=photo_of(0), headers=png).json()
        assert (photo["person"], photo["name"]) == (None, "Eve"), "nobody like that was here"
        wait_until(lambda: server.observer._commands.qsize())
        server.see({"door": [(2, 2, BOX)]})
        server.see({"door": [(2, 2, BOX)]})
        seen = wait_until(lambda: client.get("/events?type=watchlist.seen").json()["events"])
        assert [it["person"] for it in seen] == [2]
        assert client.get("/people/2").json()["is_watched"]
        assert client.delete(f"/watchlist/{entry['id']}").status_code == 204
        assert [it["name"] for it in client.get("/watchlist").json()["entries"]] == ["Eve"]


def test_what_may_be_shown_is_changed_at_once(server: LiveServer) -> None:
    with server.client() as client:
        open_to_all = client.get("/privacy").json()
        assert client.put("/privacy", json={**open_to_all, "blur": "all_but"}).status_code == 422
        assert client.put("/privacy", json={**open_to_all, "pictures": False}).status_code == 200
        wait_until(lambda: client.get("/cameras/c1/picture").status_code == 404)
        with server.wall(client) as wall:
            wall.send('{"type": "subscribe", "cameras": {"c1": 320}}')
            wait_until(lambda: server.observer.publisher.wanted)
            server.see({"door": [(1, 1, BOX)]})
            header, jpeg = receive_picture(wall)
            assert (len(header["boxes"]), jpeg) == (1, b"")
        client.put("/privacy", json=open_to_all)
        wait_until(lambda: client.get("/cameras/c1/picture").status_code == 200)


def test_users_and_tokens_come_and_go_and_are_written_down(server: LiveServer) -> None:
    with server.client() as client:
        user = {"name": "anna", "password": "correct horse", "role": "viewer", "cameras": ["c2"]}
        assert client.post("/users", json=user).status_code == 201
        assert client.post("/users", json={**user, "password": "short"}).status_code == 422
        assert client.post("/users", json={**user, "cameras": ["door"]}).status_code == 422
        assert {"name": "anna", "role": "viewer", "cameras": ["c2"]} in client.get("/users").json()["users"]
        assert client.delete("/users/anna").status_code == 204
        assert client.delete("/users/anna").status_code == 404
        token = client.post("/tokens", json={"name": "desk", "role": "viewer", "cameras": ["c1"]}).json()
        bearer = {"Authorization": f"Bearer {token['token']}"}
        assert client.get("/session", headers=bearer).json()["cameras"] == ["c1"]
        assert token["token"] not in client.get("/tokens").text
        assert client.delete(f"/tokens/{token['id']}").status_code == 204
        refused = client.get("/session", headers=bearer)
        assert refused.status_code == 401
        assert "nobody has this token" in refused.text
        client.get("/people/1")
        told = [(it["action"], it["target"]) for it in client.get("/audit").json()["entries"]]
        assert told[0] == ("looked at person", "1")
        assert ("added user", "anna") in told
        assert "correct horse" not in client.get("/audit?limit=500").text


def test_carriers_are_set_and_their_secret_is_told_once(server: LiveServer) -> None:
    with server.client() as client:
        desk = {"name": "desk", "address": "http://127.0.0.1:9/hook"}
        told = client.put("/carriers", json={"webhooks": [desk]}).json()
        assert len(told["webhooks"][0]["secret"]) > 20
        again = client.put("/carriers", json={"webhooks": [desk]}).json()
        assert again["webhooks"][0]["secret"] is None
        assert server.live.carriers.settings.webhooks[0].secret == told["webhooks"][0]["secret"]
        server.see({"hall": []})
        names = {it["name"] for it in client.get("/carriers").json()["states"]}
        assert names == {"events.jsonl", "webhook desk"}
        wrong = {"webhooks": [{"name": "x", "address": "file:///etc/passwd"}]}
        assert client.put("/carriers", json=wrong).status_code == 422
        assert client.put("/carriers", json={"webhooks": [desk, desk]}).status_code == 422
        client.put("/carriers", json={})


def test_every_setting_is_told_with_its_value(server: LiveServer) -> None:
    with server.client() as client:
        settings = {it["key"]: it for it in client.get("/settings").json()["settings"]}
        assert settings["tracking.max_lost_s"]["value"] == "1.5"
        assert settings["tracking.max_lost_s"]["description"]
        assert settings["tracking"]["is_section"]


def test_whoever_asks_while_the_cameras_are_opened_is_told_so_at_once(server: LiveServer) -> None:
    with server.client() as client:
        answer = client.post("/cameras/c1/pause")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert "try again in a moment" in answer.json()["error"]["message"]


def test_a_setting_is_changed_at_once_or_with_the_next_start(server: LiveServer) -> None:
    changes: list[RunConfig] = []
    tracking = SimpleNamespace(change=changes.append, config=load_config())
    with server.client() as client:

        def put(key: str, value: str | None) -> tuple[int, Any]:
            answer = client.put("/settings", json={"key": key, "value": value})
            return answer.status_code, answer.json()

        server.observer._tracking = tracking  # type: ignore[assignment]

        def obey() -> list[RunConfig]:
            server.observer.obey()
            return changes

        clock = threading.Thread(target=wait_until, args=(obey,))
        clock.start()
        now = put("identity.decide_s", "3.5")
        clock.join()
        assert now == (200, {"key": "identity.decide_s", "value": "3.5", "needs_restart": False})
        assert changes[0].identity.decide_s == 3.5
        server.observer._tracking = None
        assert put("tracking.max_lost_s", "2")[1]["needs_restart"]
        assert load_chosen([], [], server.site).tracking.max_lost_s == 2.0
        assert load_chosen([], ["tracking.max_lost_s=4"], server.site).tracking.max_lost_s == 4.0
        known = {it["key"]: it for it in client.get("/settings").json()["settings"]}
        assert (known["tracking.max_lost_s"]["chosen"], known["tracking.max_lost_s"]["may_be_chosen"]) == (
            "2",
            True,
        )
        assert put("tracking.max_lost_s", None)[0] == 200
        assert load_chosen([], [], server.site) == load_config(None, ["identity.decide_s=3.5"])
        for key, value in (
            ("tracking.max_lost_s", "-1"), ("tracking.no_such", "1"), ("embedder.weights", "/etc/passwd"),
            ("source", "[a.mp4]"), ("output.folder", "/tmp"), ("identity.decide_s", "[1, {"),
            ("embedder", "{kind: reid, weights: /etc/passwd}"), ("output", "{save_video: true}"),
        ):  # fmt: skip
            status, answer = put(key, value)
            assert status == 422, (key, answer)
        server.site.set("settings", {"tracking.gone": "1", "identity.decide_s": "3.5"})
        assert load_chosen([], [], server.site).identity.decide_s == 3.5, "one that does not fit is left out"
        server.site.set("settings", {})


@pytest.mark.parametrize("mark", ["\n", "\r", "\v", "\x85", "\u2028", " # "])
def test_an_address_never_is_more_than_one_line_of_the_list(server: LiveServer, mark: str) -> None:
    with server.client() as client:
        body = {"name": "yard", "address": f"rtsp://host/yard{mark}rtsp://host/other"}
        assert client.post("/cameras", json=body).status_code == 422
        assert not server.site.added.exists()


def test_metrics_are_lines_that_prometheus_reads(server: LiveServer) -> None:
    with server.client() as client:
        text = client.get(f"http://{server.address}/metrics").text
        line = re.compile(r'(# (HELP|TYPE) .+)|(\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+]+)')
        assert all(line.fullmatch(it) for it in text.splitlines())
        assert 'reunite_camera_frames_total{camera="door"}' in text
        assert "reunite_events_total" in text
    with server.client(Role.VIEWER, [2]) as other:
        text = other.get(f"http://{server.address}/metrics").text
        assert "door" not in text
        assert "hall" in text
    with server.browser() as nobody:
        assert nobody.get("/metrics").status_code == 401
        assert nobody.get("/healthz").json()["status"] == "ok"
