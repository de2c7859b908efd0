// Who is this? By a photo, a box on a camera, or people who look alike.

import { call } from "./api.js";
import { Board } from "./board.js";
import { attempt, button, choice, el, fill } from "./dom.js";
import { face, nameOf } from "./people_parts.js";
import { T } from "./texts.js";
import { clock, percent } from "./time.js";

const KINDS = ["image/jpeg", "image/png", "image/webp"];

export function searchView(live, path, signal) {
  const view = new Search(live, signal);
  if (path[0]) view.freeze(path[0]);
  return view.node;
}

class Search {
  #isAsked = false;
  #photo = null;

  constructor(live, signal) {
    Object.assign(this, { live, signal });
    this.file = el("input", {
      type: "file",
      accept: KINDS.join(","),
      class: "unseen",
      tabIndex: -1,
      "aria-label": T.choosePhoto,
    });
    this.file.addEventListener("change", () => this.file.files[0] && this.#show(this.file.files[0]));
    this.drop = el(
      "div",
      { class: "drop" },
      el("p", { text: T.dropPhoto }),
      button(T.choosePhoto, () => this.file.click(), { class: "main" }),
      this.file,
    );
    this.#listen(this.drop, signal);
    const cameras = live.cameras.map((camera) => [camera.id, camera.name]);
    this.camera = choice(cameras, cameras[0]?.[0]);
    this.camera.setAttribute("aria-label", T.camera);
    this.picture = el("section", { class: "card stack", hidden: true });
    this.results = el("section", { class: "stack", "aria-live": "polite" });
    this.node = el(
      "div",
      { class: "page" },
      el("header", {}, el("h1", { text: T.search })),
      el("p", { class: "soft", text: T.searchHint }),
      this.drop,
      el(
        "div",
        { class: "row" },
        this.camera,
        button(T.freeze, () => this.freeze(this.camera.value)),
      ),
      this.picture,
      this.results,
    );
  }

  /** Take what a camera sees now, to draw a box on it. */
  freeze(camera) {
    this.camera.value = camera;
    attempt(async () => {
      const answer = await fetch(`/api/v1/cameras/${encodeURIComponent(camera)}/picture?width=1280`);
      if (!answer.ok) throw new Error((await answer.json()).error?.message ?? T.failed(answer.status));
      await this.#show(await answer.blob(), T.frozen(this.live.cameraName(camera)));
    });
  }

  #listen(place, signal) {
    const over = (event, is) => {
      event.preventDefault();
      place.classList.toggle("over", is);
    };
    const drop = (event) => {
      over(event, false);
      const photo = event.dataTransfer?.files[0];
      if (photo) this.#show(photo);
    };
    document.addEventListener("dragover", (event) => over(event, true), { signal });
    document.addEventListener("dragleave", (event) => over(event, false), { signal });
    document.addEventListener("drop", drop, { signal });
    document.addEventListener(
      "paste",
      ({ clipboardData }) => clipboardData.files[0] && this.#show(clipboardData.files[0]),
      { signal },
    );
  }

  /** Show a picture, to search for all of it or for who is in a box. */
  async #show(photo, words = photo.name ?? T.photo) {
    let image;
    try {
      image = await createImageBitmap(photo);
    } catch {
      fill(this.results, el("p", { class: "bad", text: T.notAPicture }));
      return;
    }
    this.#photo = photo;
    this.#isAsked = false;
    const board = new Board({
      kind: "box",
      label: T.boxBoard,
      done: (box) => attempt(() => this.#ask(box)),
      signal: this.signal,
    });
    this.picture.hidden = false;
    fill(
      this.picture,
      el("h2", { text: words }),
      el("p", { class: "hint", text: T.boxHint }),
      board.node,
      el(
        "div",
        { class: "row" },
        button(T.searchWhole, () => attempt(() => this.#ask(null)), { class: "main" }),
      ),
    );
    board.paint(
      (ink, place) => ink.drawImage(image, place.x, place.y, place.w, place.h),
      image.width,
      image.height,
    );
    fill(this.results);
    this.picture.scrollIntoView({ block: "nearest" });
    attempt(() => this.#find(photo, board));
  }

  /** Find everybody on the photo, where the run has a detector that can. */
  async #find(photo, board) {
    const { detects, found } = await call("POST /search/photo", { body: photo });
    // Somebody who asked for a box meanwhile has the answer to that.
    if (this.#photo !== photo || this.#isAsked || this.signal.aborted || !detects) return;
    board.show(
      found.map(({ box: [x1, y1, x2, y2] }, at) => ({
        kind: "box",
        points: [
          [x1, y1],
          [x2, y2],
        ],
        name: String(at + 1),
        color: "#ffd400",
      })),
    );
    fill(
      this.results,
      found.length ? null : el("p", { class: "answer", text: T.nobodyOnPhoto }),
      found.map((answer, at) =>
        el(
          "section",
          { class: "stack", "data-found": at + 1 },
          found.length > 1 && el("h2", { text: T.onPhoto(at + 1) }),
          similarResults(this.live, answer),
        ),
      ),
    );
  }

  async #ask(box) {
    this.#isAsked = true;
    fill(this.results, el("p", { class: "soft", text: T.searching }));
    try {
      const query = box
        ? {
            box: box
              .flat()
              .map((it) => it.toFixed(4))
              .join(","),
          }
        : {};
      const answer = await call("POST /search", { query, body: this.#photo });
      fill(this.results, similarResults(this.live, answer));
      this.results.scrollIntoView({ block: "nearest" });
    } catch (error) {
      fill(this.results, el("p", { class: "bad", text: error.message }));
    }
  }
}

/** The answer to a search: who it is or nobody, and how sure. */
export function similarResults(live, answer) {
  const first = answer.people.find((it) => it.person === answer.person);
  const sentence = first
    ? T.itIs(nameOf(first), percent(first.probability))
    : T.itIsNobody(percent(answer.nobody_probability));
  return el(
    "div",
    { class: "stack" },
    el("p", { class: "answer" }, el("b", { text: sentence })),
    el(
      "ul",
      { class: "cards" },
      answer.people.map((it) => el("li", {}, match(it))),
    ),
    el("p", { class: "hint", text: T.nobodyShare(percent(answer.nobody_probability)) }),
  );
}

function match(it) {
  const vars = { "--share": `${(it.probability * 100).toFixed(1)}%`, "--color": it.color };
  return el(
    "a",
    { href: `#/people/${it.person}` },
    face(it),
    el(
      "span",
      { class: "who grow" },
      el("b", { text: nameOf(it) }),
      el("small", {
        class: "number",
        text: T.sureAndSimilar(percent(it.probability), it.similarity?.toFixed(2) ?? "–"),
      }),
      el("small", { text: T.lastSeen(clock(it.last_seen)) }),
      el("span", { class: "meter", "aria-hidden": "true" }, el("span", { vars })),
    ),
  );
}
