"""The page in a real browser, at a real server that tracks the sample scene."""

import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from playwright.sync_api import Browser, expect

from tests.browser import PATIENT_MS, ROOT, LiveSite, MakeWindow, Window, open_browser
from tests.live_server import wait_until
from tracker.live.accounts import Accounts
from tracker.live.rights import Role
from tracker.live.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CAMERAS = ("cam1", "cam3")
EVERY = 2
"""Of the scene's frames one of so many is played: half the work, and people are as quick as before."""

FRAMES, ROUNDS, MIN_SEEN = 350, 30, 0.3
"""Of the scene then; how often it is played at most; the share of a body that a detector needs to see."""

PAGES = [
    *("", "people", "search", "zones", "day", "watchlist", "settings", "settings/privacy", "settings/all"),
    *("settings/users", "settings/tokens", "settings/audit", "settings/page"),
]

WATCH = """() => {
    // Which numbers were on which cameras, as "7 #aa5599"; a name that is given later plays no part.
    window.seen = {};
    setInterval(() => {
        for (const tile of document.querySelectorAll(".tile[data-people]")) {
            for (const it of tile.dataset.people.split(", ").filter((text) => /^\\d/.test(text))) {
                (window.seen[it] ??= new Set()).add(tile.dataset.camera);
            }
        }
    }, 100);
}"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras of the sample scene at half its rate, each with the true boxes of whoever can be seen."""
    folder = tmp_path_factory.mktemp("scene")
    for camera in CAMERAS:
        with (
            av.open(str(ROOT / "videos" / f"{camera}.mp4")) as whole,
            av.open(str(folder / f"{camera}.mp4"), "w") as part,
        ):
            stream = part.add_stream("libx264", rate=5)
            stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
            stream.options = {"preset": "ultrafast", "crf": "20"}
            for number, frame in enumerate(whole.decode(video=0)):
                if number % EVERY == 0:
                    kept = av.VideoFrame.from_ndarray(frame.to_ndarray(format="yuv420p"), format="yuv420p")
                    kept.pts = number // EVERY
                    part.mux(stream.encode(kept))
            part.mux(stream.encode(None))
        rows = []
        for line in (ROOT / "videos" / camera / "gt" / "gt.txt").read_text().split():
            place, _, x, y, width, height, _, _, seen = map(float, line.split(","))
            if place % EVERY == 1 and seen > MIN_SEEN:
                first = int(place) // EVERY + 1
                rows += [(first + it * FRAMES, x, y, width, height) for it in range(ROUNDS)]
        (folder / camera / "det").mkdir(parents=True)
        lines = [f"{it[0]},-1,{','.join(map(str, it[1:]))},0.9\n" for it in sorted(rows)]
        (folder / camera / "det" / "det.txt").write_text("".join(lines))
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(browser: Browser, scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveSite]:
    site = LiveSite(tmp_path_factory.mktemp("live"), str(scene), "--config", "file")
    yield site
    site.close()


@pytest.fixture(scope="module")
def admin(browser: Browser, site: LiveSite) -> object:
    """The cookie of whoever came by the printed address."""
    window = Window(browser, site.address)
    window.page.goto(site.entry)
    window.page.wait_for_selector("main h1")
    assert "token" not in window.page.url
    assert window.errors == []
    state = window.state()
    window.close()
    return state


@pytest.fixture(scope="module")
def watcher(browser: Browser, site: LiveSite, admin: object) -> Iterator[Window]:
    """A window that remembers who was on which camera, from the first test to the last."""
    window = Window(browser, site.address, admin)
    window.go().evaluate(WATCH)
    yield window
    window.close()


@pytest.fixture
def open_window(browser: Browser, site: LiveSite, admin: object, watcher: Window) -> Iterator[MakeWindow]:
    """Opens windows of somebody who is signed in; afterwards no console may have complained."""
    windows: list[Window] = []

    def make(state: object = admin, **settings: object) -> Window:
        windows.append(Window(browser, site.address, state, **settings))
        return windows[-1]

    yield make
    errors = [window.errors for window in windows]
    for window in windows:
        window.close()
    assert errors == [[] for _ in windows]


def wait_for_people(window: Window, number: int, *those: int) -> list[int]:
    """The numbers of people, once as many are known, and those. (A page does not wait for what a promise
    will say.)"""
    give_up = time.monotonic() + PATIENT_MS / 1000
    while True:
        people = [it["person"] for it in window.call("GET", "/people")[1]["people"]]
        if (len(people) >= number and set(those) <= set(people)) or time.monotonic() > give_up:
            assert len(people) >= number
            assert set(those) <= set(people)
            return people
        window.page.wait_for_timeout(300)


def wait_for_two_at_once(window: Window) -> tuple[int, int]:
    """The first two whom one camera shows at one time: the tracker never takes those for one person."""
    give_up = time.monotonic() + PATIENT_MS / 1000
    while True:
        here = [it for it in window.call("GET", "/people/here")[1]["people"] if it["person"]]
        cameras = [{of["camera"] for of in it["tracks"]} for it in here]
        pairs = [
            sorted((here[first]["person"], here[second]["person"]))
            for second in range(len(here))
            for first in range(second)
            if cameras[first] & cameras[second]
        ]
        if pairs or time.monotonic() > give_up:
            assert pairs
            one, other = min(pairs)
            return one, other
        window.page.wait_for_timeout(300)


def test_who_is_not_signed_in_sees_the_form_only(browser: Browser, site: LiveSite) -> None:
    window = Window(browser, site.address)
    window.page.goto(site.address)
    expect(window.page.get_by_role("heading", name="Sign in to Reunite")).to_be_visible()
    window.page.get_by_label("User").fill("nobody")
    window.page.get_by_label("Password").fill("wrong password")
    window.page.keyboard.press("Enter")
    expect(window.page.get_by_role("alert")).not_to_be_empty()
    window.close()


def test_every_camera_moves_and_one_becomes_large_and_small_again(open_window: MakeWindow) -> None:
    page = open_window().go()
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(len(CAMERAS))
    for number in range(len(CAMERAS)):
        tile = tiles.nth(number)
        page.wait_for_function("t => t.dataset.tick > 0", arg=tile.element_handle())
        before = tile.get_attribute("data-tick")
        page.wait_for_function("([t, n]) => t.dataset.tick !== n", arg=[tile.element_handle(), before])
    tiles.nth(1).locator("button").focus()
    page.keyboard.press("ArrowLeft")
    expect(tiles.nth(0).locator("button")).to_be_focused()
    page.keyboard.press("Enter")
    expect(tiles.nth(0)).to_be_visible()
    expect(tiles.nth(1)).to_be_hidden()
    page.keyboard.press("Escape")
    expect(tiles.nth(1)).to_be_visible()
    expect(tiles.nth(0).locator("button")).to_be_focused()


def test_every_page_fits_a_phone_and_can_be_read(open_window: MakeWindow) -> None:
    phone = {"width": 390, "height": 844}
    for scheme in ("dark", "light"):
        window = open_window(viewport=phone, color_scheme=scheme, is_mobile=True, has_touch=True)
        for path in PAGES:
            page = window.go(path)
            page.wait_for_function("() => !document.body.textContent.includes('Loading')")
            assert window.poor_contrast() == [], (scheme, path)
            wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wide <= 0, (scheme, path)


def test_a_click_on_a_person_follows_them(open_window: MakeWindow) -> None:
    page = open_window().go()
    known = page.locator(".here button[aria-pressed]").first
    known.wait_for()
    page.evaluate("document.querySelector('.here button[aria-pressed]').focus()")
    name = page.evaluate("document.activeElement.querySelector('b').textContent")
    page.keyboard.press("Enter")
    expect(page.locator(".side h2 a")).to_have_text(name)
    expect(page.locator(".side .card [role=status]")).not_to_be_empty()
    page.keyboard.press("Escape")
    expect(page.locator(".side h2 a")).to_be_hidden()


def test_a_zone_that_is_drawn_counts_people(open_window: MakeWindow) -> None:
    window = open_window()
    page = window.go("zones")
    page.get_by_role("button", name="Zone", exact=True).click()
    board = page.locator(".board canvas")
    box = board.bounding_box()
    assert box
    for x, y in ((0.02, 0.02), (0.98, 0.02), (0.98, 0.98), (0.02, 0.98)):
        board.click(position={"x": box["width"] * x, "y": box["height"] * y})
    page.keyboard.press("Enter")
    name = page.get_by_role("textbox", name="Name")
    name.fill("Everywhere")
    page.keyboard.press("Enter")
    expect(page.locator(".shapes b", has_text="Everywhere")).to_be_visible()
    row = page.locator(".zone-counts tr", has_text="Everywhere")
    expect(row.locator("td").nth(3)).not_to_have_text("0")
    (counted,) = [it for it in window.call("GET", "/counts")[1]["zones"] if it["name"] == "Everywhere"]
    assert counted["people"] >= 1


def test_two_people_are_merged_and_that_is_taken_back(open_window: MakeWindow) -> None:
    window = open_window()
    page = window.go("people")
    wait_for_people(window, 5)  # by then it is settled who the first ones are
    one, other = wait_for_two_at_once(window)
    page = window.go(f"people/{one}")
    page.get_by_role("button", name="Merge").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name=f"Person {other}", exact=True).click()
    dialog.get_by_role("button", name="Merge").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_text(f"also {other}")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text(f"also {other}")).to_be_hidden()
    wait_for_people(window, 2, one, other)  # the tracker takes it back with its next steps


def test_a_name_that_is_given_in_one_window_is_seen_in_the_other(open_window: MakeWindow) -> None:
    first, second = open_window(), open_window()
    page = first.go("people")
    person = min(wait_for_people(first, 1))
    page = first.go(f"people/{person}")
    page.get_by_role("button", name="Name").click()
    page.get_by_label("Name of the person").fill("Anna")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Anna")).to_be_visible()
    expect(second.go("people").locator(".cards a", has_text="Anna")).to_be_visible()


def test_a_viewer_cannot_merge(browser: Browser, site: LiveSite, open_window: MakeWindow) -> None:
    admin = open_window()
    admin.go("people")
    people = wait_for_people(admin, 1)
    password = "correct horse battery"
    Accounts(Site(site.folder)).add_user("vera", password, Role.VIEWER, None)
    window = open_window(state=None)
    window.page.goto(site.address)
    window.page.get_by_label("User").fill("vera")
    window.page.get_by_label("Password").fill(password)
    window.page.keyboard.press("Enter")
    window.page.wait_for_selector(".wall")
    page = window.go(f"people/{people[0]}")
    expect(page.get_by_role("button", name="Follow on the wall")).to_be_visible()
    expect(page.get_by_role("button", name="Merge")).to_have_count(0)
    status, answer = window.call("POST", f"/people/{people[0]}/merge", {"other": people[-1]})
    assert (status, answer["error"]["code"]) == (403, "forbidden")
    window.errors = [it for it in window.errors if "403" not in it and "401" not in it]


def test_the_page_comes_back_when_the_server_was_killed(open_window: MakeWindow, site: LiveSite) -> None:
    window = open_window()
    page = window.go()
    page.wait_for_selector(".tile[data-tick]")
    site.kill_server()
    expect(page.locator(".notice")).to_contain_text("The server does not answer")
    expect(page.locator(".notice")).to_be_hidden()
    tile = page.locator(".tile").first
    before = tile.get_attribute("data-tick")
    page.wait_for_function("([t, n]) => t.dataset.tick !== n", arg=[tile.element_handle(), before])
    window.errors = [it for it in window.errors if "WebSocket" not in it and "ERR_CONN" not in it]


def test_a_photo_says_who_it_is(open_window: MakeWindow) -> None:
    window = open_window()
    page = window.go("people")
    wait_for_people(window, 1)
    thumb = page.locator(".cards a img").first
    page.wait_for_function("() => document.querySelector('.cards a img')?.naturalWidth > 0")
    address = thumb.get_attribute("src")
    assert address
    photo = page.context.request.get(f"{window.address.rstrip('/')}{address}").body()
    page = window.go("search")
    page.set_input_files("input[type=file]", {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": photo})
    page.get_by_role("button", name="Search for the whole picture").click()
    expect(page.locator(".answer")).not_to_be_empty()
    person = address.split("/")[-2]
    expect(page.locator(".cards a").first).to_have_attribute("href", f"#/people/{person}")


def test_a_person_has_the_same_number_and_colour_in_the_second_camera(watcher: Window) -> None:
    watcher.page.wait_for_function(
        "() => Object.values(window.seen).some((cameras) => cameras.size > 1)", timeout=90_000
    )
    seen = [it.split() for it in watcher.page.evaluate("() => Object.keys(window.seen)")]
    assert len(seen) == len({number for number, _ in seen}), "one number has one colour"

    def ask() -> tuple[dict[str, str], set[str]] | None:
        colors = {str(it["person"]): it["color"] for it in watcher.call("GET", "/people")[1]["people"]}
        # Who was taken for two, or for somebody who was not there.
        events = [
            event
            for kind in ("merged", "split")
            for event in watcher.call("GET", f"/events?type=person.{kind}")[1]["events"]
        ]
        gone = {str(number) for event in events for number in event["previous"]} - colors.keys()
        # What the wall shows is told to the list a moment later.
        return (colors, gone) if all(number in colors or number in gone for number, _ in seen) else None

    colors, gone = wait_until(ask)
    assert all(colors[number] == color for number, color in seen if number not in gone)
    assert any(number not in gone for number, _ in seen)
