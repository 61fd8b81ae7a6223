// A WebSocket made by hand on a TCP connection, for what no library sends: broken frames, odd segments, a reader that stops.
import { once } from "node:events";
import net from "node:net";
import { within } from "./wait.mjs";

const DEADLINE = 5_000;
const open = new Set();

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** The bytes of one frame; `length` is what its header claims when that is not the payload's. */
export function frame(payload, { opcode = OPCODES.text, fin = true, rsv = 0, masked = true, length } = {}) {
  const data = Buffer.from(payload);
  const claimed = length ?? data.length;
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  const second = masked ? 0x80 : 0;
  let head;
  if (claimed < 126) head = Buffer.from([first, second | claimed]);
  else if (claimed < 65_536) {
    head = Buffer.from([first, second | 126, 0, 0]);
    head.writeUInt16BE(claimed, 2);
  } else {
    head = Buffer.alloc(10);
    head.set([first, second | 127]);
    head.writeBigUInt64BE(BigInt(claimed), 2);
  }
  if (!masked) return Buffer.concat([head, data]);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  return Buffer.concat([head, mask, data.map((byte, place) => byte ^ mask[place % 4])]);
}

/** The payload of a close frame. */
export function closing(code, reason = "") {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

/** A connection behind its handshake; what the server sends is kept as `{opcode, payload}`. */
class Bytes {
  frames = [];
  #buffer = Buffer.alloc(0);
  #looks = new Set();

  constructor(tcp) {
    this.tcp = tcp;
    this.ended = new Promise((resolve) => tcp.on("close", resolve));
    tcp.on("error", () => {});
    tcp.on("data", (data) => {
      this.#buffer = Buffer.concat([this.#buffer, data]);
      this.#read();
      for (const look of [...this.#looks]) look();
    });
  }

  #read() {
    for (;;) {
      const short = this.#buffer[1] & 127;
      const start = short === 127 ? 10 : short === 126 ? 4 : 2;
      if (this.#buffer.length < start) return;
      const length =
        short === 127 ? Number(this.#buffer.readBigUInt64BE(2)) : short === 126 ? this.#buffer.readUInt16BE(2) : short;
      if (this.#buffer.length < start + length) return;
      this.frames.push({ opcode: this.#buffer[0] & 15, payload: this.#buffer.subarray(start, start + length) });
      this.#buffer = this.#buffer.subarray(start + length);
    }
  }

  send(...parts) {
    this.tcp.write(Buffer.concat(parts));
  }

  /** Sends each byte in a segment of its own. */
  async sendByByte(bytes) {
    for (const byte of bytes) await new Promise((resolve) => this.tcp.write(Buffer.from([byte]), resolve));
  }

  /** Frame number `place` with that opcode. */
  async nth(place, opcode = OPCODES.text, deadline = DEADLINE) {
    let look;
    const found = new Promise((resolve) => {
      look = () => {
        const fits = this.frames.filter((one) => one.opcode === opcode);
        if (fits.length > place) resolve(fits[place].payload);
      };
      this.#looks.add(look);
      look();
    });
    return within(found, deadline, `frame ${place} of kind ${opcode}`).finally(() => this.#looks.delete(look));
  }

  /** The JSON in text frame number `place`. */
  async json(place, deadline) {
    return JSON.parse((await this.nth(place, OPCODES.text, deadline)).toString());
  }

  /** How the server closes: the code of its close frame, `dropped` when the connection ends without one. */
  async closeCode(deadline = DEADLINE) {
    const closed = this.nth(0, OPCODES.close, deadline + 1_000).then((payload) =>
      payload.length >= 2 ? payload.readUInt16BE() : "empty",
    );
    closed.catch(() => {});
    await within(Promise.race([closed, this.ended]), deadline, "the server closes");
    const told = this.frames.find(({ opcode }) => opcode === OPCODES.close);
    return told ? closed : "dropped";
  }
}

/** Connects to `path`, with the token, and completes the handshake; `first` are bytes sent right behind it. */
export async function openBytes(server, path, token, first = Buffer.alloc(0)) {
  const tcp = net.connect({ port: server.port, host: "127.0.0.1", noDelay: true });
  open.add(tcp);
  await within(once(tcp, "connect"), DEADLINE, "the TCP connection");
  const head = [
    `GET ${path}?token=${token} HTTP/1.1`,
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  ];
  tcp.write(Buffer.concat([Buffer.from([...head, "", ""].join("\r\n")), first]));
  let answer = Buffer.alloc(0);
  while (!answer.includes("\r\n\r\n")) {
    const [data] = await within(once(tcp, "data"), DEADLINE, "the answer to the handshake");
    answer = Buffer.concat([answer, data]);
  }
  const end = answer.indexOf("\r\n\r\n") + 4;
  if (!answer.toString("latin1").startsWith("HTTP/1.1 101")) throw new Error(`no WebSocket: ${answer}`);
  tcp.pause();
  tcp.unshift(answer.subarray(end));
  const bytes = new Bytes(tcp);
  tcp.resume();
  return bytes;
}

/** Ends all connections that tests of this file have opened. */
export function hangUpBytes() {
  for (const tcp of open) tcp.destroy();
  open.clear();
}
