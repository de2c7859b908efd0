// Who is here now, and what is known of the one who is followed.

import { call } from "./api.js";
import { button, el, fill, keep, rove, say } from "./dom.js";
import { lanes } from "./lanes.js";
import { drawMap, mapCanvas } from "./map.js";
import { face, nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, duration, percent } from "./time.js";

const WAY_S = 600;

/** The strip of people, and what is known of the one who is followed. */
export class Here {
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
    live.on(
      "people",
      () => {
        this.#update();
        this.#drawMap();
      },
      signal,
    );
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
    this.color = this.live.people.find((it) => it.person === person)?.color;
    this.place = el("p", { class: "number", role: "status" });
    this.next = el("p", { class: "hint" });
    this.way = el("div", { class: "way" });
    this.map = mapCanvas();
    this.map.hidden = !this.live.ways.isKnown;
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
      this.map,
      el("a", { class: "button", href: `#/people/${person}`, text: T.personPage }),
    );
    this.#sayWhere();
    this.#loadWay();
  }

  #drawMap() {
    const { followed, ways, people } = this.live;
    if (followed === null || !ways.isKnown) return;
    this.map.hidden = false;
    this.color = people.find((it) => it.person === followed)?.color ?? this.color ?? "#808080";
    drawMap(this.map, ways, people, followed, this.color);
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
