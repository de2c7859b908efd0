// Why a track is taken for a person: both crops, how alike they are at this site, the way between, the odds.

import { call } from "./api.js";
import { ask, attempt, el, fill } from "./dom.js";
import { nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, duration, percent } from "./time.js";

const [WIDTH, HEIGHT, BASE] = [420, 150, 130];

export function askWhy(live, person, stay) {
  const body = el("div", { class: "stack" }, el("p", { class: "soft", text: T.loading }));
  const dialog = ask(T.whyTitle(nameOf(person)), [body], T.close, async () => {});
  dialog.querySelector(".row.end button").remove(); // nothing is done, so nothing is cancelled
  attempt(async () => {
    const query = { camera: stay.camera, track: stay.track };
    const why = await call(`GET /people/${person.person}/why`, { query });
    fill(body, crops(why, live, stay), verdict(why), densities(why), facts(why, live));
  });
}

function crops({ crops: addresses = [] }, live, stay) {
  const shown = addresses.filter(Boolean);
  if (!shown.length) return el("p", { class: "hint", text: T.noPictures });
  const words = [T.thisTrack(live.cameraName(stay.camera), clock(stay.begin)), T.whatIsKept];
  return el(
    "div",
    { class: "pair" },
    shown.map((src, at) =>
      el(
        "figure",
        {},
        el("img", { src, alt: words[at] }),
        el("figcaption", { class: "hint", text: words[at] }),
      ),
    ),
  );
}

function verdict({ probability, log_odds: odds }) {
  if (probability === null || probability === undefined) return el("p", { text: T.noCompare });
  return el("p", {}, el("b", { text: T.sure(percent(probability)) }), ` ${T.odds(odds.toFixed(1))}`);
}

/** The site's densities of cosines between one person's pictures and between two people's, with this one marked. */
function densities({ grid, densities: both, similarity }) {
  if (!grid?.length || !both) return null;
  const [low, high] = [grid[0], grid.at(-1)];
  const most = Math.max(...both.same, ...both.different, 1e-9);
  const x = (value) => ((value - low) / (high - low)) * WIDTH;
  const y = (value) => BASE - (value / most) * (BASE - 8);
  const line = (values) =>
    values.map((value, at) => `${x(grid[at]).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  return el(
    "figure",
    {},
    el(
      "svg:svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "img", "aria-label": T.densities },
      el("svg:polyline", { points: line(both.different), class: "curve different" }),
      el("svg:polyline", { points: line(both.same), class: "curve same" }),
      el("svg:line", { x1: 0, x2: WIDTH, y1: BASE, y2: BASE, class: "grid" }),
      similarity !== null &&
        similarity !== undefined &&
        el("svg:line", { x1: x(similarity), x2: x(similarity), y1: 0, y2: BASE, class: "here-line" }),
      el("svg:text", { x: 0, y: HEIGHT - 4, text: low.toFixed(1) }),
      el("svg:text", { x: WIDTH, y: HEIGHT - 4, "text-anchor": "end", text: high.toFixed(1) }),
    ),
    el(
      "figcaption",
      { class: "hint" },
      el("span", { class: "key same", text: T.samePeople }),
      " ",
      el("span", { class: "key different", text: T.differentPeople }),
    ),
  );
}

function facts({ similarity, same_density: same, different_density: different, transit }, live) {
  const rows = [];
  if (similarity !== null && similarity !== undefined) rows.push([T.similarity, similarity.toFixed(3)]);
  if (same && different) rows.push([T.timesMoreLikely, (same / different).toPrecision(3)]);
  if (transit) {
    const way = `${live.cameraName(transit.from)} · ${duration(transit.absence_s)}`;
    rows.push([T.transit, way], [T.transitOdds, transit.log_odds.toFixed(1)]);
  }
  return el(
    "dl",
    { class: "facts" },
    rows.map(([word, value]) => [el("dt", { text: word }), el("dd", { class: "number", text: value })]),
  );
}
