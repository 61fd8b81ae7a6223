// The bytes of RFC 6455 by hand, against the endpoints of all three protocols: fragments, segments, limits, and every way to break the rules.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { OPCODES, closing, frame, hangUpBytes, openBytes } from "./bytes.mjs";
import { envelope, gurukul, hangUpRaw, startServer } from "./harness.mjs";

let server;
let owner;
let agent;
let id;
before(async () => {
  server = await startServer({ AI_PROVIDER: "offline" });
  [owner, agent] = [server.user(), server.user("admin")];
  id = await server.quietConversation(owner, agent);
});
afterEach(() => {
  hangUpBytes();
  hangUpRaw();
});
after(() => server.stop());

const open = (first) => openBytes(server, "/ws", owner.token, first);
const ping = (timestamp, more) => JSON.stringify({ ...envelope("ping", { timestamp }), ...more });

/** Proves that the connection lives: its next text frame answers a ping. */
async function assertAlive(bytes) {
  const place = bytes.frames.filter(({ opcode }) => opcode === OPCODES.text).length;
  bytes.send(frame(ping(4711)));
  assert.equal((await bytes.json(place)).data.timestamp, 4711);
}

test("a message in fragments is one message, with a ping in between answered at once", async () => {
  const bytes = await open();
  const text = Buffer.from(ping(1, { note: "ä☕" }));
  const parts = [
    text.subarray(0, 0),
    text.subarray(0, 20),
    text.subarray(20, text.length - 5),
    text.subarray(text.length - 5),
  ];
  parts.forEach((part, place) => {
    const opcode = place === 0 ? OPCODES.text : OPCODES.continuation;
    bytes.send(frame(part, { opcode, fin: place === parts.length - 1 }));
    if (place === 1) bytes.send(frame("in between", { opcode: OPCODES.ping }));
  });
  assert.equal((await bytes.nth(0, OPCODES.pong)).toString(), "in between");
  assert.equal((await bytes.json(0)).data.timestamp, 1);
});

test("a message cut inside a character is put together again", async () => {
  const bytes = await openBytes(server, `/api/v1/conversations/${id}/ws`, owner.token);
  assert.equal((await bytes.json(0)).type, "connection_ack");
  const text = Buffer.from(JSON.stringify({ type: "user_message", content: "☕" }));
  const cut = text.indexOf(Buffer.from("☕")) + 1;
  bytes.send(frame(text.subarray(0, cut), { fin: false }));
  bytes.send(frame(text.subarray(cut), { opcode: OPCODES.continuation }));
  const { type, message } = await bytes.json(1);
  assert.deepEqual([type, message.content], ["message_received", "☕"]);
});

test("segments do not matter: one byte in each, many frames in one, frames right behind the handshake", async () => {
  const byByte = await open();
  await byByte.sendByByte(frame(ping(2)));
  assert.equal((await byByte.json(0)).data.timestamp, 2);
  const together = await open(Buffer.concat([frame(ping(0)), frame(ping(1))]));
  together.send(...Array.from({ length: 100 }, (_, n) => frame(ping(n + 2))));
  for (let n = 0; n < 102; n++) assert.equal((await together.json(n)).data.timestamp, n);
});

test("pings are answered with their payload, unasked pongs are nothing", async () => {
  const bytes = await open();
  for (const payload of ["", "hello", "x".repeat(125)]) bytes.send(frame(payload, { opcode: OPCODES.ping }));
  bytes.send(frame("unasked", { opcode: OPCODES.pong }));
  assert.deepEqual(
    [await bytes.nth(0, OPCODES.pong), await bytes.nth(1, OPCODES.pong), await bytes.nth(2, OPCODES.pong)].map(String),
    ["", "hello", "x".repeat(125)],
  );
  await assertAlive(bytes);
});

test("a close is answered in kind, and the connection ends", async () => {
  for (const [payload, code] of [
    [closing(1000, "bye"), 1000],
    [closing(1001), 1001],
    [closing(3000), 3000],
    [closing(4999), 4999],
    [Buffer.alloc(0), "empty"],
  ]) {
    const bytes = await open();
    bytes.send(frame(payload, { opcode: OPCODES.close }));
    const answer = await bytes.closeCode();
    // A server may answer with the code that it got, or with a normal end.
    assert.ok([code, 1000].includes(answer), `${code} was answered ${answer}`);
    await bytes.ended;
  }
});

const CONTROL = [OPCODES.close, OPCODES.ping, OPCODES.pong];
const BROKEN = {
  "a frame without a mask": [[frame(ping(1), { masked: false })], [1002]],
  "reserved bit 1": [[frame(ping(1), { rsv: 4 })], [1002]],
  "reserved bit 2": [[frame(ping(1), { rsv: 2 })], [1002]],
  "reserved bit 3": [[frame(ping(1), { rsv: 1 })], [1002]],
  ...Object.fromEntries(
    [3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) => [`opcode ${opcode}`, [[frame("x", { opcode })], [1002]]]),
  ),
  ...Object.fromEntries(
    CONTROL.map((opcode) => [`control frame ${opcode} of 126 bytes`, [[frame("x".repeat(126), { opcode })], [1002]]]),
  ),
  ...Object.fromEntries(
    CONTROL.map((opcode) => [`control frame ${opcode} in fragments`, [[frame("", { opcode, fin: false })], [1002]]]),
  ),
  "a continuation of nothing": [[frame("x", { opcode: OPCODES.continuation })], [1002]],
  "a new message inside a fragmented one": [[frame("x", { fin: false }), frame("y")], [1002]],
  "a close of one byte": [[frame("x", { opcode: OPCODES.close })], [1002]],
  ...Object.fromEntries(
    [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000].map((code) => [
      `a close with code ${code}`,
      [[frame(closing(code), { opcode: OPCODES.close })], [1002]],
    ]),
  ),
  "text that is no UTF-8": [[frame(Buffer.from([0xc3, 0x28]))], [1007]],
  "text with an overlong character": [[frame(Buffer.from([0xc0, 0xaf]))], [1007]],
  "text with a surrogate": [[frame(Buffer.from([0xed, 0xa0, 0x80]))], [1007]],
  "text that ends inside a character": [[frame(Buffer.from([0xe2, 0x82]))], [1007]],
  "fragments that are no UTF-8 together": [
    [frame(Buffer.from([0xe2]), { fin: false }), frame("x", { opcode: OPCODES.continuation })],
    [1007],
  ],
  "a close reason that is no UTF-8": [
    [frame(Buffer.concat([closing(1000), Buffer.from([0xff])]), { opcode: OPCODES.close })],
    [1007, 1002],
  ],
  "binary data": [[frame(Buffer.from([1, 2, 3]), { opcode: OPCODES.binary })], [1003]],
  "a message over 1 MiB": [[frame("x".repeat((1 << 20) + 1))], [1009]],
  "a message over 1 MiB in fragments": [
    Array.from({ length: 18 }, (_, n) =>
      frame("x".repeat(64 * 1024), { opcode: n === 0 ? OPCODES.text : OPCODES.continuation, fin: n === 17 }),
    ),
    [1009],
  ],
  "a header that claims a gigabyte": [[frame("x".repeat(10), { length: 1 << 30 })], [1009]],
  "a header that claims 2^62 bytes": [[frame("x".repeat(10), { length: 2 ** 62 })], [1009, 1002]],
};

for (const [what, [parts, codes]] of Object.entries(BROKEN)) {
  test(`${what} ends the connection with ${codes.join(" or ")}`, async () => {
    const bytes = await open();
    await assertAlive(bytes);
    bytes.send(...parts);
    const code = await bytes.closeCode();
    assert.ok(codes.includes(code), `closed with ${code}`);
    assert.equal(bytes.frames.filter(({ opcode }) => opcode === OPCODES.text).length, 1, "nothing was answered");
  });
}

test("a frame over 64 KiB is an error up to 1 MiB, whole or in fragments, and the connection lives", async () => {
  const bytes = await open();
  const sizes = [64 * 1024 + 1, 300_000, 1 << 20];
  for (const [place, size] of sizes.entries()) {
    const text = ping(1, { pad: "" });
    const long = text.replace('"pad":""', `"pad":"${"x".repeat(size - text.length)}"`);
    assert.equal(long.length, size);
    if (place === 1) {
      for (let start = 0; start < size; start += 50_000) {
        const opcode = start === 0 ? OPCODES.text : OPCODES.continuation;
        bytes.send(frame(long.slice(start, start + 50_000), { opcode, fin: start + 50_000 >= size }));
      }
    } else bytes.send(frame(long));
    const { type, data } = await bytes.json(place);
    assert.deepEqual([type, data.code], ["error", 413], `${size} bytes`);
  }
  const text = ping(9, { pad: "" });
  bytes.send(frame(text.replace('"pad":""', `"pad":"${"x".repeat(64 * 1024 - text.length)}"`)));
  assert.equal((await bytes.json(3)).data.timestamp, 9, "64 KiB are taken");
  await assertAlive(bytes);
});

test("what comes behind a close, and a peer that never answers ours, do not keep a connection", async () => {
  const bytes = await open();
  bytes.send(frame(closing(1000), { opcode: OPCODES.close }), frame(ping(1)), frame("x".repeat(100_000)));
  await bytes.closeCode();
  await bytes.ended;
  assert.equal(bytes.frames.filter(({ opcode }) => opcode === OPCODES.text).length, 0);
  const rude = await open();
  rude.send(frame(Buffer.from([1]), { opcode: OPCODES.binary }));
  assert.equal(await rude.closeCode(), 1003);
  // Its close is not answered; the server drops the connection by itself.
  await new Promise((resolve) => rude.tcp.on("close", resolve).resume());
});

test("a reader that stops harms nobody else, and is caught up or cut off", async () => {
  const chatId = await server.quietConversation(owner, agent);
  const [stalled, reader, sender] = [await open(), await gurukul(server, owner), await gurukul(server, agent)];
  stalled.send(frame(JSON.stringify(envelope("chat_update", { action: "join", chatId }))));
  assert.equal((await stalled.json(0)).type, "chat_update");
  await reader.join(chatId);
  stalled.tcp.pause();
  const content = "x".repeat(8_000);
  const count = 1_500;
  for (let sent = 0; sent < count; sent += 50) {
    await Promise.all(Array.from({ length: 50 }, () => sender.ask("message", { chatId, content })));
  }
  await reader.until(() => reader.messages().length === count, "the reader has every message", 10_000);
  assert.deepEqual(
    reader.messages().map(({ seq }) => seq),
    Array.from({ length: count }, (_, n) => n + 1),
  );
  await sender.alive();
  // Twelve megabytes fit into no buffer: what the stalled one gets now comes from the log, in order and once.
  stalled.tcp.resume();
  await Promise.race([stalled.ended, stalled.nth(count, OPCODES.text, 30_000)]);
  const seqs = stalled.frames
    .filter(({ opcode }) => opcode === OPCODES.text)
    .map(({ payload }) => JSON.parse(payload.toString()))
    .filter(({ type }) => type === "message")
    .map(({ data }) => data.message.seq);
  assert.deepEqual(
    seqs,
    seqs.map((_, n) => n + 1),
  );
});
