// Users, API tokens and the audit log.

import { call } from "./api.js";
import { ask, attempt, button, choice, el, field, fill, table, toast } from "./dom.js";
import { T } from "./texts.js";
import { full } from "./time.js";

/** A table that is loaded from `path` and has a button to add a row. */
function tablePart({ columns, load, add = null, addWords = "" }) {
  const body = el("tbody");
  const again = () => attempt(async () => fill(body, await load(again)));
  again();
  return [
    table(columns, body),
    add &&
      el(
        "div",
        { class: "row" },
        button(addWords, () => add(again), { class: "main" }),
      ),
  ];
}

/** Which role, and which cameras; none ticked means all. */
function rights(live) {
  const role = choice(Object.entries(T.roles), "viewer");
  const ticks = live.cameras.map((camera) => ({ camera, tick: el("input", { type: "checkbox" }) }));
  const node = [
    field(T.role, role, T.roleHint),
    el(
      "fieldset",
      {},
      el("legend", { text: T.onlyCameras }),
      ticks.map(({ camera, tick }) => field(camera.name, tick)),
    ),
  ];
  const value = () => {
    const cameras = ticks.filter(({ tick }) => tick.checked).map(({ camera }) => camera.id);
    return { role: role.value, cameras: cameras.length ? cameras : null };
  };
  return { node, value };
}

/** The row of a user or token: what it may do, `more` about it, and a button that removes it by `path`. */
function holder(live, it, more, path, again) {
  const cameras = it.cameras ? it.cameras.map((id) => live.cameraName(id)).join(", ") : T.all;
  const label = `${T.remove}: ${it.name}`;
  return el(
    "tr",
    {},
    el("th", { scope: "row", text: it.name }),
    [T.roles[it.role], cameras, ...more].map((text) => el("td", { text })),
    el("td", {}, button(T.remove, () => confirm(it.name, path, again), { "aria-label": label })),
  );
}

export function usersPart(live) {
  return tablePart({
    columns: T.userColumns,
    addWords: T.addUser,
    load: async (again) => {
      const { users } = await call("GET /users");
      return users.map((it) => holder(live, it, [], `DELETE /users/${encodeURIComponent(it.name)}`, again));
    },
    add: (again) => {
      const name = el("input", { required: true, maxLength: 60, autocomplete: "off" });
      const password = el("input", { type: "password", required: true, autocomplete: "new-password" });
      const { node, value } = rights(live);
      ask(
        T.addUser,
        [field(T.user, name), field(T.password, password, T.passwordHint), node],
        T.add,
        async () => {
          await call("POST /users", {
            body: { name: name.value.trim(), password: password.value, ...value() },
          });
          toast(T.added(name.value));
          again();
        },
      );
    },
  });
}

export function tokensPart(live) {
  return tablePart({
    columns: T.tokenColumns,
    addWords: T.addToken,
    load: async (again) => {
      const { tokens } = await call("GET /tokens");
      return tokens.map((it) =>
        holder(live, it, [full(it.created)], `DELETE /tokens/${it.id}`, again),
      );
    },
    add: (again) => {
      const name = el("input", { required: true, maxLength: 60, autocomplete: "off" });
      const { node, value } = rights(live);
      ask(T.addToken, [field(T.tokenName, name), node], T.add, async () => {
        const { token } = await call("POST /tokens", { body: { name: name.value.trim(), ...value() } });
        again();
        showOnce(token);
      });
    },
  });
}

function showOnce(token) {
  const words = el("input", { value: token, readOnly: true });
  ask(T.tokenOnce, [field(T.token, words, T.tokenHint)], T.close, async () => {})
    .querySelector(".row.end button")
    .remove();
  words.select();
}

function confirm(name, path, again) {
  ask(
    T.remove,
    [el("p", { text: T.removeHint(name) })],
    T.remove,
    async () => {
      await call(path);
      again();
    },
    { danger: true },
  );
}

export function auditPart() {
  const body = el("tbody");
  const more = button(T.more, () => attempt(load), { hidden: true });
  let cursor = null;

  async function load() {
    const { entries, next } = await call("GET /audit", { query: { cursor } });
    cursor = next;
    more.hidden = !next;
    body.append(
      ...entries.map((it) =>
        el(
          "tr",
          {},
          [full(it.time), it.user, it.action, it.target ?? ""].map((text) =>
            el("td", { text: String(text) }),
          ),
        ),
      ),
    );
  }

  attempt(load);
  return [
    el("p", { class: "hint", text: T.auditHint }),
    table(T.auditColumns, body),
    more,
  ];
}
