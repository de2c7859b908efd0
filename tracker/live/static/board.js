// A canvas to draw on: a box, a line or a polygon over a picture, with the mouse, a finger or the keyboard.

import { fit, sharpen } from "./draw.js";
import { el, say } from "./dom.js";
import { T } from "./texts.js";

const NEAR_PX = 14;
const STEP = 0.02;
const ENOUGH = { box: 2, line: 2, polygon: 3 };

/** Where the middle of a line is, and the way of those who come in: from the left to the right of it. */
export function lineArrow([[x1, y1], [x2, y2]], width, height) {
  const [dx, dy] = [(x2 - x1) * width, (y2 - y1) * height];
  const length = Math.hypot(dx, dy) || 1;
  return { middle: [(x1 + x2) / 2, (y1 + y2) / 2], way: [-dy / length, dx / length] };
}

/** Hands the finished points, shares of width and height, to `done`. */
export class Board {
  #points = [];
  #cursor = null;
  #drag = null;
  #picture = () => {};
  #size = [16, 9];
  #shapes = [];

  #moved = null;

  /**
   * @param {{kind: "box"|"line"|"polygon"|null, label: string, done: (points) => void, signal: AbortSignal,
   *   moved?: (shape, points) => void}} what With `moved`, corners of shapes can be dragged while nothing is drawn.
   */
  constructor({ kind, label, done, signal, moved = null }) {
    Object.assign(this, { kind, done, moved });
    this.canvas = el("canvas", {
      tabIndex: 0,
      role: "application",
      "aria-label": label,
      "aria-description": T.boardKeys,
    });
    this.said = el("p", { class: "unseen", "aria-live": "polite" });
    this.node = el("div", { class: "board" }, this.canvas, this.said);
    const on = (type, heard) => this.canvas.addEventListener(type, heard);
    on("pointerdown", (event) => this.#down(event));
    on("pointermove", (event) => this.#move(event));
    on("pointerup", (event) => this.#up(event));
    on("pointercancel", () => this.#cancel());
    on("dblclick", () => this.finish());
    on("keydown", (event) => this.#key(event));
    const resized = new ResizeObserver(() => this.draw());
    resized.observe(this.canvas);
    signal.addEventListener("abort", () => {
      resized.disconnect();
      this.#picture = () => {};
    });
  }

  /** What is drawn with: "box", "line", "polygon", or null for nothing. */
  use(kind) {
    this.kind = kind;
    this.clear();
  }

  /** What lies under the drawing: called with the context, its place, and the device's pixel ratio. */
  paint(picture, width, height) {
    this.#picture = picture;
    this.#size = [width, height];
    this.node.style.setProperty("--shape", `${width} / ${height}`);
    this.node.style.setProperty("--ratio", width / height);
    this.draw();
  }

  /** Shapes that are there already. @param {Array<{kind, name, points, color, count}>} shapes */
  show(shapes) {
    if (this.#moved) return; // a corner is held: what it was is no use
    this.#shapes = shapes;
    this.draw();
  }

  clear() {
    this.#points = [];
    this.#cursor = this.#drag = null;
    this.draw();
  }

  finish() {
    if (!this.kind || this.#points.length < ENOUGH[this.kind]) return;
    const points = this.kind === "box" ? corners(this.#points) : this.#points;
    const isFlat =
      this.kind === "box" && (points[1][0] - points[0][0] < 0.005 || points[1][1] - points[0][1] < 0.005);
    if (isFlat) this.clear();
    else this.done(points.map(([x, y]) => [x, y]));
  }

  draw() {
    const ratio = sharpen(this.canvas);
    const ink = this.canvas.getContext("2d");
    const place = fit(this.canvas, ...this.#size);
    ink.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.#picture(ink, place, ratio);
    const pen = { ink, place, ratio, size: this.#size };
    for (const shape of this.#shapes) drawShape(pen, shape);
    if (this.#points.length) {
      const shape = {
        kind: this.kind,
        points:
          this.kind === "box" ? this.#points : [...this.#points, ...(this.#cursor ? [this.#cursor] : [])],
      };
      drawShape(pen, { ...shape, color: "#ffd400", name: "", isOpen: true });
    }
    if (this.#cursor && document.activeElement === this.canvas) crosshair(pen, this.#cursor);
  }

  #share(event) {
    const rectangle = this.canvas.getBoundingClientRect();
    const scale = this.canvas.width / rectangle.width;
    const place = fit(this.canvas, ...this.#size);
    const limit = (value) => Math.min(1, Math.max(0, value));
    return [
      limit(((event.clientX - rectangle.left) * scale - place.x) / place.w),
      limit(((event.clientY - rectangle.top) * scale - place.y) / place.h),
    ];
  }

  /** The corner of a shape under the pointer. */
  #corner(event) {
    const { width, height } = this.canvas.getBoundingClientRect();
    const [x, y] = this.#share(event);
    for (const shape of this.#shapes) {
      const at = shape.points.findIndex(
        (point) => Math.hypot((x - point[0]) * width, (y - point[1]) * height) <= NEAR_PX,
      );
      if (at >= 0) return { shape, at, points: shape.points.map((it) => [...it]) };
    }
    return null;
  }

  #down(event) {
    if (!this.kind) {
      this.#moved = this.moved && this.#corner(event);
      if (this.#moved) this.canvas.setPointerCapture(event.pointerId);
      return;
    }
    this.canvas.focus({ preventScroll: true });
    const point = this.#share(event);
    if (this.kind === "box") {
      this.canvas.setPointerCapture(event.pointerId);
      this.#drag = point;
      this.#points = [point, point];
    } else if (!this.#closes(event)) {
      this.#add(point);
      return;
    }
    this.draw();
  }

  #move(event) {
    if (this.#moved) {
      const { shape, at, points } = this.#moved;
      points[at] = this.#share(event);
      this.#moved.isElsewhere = true;
      this.#shapes = this.#shapes.map((it) => (it.id === shape.id ? { ...it, points } : it));
      this.draw();
      return;
    }
    if (!this.kind) {
      this.canvas.style.cursor = this.moved && this.#corner(event) ? "grab" : "";
      return;
    }
    if (this.#drag) this.#points = [this.#drag, this.#share(event)];
    else if (this.#points.length) this.#cursor = this.#share(event);
    else return;
    this.draw();
  }

  #up(event) {
    if (this.#moved) {
      const { shape, points, isElsewhere } = this.#moved;
      this.#moved = null;
      if (isElsewhere) this.moved(shape, points);
      return;
    }
    if (!this.#drag) return;
    this.#points = [this.#drag, this.#share(event)];
    this.#drag = null;
    this.finish();
    this.draw();
  }

  /** The system took the pointer away: a corner that was held goes back to where it was. */
  #cancel() {
    if (!this.#moved) return;
    const { shape } = this.#moved;
    this.#moved = null;
    this.show(this.#shapes.map((it) => (it.id === shape.id ? shape : it)));
  }

  /** A click on the first point ends a polygon. */
  #closes(event) {
    if (this.kind !== "polygon" || this.#points.length < ENOUGH.polygon) return false;
    const { width, height } = this.canvas.getBoundingClientRect();
    const [x, y] = this.#share(event);
    const [first] = this.#points;
    if (Math.hypot((x - first[0]) * width, (y - first[1]) * height) > NEAR_PX) return false;
    this.#cursor = null;
    this.finish();
    return true;
  }

  #add(point) {
    const last = this.#points.at(-1);
    if (last && last[0] === point[0] && last[1] === point[1]) return; // the second click of a double click
    this.#points.push(point);
    say(this.said, T.pointAt(this.#points.length, point));
    if (this.kind !== "polygon" && this.#points.length === ENOUGH[this.kind]) {
      this.#cursor = null;
      this.finish();
    }
    this.draw();
  }

  #key(event) {
    if (!this.kind) return;
    const step = event.shiftKey ? STEP / 4 : STEP;
    const ways = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (ways[event.key]) {
      const [x, y] = this.#cursor ?? [0.5, 0.5];
      const [dx, dy] = ways[event.key];
      this.#cursor = [Math.min(1, Math.max(0, x + dx)), Math.min(1, Math.max(0, y + dy))];
      say(this.said, T.pointAt(null, this.#cursor));
    } else if (event.key === " ") this.#add([...(this.#cursor ?? [0.5, 0.5])]);
    else if (event.key === "Enter") this.finish();
    else if (event.key === "Backspace") this.#points.pop();
    else if (event.key === "Escape" && this.#points.length) this.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.draw();
  }
}

const corners = ([[x1, y1], [x2, y2]]) => [
  [Math.min(x1, x2), Math.min(y1, y2)],
  [Math.max(x1, x2), Math.max(y1, y2)],
];

function drawShape({ ink, place, ratio, size }, { kind, points, color, name, count, isOpen = false }) {
  const at = ([x, y]) => [place.x + x * place.w, place.y + y * place.h];
  const path = new Path2D();
  if (kind === "box") {
    const [[x1, y1], [x2, y2]] = corners(points).map(at);
    path.rect(x1, y1, x2 - x1, y2 - y1);
  } else {
    points.forEach((point, index) => (index ? path.lineTo(...at(point)) : path.moveTo(...at(point))));
    if (kind !== "line" && !isOpen) path.closePath();
  }
  ink.save();
  ink.lineJoin = "round";
  if (kind !== "line") {
    ink.globalAlpha = kind === "ignore" ? 0.5 : 0.22;
    ink.fillStyle = kind === "ignore" ? "#000" : color;
    ink.fill(path);
    ink.globalAlpha = 1;
  }
  ink.setLineDash(kind === "ignore" ? [6 * ratio, 5 * ratio] : []);
  for (const [style, width] of [
    ["rgb(0 0 0 / 65%)", 5],
    [color, 2.5],
  ]) {
    ink.strokeStyle = style;
    ink.lineWidth = width * ratio;
    ink.stroke(path);
  }
  ink.setLineDash([]);
  if (kind === "line" && points.length > 1) arrow({ ink, place, ratio }, lineArrow(points, ...size), color);
  ink.fillStyle = color;
  if (isOpen)
    for (const point of points)
      ink.fillRect(at(point)[0] - 3 * ratio, at(point)[1] - 3 * ratio, 6 * ratio, 6 * ratio);
  if (name) words(ink, count === undefined ? name : `${name}: ${count}`, at(points[0]), ratio);
  ink.restore();
}

function arrow({ ink, place, ratio }, { middle, way }, color) {
  const [x, y] = [place.x + middle[0] * place.w, place.y + middle[1] * place.h];
  const [dx, dy] = [way[0] * 26 * ratio, way[1] * 26 * ratio];
  const path = new Path2D();
  path.moveTo(x, y);
  path.lineTo(x + dx, y + dy);
  for (const side of [-1, 1]) {
    path.moveTo(x + dx, y + dy);
    path.lineTo(x + dx * 0.62 + side * dy * 0.3, y + dy * 0.62 - side * dx * 0.3);
  }
  for (const [style, width] of [
    ["rgb(0 0 0 / 65%)", 6],
    [color, 3],
  ]) {
    ink.strokeStyle = style;
    ink.lineWidth = width * ratio;
    ink.stroke(path);
  }
}

function crosshair({ ink, place, ratio }, [x, y]) {
  const [cx, cy] = [place.x + x * place.w, place.y + y * place.h];
  ink.strokeStyle = "#ffd400";
  ink.lineWidth = ratio;
  ink.beginPath();
  ink.moveTo(cx, place.y);
  ink.lineTo(cx, place.y + place.h);
  ink.moveTo(place.x, cy);
  ink.lineTo(place.x + place.w, cy);
  ink.stroke();
}

function words(ink, text, [x, y], ratio) {
  ink.font = `600 ${13 * ratio}px system-ui, sans-serif`;
  ink.textBaseline = "bottom";
  ink.lineWidth = 4 * ratio;
  ink.strokeStyle = "rgb(0 0 0 / 80%)";
  ink.strokeText(text, x + 4 * ratio, y - 4 * ratio);
  ink.fillStyle = "#fff";
  ink.fillText(text, x + 4 * ratio, y - 4 * ratio);
}
