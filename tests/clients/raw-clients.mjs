// Clients of the three systems that speak JSON over bare WebSockets, on the stock `ws` package, with a recorder.
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";
import { within } from "./wait.mjs";

const DEADLINE = 5_000;
const open = new Set();

/** One connection; frames are kept in the order of arrival. */
class RawClient {
  /** Everything heard so far. */
  frames = [];
  #taken = new Set();
  #looks = new Set();

  constructor(ws) {
    this.ws = ws;
    this.closed = new Promise((resolve) => {
      ws.on("close", (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    ws.on("error", () => {});
    ws.on("message", (data, isBinary) => {
      assert.equal(isBinary, false, "the server sends text");
      this.frames.push(JSON.parse(data.toString()));
      for (const look of [...this.#looks]) look();
    });
  }

  send(frame) {
    this.ws.send(typeof frame === "string" ? frame : JSON.stringify(frame));
  }

  #take(fits) {
    const found = this.frames.findIndex((frame, place) => !this.#taken.has(place) && fits(frame));
    if (found !== -1) this.#taken.add(found);
    return this.frames[found];
  }

  /** The first frame that fits and was not handed out before; `fits` is a `type` or a predicate. */
  async next(fits, deadline = DEADLINE) {
    const predicate = typeof fits === "string" ? ({ type }) => type === fits : fits;
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const frame = this.#take(predicate);
        if (frame === undefined) return;
        this.#looks.delete(look);
        resolve(frame);
      };
      this.#looks.add(look);
      look();
    });
    try {
      return await within(found, deadline, `a frame ${fits}`);
    } catch (late) {
      this.#looks.delete(look);
      const heard = this.frames.slice(-12).map((frame) => JSON.stringify(frame).slice(0, 200));
      throw new Error(`${late.message}; the last heard:\n  ${heard.join("\n  ")}`);
    }
  }

  /** Resolves when `condition()` holds, looked at after each frame. */
  async until(condition, what, deadline = DEADLINE) {
    let look;
    const met = new Promise((resolve) => {
      look = () => condition() && resolve();
      this.#looks.add(look);
      look();
    });
    await within(met, deadline, what).finally(() => this.#looks.delete(look));
  }

  /** Everything heard so far of one type. */
  heard(type) {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** What was heard and not handed out. */
  unheard() {
    return this.frames.filter((_, place) => !this.#taken.has(place));
  }

  opened() {
    const isOpen = this.ws.readyState === WebSocket.OPEN;
    return isOpen ? undefined : within(once(this.ws, "open"), DEADLINE, "the WebSocket opens");
  }

  /** How the connection ended: `{code, reason}`. */
  end(deadline = DEADLINE) {
    return within(this.closed, deadline, "the end of the connection");
  }
}

/** What a `messageId`, `requestId` or content may be, so that a test's frames can be told apart. */
let counter = 0;
export const fresh = (what) => `${what}-${++counter}`;

/** A connection being made; `query` is added to the path, `as` puts the user's token there, `port` is another listener. */
export function dialRaw(server, path, { as, query = {}, headers = {}, port = server.port, ...more } = {}) {
  const url = new URL(path, `ws://127.0.0.1:${port}`);
  for (const [name, value] of Object.entries({ ...(as && { token: as.token }), ...query })) {
    url.searchParams.set(name, value);
  }
  const client = new RawClient(new WebSocket(url, { headers, perMessageDeflate: false, ...more }));
  open.add(client);
  return client;
}

/** A connection that is open. */
export async function openRaw(server, path, options) {
  const client = dialRaw(server, path, options);
  await client.opened();
  return client;
}

/** The HTTP status with which a connection is refused before it is a WebSocket. */
export async function refusedRaw(server, path, options) {
  const client = dialRaw(server, path, options);
  client.ws.on("open", () => client.ws.emit("refused", 101));
  client.ws.on("unexpected-response", (request, response) => {
    client.ws.emit("refused", response.statusCode);
    request.destroy();
  });
  const [status] = await within(once(client.ws, "refused"), DEADLINE, `an answer to the handshake of ${path}`);
  return status;
}

/** Ends connections; without arguments all that tests of this file have opened. */
export function hangUpRaw(...clients) {
  for (const client of clients.length > 0 ? clients : open) {
    client.ws.terminate();
    open.delete(client);
  }
}

/** A frame of seed 001. */
export function envelope(type, data, messageId) {
  return { type, data, timestamp: Date.now(), ...(messageId !== undefined && { messageId }) };
}

/** An open connection of seed 001's client. */
export async function gurukul(server, as, options = {}) {
  const client = await openRaw(server, "/ws", { as, ...options });
  return Object.assign(client, {
    /** Sends a frame and gives the answer, which repeats its `messageId`. */
    ask(type, data, messageId = fresh("frame")) {
      client.send(envelope(type, data, messageId));
      return client.next((frame) => frame.messageId === messageId);
    },
    /** Sends a frame that must be refused with that code. */
    async refused(code, type, data, message) {
      const answer = await client.ask(type, data);
      assert.equal(answer.type, "error", JSON.stringify(answer));
      assert.equal(answer.data.code, code, JSON.stringify(answer));
      assert.equal(typeof answer.data.message, "string");
      if (message !== undefined) assert.equal(answer.data.message, message);
      return answer;
    },
    /** Joins, hears the history, and gives the answer to the join. */
    join(chatId, more = {}) {
      return client.ask("chat_update", { action: "join", chatId, ...more });
    },
    /** Proves that the connection lives, behind everything that was sent before. */
    async alive() {
      const timestamp = Date.now();
      assert.equal((await client.ask("ping", { timestamp })).type, "pong");
    },
    /** The messages heard so far: those of `data.message`. */
    messages: () => client.heard("message").map(({ data }) => data.message),
    /** The next message with that content, with the client's own id beside it: the `data`. */
    async message(content, deadline) {
      const frame = await client.next(
        ({ type, data }) => type === "message" && data.message.content === content,
        deadline,
      );
      return frame.data;
    },
  });
}

/** An open connection of seed 000's client. */
export async function campusHub(server, as, options = {}) {
  const client = await openRaw(server, "/ws", { as, ...options });
  return Object.assign(client, {
    /** Searches and gives the answer, whatever it is. */
    search(query, requestId = fresh("request"), deadline = 20_000) {
      client.send({ type: "agent.search", requestId, payload: { query } });
      return client.next((frame) => frame.requestId === requestId, deadline);
    },
  });
}

/** An open connection of seed 002's client, which has been let in. */
export async function lykke(server, as, id, options = {}) {
  const client = await openRaw(server, `/api/v1/conversations/${id}/ws`, { as, ...options });
  const ack = await client.next("connection_ack");
  return Object.assign(client, {
    ack,
    /** Sends a message; the answer comes by `next`. */
    say(content, message_id) {
      client.send({ type: "user_message", content, ...(message_id !== undefined && { message_id }) });
    },
    /** The next stored message with that content. */
    async received(content) {
      return (await client.next(({ type, message }) => type === "message_received" && message.content === content))
        .message;
    },
    /** The next AI answer. */
    async answer(deadline) {
      return (await client.next("assistant_message", deadline)).message;
    },
    /** The next error, which must have that code. */
    async refused(code) {
      const error = await client.next("error");
      assert.equal(error.code, code, JSON.stringify(error));
      assert.equal(typeof error.message, "string");
      return error;
    },
    /** Proves that the connection lives, behind everything that was sent before. */
    async alive() {
      client.send({ type: "sign_of_life" });
      await client.next(({ type, code }) => type === "error" && code === "UNKNOWN_TYPE");
    },
  });
}
