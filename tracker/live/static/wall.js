// The wall: every camera with the people on it.

import { button, el, fill, keep, rove } from "./dom.js";
import { Here } from "./here.js";
import { T } from "./texts.js";
import { Tile } from "./tile.js";

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
