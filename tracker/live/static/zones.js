// Zones, lines and ignore masks, drawn on what a camera sees, and what they count.

import { address, call } from "./api.js";
import { Board } from "./board.js";
import { ask, attempt, button, choice, el, field, fill, say, toast } from "./dom.js";
import { drawPeople, Trails } from "./draw.js";
import { labelOf } from "./people_parts.js";
import { T } from "./texts.js";
import { duration } from "./time.js";

const TOOLS = { zone: "polygon", line: "line", ignore: "polygon" };
const COLORS = ["#4fc3f7", "#ffb74d", "#81c784", "#f06292", "#ba68c8", "#fff176"];
const COUNTS_MS = 2000;
const SPANS = ["hour", "day", "week"];

export function zonesView(live, path, signal) {
  return new Zones(live, path[0], signal).node;
}

class Zones {
  #zones = [];
  #counts = null;
  #tool = null;
  #head = null;
  #picture = null;
  #isDecoding = false;

  constructor(live, camera, signal) {
    Object.assign(this, { live, signal, camera: camera ?? live.cameras[0]?.id });
    this.mayDraw = live.may("operator") && live.me.live !== false;
    const cameras = live.cameras.map((it) => [it.id, it.name]);
    this.choice = choice(cameras, this.camera, (id) => this.#choose(id));
    this.choice.setAttribute("aria-label", T.camera);
    this.board = new Board({
      kind: null,
      label: T.zoneBoard,
      done: (points) => this.#name(points),
      moved: this.mayDraw ? (shape, points) => this.#movePoints(shape, points) : null,
      signal,
    });
    this.tools = Object.keys(TOOLS).map((kind) =>
      button(T.kinds[kind], () => this.#use(kind), { "aria-pressed": "false" }),
    );
    this.hint = el("p", { class: "hint", role: "status", text: this.mayDraw ? T.drawHint : "" });
    this.list = el("ul", { class: "shapes" });
    this.span = choice(
      SPANS.map((it) => [it, T.countSpans[it]]),
      "day",
      () => this.#count(),
    );
    this.span.setAttribute("aria-label", T.countsOf);
    this.counts = el("div", { class: "stack" });
    this.node = el(
      "div",
      { class: "page" },
      el("header", {}, el("h1", { text: T.zones }), this.choice),
      el(
        "div",
        { class: "split" },
        el(
          "div",
          { class: "stack" },
          this.mayDraw && el("div", { class: "row", role: "group", "aria-label": T.draw }, this.tools),
          this.hint,
          this.board.node,
        ),
        el("section", { class: "card" }, el("h2", { text: T.zonesOfCamera }), this.list),
      ),
      el(
        "section",
        { class: "card stack" },
        el("div", { class: "row between" }, el("h2", { text: T.counts }), this.span),
        this.counts,
      ),
    );
    live.on("picture", (picture) => this.#take(picture), signal);
    document.addEventListener("visibilitychange", () => this.#subscribe(), { signal });
    const timer = setInterval(() => document.hidden || this.#count(), COUNTS_MS);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      live.socket.subscribe({});
      this.#picture?.close();
    });
    this.#choose(this.camera);
    attempt(() => this.#load());
  }

  #choose(camera) {
    this.camera = camera;
    this.#head = null;
    this.board.clear();
    this.#subscribe();
    this.#list();
  }

  #subscribe() {
    this.live.socket.subscribe(this.camera && !document.hidden ? { [this.camera]: 1280 } : {});
  }

  async #take({ head, jpeg }) {
    if (head.camera !== this.camera || this.#isDecoding) {
      this.live.socket.send({ type: "drawn", camera: head.camera, tick: head.tick });
      return;
    }
    this.#isDecoding = true;
    try {
      const image = jpeg.length ? await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })) : null;
      this.#picture?.close();
      this.#picture = image;
      this.#head = head;
      if (!this.signal.aborted) this.board.paint((...pen) => this.#paint(...pen), head.width, head.height);
    } catch {
      // A picture that cannot be decoded is left out; the next one comes.
    }
    this.#isDecoding = false;
    this.live.socket.send({ type: "drawn", camera: head.camera, tick: head.tick });
  }

  #paint(ink, place, ratio) {
    if (this.#picture) ink.drawImage(this.#picture, place.x, place.y, place.w, place.h);
    if (!this.#head) return;
    const { width, height, boxes } = this.#head;
    const people = boxes.map((it) => ({
      key: String(it.track),
      box: [it.box[0] / width, it.box[1] / height, it.box[2] / width, it.box[3] / height],
      color: it.color,
      label: labelOf(it),
      undecided: it.state === "undecided",
    }));
    drawPeople(ink, place, people, new Trails(), ratio);
  }

  async #load() {
    const { zones } = await call("GET /zones");
    this.#zones = zones;
    this.#list();
    await this.#count();
  }

  #use(kind) {
    this.#tool = kind === this.#tool ? null : kind;
    Object.keys(TOOLS).forEach((it, at) =>
      this.tools[at].setAttribute("aria-pressed", String(it === this.#tool)),
    );
    this.board.use(this.#tool && TOOLS[this.#tool]);
    say(this.hint, this.#tool ? T.toolHint[this.#tool] : T.drawHint);
    if (this.#tool) this.board.canvas.focus({ preventScroll: true });
  }

  #name(points) {
    const kind = this.#tool;
    const number = this.#zones.filter((it) => it.kind === kind).length + 1;
    const input = el("input", {
      value: `${T.kinds[kind]} ${number}`,
      maxLength: 60,
      required: true,
      autocomplete: "off",
    });
    const dialog = ask(T.nameOfKind(T.kinds[kind]), [field(T.nameOfZone, input)], T.save, async () => {
      const saved = await call("POST /zones", {
        body: { camera: this.camera, kind, name: input.value.trim(), points },
      });
      this.#use(kind);
      await this.#load();
      toast(T.saved, { undo: () => this.#remove(saved) });
    });
    dialog.addEventListener("close", () => this.board.clear());
    input.select();
  }

  /** A corner was dragged to another place. */
  #movePoints({ id }, points) {
    const zone = this.#zones.find((it) => it.id === id);
    attempt(async () => {
      try {
        await this.#change(zone, { points });
        toast(T.saved, { undo: () => this.#change({ ...zone, points }, { points: zone.points }) });
      } catch (error) {
        this.#list(); // as it was
        throw error;
      }
    });
  }

  async #remove({ id }) {
    await call(`DELETE /zones/${id}`);
    await this.#load();
  }

  async #change(zone, changes) {
    const { id, ...rest } = zone;
    await call(`PUT /zones/${id}`, { body: { ...rest, ...changes } });
    await this.#load();
  }

  #list() {
    const mine = this.#zones.filter((it) => it.camera === this.camera);
    fill(
      this.list,
      mine.length ? null : el("li", { class: "soft", text: T.noZones }),
      mine.map((zone, at) => this.#item(zone, COLORS[at % COLORS.length])),
    );
    this.#showShapes();
  }

  #item(zone, color) {
    const rename = () => {
      const input = el("input", { value: zone.name, maxLength: 60, required: true });
      ask(T.rename, [field(T.nameOfZone, input)], T.save, () =>
        this.#change(zone, { name: input.value.trim() }),
      );
      input.select();
    };
    const remove = () =>
      attempt(async () => {
        await this.#remove(zone);
        const { id, ...again } = zone;
        toast(T.zoneDeleted(zone.name), {
          undo: async () => {
            await call("POST /zones", { body: again });
            await this.#load();
          },
        });
      });
    const turn = () => attempt(() => this.#change(zone, { points: [...zone.points].reverse() }));
    return el(
      "li",
      { "data-zone": zone.id },
      el("span", { class: "swatch", vars: { "--color": color } }),
      el(
        "span",
        { class: "who grow" },
        el("b", { text: zone.name }),
        el("small", { class: "number", text: T.kinds[zone.kind] }),
      ),
      this.mayDraw &&
        zone.kind === "line" &&
        button(T.turn, turn, { "aria-label": `${T.turn}: ${zone.name}` }),
      this.mayDraw && button(T.rename, rename, { "aria-label": `${T.rename}: ${zone.name}` }),
      this.mayDraw && button(T.remove, remove, { "aria-label": `${T.remove}: ${zone.name}` }),
    );
  }

  #showShapes() {
    const mine = this.#zones.filter((it) => it.camera === this.camera);
    this.board.show(
      mine.map((zone, at) => ({ ...zone, color: COLORS[at % COLORS.length], count: this.#countOf(zone) })),
    );
  }

  #countOf({ id, kind }) {
    if (kind === "zone") return this.#counts?.zones.find((it) => it.id === id)?.occupancy;
    const line = this.#counts?.lines.find((it) => it.id === id);
    return line && T.inOut(line.in, line.out);
  }

  /** Which time is counted: until now. */
  get #range() {
    const from = this.live.now;
    if (this.span.value === "hour") from.setHours(from.getHours() - 1);
    else from.setHours(0, 0, 0, 0);
    if (this.span.value === "week") from.setDate(from.getDate() - 6);
    return { from: from.toISOString() };
  }

  async #count() {
    try {
      this.#counts = await call("GET /counts", { query: this.#range });
    } catch {
      return; // the connection's state is said at the top of the page
    }
    if (this.signal.aborted) return;
    this.#showShapes();
    this.#sayCounts();
  }

  #sayCounts() {
    const { zones, lines, unique } = this.#counts;
    const cell = (text) => el("td", { class: "number", text: String(text) });
    const place = (it) => [el("td", { text: it.name }), el("td", { text: this.live.cameraName(it.camera) })];
    const head = (words) =>
      el(
        "tr",
        {},
        words.map((text, at) => el("th", { scope: "col", text, class: at > 1 ? "number" : null })),
      );
    fill(
      this.counts,
      unique &&
        el(
          "p",
          { class: "number" },
          el("b", { text: T.visitors(Math.round(unique.visitors)) }),
          ` ${T.visitorsRange(unique.low, unique.high, unique.counted)}`,
        ),
      zones.length > 0 &&
        el(
          "div",
          { class: "wide" },
          el(
            "table",
            { class: "zone-counts" },
            head(T.zoneColumns),
            zones.map((it) =>
              el(
                "tr",
                { "data-zone": it.id },
                place(it),
                cell(it.occupancy),
                cell(it.people),
                cell(it.visits),
                cell(duration(it.dwell_s?.median)),
                cell(duration(it.dwell_s?.p90)),
              ),
            ),
          ),
        ),
      lines.length > 0 &&
        el(
          "div",
          { class: "wide" },
          el(
            "table",
            { class: "line-counts" },
            head(T.lineColumns),
            lines.map((it) => el("tr", { "data-zone": it.id }, place(it), cell(it.in), cell(it.out))),
          ),
        ),
      el(
        "p",
        { class: "row" },
        el("a", { href: address("/counts.csv", this.#range), download: "counts.csv", text: "CSV" }),
        el("a", { href: address("/counts", this.#range), download: "counts.json", text: "JSON" }),
      ),
    );
  }
}
