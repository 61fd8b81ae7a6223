// Stock Socket.IO clients with a recorder, so that tests can wait for events and see their order.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { io as io4 } from "socket.io-client";

import { within } from "./wait.mjs";

const require = createRequire(import.meta.url);
const CLIENTS = { 4: io4, 3: require("socket.io-client-3"), 2: require("socket.io-client-2") };
const DEADLINE = 5_000;

const recorders = new WeakMap();
const open = new Set();

/** Keeps every event of one socket in the order of arrival, acknowledgements too (as `ack:<event>`). */
class Recorder {
  events = [];
  #waiting = new Set();

  add(name, data) {
    this.events.push({ name, data, at: Date.now(), taken: false });
    for (const look of [...this.#waiting]) look();
  }

  /** The first event that fits and was not handed out before. */
  #take(names, predicate) {
    const found = this.events.find((event) => !event.taken && names.includes(event.name) && predicate(event.data));
    if (found) found.taken = true;
    return found;
  }

  async next(names, predicate, deadline) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const event = this.#take(names, predicate);
        if (!event) return;
        this.#waiting.delete(look);
        resolve(event);
      };
      this.#waiting.add(look);
      look();
    });
    try {
      return await within(found, deadline, `event ${names.join(" or ")}`);
    } catch (late) {
      this.#waiting.delete(look);
      const heard = this.events.slice(-12).map((event) => `${event.name} ${JSON.stringify(event.data)?.slice(0, 160)}`);
      throw new Error(`${late.message}; the last heard:\n  ${heard.join("\n  ")}`);
    }
  }
}

/** A stock socket with a recorder, connecting. Use `connect` to have it connected. */
export function dial(url, { auth, query, transports, client = 4, headers, ...more } = {}) {
  const socket = CLIENTS[client](url, {
    forceNew: true,
    reconnection: false,
    ...(auth && { auth }),
    ...(query && { query }),
    ...(transports && { transports }),
    ...(headers && { extraHeaders: headers }),
    ...more,
  });
  const recorder = new Recorder();
  recorders.set(socket, recorder);
  open.add(socket);
  if (client === 2) {
    const deliver = socket.onevent;
    socket.onevent = function onevent(packet) {
      recorder.add(packet.data[0], packet.data[1]);
      deliver.call(this, packet);
    };
  } else {
    socket.onAny((name, data) => recorder.add(name, data));
  }
  for (const name of ["connect", "connect_error", "disconnect"]) {
    socket.on(name, (data) => recorder.add(`client:${name}`, data instanceof Error ? data.message : data));
  }
  return socket;
}

/** A connected stock socket. */
export async function connect(url, options = {}) {
  const socket = dial(url, options);
  const { name, data } = await expectTimed(socket, ["client:connect", "client:connect_error"], undefined, 10_000);
  assert.equal(name, "client:connect", `connect_error: ${data}`);
  return socket;
}

/** The payload of the next event of that name that satisfies `predicate`; earlier unseen ones count. */
export async function expectEvent(socket, name, predicate, deadline) {
  return (await expectTimed(socket, [name], predicate, deadline)).data;
}

/** Like `expectEvent` for one of several names, with the time of arrival: `{name, data, at}`. */
export function expectTimed(socket, names, predicate = () => true, deadline = DEADLINE) {
  return recorders.get(socket).next(names, predicate, deadline);
}

/** Everything heard so far, in order; with names, only those. */
export function heard(socket, ...names) {
  const { events } = recorders.get(socket);
  return names.length === 0 ? events : events.filter((event) => names.includes(event.name));
}

/** The payloads of everything heard so far under one name. */
export function payloads(socket, name) {
  return heard(socket, name).map((event) => event.data);
}

/** Emits and gives the acknowledgement, whatever it says. */
export function emitAck(socket, name, ...payload) {
  const answered = new Promise((resolve) => {
    socket.emit(name, ...payload, (ack) => {
      recorders.get(socket).add(`ack:${name}`, ack);
      resolve(ack);
    });
  });
  return within(answered, 20_000, `the acknowledgement of ${name}`);
}

/** Emits and gives the acknowledgement, which must be a success. */
export async function emitOk(socket, name, ...payload) {
  const ack = await emitAck(socket, name, ...payload);
  assert.equal(ack?.success, true, `${name} failed: ${JSON.stringify(ack)}`);
  return ack;
}

/** Emits and checks that it fails with `code`, in the acknowledgement and in an `error` event that names it. */
export async function emitFails(socket, code, name, ...payload) {
  const ack = await emitAck(socket, name, ...payload);
  assert.equal(ack?.success, false, `${name} must fail: ${JSON.stringify(ack)}`);
  assert.equal(ack.code, code, `${name}: ${JSON.stringify(ack)}`);
  assert.equal(typeof ack.error, "string");
  const error = await expectEvent(socket, "error", (data) => data.event === name && data.code === code);
  assert.equal(typeof error.message, "string");
  return { ack, error };
}

/** Proves that the connection lives: an acknowledged event behind everything that was emitted before. */
export async function expectAlive(socket) {
  assert.equal(socket.connected, true, "the connection is gone");
  await emitOk(socket, "leave_conversation", "a-conversation-nobody-has");
}

/** Waits until the socket is disconnected and gives the reason. */
export function expectDisconnect(socket, deadline = DEADLINE) {
  return expectEvent(socket, "client:disconnect", undefined, deadline);
}

/** Closes sockets; without arguments all that tests of this file have opened. */
export function hangUp(...sockets) {
  for (const socket of sockets.length > 0 ? sockets : open) {
    socket.disconnect();
    open.delete(socket);
  }
}
