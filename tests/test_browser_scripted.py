"""The page in a real browser, at a real server whose people the test moves: quick, and always the same."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import Window, open_browser
from tests.live_scene import Scene
from tests.live_server import DEADLINE_S, live_server, wait_until
from tracker.config import dump_config, load_config
from tracker.live.accounts import Accounts
from tracker.live.link import Message

pytestmark = [pytest.mark.browser]

BOX = (40.0, 60.0, 80.0, 200.0)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Persons 1 and 2 were at the door, person 1 then in the hall; 3 is somebody else."""
    with live_server(tmp_path_factory.mktemp("site")) as server:
        server.site.config.write_text(dump_config(load_config()))
        scene = Scene(server)
        scene._now_s = time.time() - 30
        assert scene.see("door", 1, 1) == 1
        assert scene.see("door", 2, 2) == 2
        assert scene.see("hall", 1, 1) == 1
        assert scene.see("hall", 2, 3) == 3
        wait_until(lambda: len(server.observer.store.people()) == 3)
        yield scene
        scene.close()


@pytest.fixture
def window(browser: Browser, scene: Scene) -> Iterator[Window]:
    """Of an administrator; afterwards its console may not have complained."""
    window = Window(browser, f"http://{scene.server.address}/", viewport={"width": 1200, "height": 800})
    window.page.goto(f"{window.address}#token={Accounts(scene.server.site).one_time_token()}")
    window.page.wait_for_selector("main h1", state="attached")
    yield window
    errors = window.errors
    window.close()
    assert errors == []


def show(scene: Scene, page: Page, camera: str = "door", person: int = 0) -> None:
    """A picture of a camera, with somebody in it, until the page has it."""
    with scene._lock:
        scene.server.see({camera: [(9, person, BOX)]}, time.time())
    page.wait_for_timeout(100)


def test_a_line_is_drawn_with_the_keyboard_and_its_corner_is_dragged(scene: Scene, window: Window) -> None:
    page = window.go("zones/c1")
    wait_until(lambda: scene.server.observer.publisher.wanted)
    show(scene, page)
    page.get_by_role("button", name="Line", exact=True).focus()
    page.keyboard.press("Enter")
    board = page.locator(".board canvas")
    expect(board).to_be_focused()
    for key in (*["ArrowLeft"] * 10, "Space", *["ArrowRight"] * 20, "Space"):
        page.keyboard.press(key)
    page.get_by_role("textbox", name="Name").fill("Keys")
    page.keyboard.press("Enter")
    expect(page.locator(".shapes b", has_text="Keys")).to_be_visible()

    def points() -> list[list[float]]:
        (line,) = [it for it in window.call("GET", "/zones")[1]["zones"] if it["name"] == "Keys"]
        return [[round(x, 1), round(y, 1)] for x, y in line["points"]]

    assert points() == [[0.3, 0.5], [0.7, 0.5]]
    expect(page.get_by_role("dialog")).to_have_count(0)
    toasts = page.locator(".toast")
    toasts.get_by_role("button", name="Close").click()
    box = board.bounding_box()
    assert box
    for x, y, is_taken_away in ((0.8, 0.7, True), (0.6, 0.8, False)):
        page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
        if is_taken_away:  # as a browser does that begins to scroll
            board.dispatch_event("pointercancel")
        page.mouse.up()
    expect(toasts).to_have_count(1)
    assert points() == [[0.3, 0.5], [0.6, 0.8]]
    toasts.get_by_role("button", name="Undo").click()
    wait_until(lambda: points() == [[0.3, 0.5], [0.7, 0.5]])


def test_who_is_watched_for_is_told_once_with_their_note(scene: Scene, window: Window) -> None:
    page = window.go("watchlist")
    page.get_by_role("button", name="Watch a person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Person 2", exact=True).click()
    dialog.get_by_label("Note").fill("call the desk")
    dialog.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_text("call the desk")).to_be_visible()
    page = window.go("day")
    wait_until(lambda: 2 in scene.server.observer._watched)
    scene._now_s = time.time() - 10
    for camera in ("door", "hall"):
        scene.see(camera, 20, 2)
    expect(page.locator(".toast.bad")).to_have_count(1)
    expect(page.locator(".toast.bad")).to_contain_text("Watchlist: Person 2")
    page = window.go("watchlist")
    page.get_by_role("button", name="Delete: Person 2").click()
    expect(page.get_by_text("Nobody is on the watchlist.")).to_be_visible()


def colours(page: Page) -> Any:
    """How much the picture of the first camera varies where somebody stands, from its canvas."""
    return page.evaluate(
        """() => {
            const canvas = document.querySelector(".tile canvas");
            const [x, y] = [canvas.width * 0.15, canvas.height * 0.4];
            const [width, height] = [canvas.width * 0.07, canvas.height * 0.3];
            const { data } = canvas.getContext("2d").getImageData(x, y, width, height);
            const grey = Array.from({ length: data.length / 4 }, (_, at) => data[at * 4]);
            const mean = grey.reduce((sum, it) => sum + it, 0) / grey.length;
            return Math.sqrt(grey.reduce((sum, it) => sum + (it - mean) ** 2, 0) / grey.length);
        }"""
    )


def wait_until_clear(page: Page, *, is_clear: bool) -> None:
    """Until the stripes can be seen, or cannot."""
    give_up = time.monotonic() + DEADLINE_S
    while (colours(page) > 80) != is_clear:
        assert time.monotonic() < give_up
        page.wait_for_timeout(100)


def is_blurred(scene: Scene, kind: str) -> bool:
    return scene.server.observer.publisher._privacy.blur.kind == kind


def test_bodies_are_blurred_on_the_wall_from_the_next_picture_on(scene: Scene, window: Window) -> None:
    striped = np.zeros((240, 320, 3), np.uint8)
    striped[::8] = striped[1::8] = striped[2::8] = striped[3::8] = 255
    for blur, is_clear in (("everybody", False), ("nobody", True)):
        page = window.go("settings/privacy")
        page.get_by_label("Blur bodies").select_option(label=blur)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.").last).to_be_visible()
        kind = "all" if blur == "everybody" else "none"
        wait_until(partial(is_blurred, scene, kind))
        page = window.go()
        wait_until(lambda: "door" in scene.server.observer.publisher.wanted)
        with scene._lock:
            scene.server.see({"door": [(9, 0, BOX)]}, time.time(), picture=striped)
        page.wait_for_function("() => document.querySelector('.tile[data-tick]')")
        wait_until_clear(page, is_clear=is_clear)


def test_why_somebody_is_the_same_is_said_with_pictures_curves_and_odds(scene: Scene, window: Window) -> None:
    page = window.go("people/1")
    page.locator("summary", has_text="in camera").first.click()
    page.get_by_role("button", name="Why is this the same person").last.click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", name="Why is this")).to_be_visible()
    expect(dialog).not_to_contain_text("Loading")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_camera_is_tested_and_added_or_it_is_said_why_not(scene: Scene, window: Window) -> None:
    page = window.go("settings/cameras")
    page.get_by_role("button", name="Add a camera").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name of the camera").fill("door")
    dialog.get_by_label("Address").fill("rtsp://127.0.0.1:9/none")
    dialog.get_by_role("button", name="Test the connection").click()
    expect(dialog.locator("p[role=status].bad")).not_to_be_empty()
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator(".toast.bad")).to_contain_text("there is a camera 'door' already")
    dialog.get_by_label("Name of the camera").fill("yard")
    observer, added = scene.server.observer, list[str]()
    answer_all_else = observer.answer

    def answer(message: Message) -> None:
        if message[0]["type"] == "add":
            added.append(scene.server.site.added.read_text())
            observer._send({"type": "reply", "id": message[0]["id"]})
        else:
            answer_all_else(message)

    observer.answer = answer  # type: ignore[method-assign]
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_be_hidden()
    assert added == ["yard = rtsp://127.0.0.1:9/none\n"]
    window.errors = [it for it in window.errors if "409" not in it]


def test_a_setting_is_chosen_for_the_next_start_and_taken_back(scene: Scene, window: Window) -> None:
    page = window.go("settings/all")
    page.get_by_role("searchbox").fill("max_lost_s")
    row = page.locator("dt", has_text="max_lost_s")
    row.get_by_role("button", name="Change").click()
    page.get_by_label("Value").fill("2.5")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("2.5 after a restart")
    page.get_by_role("button", name="Undo").click()
    expect(row).not_to_contain_text("after a restart")
