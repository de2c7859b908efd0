// What the page knows now: who is signed in, the cameras, who is here, who is followed.

import { call } from "./api.js";
import { Ways } from "./map.js";
import { WallSocket } from "./socket.js";

const ROLES = ["viewer", "operator", "admin"];

/** Hears "cameras", "people", "followed", "where", "event", "picture" and "link". */
export class Live extends EventTarget {
  cameras = [];
  people = [];
  followed = null;
  where = null;
  tries = 0;
  isLinked = false;
  ways = new Ways();

  /** The present, or when a finished run ended. */
  get now() {
    return this.me.until ? new Date(this.me.until) : new Date();
  }

  constructor(me) {
    super();
    this.me = me;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WallSocket(`${scheme}://${location.host}/api/v1/wall`);
    const hear = (type, heard) => this.socket.addEventListener(type, ({ detail }) => heard(detail));
    hear("hello", (hello) => this.#set("cameras", hello.cameras));
    hear("cameras", ({ cameras }) => this.#set("cameras", cameras));
    hear("people", ({ people }) => {
      this.ways.add(people);
      this.#set("people", people);
    });
    hear("where", (where) => this.#set("where", where));
    hear("event", ({ event }) => this.#tell("event", event));
    hear("picture", (picture) => this.#tell("picture", picture));
    hear("open", () => {
      Object.assign(this, { tries: 0, isLinked: true });
      this.#tell("link");
    });
    hear("closed", (tries) => {
      Object.assign(this, { tries, isLinked: false });
      this.#tell("link");
    });
    hear("signed-out", () => this.#tell("signed-out"));
  }

  /** Whether the one who is signed in may do what needs a role. */
  may(role) {
    return ROLES.indexOf(this.me.role) >= ROLES.indexOf(role);
  }

  /** Ask for the cameras, which every page wants to know. */
  async load() {
    const { cameras } = await call("GET /cameras");
    this.#set("cameras", cameras);
  }

  connect() {
    this.socket.connect();
  }

  close() {
    this.socket.close();
  }

  /** The name of a camera by its id. */
  cameraName(id) {
    return this.cameras.find((camera) => camera.id === id)?.name ?? id ?? "";
  }

  /** Follow a person; null ends it. */
  follow(person) {
    if (person === this.followed) return;
    this.followed = person;
    this.where = null;
    this.socket.follow(person);
    this.#tell("followed");
  }

  /** Hear a type until the signal of a view ends. */
  on(type, heard, signal) {
    this.addEventListener(type, ({ detail }) => heard(detail), { signal });
  }

  #set(field, value) {
    this[field] = value;
    this.#tell(field);
  }

  #tell(type, detail = null) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
