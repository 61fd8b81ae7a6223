// What is under way when a connection ends: answers come before the close, batches lose nothing, and the close is heard.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { OPCODES, closing, frame, hangUpBytes, openBytes } from "./bytes.mjs";
import { envelope, gurukul, hangUpRaw, openRaw, startServer } from "./harness.mjs";

const OFFLINE = { AI_PROVIDER: "offline" };

let server;
let owner;
let agent;
before(async () => {
  server = await startServer(OFFLINE);
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => {
  hangUpBytes();
  hangUpRaw();
});
after(() => server.stop());

/** The messages in all batches that a client has heard. */
const inBatches = (client) =>
  client.heard("batch").flatMap(({ data }) => data.messages.filter(({ type }) => type === "message"));

/** Joins with `?batch=1` and hears the answer. */
async function joinedBatch(target, as, chatId) {
  const client = await gurukul(target, as, { query: { batch: "1" } });
  client.send(envelope("chat_update", { action: "join", chatId }));
  await client.next("batch");
  return client;
}

const LAST = {
  "a message over 1 MiB": [frame("x".repeat((1 << 20) + 1)), 1009],
  "text that is no UTF-8": [frame(Buffer.from([0xc3, 0x28])), 1007],
  "a frame without a mask": [frame("x", { masked: false }), 1002],
  "binary data": [frame("x", { opcode: OPCODES.binary }), 1003],
  "a close": [frame(closing(1000), { opcode: OPCODES.close }), 1000],
};
for (const [what, [last, code]] of Object.entries(LAST)) {
  test(`what was sent before ${what} is answered before the connection is closed`, async () => {
    const chatId = await server.quietConversation(owner, agent);
    const bytes = await openBytes(server, "/ws", owner.token);
    bytes.send(frame(JSON.stringify(envelope("chat_update", { action: "join", chatId }))));
    await bytes.nth(0);
    const sends = Array.from({ length: 20 }, (_, n) =>
      frame(JSON.stringify(envelope("message", { chatId, content: `${n}` }))),
    );
    bytes.send(...sends, last);
    assert.equal(await bytes.closeCode(), code);
    const before = bytes.frames.findIndex(({ opcode }) => opcode === OPCODES.close);
    const echoes = bytes.frames.slice(0, before).map(({ payload }) => JSON.parse(payload.toString()).data.message);
    assert.deepEqual(
      echoes.slice(1).map(({ content }) => content),
      sends.map((_, n) => `${n}`),
    );
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(bytes.frames.length, before + 1, "nothing comes behind a close");
  });
}

test("a client that is still sending a frame that is far too large hears why it is closed", async () => {
  for (let round = 0; round < 20; round++) {
    const client = await openRaw(server, "/ws", { as: owner });
    client.send("x".repeat(5 << 20));
    assert.equal((await client.end()).code, 1009, `round ${round}`);
  }
});

test("with ?batch=1 thousands of messages at once do not fall behind", async () => {
  const chatId = await server.quietConversation(owner, agent);
  const [batched, sender] = [await joinedBatch(server, owner, chatId), await gurukul(server, agent)];
  await sender.join(chatId);
  const count = 3_000;
  for (let n = 0; n < count; n++) sender.send(envelope("message", { chatId, content: `${n}` }));
  await sender.until(() => sender.messages().length === count, "all echoes", 30_000);
  // A batch is at most 100 ms behind; by a hundred messages in each tenth of a second most would be missing here.
  await batched.until(() => inBatches(batched).length === count, "all messages", 1_000);
  assert.deepEqual(
    inBatches(batched).map(({ data }) => data.message.seq),
    Array.from({ length: count }, (_, n) => n + 1),
  );
});

test("with ?batch=1 everything that is gathered is sent before the connection is closed, however much it is", async () => {
  const chatId = await server.quietConversation(owner, agent);
  const batched = await joinedBatch(server, owner, chatId);
  const count = 300;
  for (let n = 0; n < count; n++) batched.send(envelope("message", { chatId, content: `${n}` }));
  batched.ws.send(Buffer.from([1]));
  assert.equal((await batched.end()).code, 1003);
  assert.equal(inBatches(batched).length, count);
});

test("a server that stops tells what it has stored, in batches and without, and says goodbye", async () => {
  const stopping = await startServer(OFFLINE);
  const admin = stopping.user("admin");
  const clients = [];
  for (const query of [{}, { batch: "1" }, {}, { batch: "1" }]) {
    const person = stopping.user();
    const chatId = await stopping.quietConversation(person, admin);
    const client = "batch" in query ? await joinedBatch(stopping, person, chatId) : await gurukul(stopping, person);
    if (!("batch" in query)) await client.join(chatId);
    clients.push({ client, person, chatId });
  }
  try {
    const told = ({ client }) => [...client.messages(), ...inBatches(client).map(({ data }) => data.message)];
    let sent = 0;
    const sendAll = () => {
      for (const { client, chatId } of clients) {
        if (client.ws.readyState === client.ws.OPEN) client.send(envelope("message", { chatId, content: `${sent++}` }));
      }
    };
    const sending = setInterval(() => Array.from({ length: 10 }, sendAll), 5);
    await clients[0].client.until(() => told(clients[0]).length > 100, "messages flow");
    stopping.terminate();
    const ends = await Promise.all(clients.map(({ client }) => client.end(15_000)));
    clearInterval(sending);
    assert.deepEqual([...new Set(ends.map(({ code }) => code))], [1012]);
    assert.equal((await stopping.exited).code, 0);
    await stopping.start();
    for (const one of clients) {
      const stored = await stopping.messages(one.chatId, one.person);
      assert.deepEqual(
        told(one).map(({ id }) => id),
        stored.map(({ id }) => id),
      );
    }
  } finally {
    hangUpRaw();
    await stopping.stop();
  }
});
