// The ground from above: where everybody stands, and the way of the one who is followed.

import { sharpen } from "./draw.js";
import { el } from "./dom.js";
import { T } from "./texts.js";

const KEPT_S = 600;
const AWAY_S = 5;
const MARGIN_M = 1;

/** Remembers the ways of people over the ground, in metres, as the message `people` tells where they stand. */
export class Ways {
  #ways = new Map();
  #bounds = null;

  /** @param {number} keptS For how long a way is remembered. */
  constructor(keptS = KEPT_S) {
    this.keptS = keptS;
  }

  /** Whether anybody's place on the ground is known. */
  get isKnown() {
    return this.#bounds !== null;
  }

  add(people, now = Date.now() / 1000) {
    for (const { person, ground } of people) {
      if (person === null || !ground) continue;
      const way = this.#ways.get(person) ?? [];
      way.push({ time: now, x: ground[0], y: ground[1] });
      this.#ways.set(person, way);
      const { left = Infinity, right = -Infinity, low = Infinity, high = -Infinity } = this.#bounds ?? {};
      this.#bounds = {
        left: Math.min(left, ground[0]),
        right: Math.max(right, ground[0]),
        low: Math.min(low, ground[1]),
        high: Math.max(high, ground[1]),
      };
    }
    for (const [person, way] of this.#ways) {
      while (way.length && way[0].time < now - this.keptS) way.shift();
      if (!way.length) this.#ways.delete(person);
    }
  }

  of(person) {
    return this.#ways.get(person) ?? [];
  }

  /** The ground that people walked on, with a margin. */
  get bounds() {
    const { left, right, low, high } = this.#bounds;
    return { left: left - MARGIN_M, right: right + MARGIN_M, low: low - MARGIN_M, high: high + MARGIN_M };
  }
}

/** A canvas for the map. */
export function mapCanvas() {
  return el("canvas", { class: "map", role: "img", "aria-label": T.map });
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Ways} ways
 * @param {Array<{person, color, ground}>} people Who is here now.
 * @param {number} followed Whose way is drawn.
 * @param {string} color Of it.
 */
export function drawMap(canvas, ways, people, followed, color) {
  const { left, right, low, high } = ways.bounds;
  canvas.style.setProperty("--shape", `${right - left} / ${high - low}`);
  const ratio = sharpen(canvas);
  const ink = canvas.getContext("2d");
  const scale = Math.min(canvas.width / (right - left), canvas.height / (high - low));
  const at = (x, y) => [(x - left) * scale, (y - low) * scale];
  const style = getComputedStyle(canvas);
  ink.clearRect(0, 0, canvas.width, canvas.height);
  ink.lineJoin = ink.lineCap = "round";
  const path = new Path2D();
  let before = null;
  for (const { time, x, y } of ways.of(followed)) {
    // No line through the time in which nobody knew where the person was.
    if (before !== null && time - before < AWAY_S) path.lineTo(...at(x, y));
    else path.moveTo(...at(x, y));
    before = time;
  }
  for (const [stroke, width] of [
    [style.color, 4],
    [color, 2.5],
  ]) {
    ink.strokeStyle = stroke;
    ink.lineWidth = width * ratio;
    ink.stroke(path);
  }
  for (const it of people) {
    if (!it.ground) continue;
    ink.globalAlpha = it.person === followed ? 1 : 0.6;
    ink.beginPath();
    ink.arc(...at(...it.ground), (it.person === followed ? 6 : 4) * ratio, 0, 2 * Math.PI);
    ink.fillStyle = it.color;
    ink.fill();
    ink.strokeStyle = style.color;
    ink.lineWidth = ratio;
    ink.stroke();
  }
}
