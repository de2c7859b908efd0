// How a person is shown everywhere: a thumbnail or initial in the person's colour, and a name.

import { inkOn } from "./draw.js";
import { el } from "./dom.js";
import { T } from "./texts.js";

/** Anna, or person 7, or undecided. */
export function nameOf(person) {
  if (person.person === null || person.person === undefined) return T.undecided;
  return person.name || T.person(person.person);
}

/** What stands on a box: a name or number, ? while it is undecided. */
export function labelOf(person) {
  if (person.person === null || person.person === undefined) return "?";
  return person.name || String(person.person);
}

/** A square of the person's colour with the picture, or the number, or the first letters of the name. */
export function face(person, { big = false } = {}) {
  const color = person.color ?? "#808080";
  const initial = person.name ? [...person.name].slice(0, 2).join("") : labelOf(person);
  const node = el("span", {
    class: big ? "face big" : "face",
    vars: { "--color": color, "--on-color": inkOn(color) },
    "aria-hidden": "true",
  });
  const image = person.thumb && el("img", { src: person.thumb, alt: "", loading: "lazy" });
  image?.addEventListener("error", () => node.replaceChildren(initial));
  node.append(image || initial);
  return node;
}

/** A card that leads to a person's page. */
export function personCard(person, ...facts) {
  return el(
    "a",
    { href: `#/people/${person.person}` },
    face(person),
    el(
      "span",
      { class: "who" },
      el("b", { text: nameOf(person) }),
      facts.map((it) => el("small", { text: it })),
    ),
  );
}
