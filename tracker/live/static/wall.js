// The wall: every camera with the people on it, and who is here now.

import { call } from "./api.js";
import { button, el, fill, keep, rove, say } from "./dom.js";
import { lanes } from "./lanes.js";
import { face, nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { Tile } from "./tile.js";
import { clock, duration, percent } from "./time.js";

const WAY_S = 600;

/** @param {import("./live.js").Live} live @param {string[]} path Camera that is large, if any. */
export function wallView(live, path, signal) {
  const wall = new Wall(live, signal);
  wall.enlarge(path[0] ?? null);
  return wall.node;
}

class Wall {
  #tiles = new Map();
  #large = null;

  constructor(live, signal) {
    this.live = live;
    this.grid = el("div", { class: "wall" });
    this.tools = el("div", { class: "wall-tools", hidden: true });
    this.none = el("p", { class: "empty card", text: T.noCameras, hidden: true });
    const here = new Here(live, signal, (camera) => this.#toggle(camera));
    this.node = el(
      "div",
      { class: "live" },
      el(
        "div",
        {},
        el("h1", { class: "unseen", text: T.wall, tabIndex: -1 }),
        this.tools,
        this.grid,
        this.none,
      ),
      here.node,
    );
    rove(this.grid, ".tile > button");
    this.watcher = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "120px" });
    const resized = new ResizeObserver(() => this.#resized());
    resized.observe(this.grid);
    live.on("cameras", () => this.#update(), signal);
    live.on("picture", (picture) => this.#tiles.get(picture.head.camera)?.take(picture), signal);
    live.on("followed", () => this.#follow(), signal);
    live.on("where", () => this.#follow(), signal);
    document.addEventListener("visibilitychange", () => this.#subscribe(), { signal });
    document.addEventListener("keydown", (event) => this.#key(event), { signal });
    signal.addEventListener("abort", () => {
      this.watcher.disconnect();
      resized.disconnect();
      for (const tile of this.#tiles.values()) tile.close();
      live.socket.subscribe({});
    });
    this.#update();
  }

  /** Show one camera alone; null shows all. */
  enlarge(camera) {
    this.#large = this.#tiles.has(camera) ? camera : null;
    this.grid.classList.toggle("large", this.#large !== null);
    for (const [id, tile] of this.#tiles) {
      tile.node.classList.toggle("big", id === this.#large);
      tile.face.setAttribute("aria-expanded", String(id === this.#large));
    }
    this.tools.hidden = this.#large === null;
    if (this.#large !== null) {
      fill(
        this.tools,
        button(T.allCameras, () => this.#toggle(null)),
        el("b", { text: this.live.cameraName(this.#large) }),
        el("small", { text: T.escGoesBack }),
        el("a", { href: `#/zones/${this.#large}`, text: T.zonesHere }),
      );
    }
    this.#subscribe();
  }

  #update() {
    const { cameras } = this.live;
    this.none.hidden = cameras.length > 0;
    keep(
      this.grid,
      cameras,
      (camera) => camera.id,
      (camera) => {
        const tile = new Tile(camera, {
          press: (pressed, person) => this.#press(pressed, person),
          drawn: (id, tick) => this.live.socket.send({ type: "drawn", camera: id, tick }),
          followed: () => this.live.followed,
        });
        this.#tiles.set(camera.id, tile);
        this.watcher.observe(tile.node);
        return tile.node;
      },
      (node, camera) => this.#tiles.get(camera.id).update(camera),
    );
    for (const id of this.#tiles.keys())
      if (!cameras.some((camera) => camera.id === id)) this.#tiles.delete(id);
    const columns = cameras.length <= 1 ? 1 : cameras.length <= 4 ? 2 : cameras.length <= 9 ? 3 : 4;
    this.grid.style.setProperty("--columns", columns);
    this.#subscribe();
  }

  #press(tile, person) {
    if (person !== null) this.live.follow(this.live.followed === person ? null : person);
    else this.#toggle(tile.camera.id);
  }

  #toggle(camera) {
    const large = camera === this.#large ? null : camera;
    const before = this.#large;
    this.enlarge(large);
    // The address says what is shown, so going back and sending a link both work.
    history.replaceState(null, "", large === null ? "#/" : `#/wall/${large}`);
    this.#tiles.get(large ?? before)?.face.focus({ preventScroll: large !== null });
  }

  #key(event) {
    if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
    if (this.#large !== null) this.#toggle(this.#large);
    else this.live.follow(null);
  }

  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.#tiles.get(target.dataset.camera);
      if (tile) tile.isShown = isIntersecting;
    }
    this.#subscribe();
  }

  #resized() {
    for (const tile of this.#tiles.values()) tile.draw();
    this.#subscribe();
  }

  #subscribe() {
    const shown = [...this.#tiles].filter(([id, tile]) =>
      this.#large === null ? tile.isShown : id === this.#large,
    );
    const wanted = document.hidden ? [] : shown.map(([id, tile]) => [id, tile.width]);
    this.live.socket.subscribe(Object.fromEntries(wanted));
  }

  #follow() {
    for (const tile of this.#tiles.values()) tile.draw();
    const camera = this.live.where?.camera;
    if (this.live.followed === null || !this.#tiles.has(camera)) return;
    if (this.#large !== null && this.#large !== camera) this.#toggle(camera);
    else if (this.#large === null) this.#tiles.get(camera).node.scrollIntoView({ block: "nearest" });
  }
}

/** The strip of people, and what is known of the one who is followed. */
class Here {
  constructor(live, signal, enlarge) {
    Object.assign(this, { live, enlarge });
    this.count = el("span", { class: "soft number" });
    this.list = el("ul", { class: "here" });
    this.none = el("p", { class: "soft", text: T.nobodyHere });
    this.followed = el("section", { class: "card stack", hidden: true, "aria-live": "off" });
    this.node = el(
      "aside",
      { class: "side card", "aria-label": T.here },
      el("div", { class: "row between" }, el("h2", { text: T.here }), this.count),
      this.list,
      this.none,
      this.followed,
    );
    rove(this.list, "button");
    live.on("people", () => this.#update(), signal);
    live.on("followed", () => this.#follow(), signal);
    live.on("where", () => this.#sayWhere(), signal);
    const timer = setInterval(() => this.#loadWay(), 5000);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#update();
    this.#follow();
  }

  #update() {
    const people = [...this.live.people].sort(byNumber);
    keep(
      this.list,
      people,
      (it) => it.person ?? `? ${it.tracks[0].camera} ${it.tracks[0].track}`,
      () => el("li", {}, el("button", { type: "button" })),
      (node, it) => this.#show(node.firstElementChild, it),
    );
    this.none.hidden = people.length > 0;
    say(this.count, people.length ? T.count(people.filter((it) => it.person !== null).length) : "");
  }

  #show(node, it) {
    const look = JSON.stringify([it.name, it.color, it.thumb, it.person]);
    if (node.dataset.look !== look) {
      node.dataset.look = look;
      node.style.setProperty("--color", it.color);
      const words = el(
        "span",
        { class: "who" },
        el("b", { text: nameOf(it) }),
        el("small", { class: "number" }),
      );
      fill(node, face(it), words);
      node.onclick = () => {
        if (it.person === null) this.enlarge(it.tracks[0].camera);
        else this.live.follow(this.live.followed === it.person ? null : it.person);
      };
    }
    if (it.person !== null) node.setAttribute("aria-pressed", String(this.live.followed === it.person));
    say(node.querySelector("small"), T.cameraSince(this.live.cameraName(it.camera), clock(it.since)));
  }

  #follow() {
    this.#update();
    const person = this.live.followed;
    this.followed.hidden = person === null;
    this.list.classList.toggle("short", person !== null);
    if (person === null) return;
    this.place = el("p", { class: "number", role: "status" });
    this.next = el("p", { class: "hint" });
    this.way = el("div", { class: "way" });
    this.heading = el("a", { href: `#/people/${person}` });
    fill(
      this.followed,
      el(
        "div",
        { class: "row between" },
        el("h2", {}, this.heading),
        button("×", () => this.live.follow(null), { class: "plain", "aria-label": T.stopFollowing }),
      ),
      this.place,
      this.next,
      this.way,
      el("a", { class: "button", href: `#/people/${person}`, text: T.personPage }),
    );
    this.#sayWhere();
    this.#loadWay();
  }

  #sayWhere() {
    const { followed, where, people } = this.live;
    if (followed === null) return;
    const known = people.find((it) => it.person === followed);
    say(this.heading, nameOf(known ?? { person: followed }));
    if (!where || where.person !== followed) return;
    const name = this.live.cameraName(where.camera);
    say(this.place, where.camera === null ? T.notInView : T.inCameraSince(name, clock(where.since)));
    const next = (where.next ?? []).slice(0, 3);
    const words = next.map((it) =>
      T.maybe(this.live.cameraName(it.camera), percent(it.probability), duration(it.after_s)),
    );
    say(this.next, words.length ? `${T.next} ${words.join("; ")}` : "");
  }

  async #loadWay() {
    const person = this.live.followed;
    if (person === null || document.hidden) return;
    const to = new Date();
    const from = new Date(to.getTime() - WAY_S * 1000);
    try {
      const { stays } = await call("GET /timeline", {
        query: { person, from: from.toISOString(), to: to.toISOString() },
      });
      if (this.live.followed !== person) return;
      const rows = this.live.cameras.map((camera) => ({ key: camera.id, label: camera.name }));
      fill(this.way, lanes({ from, to, rows, stays, rowOf: (stay) => stay.camera }));
    } catch {
      // The connection's state is said at the top of the page; the way is asked for again soon.
    }
  }
}

function byNumber(one, other) {
  return (one.person ?? Infinity) - (other.person ?? Infinity) || one.since.localeCompare(other.since);
}
