"""People in the API: merged and split, and undone, in a real linker."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.live_scene import Scene, keep_pictures, open_scene
from tests.live_server import wait_until
from tracker.events.store import Stay
from tracker.gallery import GalleryWriter, Network, Person, PictureKey, Pictures, Presence
from tracker.live import corrections
from tracker.live.rights import Role
from tracker.live.taught import corrected_pairs
from tracker.types import CameraName


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with open_scene(tmp_path) as scene:
        yield scene


@pytest.fixture
def pictures(scene: Scene) -> None:
    keep_pictures(scene)


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
