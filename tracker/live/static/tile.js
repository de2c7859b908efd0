// One camera of the wall: the newest picture, who is on it, and how the camera is doing.

import { drawPeople, fit, sharpen, Trails } from "./draw.js";
import { el, say } from "./dom.js";
import { labelOf } from "./people_parts.js";
import { T } from "./texts.js";
import { percent } from "./time.js";

const MANY_DROPPED = 0.1;
const WIDTHS = [320, 640, 1280];

/** A camera's tile; `press(camera, personOrNull)` is called for a click or Enter on it. */
export class Tile {
  #head = null;
  #picture = null;
  #pending = null;
  #isDecoding = false;
  #trails = new Trails();
  #delay = null;

  constructor(camera, { press, drawn, followed }) {
    Object.assign(this, { camera, drawn, followed, isShown: true });
    this.canvas = el("canvas", { width: 320, height: 180 });
    this.face = el(
      "button",
      { type: "button", on: { click: (event) => press(this, this.#at(event)) } },
      this.canvas,
    );
    this.veil = el("div", { class: "veil", hidden: true });
    this.name = el("b");
    this.facts = { status: el("span"), fps: el("span"), delay: el("span"), dropped: el("span") };
    for (const node of Object.values(this.facts)) node.className = "number";
    const foot = el("div", { class: "foot" }, this.name, Object.values(this.facts));
    this.node = el("section", { class: "tile" }, this.face, this.veil, foot);
    this.update(camera);
  }

  /** What `GET /cameras` says of the camera. */
  update(camera) {
    this.camera = camera;
    this.node.dataset.camera = camera.id;
    say(this.name, camera.name);
    if (camera.width && camera.height)
      this.node.style.setProperty("--shape", `${camera.width} / ${camera.height}`);
    const isOn = camera.status === "online";
    const words = T.status(camera);
    say(this.facts.status, isOn ? "" : words);
    this.facts.status.className = camera.status === "offline" ? "bad" : "warn";
    say(this.veil, camera.problem ? `${words}\n${camera.problem}` : words);
    this.veil.hidden = isOn || camera.status === "recorded";
    this.#sayFigures(camera);
    const label = T.tile(camera.name, isOn ? T.count(camera.people ?? 0) : words);
    if (this.face.getAttribute("aria-label") !== label) this.face.setAttribute("aria-label", label);
  }

  /** The width at which pictures are worth having. */
  get width() {
    const needed = this.canvas.clientWidth * Math.min(window.devicePixelRatio || 1, 2);
    return WIDTHS.find((width) => width >= needed * 0.8) ?? WIDTHS.at(-1);
  }

  /** Take a picture; while one is decoded only the newest waits. */
  async take(picture) {
    this.#pending = { ...picture, at: performance.now() };
    if (this.#isDecoding) return;
    this.#isDecoding = true;
    while (this.#pending) {
      const { head, jpeg, at } = this.#pending;
      this.#pending = null;
      try {
        const image = jpeg.length ? await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })) : null;
        this.#picture?.close();
        this.#picture = image;
        this.#head = head;
        this.#trails.add(Date.parse(head.time) / 1000, this.#people());
        this.draw();
        this.#delay = head.delay_s === null ? NaN : head.delay_s + (performance.now() - at) / 1000;
        this.#sayFigures(head);
        this.node.dataset.tick = head.tick;
      } catch {
        // A picture that cannot be decoded is left out; the next one comes.
      }
      this.drawn(this.camera.id, head.tick);
    }
    this.#isDecoding = false;
  }

  /** Draw the newest picture and its people once more: the size or who is followed has changed. */
  draw() {
    if (!this.#head || !this.isShown) return;
    const ratio = sharpen(this.canvas);
    const ink = this.canvas.getContext("2d", { alpha: false });
    const place = fit(this.canvas, this.#head.width, this.#head.height);
    ink.fillStyle = "#05070a";
    ink.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.#picture) ink.drawImage(this.#picture, place.x, place.y, place.w, place.h);
    const people = this.#people();
    drawPeople(ink, place, people, this.#trails, ratio);
    // For those who look at the page by program: what is on the canvas, in words.
    this.node.dataset.people = people.map(({ label, color }) => `${label} ${color}`).join(", ");
    this.node.classList.toggle(
      "bright",
      people.some((it) => it.person !== null && it.person === this.followed()),
    );
  }

  /** Whether the person is on the newest picture. */
  shows(person) {
    return Boolean(this.#head?.boxes.some((box) => box.person === person));
  }

  close() {
    this.#picture?.close();
    this.#picture = this.#head = null;
  }

  #people() {
    const { width, height, boxes } = this.#head;
    const followed = this.followed();
    return boxes.map((it) => ({
      key: it.person === null ? `track ${it.track}` : String(it.person),
      person: it.person,
      box: [it.box[0] / width, it.box[1] / height, it.box[2] / width, it.box[3] / height],
      color: it.color,
      label: labelOf(it),
      undecided: it.state === "undecided",
      dim: followed !== null && it.person !== followed,
    }));
  }

  /** Who is under the pointer: the smallest box there. */
  #at(event) {
    if (!this.#head || !event.detail) return null; // pressed by a key
    const rectangle = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / rectangle.width;
    const place = fit(this.canvas, this.#head.width, this.#head.height);
    const x = ((event.clientX - rectangle.left) * scale - place.x) / place.w;
    const y = ((event.clientY - rectangle.top) * scale - place.y) / place.h;
    const hit = this.#people().filter(({ box }) => box[0] <= x && x <= box[2] && box[1] <= y && y <= box[3]);
    const area = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
    return hit.sort((one, other) => area(one) - area(other))[0]?.person ?? null;
  }

  #sayFigures({ fps, dropped, delay_s: delay }) {
    say(this.facts.fps, T.fps(fps));
    this.facts.dropped.className = dropped >= MANY_DROPPED ? "number warn" : "number";
    say(this.facts.dropped, dropped >= 0.005 ? T.dropped(percent(dropped)) : "");
    say(this.facts.delay, T.delay(this.#delay ?? delay));
  }
}
