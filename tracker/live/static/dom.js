// Elements, dialogs and messages, without a framework and without a line of inline script or style.

import { T } from "./texts.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element.
 * @param {string} tag "button", or "svg:rect" for one of a drawing.
 * @param {object} [props] `class`, `text`, `on: {click: ...}`, `vars: {"--color": ...}`, properties and attributes.
 * @param {...(Node|string|null|undefined|false|Array)} children Empty ones are left out.
 */
export function el(tag, props = {}, ...children) {
  const node = tag.startsWith("svg:")
    ? document.createElementNS(SVG, tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined) continue;
    if (name === "class") node.setAttribute("class", value);
    else if (name === "text") node.textContent = value;
    else if (name === "on")
      for (const [type, heard] of Object.entries(value)) node.addEventListener(type, heard);
    else if (name === "vars") for (const [key, it] of Object.entries(value)) node.style.setProperty(key, it);
    else if (name in node && node.namespaceURI !== SVG && !name.startsWith("aria")) node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false) node.setAttribute(name, value);
  }
  add(node, children);
  return node;
}

function add(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
}

/** Give a node these children instead of those it has. */
export function fill(node, ...children) {
  node.replaceChildren();
  add(node, children);
  return node;
}

/** Make the children of a list those of `items`, keeping the nodes, and so the focus, of those that stay. */
export function keep(list, items, keyOf, make, update) {
  const before = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let place = list.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let node = before.get(key);
    if (node) before.delete(key);
    else {
      node = make(item);
      node.dataset.key = key;
    }
    update(node, item);
    if (node === place) place = place.nextElementSibling;
    else list.insertBefore(node, place);
  }
  for (const node of before.values()) node.remove();
}

/** Set a text only where it differs: what did not change is not laid out once more. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A button with words on it. */
export function button(text, click, props = {}) {
  return el("button", { type: "button", text, on: { click }, ...props });
}

/** A label with its field; `hint` stands below and is read out with it. */
export function field(label, input, hint = "") {
  const id = `f${(field.count = (field.count ?? 0) + 1)}`;
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}h`);
  return el(
    "div",
    { class: `field ${input.type === "checkbox" ? "tick" : ""}` },
    el("label", { htmlFor: id, text: label }),
    input,
    hint ? el("p", { class: "hint", id: `${id}h`, text: hint }) : null,
  );
}

/** A list to choose from. @param {Array<[string, string]>} options Value and words of each. */
export function choice(options, value, change = () => {}) {
  const select = el("select", { on: { change: () => change(select.value) } });
  fill(
    select,
    options.map(([key, text]) => el("option", { value: key, text, selected: key === value })),
  );
  return select;
}

/** A table that scrolls sideways where it is too wide; `headings` are texts, or cells of the head. */
export function table(headings, body) {
  const cells = headings.map((it) => (typeof it === "string" ? el("th", { scope: "col", text: it }) : it));
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, cells)), body));
}

const toasts = el("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** Say something for a while; `undo` adds a button that takes it back. */
export function toast(text, { undo = null, bad = false } = {}) {
  if (!toasts.isConnected) document.body.append(toasts);
  const note = el("div", { class: bad ? "toast bad" : "toast" }, el("span", { text }));
  const close = () => note.remove();
  if (undo) {
    note.append(
      button(T.undo, async () => {
        close();
        await attempt(undo);
      }),
    );
  }
  note.append(button("×", close, { class: "plain", "aria-label": T.close }));
  toasts.append(note);
  setTimeout(close, undo ? 20000 : 7000);
  while (toasts.children.length > 4) toasts.firstElementChild.remove();
}

/** Do something that may fail; a failure is said. Returns whether it went well. */
export async function attempt(action) {
  try {
    await action();
    return true;
  } catch (error) {
    toast(error.message, { bad: true });
    return false;
  }
}

/**
 * Ask in a dialog.
 * @param {string} title What it is about.
 * @param {Node[]} body Fields and words.
 * @param {string} yes What the button says.
 * @param {() => Promise<void>} act Done when it is pressed; a failure is said and leaves the dialog open.
 */
export function ask(title, body, yes, act, { danger = false } = {}) {
  const go = el("button", { type: "submit", class: danger ? "danger" : "main", text: yes });
  const form = el(
    "form",
    { method: "dialog" },
    el("h2", { text: title, id: "ask" }),
    body,
    el(
      "div",
      { class: "row end" },
      button(T.cancel, () => dialog.close()),
      go,
    ),
  );
  const dialog = el("dialog", { "aria-labelledby": "ask" }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    if (await attempt(act)) dialog.close();
    go.disabled = false;
  });
  const back = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (back?.isConnected) back.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Arrow keys go through the buttons of a list or grid; Home and End to its ends. */
export function rove(list, selector) {
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll(selector)];
    const now = all.indexOf(document.activeElement);
    if (now < 0) return;
    const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    let next = null;
    if (event.key in steps) next = now + steps[event.key];
    else if (event.key === "Home") next = 0;
    else if (event.key === "End") next = all.length - 1;
    if (next === null || !all[next]) return;
    event.preventDefault();
    all[next].focus();
  });
}
