// Seed 002's clients: one WebSocket for one conversation, whole answers, idempotent messages, catching up, streaming on request.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { dialRaw, hangUpRaw, isTime, lykke, openRaw, startServer, startUpstream } from "./harness.mjs";

let upstream;
let server;
let owner;
let agent;
before(async () => {
  upstream = await startUpstream();
  server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms" });
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => hangUpRaw());
after(async () => {
  await server.stop();
  await upstream.stop();
});

const pathOf = (id) => `/api/v1/conversations/${id}/ws`;

/** A conversation in which nothing answers, with so many messages in it already. */
async function quietConversation(count = 0) {
  const id = await server.quietConversation(owner, agent);
  for (let n = 1; n <= count; n++) {
    await server.ok("POST", `/api/conversations/${id}/messages`, { as: owner, body: { content: `message ${n}` } });
  }
  return id;
}

test("the first frame says where one is, as whom, and who will answer", async () => {
  const id = await server.conversation(owner, { agentId: "tutor" });
  const { agents } = await server.ok("GET", "/api/agents");
  const client = await lykke(server, owner, id);
  assert.deepEqual(client.ack, {
    type: "connection_ack",
    conversation_id: id,
    user_id: owner.id,
    bot_personality: { id: "tutor", name: agents.find((one) => one.id === "tutor").name },
    last_seq: 0,
  });
  assert.equal(client.frames[0], client.ack);
  client.say("Hello bot!");
  await client.received("Hello bot!");
  (await upstream.call()).say("Hello!").finish();
  await client.answer();
  assert.equal((await lykke(server, owner, id)).ack.last_seq, 2);
});

test("a message is acknowledged once it is stored, and the answer comes whole", async () => {
  const id = await server.conversation(owner);
  const client = await lykke(server, owner, id);
  client.say("What is the time?", "m-1");
  const asked = await client.received("What is the time?");
  assert.ok(isTime(asked.created_at));
  assert.equal(typeof asked.meta, "object");
  assert.deepEqual([asked.conversation_id, asked.role], [id, "user"]);
  const [stored] = await server.messages(id, owner);
  assert.deepEqual([stored.id, stored.clientMessageId], [asked.id, "m-1"]);
  const call = await upstream.call();
  call.say("Five ").say("o'clock.").finish();
  const answer = await client.answer();
  assert.deepEqual([answer.role, answer.content], ["assistant", "Five o'clock."]);
  assert.equal(client.heard("assistant_chunk").length, 0, "chunks come only on request");
  assert.deepEqual(
    (await server.messages(id, owner)).map((one) => one.id),
    [asked.id, answer.id],
  );
});

test("the same message_id gives the same message and the same answer, without asking the AI again", async () => {
  const { length } = upstream.calls;
  const id = await server.conversation(owner);
  const client = await lykke(server, owner, id);
  client.say("Once?", "m-1");
  const asked = await client.received("Once?");
  client.say("Once?", "m-1");
  assert.deepEqual(await client.received("Once?"), asked, "while the answer runs");
  (await upstream.call()).say("Once.").finish();
  const answer = await client.answer();
  const later = await lykke(server, owner, id);
  for (const tab of [client, later]) {
    tab.say("Once?", "m-1");
    assert.deepEqual(await tab.received("Once?"), asked);
    assert.deepEqual(await tab.answer(), answer);
    tab.say("Something else", "m-1");
    await tab.refused("CONFLICT");
    await tab.alive();
  }
  assert.equal(upstream.calls.length, length + 1);
  assert.equal((await server.messages(id, owner)).length, 2);
});

test("a message sent twice at once, as after a bad connection, is one message with one answer", async () => {
  const { length } = upstream.calls;
  const id = await server.conversation(owner);
  const [client, again] = [await lykke(server, owner, id), await lykke(server, owner, id)];
  for (const tab of [client, again, client]) tab.say("Hello?", "m-1");
  const ids = [];
  for (const tab of [client, again]) ids.push((await tab.received("Hello?")).id);
  assert.equal(new Set(ids).size, 1);
  (await upstream.call()).say("Hello.").finish();
  for (const tab of [client, again]) await tab.answer();
  assert.equal(upstream.calls.length, length + 1);
  assert.equal((await server.messages(id, owner)).length, 2);
});

test("other tabs and other people hear everything, once and in order", async () => {
  const id = await server.conversation(owner);
  const [client, tab, colleague] = [
    await lykke(server, owner, id),
    await lykke(server, owner, id),
    await lykke(server, agent, id),
  ];
  client.say("To all");
  const asked = await client.received("To all");
  (await upstream.call()).say("Heard.").finish();
  const answer = await client.answer();
  for (const other of [tab, colleague]) {
    assert.deepEqual(await other.received("To all"), asked);
    assert.deepEqual(await other.answer(), answer);
  }
  for (const one of [client, tab, colleague]) {
    await one.alive();
    const told = one.frames.flatMap(({ message }) => (message?.id ? [message.id] : []));
    assert.deepEqual(told, [asked.id, answer.id]);
  }
});

test("history=N brings the latest messages in one frame behind the ack", async () => {
  const id = await quietConversation(12);
  const client = await lykke(server, owner, id, { query: { history: "5" } });
  await client.alive();
  assert.deepEqual(
    client.frames.slice(0, 2).map(({ type }) => type),
    ["connection_ack", "history"],
  );
  assert.deepEqual(
    client.frames[1].messages.map(({ content }) => content),
    ["message 8", "message 9", "message 10", "message 11", "message 12"],
  );
  assert.deepEqual(client.heard("message_received"), []);
  const plain = await lykke(server, owner, id);
  await plain.alive();
  assert.deepEqual(plain.heard("history"), []);
});

test("after_seq=N brings exactly what is behind it as ordinary frames, and nothing gets lost in between", async () => {
  const id = await quietConversation(230);
  const [writer, client] = [
    await lykke(server, agent, id),
    dialRaw(server, pathOf(id), { as: owner, query: { after_seq: "7" } }),
  ];
  for (let n = 231; n <= 240; n++) writer.say(`message ${n}`);
  await client.next(({ message }) => message?.content === "message 240");
  assert.equal(client.frames[0].type, "connection_ack");
  assert.deepEqual(
    client.heard("message_received").map(({ message }) => message.content),
    Array.from({ length: 233 }, (_, n) => `message ${n + 8}`),
  );
});

test("a client that comes back with what it heard last has every message once", async () => {
  const id = await server.conversation(owner);
  const first = await lykke(server, owner, id);
  first.say("one?");
  (await upstream.call()).say("one.").finish();
  await first.answer();
  first.say("two?");
  await first.received("two?");
  first.ws.terminate();
  (await upstream.call()).say("two.").finish();
  const back = await lykke(server, owner, id, { query: { after_seq: "3" } });
  assert.equal((await back.answer()).content, "two.");
  assert.deepEqual(back.heard("message_received"), []);
});

test("with stream=1 the answer grows in chunks that together are its text", async () => {
  const id = await server.conversation(owner);
  const [client, plain] = [await lykke(server, owner, id, { query: { stream: "1" } }), await lykke(server, owner, id)];
  client.say("Tell me");
  const call = await upstream.call();
  for (const word of ["Once ", "upon ", "a ", "time."]) {
    call.say(word);
    await client.next("assistant_chunk");
  }
  call.finish();
  const answer = await client.answer();
  const chunks = client.heard("assistant_chunk");
  assert.equal(chunks.map(({ chunk }) => chunk).join(""), answer.content);
  assert.deepEqual(
    chunks.map(({ index }) => index),
    chunks.map((_, n) => n),
  );
  assert.ok(chunks.every(({ message_id }) => message_id === answer.id));
  assert.deepEqual(await plain.answer(), answer);
  assert.deepEqual(plain.heard("assistant_chunk"), []);
});

test("typing goes both ways, and the AI types too", async () => {
  const id = await server.conversation(owner);
  const [client, tab, colleague] = [
    await lykke(server, owner, id),
    await lykke(server, owner, id),
    await lykke(server, agent, id),
  ];
  for (const is_typing of [true, false]) {
    client.send({ type: "typing", is_typing });
    assert.equal((await colleague.next("typing")).is_typing, is_typing);
  }
  for (const one of [client, tab]) {
    await one.alive();
    assert.deepEqual(one.heard("typing"), [], "nobody hears their own typing");
  }
  client.say("Well?");
  assert.equal((await tab.next("typing")).is_typing, true);
  (await upstream.call()).say("Well.").finish();
  await tab.next(({ type, is_typing }) => type === "typing" && is_typing === false);
});

test("a conversation of somebody else and one that does not exist are refused alike, and closed", async () => {
  const foreign = await server.conversation(server.user());
  const endings = [];
  for (const id of [foreign, randomUUID()]) {
    const client = await openRaw(server, pathOf(id), { as: owner });
    const { code, reason } = await client.end();
    assert.equal(code, 1008);
    assert.equal(client.frames.length, 1);
    assert.deepEqual([client.frames[0].type, client.frames[0].code], ["error", "NOT_FOUND"]);
    endings.push({ reason, ...client.frames[0] });
  }
  assert.deepEqual(endings[0], endings[1]);
  assert.equal((await lykke(server, agent, foreign)).ack.conversation_id, foreign, "agents reach every conversation");
});

test("a conversation that is deleted is told as such, and closed", async () => {
  const id = await quietConversation(1);
  const client = await lykke(server, owner, id);
  await server.ok("DELETE", `/api/conversations/${id}`, { as: owner });
  assert.equal((await client.next("error")).code, "NOT_FOUND");
  assert.equal((await client.end()).code, 1008);
});

test("what cannot be taken is an error, and the connection stays", async () => {
  const id = await quietConversation();
  const client = await lykke(server, owner, id);
  for (const [frame, code] of [
    ["nonsense", "INVALID_JSON"],
    ["{}", "UNKNOWN_TYPE"],
    [{ type: "ping" }, "UNKNOWN_TYPE"],
    [{ type: "user_message" }, "MESSAGE_ERROR"],
    [{ type: "user_message", content: 7 }, "MESSAGE_ERROR"],
    [{ type: "user_message", content: " \n " }, "MESSAGE_ERROR"],
    [{ type: "user_message", content: "x", message_id: "x".repeat(129) }, "MESSAGE_ERROR"],
    [{ type: "user_message", content: "x".repeat(8_001) }, "TOO_LARGE"],
    [{ type: "user_message", content: "x".repeat(70_000) }, "TOO_LARGE"],
  ]) {
    client.send(frame);
    await client.refused(code);
  }
  for (const frame of ['{"type":"user_message","content":"\\ud800"}', `${"[".repeat(200)}${"]".repeat(200)}`]) {
    client.send(frame);
    await client.next("error");
  }
  client.say("ä".repeat(8_000));
  await client.received("ä".repeat(8_000));
  assert.equal((await server.messages(id, owner)).length, 1);
});

test("message 4 of a minute where 3 are allowed is RATE_LIMITED, without a row", async () => {
  const strict = await startServer({ MESSAGE_RATE_LIMIT: "3", AI_PROVIDER: "offline" });
  try {
    const person = strict.user();
    const id = await strict.quietConversation(person, strict.user("admin"));
    const client = await lykke(strict, person, id);
    for (let n = 0; n < 4; n++) client.say(`${n}`);
    await client.refused("RATE_LIMITED");
    assert.equal((await strict.messages(id, person)).length, 3);
    client.send({ type: "typing", is_typing: true });
    client.say("still here");
    await client.refused("RATE_LIMITED");
  } finally {
    hangUpRaw();
    await strict.stop();
  }
});

test("an answer that fails is MESSAGE_ERROR, and the next one comes", async () => {
  const id = await server.conversation(owner);
  const client = await lykke(server, owner, id);
  client.say("Hello?");
  (await upstream.call()).refuse(401);
  assert.equal((await client.next("error", 15_000)).code, "MESSAGE_ERROR");
  client.say("And now?");
  (await upstream.call()).say("Here.").finish();
  assert.equal((await client.answer()).content, "Here.");
});
