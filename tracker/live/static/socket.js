// The wall's WebSocket: pictures with who is on them; connects again by itself.

const FIRST_PAUSE_MS = 300;
const LONGEST_PAUSE_MS = 4000;
const SESSION_OVER = 4401;

/**
 * Hears "open", "closed" (detail: tries so far), "signed-out", "picture" (detail: {head, jpeg}) and the type of
 * each message (detail: the message).
 */
export class WallSocket extends EventTarget {
  #socket = null;
  #tries = 0;
  #timer = 0;
  #wanted = {};
  #followed = null;
  #ended = false;

  constructor(address) {
    super();
    this.address = address;
    // Back from sleep or from no network: do not wait for the end of the pause.
    window.addEventListener("online", () => this.#hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.#hurry());
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    this.#ended = false;
    clearTimeout(this.#timer);
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#tries = 0;
      this.#tell("open", null);
      this.send({ type: "subscribe", cameras: this.#wanted });
      if (this.#followed !== null) this.send({ type: "follow", person: this.#followed });
    });
    socket.addEventListener("message", ({ data }) => this.#hear(data));
    socket.addEventListener("close", ({ code }) => {
      if (socket !== this.#socket || this.#ended) return;
      if (code === SESSION_OVER) {
        this.#tell("signed-out", null);
        return;
      }
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** this.#tries, LONGEST_PAUSE_MS);
      this.#tries += 1;
      this.#tell("closed", this.#tries);
      this.#timer = setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
    });
  }

  close() {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#socket?.close();
  }

  /** Which cameras' pictures are wanted, and how wide; remembered when the connection is lost. */
  subscribe(cameras) {
    if (JSON.stringify(cameras) === JSON.stringify(this.#wanted)) return;
    this.#wanted = cameras;
    this.send({ type: "subscribe", cameras });
  }

  follow(person) {
    this.#followed = person;
    this.send({ type: "follow", person });
  }

  send(message) {
    if (this.isOpen) this.#socket.send(JSON.stringify(message));
  }

  #hurry() {
    if (!this.#ended && this.#socket?.readyState === WebSocket.CLOSED) this.connect();
  }

  #hear(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      this.#tell(message.type, message);
      return;
    }
    const length = new DataView(data).getUint32(0);
    const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    this.#tell("picture", { head, jpeg: new Uint8Array(data, 4 + length) });
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
