// What seed 001's clients are refused: malformed frames, foreign chats, too much of something; the connection survives all of it.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { envelope, gurukul, hangUpRaw, startServer } from "./harness.mjs";

let server;
let owner;
let agent;
before(async () => {
  server = await startServer({ AI_PROVIDER: "offline" });
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => hangUpRaw());
after(() => server.stop());

const quietChat = () => server.quietConversation(owner, agent);

test("a connection joins at most 100 chats", async () => {
  const client = await gurukul(server, owner);
  const chats = [];
  for (let n = 0; n < 101; n++) chats.push(await server.conversation(owner));
  for (const chatId of chats.slice(0, 100)) assert.equal((await client.join(chatId)).type, "chat_update");
  await client.refused(400, "chat_update", { action: "join", chatId: chats[100] });
  await client.ask("chat_update", { action: "leave", chatId: chats[0] });
  assert.equal((await client.join(chats[100])).type, "chat_update");
});

test("frames that are none are refused one by one, and the connection lives", async () => {
  const client = await gurukul(server, owner);
  const good = envelope("ping", { timestamp: 1 });
  const without = (field) => JSON.stringify({ ...good, [field]: undefined });
  const malformed = ["[]", "7", "null", "{}", without("type"), without("data"), without("timestamp")];
  for (const [frames, message] of [
    [["", "{", "nonsense", '{"type":"ping",}'], "Invalid JSON"],
    [malformed, "Invalid message format"],
    [[JSON.stringify(envelope("dance", {}))], "Unknown message type"],
  ]) {
    for (const frame of frames) {
      client.send(frame);
      const { data, timestamp } = await client.next("error");
      assert.deepEqual([data.code, data.message], [400, message], frame);
      assert.ok(Number.isInteger(timestamp));
    }
  }
  const deep = `${"[".repeat(200)}${"]".repeat(200)}`;
  for (const frame of [
    JSON.stringify(envelope("ping", { timestamp: 1, deep: 0 })).replace('"deep":0', `"deep":${deep}`),
    JSON.stringify(envelope("message", { chatId: "c", content: "?" })).replace('"?"', '"\\ud800"'),
  ]) {
    client.send(frame);
    assert.equal((await client.next("error")).data.code, 400, frame.slice(0, 80));
  }
  await client.alive();
});

test("fields that are missing or of another kind are 400, whatever the frame", async () => {
  const client = await gurukul(server, owner);
  const chatId = await quietChat();
  for (const [type, data] of [
    ["message", { chatId }],
    ["message", { content: "x" }],
    ["message", { chatId, content: 7 }],
    ["message", { chatId, content: "   " }],
    ["message", { chatId: "", content: "x" }],
    ["message", { chatId: "a b", content: "x" }],
    ["message", { chatId, content: "x", messageId: "x".repeat(129) }],
    ["typing", { chatId }],
    ["read_receipt", { chatId, messageIds: "all" }],
    ["chat_update", { chatId }],
    ["chat_update", { chatId, action: "dance" }],
    ["chat_update", { chatId, action: "join", after: -1 }],
  ]) {
    await client.refused(400, type, data);
  }
  await client.alive();
  assert.equal((await server.messages(chatId, owner)).length, 0);
});

test("a chat of somebody else and a chat that does not exist are refused alike", async () => {
  const chatId = await server.conversation(server.user());
  const client = await gurukul(server, owner);
  for (const id of [chatId, randomUUID()]) {
    for (const [type, data] of [
      ["chat_update", { action: "join", chatId: id }],
      ["message", { chatId: id, content: "x" }],
      ["typing", { chatId: id, isTyping: true }],
      ["read_receipt", { chatId: id, messageIds: [randomUUID()] }],
    ]) {
      await client.refused(403, type, data, "Access denied to chat");
    }
  }
  await client.alive();
});

test("content over 8,000 characters is 413 without a row, 8,000 are taken", async () => {
  const client = await gurukul(server, owner);
  const chatId = await quietChat();
  await client.refused(413, "message", { chatId, content: "ä".repeat(8_001) });
  const { type } = await client.ask("message", { chatId, content: "🙂".repeat(8_000) });
  assert.equal(type, "message");
  assert.equal((await server.messages(chatId, owner)).length, 1);
});

test("message 6 of a minute where 5 are allowed is 429, and typing has a limit of its own", async () => {
  const strict = await startServer({ MESSAGE_RATE_LIMIT: "5", AI_PROVIDER: "offline" });
  try {
    const person = strict.user();
    const chatId = await strict.quietConversation(person, strict.user("admin"));
    const client = await gurukul(strict, person);
    for (let n = 0; n < 5; n++) await client.ask("message", { chatId, content: `${n}` });
    await client.refused(429, "message", { chatId, content: "too much" });
    for (let n = 0; n < 5; n++) client.send(envelope("typing", { chatId, isTyping: true }));
    await client.refused(429, "typing", { chatId, isTyping: true });
    await client.alive();
    assert.equal((await strict.messages(chatId, person)).length, 5);
  } finally {
    hangUpRaw();
    await strict.stop();
  }
});
