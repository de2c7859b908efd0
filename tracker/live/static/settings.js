// Cameras, privacy, every setting of the run, users, tokens, and who looked at whom.

import { session, call } from "./api.js";
import { auditPart, tokensPart, usersPart } from "./accounts.js";
import { ask, attempt, button, choice, el, field, fill, table, toast } from "./dom.js";
import { peoplePicker } from "./people.js";
import { nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { duration, percent } from "./time.js";

const PARTS = [
  { name: "cameras", title: T.cameras, part: camerasPart },
  { name: "privacy", title: T.privacy, part: privacyPart },
  { name: "all", title: T.allSettings, part: schemaPart, role: "admin" },
  { name: "users", title: T.users, part: usersPart, role: "admin" },
  { name: "tokens", title: T.tokens, part: tokensPart, role: "admin" },
  { name: "audit", title: T.audit, part: auditPart, role: "admin" },
  { name: "page", title: T.thisPage, part: pagePart },
];

export function settingsView(live, path, signal) {
  const parts = PARTS.filter((it) => !it.role || live.may(it.role));
  const now = parts.find((it) => it.name === path[0]) ?? parts[0];
  const links = parts.map((it) =>
    el("a", {
      href: `#/settings/${it.name}`,
      class: "button",
      text: it.title,
      "aria-current": it === now ? "page" : null,
    }),
  );
  return el(
    "div",
    { class: "page" },
    el("header", {}, el("h1", { text: T.settings })),
    el("nav", { class: "row parts", "aria-label": T.settings }, links),
    el("section", { class: "card stack" }, el("h2", { text: now.title }), now.part(live, signal)),
  );
}

function camerasPart(live, signal) {
  const body = el("tbody");
  const may = (role) => live.may(role) && live.me.live !== false;

  function row(camera) {
    const isPaused = camera.status === "paused";
    const act = () =>
      attempt(async () => {
        await call(`POST /cameras/${camera.id}/${isPaused ? "resume" : "pause"}`);
        toast(isPaused ? T.resumed(camera.name) : T.paused(camera.name));
      });
    return el(
      "tr",
      { "data-camera": camera.id },
      el("th", { scope: "row", text: camera.name }),
      el("td", { text: camera.address ?? "" }),
      el(
        "td",
        {},
        el("b", { class: camera.status === "online" ? "good" : "warn", text: T.status(camera) }),
        camera.problem ? el("p", { class: "hint", text: camera.problem }) : null,
      ),
      el("td", { class: "number", text: T.fps(camera.fps) }),
      el("td", { class: "number", text: percent(camera.dropped) }),
      el("td", { class: "number", text: duration(camera.delay_s) }),
      el(
        "td",
        {},
        may("operator") &&
          button(isPaused ? T.resume : T.pause, act, {
            "aria-label": `${isPaused ? T.resume : T.pause}: ${camera.name}`,
          }),
      ),
    );
  }

  function add() {
    const name = el("input", { required: true, maxLength: 60, autocomplete: "off" });
    const place = el("input", {
      required: true,
      placeholder: "rtsp://",
      autocomplete: "off",
      spellcheck: false,
    });
    const result = el("p", { role: "status" });
    const test = button(T.test, () =>
      attempt(async () => {
        result.className = "soft";
        result.textContent = T.testing;
        const answer = await call("POST /cameras/test", { body: { address: place.value } });
        result.className = answer.works ? "good" : "bad";
        result.textContent = answer.works ? T.works(answer.width, answer.height, answer.fps) : answer.problem;
      }),
    );
    ask(
      T.addCamera,
      [field(T.nameOfCamera, name), field(T.address, place), el("div", { class: "row" }, test), result],
      T.add,
      async () => {
        await call("POST /cameras", { body: { name: name.value.trim(), address: place.value.trim() } });
        toast(T.added(name.value));
      },
    );
  }

  const update = () => body.contains(document.activeElement) || fill(body, live.cameras.map(row));
  live.on("cameras", update, signal);
  update();
  return [
    table(
      T.cameraColumns.map((text, at) =>
        el("th", { scope: "col", text, class: at > 2 && at < 6 ? "number" : null }),
      ),
      body,
    ),
    may("admin") && el("div", { class: "row" }, button(T.addCamera, add, { class: "main" })),
  ];
}

function privacyPart(live) {
  const form = el("form", {}, el("p", { class: "soft", text: T.loading }));
  const can = live.may("admin") && live.me.live !== false;

  async function load() {
    const privacy = await call("GET /privacy");
    let but = privacy.but;
    const who = el("span", { text: but ? T.person(but) : T.nobodyChosen });
    const choose = button(T.choosePerson, () => {
      let chosen = null;
      ask(
        T.choosePerson,
        peoplePicker((it) => (chosen = it)),
        T.choosePerson,
        async () => {
          if (!chosen) throw new Error(T.chooseSomebody);
          but = chosen.person;
          who.textContent = nameOf(chosen);
        },
      );
    });
    const oneRow = el("div", { class: "row", hidden: privacy.blur !== "all_but" }, who, choose);
    const blur = choice(
      Object.entries(T.blurs),
      privacy.blur,
      (value) => (oneRow.hidden = value !== "all_but"),
    );
    const pictures = el("input", { type: "checkbox", checked: privacy.pictures });
    const thumbs = el("input", { type: "checkbox", checked: privacy.thumbnails });
    const days = el("input", {
      type: "number",
      min: 1,
      max: 3650,
      value: privacy.retention_days ?? "",
      placeholder: T.forever,
    });
    fill(
      form,
      el(
        "fieldset",
        { disabled: !can },
        field(T.blur, blur, T.blurHint),
        oneRow,
        field(T.showPictures, pictures, T.showPicturesHint),
        field(T.keepThumbs, thumbs, T.keepThumbsHint),
        field(T.retention, days, T.retentionHint),
      ),
      can
        ? el("div", { class: "row" }, el("button", { type: "submit", class: "main", text: T.save }))
        : el("p", { class: "hint", text: T.onlyAdmin }),
    );
    form.onsubmit = (event) => {
      event.preventDefault();
      attempt(async () => {
        const retention = days.value ? Number(days.value) : null;
        await call("PUT /privacy", {
          body: {
            blur: blur.value,
            but: blur.value === "all_but" ? but : null,
            pictures: pictures.checked,
            thumbnails: thumbs.checked,
            retention_days: retention,
          },
        });
        toast(T.saved, {
          undo: async () => {
            await call("PUT /privacy", { body: privacy });
            await load();
          },
        });
      });
    };
  }

  attempt(load);
  return form;
}

/** Every setting of the run, with the words that the schema has for it. */
function schemaPart(live) {
  const may = live.me.live !== false;
  const find = el("input", { type: "search", placeholder: T.findSetting, "aria-label": T.findSetting });
  const list = el("div", { class: "stack" });

  attempt(async () => {
    // What has no value belongs to a kind of part that the run does not use.
    const used = (it) => !it.is_section && it.value !== null;
    let settings = [];
    const load = async () => {
      settings = (await call("GET /settings")).settings.filter(used);
      show();
    };
    const show = () => {
      const words = find.value.toLowerCase();
      const found = settings.filter((it) => `${it.key} ${it.description}`.toLowerCase().includes(words));
      const groups = new Map();
      for (const it of found) {
        const name = it.key.includes(".") ? it.key.slice(0, it.key.lastIndexOf(".")) : T.general;
        groups.set(name, [...(groups.get(name) ?? []), it]);
      }
      fill(
        list,
        found.length ? null : el("p", { class: "soft", text: T.noSetting }),
        [...groups].map(([name, all]) =>
          el(
            "details",
            { open: Boolean(words) },
            el("summary", { text: name }),
            el(
              "dl",
              { class: "settings" },
              all.map((it) => setting(it, may && (() => change(it, load)))),
            ),
          ),
        ),
      );
    };
    find.addEventListener("input", show);
    await load();
  });
  return [el("p", { class: "hint", text: T.settingsHint }), find, list];
}

/** Ask for another value; `done` is called when it was taken. */
function change({ key, description, type, bounds, value, chosen, is_at_once: isAtOnce }, done) {
  const input = el("input", { value: chosen ?? value, autocomplete: "off", spellcheck: false });
  const hint = [type, bounds, isAtOnce ? T.changesNow : T.changesLater].filter(Boolean).join(", ");
  const put = async (text) => {
    const answer = await call("PUT /settings", { body: { key, value: text } });
    await done();
    return answer;
  };
  ask(key, [el("p", { text: description }), field(T.value, input, hint)], T.save, async () => {
    const answer = await put(input.value.trim());
    toast(answer.needs_restart ? T.savedForRestart : T.saved, {
      undo: async () => {
        if (isAtOnce) await put(value);
        await put(chosen);
      },
    });
  });
  input.select();
}

function setting(it, change) {
  const { key, description, type, bounds, default: usual, value, chosen } = it;
  const isChanged = value !== usual;
  return [
    el(
      "dt",
      {},
      el("code", { text: key.split(".").at(-1) }),
      " ",
      el("b", { class: "number", text: value || "''" }),
      isChanged && el("small", { text: ` ${T.defaultIs(usual || "''")}` }),
      chosen !== null && chosen !== value && el("small", { class: "warn", text: ` ${T.waits(chosen)}` }),
      it.may_be_chosen && change && button(T.change, change, { class: "plain", "aria-label": `${T.change}: ${key}` }),
    ),
    el("dd", {}, description, " ", el("small", { text: [type, bounds].filter(Boolean).join(", ") })),
  ];
}

function pagePart(live) {
  const theme = choice(Object.entries(T.themes), localStorage.getItem("reunite-theme") ?? "auto", (value) => {
    localStorage.setItem("reunite-theme", value);
    window.dispatchEvent(new Event("themechange"));
  });
  const out = button(T.signOut, () =>
    attempt(async () => {
      await call("DELETE /session");
      session.dispatchEvent(new Event("signed-out"));
    }),
  );
  return [
    field(T.theme, theme),
    el("p", { text: T.signedInAs(live.me.user, T.roles[live.me.role] ?? live.me.role) }),
    el("p", { class: "hint", text: T.version(live.me.version) }),
    el("h3", { text: T.keys }),
    el(
      "dl",
      { class: "facts keys" },
      Object.entries(T.keyList).map(([key, words]) => [
        el("dt", {}, el("kbd", { text: key })),
        el("dd", { text: words }),
      ]),
    ),
    el("div", { class: "row" }, out),
  ];
}
