"""People in the API: lists, pages, names; merged, split, forgotten, and undone, in a real linker."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.live_server import LiveServer, live_server, wait_until
from tracker.config import IdentityConfig, MaturityConfig, dump_config, load_config
from tracker.events.store import Stay, Step, unix
from tracker.gallery import GalleryWriter, Network, Person, PictureKey, Pictures, Presence
from tracker.identity import IdentityLinker
from tracker.live import corrections
from tracker.live.labels import iso
from tracker.live.rights import Role
from tracker.live.taught import corrected_pairs
from tracker.types import CameraName, Detections, Frame, Observations, Tick, Tracks, blank_image

BOX = (40.0, 60.0, 80.0, 200.0)
QUICK = IdentityConfig(
    decide_s=0.2, min_embeddings=1, maturity=MaturityConfig(min_frames=2, min_s=0.1, min_embeddings=2)
)


class Scene:
    """A server whose tracker is a linker that gets tracks from the test."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server
        self.linker = IdentityLinker(QUICK, [CameraName("door"), CameraName("hall")])
        tracking = SimpleNamespace(
            config=load_config(),
            identities=self.linker,
            network="drawn",
            source=SimpleNamespace(reports=server.observer._reports()),
        )
        server.observer.follow(tracking)  # type: ignore[arg-type]
        self._now_s = time.time() - 600
        self._numbers = {"door": 0, "hall": 0}
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._ticks = threading.Thread(target=self._tick)
        self._ticks.start()

    def close(self) -> None:
        self._ended.set()
        self._ticks.join()

    def _tick(self) -> None:
        """As a run does, even while nobody is in view."""
        while not self._ended.wait(0.02):
            with self._lock:
                self.server.observer.obey()

    def see(self, camera: str, track: int, person: int, frames: int = 8) -> int:
        """Somebody who looks like ``person`` is in view for a while; who it is taken for."""
        with self._lock:
            return self._see(camera, track, person, frames)

    def _see(self, camera: str, track: int, person: int, frames: int) -> int:
        looks = np.eye(64, dtype=np.float32)[person][None]
        for _ in range(frames):
            self._now_s += 0.1
            self._numbers[camera] += 1
            boxes = np.array([BOX])
            frame = Frame(CameraName(camera), self._numbers[camera], self._now_s, blank_image(320, 240))
            ids = self.linker.observe(frame, Tracks(np.array([track]), boxes, np.ones(1), looks))
            self.server.see({camera: [(track, int(ids[0]), BOX)]}, self._now_s, self.linker.events())
        self._now_s += 3.0
        self.server.see({camera: []}, self._now_s)
        return int(self.linker.lookup(CameraName(camera), np.array([track]))[0])


class Photographer:
    """An embedder to which every picture shows one person."""

    network = "drawn"

    def __init__(self, person: int) -> None:
        self._look = np.eye(64, dtype=np.float32)[person][None]

    def embed(self, tick: Tick, detections: list[Detections], needed: object) -> list[Observations]:
        return [Observations(it.boxes, it.scores, self._look) for it in detections]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """Three people; the first was in both cameras."""
    with live_server(tmp_path / "site") as server:
        scene = Scene(server)
        assert scene.see("door", 1, 1) == 1
        assert scene.see("door", 2, 2) == 2
        assert scene.see("hall", 1, 3) == 3
        wait_until(lambda: len(server.observer.store.people()) == 3)
        yield scene
        scene.close()


@pytest.fixture
def pictures(scene: Scene) -> None:
    """The gallery has a picture of person 1 from each camera."""
    with_pictures = scene.server.site.gallery
    writer = GalleryWriter(with_pictures, Network("drawn", "0", 4))
    writer.reserve(3)
    keys = [PictureKey(1, CameraName("door"), 100.0), PictureKey(1, CameraName("hall"), 200.0)]
    shown = Pictures(
        np.array([key.camera for key in keys], np.object_),
        np.array([key.time for key in keys]),
        np.eye(4, dtype=np.float32)[:2],
    )
    presence = {key.camera: Presence(key.time, key.time, 1) for key in keys}
    jpegs = {keys[0]: b"\xff\xd8door", keys[1]: b"\xff\xd8hall"}
    writer.save([Person(1, presence, shown)], jpegs)
    writer.close()


def test_a_correction_teaches_the_calibration_until_it_is_undone(scene: Scene) -> None:
    def taught() -> tuple[int, int]:
        known = scene.linker._site._taught
        return len(known.same), len(known.different)

    with scene.server.client() as client:
        merged = client.post("/people/1/merge", json={"other": 3}).json()["correction"]
        wait_until(lambda: taught() == (1, 0))
        tracks = {"tracks": [{"camera": "c2", "track": 1}]}
        split = client.post("/people/1/split", json=tracks).json()["correction"]
        wait_until(lambda: taught() == (1, 1))
        assert len(corrected_pairs(scene.server.site, "drawn").same) == 1, "the next run begins with it"
        assert len(corrected_pairs(scene.server.site, "another network").same) == 0
        for number in (split, merged):
            assert client.post(f"/corrections/{number}/undo").status_code == 204
        wait_until(lambda: taught() == (0, 0))


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


def test_merging_makes_one_of_two_and_can_be_undone(scene: Scene) -> None:
    with scene.server.client() as client:
        answer = client.post("/people/3/merge", json={"other": 1}).json()
        assert answer["kept"] == 1
        assert scene.linker.lookup(CameraName("hall"), np.array([1])).tolist() == [1]
        scene.see("hall", 2, 3)  # whoever looks like that is person 1 from now on
        assert scene.linker.lookup(CameraName("hall"), np.array([2])).tolist() == [1]
        wait_until(lambda: client.get("/people/3").status_code == 404)
        assert {
            stay["camera"] for visit in client.get("/people/1").json()["visits"] for stay in visit["stays"]
        }
        merged = wait_until(lambda: client.get("/events?type=person.merged").json()["events"])[0]
        assert (merged["person"], merged["previous"]) == (1, [3])
        assert client.post("/people/1/merge", json={"other": 1}).status_code == 409
        done = client.post(f"/corrections/{answer['correction']}/undo")
        assert done.status_code == 204
        assert scene.linker.lookup(CameraName("hall"), np.array([1])).tolist() == [3]
        wait_until(lambda: client.get("/people/3").status_code == 200)
        assert client.post(f"/corrections/{answer['correction']}/undo").status_code == 409
        (told,) = client.get("/corrections").json()["corrections"]
        assert (told["kind"], told["undone"]) == ("merge", True)


def test_a_merge_that_the_run_saved_meanwhile_is_undone_in_the_gallery_too(scene: Scene) -> None:
    gallery = GalleryWriter(scene.server.site.gallery, Network("drawn", "0", 4))
    gallery.reserve(3)
    first, third = (
        Person(
            number,
            {CameraName("door"): Presence(number, number, 1)},
            Pictures(
                np.array([CameraName("door")], np.object_),
                np.array([float(number)]),
                np.eye(4, dtype=np.float32)[:1],
            ),
        )
        for number in (1, 3)
    )
    jpegs = {PictureKey(it, CameraName("door"), float(it)): b"\xff\xd8" for it in (1, 3)}
    gallery.save([first, third], jpegs)
    with scene.server.client() as client:
        number = client.post("/people/1/merge", json={"other": 3}).json()["correction"]
        gallery.save([first], withdrawn=[3])  # as the run does, for which 3 is 1 now
        assert client.get("/people/1").json()["also"] == [3]
        assert client.post(f"/corrections/{number}/undo").status_code == 204
        gallery.save([first, third], jpegs)
        gallery.close()
        wait_until(lambda: client.get("/people/3").status_code == 200)
        pages = [client.get(f"/people/{person}").json() for person in (1, 3)]
    assert [page["also"] for page in pages] == [[], []]
    assert [len(page["pictures"]) for page in pages] == [1, 1]


def test_a_merge_is_not_said_to_be_undone_while_the_gallery_cannot_be_written(
    scene: Scene, pictures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "GALLERY_WAIT_S", 0.0)
    with scene.server.client() as client:
        number = client.post("/people/1/merge", json={"other": 3}).json()["correction"]
        with closing(sqlite3.connect(scene.server.site.gallery, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert client.post(f"/corrections/{number}/undo").status_code == 503
        assert not client.get("/corrections").json()["corrections"][0]["undone"]
        assert client.post(f"/corrections/{number}/undo").status_code == 204
        assert client.get("/corrections").json()["corrections"][0]["undone"]


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


def test_an_undone_merge_takes_nothing_that_was_corrected_since(scene: Scene) -> None:
    store = scene.server.observer.store

    def people() -> dict[tuple[str, int], int | None]:
        stays = {(it.camera, it.track): it.person for it in store.stays("run = 'test'")}
        looked_up = {
            key: int(scene.linker.lookup(CameraName(key[0]), np.array([key[1]]))[0]) for key in stays
        }
        return stays if stays == looked_up else {}

    with scene.server.client() as client:
        inner = client.post("/people/2/merge", json={"other": 3}).json()["correction"]
        outer = client.post("/people/1/merge", json={"other": 2}).json()["correction"]
        wait_until(lambda: set(people().values()) == {1})
        assert client.post(f"/corrections/{inner}/undo").status_code == 204
        assert client.post(f"/corrections/{outer}/undo").status_code == 204
        wait_until(lambda: people() == {("door", 1): 1, ("door", 2): 2, ("hall", 1): 3})


def test_a_merge_of_an_earlier_run_is_undone_in_its_stays_and_no_track_of_this_run(scene: Scene) -> None:
    server = scene.server
    store = server.observer.store
    store.add([], [Stay("before", "door", 1, 3, 1.0, 2.0)])
    with server.client() as client:
        number = client.post("/people/2/merge", json={"other": 3}).json()["correction"]
        wait_until(lambda: store.stays("person = 3") == [])
        server.observer._run = "later"
        assert client.post(f"/corrections/{number}/undo").status_code == 204
        wait_until(lambda: len(store.stays("person = 3")) == 2)
    assert {it.run for it in store.stays("person = 3")} == {"before", "test"}
    assert scene.linker.lookup(CameraName("hall"), np.array([1])).tolist() == [2], "as this run knows them"


def test_a_track_that_is_somebody_else_gets_a_new_number(scene: Scene) -> None:
    with scene.server.client() as client:
        wrong = client.post("/people/2/split", json={"tracks": [{"camera": "c2", "track": 1}]})
        assert wrong.status_code == 409
        answer = client.post("/people/2/split", json={"tracks": [{"camera": "c1", "track": 2}]}).json()
        assert answer["person"] == 4
        wait_until(lambda: client.get("/people/4").status_code == 200)
        assert client.post(f"/corrections/{answer['correction']}/undo").status_code == 204
        wait_until(lambda: client.get("/people/2").status_code == 200)


def test_a_stay_of_an_earlier_run_is_somebody_else_and_no_track_of_this_run(scene: Scene) -> None:
    server = scene.server
    store = server.observer.store
    with server.client() as client:
        at_door = scene.linker.lookup(CameraName("door"), np.array([1])).tolist()
        store.add([], [Stay("before", "door", 1, 2, 1.0, 2.0)])
        body = {"tracks": [{"camera": "c1", "track": 1}]}
        answer = client.post("/people/2/split", json=body).json()
        wait_until(lambda: {it.run for it in store.stays("person = ?", (answer["person"],))} == {"before"})
        assert scene.linker.lookup(CameraName("door"), np.array([1])).tolist() == at_door != [2]
        assert client.post(f"/corrections/{answer['correction']}/undo").status_code == 204
        wait_until(lambda: "before" in {it.run for it in store.stays("person = 2")})


def test_of_two_stays_with_one_number_only_the_one_that_is_meant_is_somebody_else(scene: Scene) -> None:
    store = scene.server.observer.store
    with scene.server.client() as client:
        (ours,) = {it.run for it in store.stays("person = 2")}
        store.add([], [Stay("before", "door", 2, 2, 1.0, 2.0)])
        (visits,) = [client.get("/people/2").json()["visits"]]
        assert {stay["run"] for visit in visits for stay in visit["stays"]} == {"before", ours}
        body = {"tracks": [{"run": "nowhere", "camera": "c1", "track": 2}]}
        assert client.post("/people/2/split", json=body).status_code == 409
        body["tracks"][0]["run"] = "before"
        answer = client.post("/people/2/split", json=body).json()
        wait_until(lambda: {it.run for it in store.stays("person = ?", (answer["person"],))} == {"before"})
        assert {it.run for it in store.stays("person = 2")} == {ours}


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


def test_who_only_looks_mends_nothing(scene: Scene) -> None:
    with scene.server.client(Role.VIEWER) as client:
        for path, body in (
            ("/people/1/merge", {"other": 2}),
            ("/people/1/split", {"tracks": []}),
            ("/people/1/forget", None),
        ):
            assert client.post(path, json=body).status_code == 403
    with scene.server.client(Role.OPERATOR) as client:
        assert client.post("/people/1/forget").status_code == 403
