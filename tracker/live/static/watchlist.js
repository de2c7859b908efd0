// People whose coming is told at once.

import { call } from "./api.js";
import { ask, attempt, button, el, field, fill, toast } from "./dom.js";
import { eventItem } from "./day.js";
import { peoplePicker } from "./people.js";
import { face, nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { full } from "./time.js";

export function watchlistView(live, _path, signal) {
  const list = el("ul", { class: "shapes" });
  const alerts = el("ul", { class: "shapes" });

  async function load() {
    const { entries } = await call("GET /watchlist");
    fill(list, entries.length ? null : el("li", { class: "soft", text: T.noWatchlist }), entries.map(item));
    const { events } = await call("GET /events", { query: { type: "watchlist.seen", limit: 20 } });
    fill(alerts, events.length ? null : el("li", { class: "soft", text: T.noAlerts }), events.map(eventItem));
  }

  function item(entry) {
    const name = entry.name || (entry.person ? T.person(entry.person) : T.fromPhoto);
    return el(
      "li",
      {},
      face({ person: entry.person, name: entry.name, thumb: entry.thumb, color: entry.color }),
      el(
        "span",
        { class: "who grow" },
        entry.person ? el("a", { href: `#/people/${entry.person}`, text: name }) : el("b", { text: name }),
        el("small", { text: entry.note ?? "" }),
        el("small", { text: T.since(full(entry.created)) }),
      ),
      button(T.remove, () => attempt(() => remove(entry, name)), { "aria-label": `${T.remove}: ${name}` }),
    );
  }

  async function remove(entry, name) {
    await call(`DELETE /watchlist/${entry.id}`);
    toast(T.watchEnded(name));
    await load();
  }

  function addPerson() {
    let chosen = null;
    const note = el("input", { maxLength: 200 });
    ask(T.watchPerson, [...peoplePicker((it) => (chosen = it)), field(T.note, note)], T.watch, async () => {
      if (!chosen) throw new Error(T.chooseSomebody);
      await call("POST /watchlist", { body: { person: chosen.person, note: note.value } });
      toast(T.watched(nameOf(chosen)));
      await load();
    });
  }

  function addPhoto() {
    const file = el("input", { type: "file", accept: "image/jpeg,image/png,image/webp", required: true });
    const name = el("input", { maxLength: 80, required: true, autocomplete: "off" });
    const note = el("input", { maxLength: 200 });
    ask(
      T.watchPhoto,
      [field(T.photo, file), field(T.nameOfPerson, name), field(T.note, note)],
      T.watch,
      async () => {
        await call("POST /watchlist", { query: { name: name.value, note: note.value }, body: file.files[0] });
        toast(T.watched(name.value));
        await load();
      },
    );
  }

  live.on("event", ({ type }) => type === "watchlist.seen" && attempt(load), signal);
  attempt(load);
  const can = live.me.live !== false;
  return el(
    "div",
    { class: "page" },
    el(
      "header",
      {},
      el("h1", { text: T.watchlist }),
      can &&
        el(
          "div",
          { class: "row" },
          button(T.watchPerson, addPerson, { class: "main" }),
          button(T.watchPhoto, addPhoto),
        ),
    ),
    el("p", { class: "soft", text: T.watchHint }),
    el("section", { class: "card" }, list),
    el("section", { class: "card stack" }, el("h2", { text: T.alerts }), alerts),
  );
}
