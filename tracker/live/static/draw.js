// Frames, boxes, numbers and ways on a canvas.

const TRAIL_S = 2;
const HALO = "rgb(0 0 0 / 65%)";

/** Black or white, whichever stands out more from a colour "#rrggbb": never less than 4.5 to 1. */
export function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = parseInt(color.slice(at, at + 2), 16) / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
}

/** Where the people of one camera were in the last two seconds. */
export class Trails {
  #points = new Map();
  #before = { time: -Infinity, keys: new Set() };

  /** @param {number} time Seconds. @param {Array<{key: string, box: number[]}>} people Boxes in [0, 1]. */
  add(time, people) {
    const { time: last, keys } = this.#before;
    const isNext = time >= last && time - last < TRAIL_S;
    this.#before = { time, keys: new Set(people.map(({ key }) => key)) };
    for (const { key, box } of people) {
      const points = this.#points.get(key) ?? [];
      // No line through the time in which the camera did not see the person.
      if (!isNext || !keys.has(key)) points.length = 0;
      points.push({ time, x: (box[0] + box[2]) / 2, y: box[3] });
      this.#points.set(key, points);
    }
    for (const [key, points] of this.#points) {
      while (points.length && (points[0].time < time - TRAIL_S || points[0].time > time)) points.shift();
      if (!points.length) this.#points.delete(key);
    }
  }

  of(key) {
    return this.#points.get(key) ?? [];
  }
}

/** The rectangle of a picture that is shown whole inside a canvas, in canvas pixels. */
export function fit(canvas, width, height) {
  const scale = Math.min(canvas.width / width, canvas.height / height);
  const [w, h] = [width * scale, height * scale];
  return { x: (canvas.width - w) / 2, y: (canvas.height - h) / 2, w, h };
}

/** Make a canvas as fine as the screen. Returns device pixels per CSS pixel. */
export function sharpen(canvas) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const { clientWidth, clientHeight } = canvas;
  const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
  if (width && height && (canvas.width !== width || canvas.height !== height)) {
    Object.assign(canvas, { width, height });
  }
  return ratio;
}

/**
 * Draw people over the picture that is already there.
 * @param {CanvasRenderingContext2D} ink
 * @param {{x, y, w, h}} place Of the picture on the canvas.
 * @param {Array<{key, box, color, label, state, dim}>} people Boxes in [0, 1].
 * @param {Trails} trails
 * @param {number} ratio Device pixels per CSS pixel.
 */
export function drawPeople(ink, place, people, trails, ratio) {
  const line = 2 * ratio;
  const at = (x, y) => [place.x + x * place.w, place.y + y * place.h];
  ink.save();
  ink.beginPath();
  ink.rect(place.x, place.y, place.w, place.h);
  ink.clip();
  ink.lineJoin = ink.lineCap = "round";
  for (const { key, color, dim } of people) {
    const points = trails.of(key);
    if (points.length < 2) continue;
    ink.globalAlpha = dim ? 0.3 : 1;
    const path = new Path2D();
    points.forEach(({ x, y }, index) => (index ? path.lineTo(...at(x, y)) : path.moveTo(...at(x, y))));
    stroke(ink, path, color, line);
  }
  for (const { box, color, label, undecided, dim } of people) {
    ink.globalAlpha = dim ? 0.3 : 1;
    const [x1, y1] = at(box[0], box[1]);
    const [x2, y2] = at(box[2], box[3]);
    const path = new Path2D();
    path.rect(x1, y1, x2 - x1, y2 - y1);
    ink.setLineDash(undecided ? [4 * ratio, 4 * ratio] : []);
    stroke(ink, path, color, line);
    ink.setLineDash([]);
    plate(ink, label, x1, y1, color, place, ratio);
  }
  ink.restore();
}

function stroke(ink, path, color, width) {
  ink.strokeStyle = HALO;
  ink.lineWidth = width + 2;
  ink.stroke(path);
  ink.strokeStyle = color;
  ink.lineWidth = width;
  ink.stroke(path);
}

function plate(ink, text, x, y, color, place, ratio) {
  const size = 13 * ratio;
  ink.font = `600 ${size}px system-ui, sans-serif`;
  const width = ink.measureText(text).width + 8 * ratio;
  const height = size + 5 * ratio;
  const left = Math.max(place.x, Math.min(x - ratio, place.x + place.w - width));
  const top = Math.max(place.y, y - height);
  ink.fillStyle = color;
  ink.fillRect(left, top, width, height);
  ink.fillStyle = inkOn(color);
  ink.textBaseline = "middle";
  ink.fillText(text, left + 4 * ratio, top + height / 2 + ratio / 2);
}
