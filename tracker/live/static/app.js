// The frame around every page: signing in, the way from one page to another, and whether the server answers.

import { call, session } from "./api.js";
import { dayView } from "./day.js";
import { button, el, fill, say, toast } from "./dom.js";
import { Live } from "./live.js";
import { signIn } from "./login.js";
import { peopleView } from "./people.js";
import { personView } from "./person.js";
import { searchView } from "./search.js";
import { settingsView } from "./settings.js";
import { T } from "./texts.js";
import { wallView } from "./wall.js";
import { watchlistView } from "./watchlist.js";
import { zonesView } from "./zones.js";

const PAGES = [
  { name: "", title: T.wall, view: wallView },
  {
    name: "people",
    title: T.people,
    view: (live, path, signal) => (path[0] ? personView : peopleView)(live, path, signal),
  },
  { name: "search", title: T.search, view: searchView, role: "operator" },
  { name: "zones", title: T.zones, view: zonesView },
  { name: "day", title: T.day, view: dayView },
  { name: "watchlist", title: T.watchlist, view: watchlistView, role: "operator" },
  { name: "settings", title: T.settings, view: settingsView },
];

const THEME = "reunite-theme";

function applyTheme() {
  const theme = localStorage.getItem(THEME);
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

/** The whole page of somebody who is signed in. */
class App {
  #leave = new AbortController();

  constructor(live) {
    this.live = live;
    this.main = el("main", { id: "main", tabIndex: -1 });
    this.notice = el("div", { class: "notice", role: "status", hidden: true });
    this.dot = el("span", { class: "dot", "aria-hidden": "true" });
    this.link = el("span");
    this.links = PAGES.filter((page) => !page.role || live.may(page.role)).map((page) => ({
      page,
      node: el("a", { href: `#/${page.name}`, text: page.title }),
    }));
    const bar = el(
      "header",
      { class: "bar" },
      el("a", { class: "brand", href: "#/" }, el("img", { src: "static/icon.svg", alt: "" }), T.brand),
      el(
        "nav",
        { "aria-label": T.pages },
        el(
          "ul",
          {},
          this.links.map(({ node }) => el("li", {}, node)),
        ),
      ),
      el("div", { class: "state" }, this.dot, this.link),
    );
    const skip = el("a", {
      class: "skip",
      href: "#main",
      text: T.skip,
      on: { click: (event) => this.#skip(event) },
    });
    fill(document.body, skip, bar, this.notice, this.main);
    this.hear = new AbortController();
    const { signal } = this.hear;
    live.on("link", () => this.#sayLink(), signal);
    live.on("event", (event) => this.#sayEvent(event), signal);
    live.on("signed-out", () => start(), signal);
    window.addEventListener("hashchange", () => this.#show(), { signal });
    window.addEventListener("themechange", applyTheme, { signal });
    this.#sayLink();
    this.#show();
  }

  close() {
    this.#leave.abort();
    this.hear.abort();
    this.live.close();
  }

  #show() {
    const [name, ...path] = location.hash.replace(/^#\/?/, "").split("/");
    const { page } = this.links.find((it) => it.page.name === (name === "wall" ? "" : name)) ?? this.links[0];
    this.#leave.abort();
    this.#leave = new AbortController();
    for (const { page: other, node } of this.links) {
      if (other === page) node.setAttribute("aria-current", "page");
      else node.removeAttribute("aria-current");
    }
    document.title = page.name ? `${page.title} · ${T.brand}` : T.brand;
    fill(this.main, page.view(this.live, path, this.#leave.signal));
    if (this.wasShown) {
      window.scrollTo(0, 0);
      this.main.focus({ preventScroll: true }); // a reader goes on at the new page, not at the link
    }
    this.wasShown = true;
  }

  #skip(event) {
    event.preventDefault();
    this.main.focus();
  }

  #sayLink() {
    const { isLinked, tries, me } = this.live;
    const lost = !isLinked && tries > 0;
    this.dot.className = `dot ${isLinked ? "" : lost ? "bad" : "warn"}`;
    say(this.link, isLinked ? (me.live ? T.isLive : T.isRun) : lost ? T.reconnecting(tries) : T.connecting);
    this.notice.hidden = !lost;
    say(this.notice, lost ? T.lost(tries) : "");
    if (isLinked && this.wasLost) toast(T.backAgain);
    this.wasLost = lost;
  }

  #sayEvent(event) {
    if (event.type === "watchlist.seen")
      toast(T.alert(event.name || T.person(event.person), event.camera), { bad: true });
  }
}

let app = null;
let refused = ""; // why the address with a token let nobody in

/** Show the page, or the form to sign in where nobody is. */
async function start() {
  app?.close();
  app = null;
  let me = null;
  try {
    me = await enter();
  } catch (error) {
    if (error.status !== 401) {
      sayFailure(error);
      return;
    }
  }
  if (!me) {
    signIn(start, refused);
    refused = "";
    return;
  }
  const live = new Live(me);
  try {
    await live.load();
  } catch (error) {
    sayFailure(error);
    return;
  }
  app = new App(live);
  live.connect();
}

function sayFailure({ message }) {
  fill(document.body, el("main", { class: "empty" }, el("h1", { text: message }), button(T.tryAgain, start)));
}

/** Who is signed in; a one-time token in the address is used and taken out of it. */
async function enter() {
  const token = /^#token=(.+)$/.exec(location.hash)?.[1];
  if (token) {
    history.replaceState(null, "", location.pathname);
    try {
      await call("POST /session", { body: { token: decodeURIComponent(token) } });
    } catch (error) {
      refused = error.message;
    }
  }
  return call("GET /session");
}

applyTheme();
session.addEventListener("signed-out", start);
start();
