// The form to sign in.

import { call } from "./api.js";
import { el, field, fill } from "./dom.js";
import { T } from "./texts.js";

/** Show the form; `entered` is called when somebody is signed in. */
export function signIn(entered, refused = "") {
  const user = el("input", { name: "user", autocomplete: "username", required: true });
  const password = el("input", {
    name: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const problem = el("p", { class: "bad", role: "alert", text: refused });
  const go = el("button", { type: "submit", class: "main", text: T.signIn });
  const form = el(
    "form",
    { class: "card" },
    el("h1", { text: T.signInTo }),
    field(T.user, user),
    field(T.password, password),
    problem,
    el("div", { class: "row end" }, go),
    el("p", { class: "hint", text: T.signInHint }),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    problem.textContent = "";
    try {
      await call("POST /session", { body: { user: user.value, password: password.value } });
      entered();
    } catch (error) {
      problem.textContent = error.message;
      password.select();
    }
    go.disabled = false;
  });
  fill(document.body, el("main", { class: "door" }, form));
  document.title = `${T.signIn} · ${T.brand}`;
  user.focus();
}
