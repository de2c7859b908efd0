// A timeline: a lane for each camera or person, a bar for each stay.

import { inkOn } from "./draw.js";
import { el } from "./dom.js";
import { nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, duration, shortClock } from "./time.js";

const STEPS_S = [10, 30, 60, 300, 600, 1800, 3600, 10800, 21600, 86400];

/**
 * @param {object} what
 * @param {Date} what.from @param {Date} what.to The time that is shown.
 * @param {Array<{key, label, href?}>} what.rows From top to bottom.
 * @param {Array<{person, name, color, camera, begin, end}>} what.stays
 * @param {(stay) => *} what.rowOf The key of the row of a stay.
 * @param {(stay) => string} [what.wordOn] What is written on a bar that is long enough.
 * @param {(id) => string} [what.cameraName]
 */
export function lanes({ from, to, rows, stays, rowOf, wordOn = () => "", cameraName = (id) => id }) {
  const span = to - from;
  const share = (time) => Math.min(1, Math.max(0, (new Date(time) - from) / span));
  const byRow = new Map(rows.map((row) => [row.key, []]));
  for (const stay of stays) byRow.get(rowOf(stay))?.push(stay);
  return el(
    "div",
    { class: "lanes" },
    rows.map((row) =>
      el(
        "div",
        { class: "lane" },
        row.href
          ? el("a", { class: "lane-name", href: row.href, text: row.label })
          : el("span", { class: "lane-name", text: row.label }),
        el(
          "ul",
          { class: "lane-bars" },
          byRow.get(row.key).map((stay) => bar(stay, share, wordOn, cameraName)),
        ),
      ),
    ),
    el(
      "div",
      { class: "lane axis", "aria-hidden": "true" },
      el("span", { class: "lane-name" }),
      axis(from, to, share),
    ),
  );
}

function bar(stay, share, wordOn, cameraName) {
  const [begin, end] = [share(stay.begin), share(stay.end)];
  const seconds = (new Date(stay.end) - new Date(stay.begin)) / 1000;
  const words = T.stay(nameOf(stay), cameraName(stay.camera), clock(stay.begin), duration(seconds));
  const color = stay.color ?? "#808080";
  return el(
    "li",
    {
      class: "stay",
      vars: {
        "--begin": `${begin * 100}%`,
        "--width": `${(end - begin) * 100}%`,
        "--color": color,
        "--on-color": inkOn(color),
      },
    },
    el("a", {
      href: stay.person ? `#/people/${stay.person}` : "#/",
      title: words,
      "aria-label": words,
      text: end - begin > 0.06 ? wordOn(stay) : "",
    }),
  );
}

function axis(from, to, share) {
  const seconds = (to - from) / 1000;
  const step = STEPS_S.find((it) => seconds / it <= 6) ?? STEPS_S.at(-1);
  const zone = from.getTimezoneOffset() * 60;
  const first = Math.ceil((from / 1000 - zone) / step) * step + zone;
  const marks = [];
  for (let at = first; at * 1000 <= to; at += step) {
    const time = new Date(at * 1000);
    if (share(time) < 0.03 || share(time) > 0.97) continue; // would reach beyond the lane
    const words = step < 60 ? clock(time) : shortClock(time);
    marks.push(el("span", { class: "mark", vars: { "--begin": `${share(time) * 100}%` }, text: words }));
  }
  return el("div", { class: "lane-bars" }, marks);
}
