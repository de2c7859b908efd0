// Everybody who is known, and the corrections that were made.

import { call } from "./api.js";
import { attempt, button, el, fill, toast } from "./dom.js";
import { nameOf, personCard } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, full } from "./time.js";

export function peopleView(live, _path, signal) {
  const find = el("input", { type: "search", placeholder: T.findPerson, "aria-label": T.findPerson });
  const list = el("ul", { class: "cards" });
  const status = el("p", { class: "empty", role: "status", hidden: true });
  const more = button(T.more, () => attempt(() => load(true)), { hidden: true });
  let cursor = null;
  let asked = 0;

  async function load(isMore) {
    const turn = (asked += 1);
    const query = { q: find.value.trim(), cursor: isMore ? cursor : null };
    const { people, next } = await call("GET /people", { query });
    if (turn !== asked || signal.aborted) return; // a later question was asked meanwhile
    cursor = next;
    more.hidden = !next;
    const cards = people.map((it) => el("li", {}, personCard(it, ...facts(live, it))));
    if (isMore) list.append(...cards);
    else fill(list, cards);
    status.hidden = list.children.length > 0;
    status.textContent = find.value ? T.nobodyFound : T.nobodyYet;
  }

  find.addEventListener("input", () => attempt(() => load(false)));
  live.on(
    "event",
    ({ type }) => {
      if (type === "person.new" && !find.value) attempt(() => load(false));
    },
    signal,
  );
  attempt(() => load(false));
  return el(
    "div",
    { class: "page" },
    el("header", {}, el("h1", { text: T.people }), find),
    list,
    status,
    el("div", { class: "row" }, more),
    live.may("operator") ? corrections() : null,
  );
}

function facts(live, it) {
  const cameras = it.cameras.map((id) => live.cameraName(id)).join(", ");
  return [T.visits(it.visits), T.lastSeen(clock(it.last_seen)), cameras];
}

/** What was corrected, each with a way back. */
function corrections() {
  const list = el("ul", { class: "shapes" });
  const box = el("details", { class: "card" }, el("summary", { text: T.corrections }), list);

  async function load() {
    const { corrections: all } = await call("GET /corrections");
    fill(
      list,
      all.length ? null : el("li", { class: "soft", text: T.noCorrections }),
      all.map((it) =>
        el(
          "li",
          {},
          el("span", { class: "grow", text: T.correction(it) }),
          el("small", { text: `${it.user}, ${full(it.time)}` }),
          it.undone ? el("small", { text: T.undone }) : button(T.undo, () => attempt(() => undo(it.id))),
        ),
      ),
    );
  }

  async function undo(id) {
    await call(`POST /corrections/${id}/undo`);
    toast(T.undoneNow);
    await load();
  }

  box.addEventListener("toggle", () => box.open && attempt(load));
  return box;
}

/** A list of people to choose one from, found by name or number. */
export function peoplePicker(chosen, { without = null } = {}) {
  const find = el("input", { type: "search", placeholder: T.findPerson, "aria-label": T.findPerson });
  const list = el("ul", { class: "cards" });

  async function load() {
    const { people } = await call("GET /people", { query: { q: find.value.trim(), limit: 30 } });
    const others = people.filter((it) => it.person !== without);
    fill(
      list,
      others.length ? null : el("li", { class: "soft", text: T.nobodyFound }),
      others.map((it) => {
        const card = personCard(it, T.lastSeen(clock(it.last_seen)));
        const choose = el(
          "button",
          { type: "button", class: "person", "aria-pressed": "false" },
          ...card.childNodes,
        );
        choose.addEventListener("click", () => {
          for (const other of list.querySelectorAll("button"))
            other.setAttribute("aria-pressed", String(other === choose));
          chosen(it);
        });
        choose.setAttribute("aria-label", nameOf(it));
        return el("li", {}, choose);
      }),
    );
  }

  find.addEventListener("input", () => attempt(load));
  attempt(load);
  return [find, list];
}
