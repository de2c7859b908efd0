// One person: pictures, visits, and what can be corrected.

import { call } from "./api.js";
import { ask, attempt, button, el, field, fill, toast } from "./dom.js";
import { lanes } from "./lanes.js";
import { drawMap, mapCanvas, Ways } from "./map.js";
import { peoplePicker } from "./people.js";
import { face, nameOf, personCard } from "./people_parts.js";
import { similarResults } from "./search.js";
import { T } from "./texts.js";
import { clock, duration, full, percent } from "./time.js";
import { askWhy } from "./why.js";

export function personView(live, path, signal) {
  const node = el("div", { class: "page" }, el("p", { class: "empty", text: T.loading }));
  const page = new PersonPage(live, Number(path[0]), node, signal);
  page.load();
  return node;
}

class PersonPage {
  constructor(live, number, node, signal) {
    Object.assign(this, { live, number, node, signal });
    live.on(
      "event",
      (event) => {
        const touched = event.person === number || event.previous?.includes(number);
        if (touched && ["person.merged", "person.split", "person.left"].includes(event.type)) this.load();
      },
      signal,
    );
  }

  async load() {
    try {
      this.person = await call(`GET /people/${this.number}`);
    } catch (error) {
      fill(
        this.node,
        el("p", { class: "empty", text: error.message }),
        el("a", { href: "#/people", text: T.people }),
      );
      return;
    }
    if (this.signal.aborted) return;
    // A number that was merged leads to the one that stays.
    if (this.person.person !== this.number) {
      location.replace(`#/people/${this.person.person}`);
      return;
    }
    document.title = `${nameOf(this.person)} · ${T.brand}`;
    this.similar = el("section", { class: "card stack", hidden: true });
    this.route = el("section", { class: "card stack", hidden: true });
    fill(this.node, this.#header(), this.#pictures(), this.#visits(), this.route, this.similar, this.#around());
    attempt(() => this.#showRoute());
  }

  /** The way of the last visit over the ground, where cameras have homographies. */
  async #showRoute() {
    const [visit] = this.person.visits ?? [];
    if (!visit) return;
    const { steps } = await call(`GET /people/${this.number}/route`, {
      query: { from: visit.begin, to: visit.end },
    });
    if (!steps.length || this.signal.aborted) return;
    const ways = new Ways(Infinity);
    for (const { time, ground } of steps) ways.add([{ person: this.number, ground }], Date.parse(time) / 1000);
    const canvas = mapCanvas();
    this.route.hidden = false;
    fill(this.route, el("h2", { text: T.route }), canvas);
    const last = { person: this.number, color: this.person.color, ground: steps.at(-1).ground };
    const draw = () => drawMap(canvas, ways, [last], this.number, this.person.color);
    const resized = new ResizeObserver(draw);
    resized.observe(canvas);
    this.signal.addEventListener("abort", () => resized.disconnect());
  }

  #header() {
    const { person, live } = this;
    const can = (role) => live.may(role) && live.me.live !== false;
    const also = person.also?.length ? el("small", { text: T.also(person.also.join(", ")) }) : null;
    const actions = [
      button(
        T.follow,
        () => {
          live.follow(person.person);
          location.hash = "#/";
        },
        { class: "main" },
      ),
      live.may("operator") && button(T.findSimilar, () => this.#findSimilar()),
      can("operator") && button(T.name, () => this.#name()),
      can("operator") && button(T.merge, () => this.#merge()),
      can("operator") && button(T.split, () => this.#split()),
      can("operator") && !person.is_watched && button(T.watch, () => this.#watch()),
      can("admin") && button(T.forget, () => this.#forget(), { class: "danger" }),
    ];
    return el(
      "header",
      {},
      el(
        "div",
        { class: "row title" },
        face(person, { big: true }),
        el(
          "div",
          {},
          el("h1", { text: nameOf(person) }),
          el("p", { class: "soft", text: T.seenFromTo(full(person.first_seen), full(person.last_seen)) }),
          also,
        ),
      ),
      el("div", { class: "row" }, actions),
    );
  }

  #pictures() {
    const { pictures = [] } = this.person;
    const shown = pictures.filter((it) => it.thumb);
    if (!shown.length) return el("p", { class: "soft", text: T.noPictures });
    const byCamera = groupBy(shown, (it) => it.camera);
    return el(
      "section",
      { class: "card stack" },
      el("h2", { text: T.pictures }),
      [...byCamera].map(([camera, all]) =>
        el(
          "div",
          {},
          el("h3", { text: this.live.cameraName(camera) }),
          el(
            "div",
            { class: "thumbs" },
            all.slice(0, 12).map((it) =>
              el(
                "figure",
                {},
                el("img", {
                  src: it.thumb,
                  alt: T.pictureOf(nameOf(this.person), clock(it.time)),
                  loading: "lazy",
                }),
                el("figcaption", { text: clock(it.time) }),
              ),
            ),
          ),
        ),
      ),
    );
  }

  #visits() {
    const { visits = [] } = this.person;
    return el(
      "section",
      { class: "card stack" },
      el("h2", { text: T.visits(visits.length) }),
      visits.slice(0, 20).map((visit) => this.#visit(visit)),
    );
  }

  #visit(visit) {
    const [from, to] = [
      new Date(visit.begin),
      new Date(Math.max(new Date(visit.end), new Date(visit.begin).getTime() + 1000)),
    ];
    const rows = [...new Set(visit.stays.map((stay) => stay.camera))].map((id) => ({
      key: id,
      label: this.live.cameraName(id),
    }));
    const stays = visit.stays.map((stay) => ({ ...this.person, ...stay }));
    return el(
      "div",
      { class: "stack" },
      el("h3", {
        class: "number",
        text: T.visit(full(visit.begin), duration((new Date(visit.end) - from) / 1000)),
      }),
      lanes({
        from,
        to,
        rows,
        stays,
        rowOf: (stay) => stay.camera,
        cameraName: (id) => this.live.cameraName(id),
      }),
      el(
        "details",
        {},
        el("summary", { text: T.stays(visit.stays.length) }),
        el(
          "ul",
          { class: "shapes" },
          visit.stays.map((stay) => this.#stay(stay)),
        ),
      ),
    );
  }

  #stay(stay) {
    const seconds = (new Date(stay.end) - new Date(stay.begin)) / 1000;
    const words = `${this.live.cameraName(stay.camera)}, ${clock(stay.begin)}, ${duration(seconds)}`;
    const why = button(T.why, () => askWhy(this.live, this.person, stay), { "aria-label": T.whyThis(words) });
    return el("li", {}, el("span", { class: "grow number", text: words }), why);
  }

  #around() {
    const { co_visits: together = [], next = [] } = this.person;
    const maybe = (it) =>
      T.maybe(this.live.cameraName(it.camera), percent(it.probability), duration(it.after_s));
    return [
      next.length > 0 && el("p", { class: "card", text: `${T.next} ${next.map(maybe).join("; ")}` }),
      together.length > 0 && el("h2", { text: T.togetherWith }),
      el(
        "div",
        { class: "cards" },
        together.map((it) => personCard(it, T.together(duration(it.together_s)))),
      ),
    ];
  }

  #findSimilar() {
    this.similar.hidden = false;
    fill(
      this.similar,
      el("h2", { text: T.similarTo(nameOf(this.person)) }),
      el("p", { class: "soft", role: "status", text: T.searching }),
    );
    attempt(async () => {
      const answer = await call(`GET /people/${this.number}/similar`);
      fill(
        this.similar,
        el("h2", { text: T.similarTo(nameOf(this.person)) }),
        similarResults(this.live, answer),
      );
      this.similar.scrollIntoView({ block: "nearest" });
    });
  }

  #name() {
    const input = el("input", { value: this.person.name ?? "", maxLength: 80, autocomplete: "off" });
    const before = this.person.name;
    const put = async (name) => {
      await call(`PUT /people/${this.number}/name`, { body: { name } });
      await this.load();
    };
    ask(T.name, [field(T.nameOfPerson, input, T.nameHint)], T.save, async () => {
      await put(input.value.trim() || null);
      toast(T.saved, { undo: () => put(before) });
    });
    input.select();
  }

  #merge() {
    let other = null;
    const body = [
      el("p", { text: T.mergeHint(nameOf(this.person)) }),
      ...peoplePicker((it) => (other = it), { without: this.number }),
    ];
    ask(T.merge, body, T.merge, async () => {
      if (!other) throw new Error(T.chooseSomebody);
      const { correction, kept } = await call(`POST /people/${this.number}/merge`, {
        body: { other: other.person },
      });
      this.#undoable(T.merged(nameOf(this.person), nameOf(other)), correction);
      if (kept !== this.number) location.hash = `#/people/${kept}`;
      else await this.load();
    });
  }

  #split() {
    const boxes = (this.person.visits ?? [])
      .flatMap((visit) => visit.stays)
      .slice(0, 60)
      .map((stay) => {
        const tick = el("input", { type: "checkbox" });
        return {
          stay,
          tick,
          node: field(`${this.live.cameraName(stay.camera)}, ${clock(stay.begin)}`, tick),
        };
      });
    ask(T.split, [el("p", { text: T.splitHint }), boxes.map((it) => it.node)], T.split, async () => {
      const tracks = boxes
        .filter((it) => it.tick.checked)
        .map(({ stay }) => ({ run: stay.run, camera: stay.camera, track: stay.track }));
      if (!tracks.length) throw new Error(T.chooseStay);
      const { correction, person } = await call(`POST /people/${this.number}/split`, { body: { tracks } });
      this.#undoable(T.splitDone(T.person(person)), correction);
      await this.load();
    });
  }

  #watch() {
    const note = el("input", { maxLength: 200 });
    ask(T.watch, [el("p", { text: T.watchHint }), field(T.note, note)], T.watch, async () => {
      await call("POST /watchlist", { body: { person: this.number, note: note.value } });
      toast(T.watched(nameOf(this.person)));
      await this.load();
    });
  }

  #forget() {
    const words = el("p", { text: T.forgetHint(nameOf(this.person)) });
    ask(
      T.forget,
      [words],
      T.forget,
      async () => {
        const { correction, erased_at: erased } = await call(`POST /people/${this.number}/forget`);
        this.#undoable(T.forgotten(nameOf(this.person), clock(erased)), correction);
        location.hash = "#/people";
      },
      { danger: true },
    );
  }

  #undoable(words, correction) {
    const page = location.hash;
    toast(words, {
      undo: async () => {
        await call(`POST /corrections/${correction}/undo`);
        toast(T.undoneNow);
        if (location.hash === page) await this.load();
        else location.hash = `#/people/${this.number}`;
      },
    });
  }
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return groups;
}
