// A bare Socket.IO connection over `ws`, for what stock clients never do: stop reading, send broken packets, count bytes.
import { once } from "node:events";
import net from "node:net";
import WebSocket from "ws";
import { within } from "./wait.mjs";

const DEADLINE = 10_000;

/** One Engine.IO 4 WebSocket connection that speaks Socket.IO packets by hand. */
class RawSocket {
  events = [];
  received = 0;
  #ws;
  #acks = new Map();
  #nextAck = 0;
  #waiting = new Set();

  constructor(ws) {
    this.#ws = ws;
    this.closed = once(ws, "close").then(([code]) => code);
    ws.on("error", () => {});
    ws.on("message", (data) => this.#hear(data));
  }

  #hear(data) {
    this.received += data.length;
    const text = data.toString();
    if (text === "2") this.send("3");
    else if (text.startsWith("42")) {
      const [name, payload] = JSON.parse(text.slice(2));
      this.events.push({ name, data: payload });
    } else if (text.startsWith("43")) {
      const [, id, body] = /^43(\d+)(.*)$/s.exec(text);
      this.#acks.get(Number(id))?.(JSON.parse(body)[0]);
    } else this.events.push({ name: `packet:${text.slice(0, 2)}`, data: text });
    for (const look of [...this.#waiting]) look();
  }

  send(packet) {
    this.#ws.send(packet);
  }

  /** An event whose arguments are given as JSON text, well-formed or not; gives its acknowledgement. */
  ackOf(argumentsText, deadline = DEADLINE) {
    const id = this.#nextAck++;
    const answered = new Promise((resolve) => this.#acks.set(id, resolve));
    this.send(`42${id}[${argumentsText}]`);
    return within(answered, deadline, `the acknowledgement of ${argumentsText.slice(0, 80)}`);
  }

  emitAck(name, payload, deadline) {
    return this.ackOf(`${JSON.stringify(name)},${JSON.stringify(payload)}`, deadline);
  }

  /** Resolves when `condition(events)` holds, looked at after each packet; also with the connection's end. */
  async until(condition, deadline, what) {
    let look;
    const met = new Promise((resolve) => {
      look = () => condition(this.events) && resolve(true);
      this.#waiting.add(look);
      look();
    });
    try {
      return await within(Promise.race([met, this.closed.then(() => condition(this.events))]), deadline, what);
    } finally {
      this.#waiting.delete(look);
    }
  }

  /** Stops reading from the TCP connection, as a sleeping laptop does. */
  pause() {
    this.#ws.pause();
  }

  resume() {
    this.#ws.resume();
  }

  close() {
    this.#ws.terminate();
  }
}

/** Connects, joins the default namespace with `auth` and waits for `authenticated`. */
export async function connectRaw(url, auth) {
  const ws = new WebSocket(`${url.replace("http", "ws")}/socket.io/?EIO=4&transport=websocket`);
  const raw = new RawSocket(ws);
  await within(once(ws, "open"), DEADLINE, "the WebSocket opens");
  raw.send(`40${JSON.stringify(auth)}`);
  await raw.until((events) => events.some(({ name }) => name === "authenticated"), DEADLINE, "authenticated");
  return raw;
}

/** Sends raw bytes over TCP and gives the status line's code, or 0 when the connection ends without one. */
export async function httpStatus(port, requestText) {
  const tcp = net.connect(port, "127.0.0.1");
  tcp.on("error", () => {});
  let answer = "";
  const done = new Promise((resolve) => {
    tcp.setEncoding("latin1").on("data", (text) => {
      answer += text;
      if (answer.includes("\r\n")) resolve();
    });
    tcp.on("close", resolve);
  });
  tcp.write(requestText);
  await within(done, DEADLINE, "an answer to the handshake");
  tcp.destroy();
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(answer)?.[1] ?? 0);
}
