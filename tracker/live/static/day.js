// The timeline of a day: who was where and when, and what happened.

import { call } from "./api.js";
import { attempt, button, choice, el, field, fill } from "./dom.js";
import { lanes } from "./lanes.js";
import { face, nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, full, localField } from "./time.js";

const SPANS = [300, 900, 3600, 6 * 3600, 24 * 3600];
const REFRESH_MS = 5000;
const MAX_ROWS = 200;

export function dayView(live, path, signal) {
  return new Day(live, signal).node;
}

class Day {
  #span = 900;
  #to = null;
  #rows = "person";
  #cursor = null;

  constructor(live, signal) {
    Object.assign(this, { live, signal });
    const all = [["", T.all]];
    const redo = () => attempt(() => this.#load());
    this.camera = choice([...all, ...live.cameras.map((it) => [it.id, it.name])], "", redo);
    this.zone = choice(all, "", redo);
    this.person = el("input", { type: "number", min: 1, placeholder: T.all, on: { change: redo } });
    this.span = choice(
      SPANS.map((it) => [String(it), T.span(it)]),
      String(this.#span),
      (value) => {
        this.#span = Number(value);
        redo();
      },
    );
    this.until = el("input", {
      type: "datetime-local",
      on: { change: () => this.#goTo(this.until.value ? new Date(this.until.value) : null) },
    });
    this.rows = choice(
      [
        ["person", T.byPerson],
        ["camera", T.byCamera],
      ],
      this.#rows,
      (value) => {
        this.#rows = value;
        redo();
      },
    );
    this.title = el("h2", { class: "number", role: "status" });
    this.chart = el("div");
    this.events = el("ul", { class: "shapes" });
    this.more = button(T.more, () => attempt(() => this.#loadEvents(true)), { hidden: true });
    this.node = el(
      "div",
      { class: "page" },
      el(
        "header",
        {},
        el("h1", { text: T.day }),
        el(
          "div",
          { class: "row" },
          button(T.earlier, () => this.#step(-1)),
          button(T.later, () => this.#step(1)),
          button(T.now, () => this.#goTo(null), { class: "main" }),
        ),
      ),
      el(
        "section",
        { class: "card filters" },
        field(T.span_, this.span),
        field(T.until, this.until),
        field(T.camera, this.camera),
        field(T.zone, this.zone),
        field(T.personNumber, this.person),
        field(T.rows, this.rows),
      ),
      el("section", { class: "card stack" }, this.title, this.chart),
      el("section", { class: "card stack" }, el("h2", { text: T.events }), this.events, this.more),
    );
    const timer = setInterval(() => this.#to === null && !document.hidden && redo(), REFRESH_MS);
    signal.addEventListener("abort", () => clearInterval(timer));
    attempt(async () => {
      const { zones } = await call("GET /zones");
      for (const it of zones)
        if (it.kind === "zone") this.zone.append(el("option", { value: it.id, text: it.name }));
    });
    redo();
  }

  #step(way) {
    const to = new Date((this.#to ?? this.live.now).getTime() + way * this.#span * 500);
    this.#goTo(to > this.live.now ? null : to);
  }

  /** Show the time until then; null follows the present. */
  #goTo(to) {
    this.#to = to;
    this.until.value = to ? localField(to) : "";
    attempt(() => this.#load());
  }

  get #filter() {
    const to = this.#to ?? this.live.now;
    const from = new Date(to.getTime() - this.#span * 1000);
    const { camera, person, zone } = this;
    return {
      from: from.toISOString(),
      to: to.toISOString(),
      camera: camera.value,
      person: person.value,
      zone: zone.value,
    };
  }

  async #load() {
    const asked = this.#filter;
    this.asked = asked;
    const answer = await call("GET /timeline", { query: asked });
    if (this.asked !== asked || this.signal.aborted) return;
    const [from, to] = [new Date(answer.from ?? asked.from), new Date(answer.to ?? asked.to)];
    this.title.textContent = T.fromTo(clock(from), clock(to));
    this.#draw(from, to, answer.stays);
    await this.#loadEvents(false);
  }

  #draw(from, to, stays) {
    // Drawn anew only where something differs: whoever reads it with the keyboard stays where they are.
    if (this.chart.contains(document.activeElement)) return;
    if (!stays.length) {
      fill(this.chart, el("p", { class: "empty", text: T.nobodyThen }));
      return;
    }
    const cameraName = (id) => this.live.cameraName(id);
    const isByPerson = this.#rows === "person";
    const rows = isByPerson
      ? peopleOf(stays)
      : this.live.cameras.map((it) => ({ key: it.id, label: it.name }));
    const wordOn = isByPerson ? (stay) => cameraName(stay.camera) : (stay) => nameOf(stay);
    const rowOf = isByPerson ? (stay) => stay.person : (stay) => stay.camera;
    fill(this.chart, lanes({ from, to, rows: rows.slice(0, MAX_ROWS), stays, rowOf, wordOn, cameraName }));
    if (rows.length > MAX_ROWS)
      this.chart.append(el("p", { class: "hint", text: T.onlyFirst(MAX_ROWS, rows.length) }));
  }

  async #loadEvents(isMore) {
    const { from, to, camera, person, zone } = this.#filter;
    const query = { from, to, camera, person, zone, limit: 40, cursor: isMore ? this.#cursor : null };
    const { events, next } = await call("GET /events", { query });
    if (this.signal.aborted) return;
    this.#cursor = next;
    this.more.hidden = !next;
    const items = events.map(eventItem);
    if (isMore) this.events.append(...items);
    else if (!this.events.contains(document.activeElement))
      fill(this.events, items.length ? items : el("li", { class: "soft", text: T.noEvents }));
  }
}

function peopleOf(stays) {
  const people = new Map();
  for (const stay of stays) {
    if (!people.has(stay.person))
      people.set(stay.person, { key: stay.person, label: nameOf(stay), href: `#/people/${stay.person}` });
  }
  return [...people.values()].sort((one, other) => one.key - other.key);
}

/** One event in a line of words. */
export function eventItem(event) {
  const who = event.person ? el("a", { href: `#/people/${event.person}`, text: nameOf(event) }) : null;
  return el(
    "li",
    { title: full(event.time) },
    el("small", { class: "number", text: clock(event.time) }),
    event.person && event.color ? face(event) : null,
    el("span", { class: "grow" }, who, who && " ", T.event(event)),
    event.retracts ? el("small", { class: "warn", text: T.takesBack }) : null,
  );
}
