// REST under /api/v1: one function, and errors that are sentences.

import { T } from "./texts.js";

const ROOT = "/api/v1";

/** An answer that is no success; `message` is for people. */
export class ApiError extends Error {
  constructor(status, code, message, fields = []) {
    super(message);
    Object.assign(this, { status, code, fields });
  }
}

/** Hears "signed-out" when the session is over. */
export const session = new EventTarget();

/** The address of a path under the API, with a query whose empty values are left out. */
export function address(path, query = {}) {
  const kept = Object.entries(query).filter(
    ([, value]) => value !== null && value !== undefined && value !== "",
  );
  return ROOT + path + (kept.length ? `?${new URLSearchParams(kept)}` : "");
}

/**
 * Ask the server.
 * @param {string} path Such as "GET /people".
 * @param {{query?: object, body?: object|Blob}} [what] A Blob is sent as it is, anything else as JSON.
 * @throws {ApiError}
 */
export async function call(path, { query = {}, body = null } = {}) {
  const [method, where] = path.split(" ");
  const headers = {};
  if (method !== "GET") headers["X-Reunite"] = "1";
  if (body instanceof Blob) headers["Content-Type"] = body.type || "application/octet-stream";
  else if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    const sent = body instanceof Blob ? body : body && JSON.stringify(body);
    answer = await fetch(address(where, query), { method, headers, body: sent, credentials: "same-origin" });
  } catch {
    throw new ApiError(0, "unreachable", T.unreachable);
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  let said = {};
  try {
    said = (await answer.json()).error ?? {};
  } catch {
    // not JSON: something between the page and the server answered
  }
  if (answer.status === 401 && where !== "/session") session.dispatchEvent(new Event("signed-out"));
  throw new ApiError(answer.status, said.code ?? "", said.message ?? T.failed(answer.status), said.fields);
}
