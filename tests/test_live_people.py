"""People in the API: lists, pages, names, who is forgotten, and why somebody is who, in a real linker."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.live_scene import Scene, keep_pictures, open_scene
from tests.live_server import wait_until
from tracker.config import dump_config, load_config
from tracker.events.store import Step, unix
from tracker.live import corrections
from tracker.live.labels import iso
from tracker.live.rights import Role
from tracker.types import CameraName, Detections, Observations, Tick


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path) as scene:
        yield scene


@pytest.fixture
def pictures(scene: Scene) -> None:
    keep_pictures(scene)


class Photographer:
    """An embedder to which every picture shows one person."""

    network = "drawn"

    def __init__(self, person: int) -> None:
        self._look = np.eye(64, dtype=np.float32)[person][None]

    def embed(self, tick: Tick, detections: list[Detections], needed: object) -> list[Observations]:
        return [Observations(it.boxes, it.scores, self._look) for it in detections]


def test_who_is_on_a_photo_is_told_once_for_a_visit_as_soon_as_they_come(scene: Scene) -> None:
    server = scene.server
    server.site.config.write_text(dump_config(load_config()))
    server.live.photos._embedder = Photographer(5)  # type: ignore[assignment]
    picture = cv2.imencode(".png", np.full((128, 64, 3), 90, np.uint8))[1].tobytes()

    def alerts() -> list[dict[str, Any]]:
        return client.get("/events?type=watchlist.seen").json()["events"]  # type: ignore[no-any-return]

    scene._now_s = time.time() - 20  # so that no visit ends by the clock
    with server.client() as client:
        answer = client.post("/watchlist?name=Eve", content=picture, headers={"Content-Type": "image/png"})
        assert (answer.status_code, answer.json()["person"]) == (201, None)
        wait_until(lambda: server.observer._photos._photos)
        scene.see("door", 7, 8, frames=40)
        assert alerts() == []
        begin_s = scene._now_s
        eve = scene.see("door", 8, 5, frames=40)
        scene.see("hall", 8, 5, frames=40)
        (alert,) = wait_until(alerts)
        assert alert["person"] == eve
        assert wait_until(lambda: alerts()[0]["name"]) == "Eve"
        assert unix(alert["time"]) - begin_s < 3.0
        (entry,) = client.get("/watchlist").json()["entries"]
        assert (entry["person"], entry["name"]) == (eve, "Eve")
        scene.see("door", 9, 9)
        assert len(alerts()) == 1


def test_the_way_of_a_person_is_kept_and_forgotten_with_them(scene: Scene) -> None:
    store, begin_s = scene.server.observer.store, time.time()
    (stay, *_) = store.stays("person = 1")
    steps = [
        Step(stay.run, stay.camera, stay.track, begin_s + second, 0.5 * second, 2.0) for second in range(4)
    ]
    store.add([], [], steps)
    with scene.server.client() as client:
        later = client.get("/people/1/route", params={"from": iso(begin_s + 0.5), "to": iso(begin_s + 1.5)})
        assert [it["ground"] for it in later.json()["steps"]] == [[0.5, 2.0]]
        told = client.get("/people/1/route", params={"to": iso(begin_s + 60)}).json()["steps"]
        assert [it["ground"] for it in told] == [[0.0, 2.0], [0.5, 2.0], [1.0, 2.0], [1.5, 2.0]]
        assert {it["camera"] for it in told} == {"c1"}
        assert client.get("/people/99/route").status_code == 404
    with scene.server.client(Role.VIEWER, [2]) as other:
        assert other.get("/people/1/route").status_code == 404
    store.forget(1)
    assert store.route(1, 0, begin_s + 60) == []
    store.assign([(stay.run, stay.camera, stay.track)], 1)
    assert store.route(1, 0, begin_s + 60) == [], "nothing is left that could come back"


def test_everybody_is_listed_last_seen_first_and_page_by_page(scene: Scene) -> None:
    with scene.server.client() as client:
        people = client.get("/people").json()["people"]
        assert [it["person"] for it in people] == [3, 2, 1]
        assert people[0]["cameras"] == ["c2"]
        seen, cursor = [], ""
        while cursor is not None:
            answer = client.get(
                "/people", params={"limit": 2} | ({"cursor": cursor} if cursor else {})
            ).json()
            seen += [it["person"] for it in answer["people"]]
            cursor = answer["next"]
        assert seen == [3, 2, 1]
        for wrong in ("x", "W10", "eyJhIjoxfQ", "WzFd"):
            assert client.get("/people", params={"cursor": wrong}).status_code == 400


def test_a_page_has_visits_and_a_name_is_found(scene: Scene) -> None:
    with scene.server.client() as client:
        assert client.put("/people/2/name", json={"name": "Anna"}).status_code == 204
        page = client.get("/people/2").json()
        assert (page["name"], page["cameras"], page["is_watched"]) == ("Anna", ["c1"], False)
        (visit,) = page["visits"]
        assert [stay["track"] for stay in visit["stays"]] == [2]
        assert [it["person"] for it in client.get("/people?q=an").json()["people"]] == [2]
        assert client.put("/people/2/name", json={"name": None}).status_code == 204
        assert client.get("/people?q=an").json()["people"] == []
        assert client.get("/people/99").json()["error"]["code"] == "unknown_person"
        assert client.get("/audit").status_code in (200, 404)


def test_who_may_see_one_camera_knows_only_the_people_of_it(scene: Scene, pictures: None) -> None:
    with scene.server.client(Role.VIEWER, [2]) as client:
        assert [it["person"] for it in client.get("/people").json()["people"]] == [3]
        assert client.get("/people/2").status_code == 404
        assert client.get("/people/1/thumb").content == b"\xff\xd8hall"
        assert client.get("/people/99/thumb").status_code == 204, "no browser complains of it"
        assert client.get("/people/1/picture?camera=c1&time=100").status_code == 404
        types = {it["camera"] for it in client.get("/events").json()["events"]}
        assert types <= {"hall"}


def test_stays_say_what_is_found_out_of_tracks_that_are_out_of_view(scene: Scene) -> None:
    def tracks_of(person: int) -> list[tuple[str, int]]:
        return [(it.camera, it.track) for it in scene.server.observer.store.stays("person = ?", (person,))]

    table, tracklets = scene.linker._table, scene.linker._tracklets
    with scene._lock:  # as the linker does when it asks once more who somebody was
        table.part(tracklets.find(scene.linker._index[CameraName("door")], np.array([2])), 3, scene._now_s)
        scene.server.see({"door": []}, scene._now_s, scene.linker.events())
    wait_until(lambda: tracks_of(3) == [("door", 2), ("hall", 1)])
    assert tracks_of(2) == []
    with scene.server.client() as client:  # so that an undone merge gives back what was listed before
        number = client.post("/people/1/merge", json={"other": 3}).json()["correction"]
        wait_until(lambda: len(tracks_of(1)) == 3)
        assert client.post(f"/corrections/{number}/undo").status_code == 204
        scene.see("hall", 9, 9)  # the linker tells of both only now
        wait_until(lambda: ("hall", 9) in tracks_of(4))
        assert (tracks_of(1), tracks_of(3)) == ([("door", 1)], [("door", 2), ("hall", 1)])


def test_who_is_forgotten_is_hidden_at_once_and_gone_later(
    scene: Scene, pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scene.server.client() as client:
        client.put("/people/1/name", json={"name": "Anna"})
        answer = client.post("/people/1/forget").json()
        assert client.get("/people/1").status_code == client.get("/people/1/thumb").status_code == 404
        assert client.post(f"/corrections/{answer['correction']}/undo").status_code == 204
        assert client.get("/people/1").json()["name"] == "Anna"
        monkeypatch.setattr(corrections, "FORGET_S", 0.0)
        client.post("/people/1/forget")
        wait_until(lambda: client.get("/corrections").json()["corrections"][0]["is_final"])
        assert client.get("/people/1").status_code == 404
        assert "Anna" not in (text := client.get("/events?limit=500").text)
        assert '"person":1,' not in text
        assert 1 not in scene.server.site.names()
        assert not scene.linker.corrections().tracks_of(1)


def test_what_is_too_old_goes_with_the_people_who_were_not_seen_since(
    scene: Scene, pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tracker.live import app

    monkeypatch.setattr(app, "PRUNE_S", 0.0)
    with scene.server.client() as client:
        privacy = client.get("/privacy").json()
        assert client.put("/privacy", json={**privacy, "retention_days": 1}).status_code == 200
        wait_until(lambda: client.get("/people/1/thumb").status_code == 204)
        assert client.get("/people/1").status_code == 200, "the stay was ten minutes ago"


def test_why_is_told_by_likeness_and_time(scene: Scene) -> None:
    again = scene.see("hall", 7, 2)
    with scene.server.client() as client:
        told = client.get("/people/2/why?camera=c2&track=7").json()
        assert told["others"]
        assert len(told["grid"]) == len(told["densities"]["same"]) == len(told["densities"]["different"])
        if again == 2:
            assert told["similarity"] is None or told["similarity"] > 0.5


def test_why_names_nobody_whom_the_viewer_may_not_see(scene: Scene) -> None:
    def others(client: httpx.Client) -> set[int]:
        return {it["person"] for it in client.get("/people/3/why?camera=c2&track=1").json()["others"]}

    with scene.server.client() as client, scene.server.client(Role.VIEWER, [2]) as of_the_hall:
        assert others(client) == {1, 2}
        assert others(of_the_hall) == set()


def test_times_and_events_are_asked_for(scene: Scene) -> None:
    with scene.server.client() as client:
        stays = client.get("/timeline").json()["stays"]
        assert {it["person"] for it in stays} == {1, 2, 3}
        assert {it["person"] for it in client.get("/timeline?camera=c2").json()["stays"]} == {3}
        assert client.get("/timeline?from=yesterday").status_code == 400
        assert client.get("/timeline?from=2026-01-01T00:00:00").status_code == 400
        events = client.get("/events", params={"after": 0, "limit": 500}).json()["events"]
        assert [it["seq"] for it in events] == list(range(1, len(events) + 1))
        new = client.get("/events?type=person.new").json()["events"]
        assert [it["person"] for it in new] == [3, 2, 1]
        assert {it["type"] for it in client.get("/events?type=camera").json()["events"]} <= {
            "camera.online",
            "camera.offline",
        }
        page = client.get("/events", params={"limit": 1, "type": "person.new"}).json()
        older = client.get("/events", params={"before": page["next"], "type": "person.new"}).json()
        assert [it["person"] for it in older["events"]] == [2, 1]


def test_server_sent_events_go_on_where_they_were_cut(scene: Scene) -> None:
    def lines(client_headers: dict[str, str], count: int) -> list[str]:
        with scene.server.client() as client:
            found: list[str] = []
            with client.stream("GET", "/events/stream", headers=client_headers) as stream:
                for line in stream.iter_lines():
                    if line.startswith("id: "):
                        found.append(line)
                    if len(found) == count:
                        return found
        return found

    assert lines({"Last-Event-ID": "0"}, 3) == ["id: 1", "id: 2", "id: 3"]
    assert lines({"Last-Event-ID": "2"}, 1) == ["id: 3"]
