// Seed 001's clients on `/ws`: chats with history, idempotent messages, typing, receipts and batches.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { assertGapless, envelope, gurukul, hangUpRaw, isTime, startServer, startUpstream } from "./harness.mjs";

let upstream;
let server;
let owner;
let agent;
before(async () => {
  upstream = await startUpstream();
  server = await startServer(upstream.env);
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => hangUpRaw());
after(async () => {
  await server.stop();
  await upstream.stop();
});

/** A chat without the AI, with so many messages in it already. */
async function quietChat(count = 0) {
  const chatId = await server.quietConversation(owner, agent);
  for (let n = 1; n <= count; n++) {
    await server.ok("POST", `/api/conversations/${chatId}/messages`, { as: owner, body: { content: `message ${n}` } });
  }
  return chatId;
}

/** What a client tells of a chat, one word for each frame. */
const story = (client) =>
  client.frames.flatMap(({ type, data }) =>
    type === "message" ? [data.message.role] : type === "typing" ? [`typing ${data.isTyping}`] : [],
  );

test("a message is told to everyone in the chat, the sender too, once and with the same id", async () => {
  const chatId = await quietChat();
  const [sender, tab, colleague] = [
    await gurukul(server, owner),
    await gurukul(server, owner),
    await gurukul(server, agent),
  ];
  for (const client of [sender, tab, colleague]) await client.join(chatId);
  const echo = await sender.ask("message", { chatId, content: "Hello!", messageId: "temp-1" }, "frame-1");
  assert.equal(echo.type, "message");
  assert.equal(echo.data.messageId, "temp-1");
  const { message } = echo.data;
  assert.ok(isTime(message.timestamp));
  assert.deepEqual(message, {
    id: message.id,
    chatId,
    userId: owner.id,
    agentId: message.agentId,
    content: "Hello!",
    role: "user",
    timestamp: message.timestamp,
    metadata: message.metadata,
    seq: 1,
  });
  for (const client of [tab, colleague]) {
    const heard = await client.message("Hello!");
    assert.deepEqual(heard, { chatId, message, messageId: "temp-1" });
  }
  for (const client of [sender, tab, colleague]) {
    await client.alive();
    assert.equal(client.messages().length, 1);
  }
});

test("what is sent again while the log is still being caught up on overtakes nothing", async () => {
  const chatId = await quietChat();
  const count = 600;
  const sending = (n) => ({ chatId, content: `number ${n}`, messageId: `old-${n}` });
  const writer = await gurukul(server, owner);
  await writer.join(chatId);
  for (let n = 1; n <= count; n++) writer.send(envelope("message", sending(n)));
  await writer.until(() => writer.messages().length === count, "everything is echoed");
  const reader = await gurukul(server, owner);
  reader.send(envelope("chat_update", { action: "join", chatId, after: 0 }));
  const again = [count, count - 1, count - 2, 3];
  for (const n of again) reader.send(envelope("message", sending(n), `again-${n}`));
  const answers = () => reader.heard("message").filter(({ messageId }) => messageId?.startsWith("again-"));
  await reader.until(() => answers().length === again.length, "each is answered");
  await reader.until(() => reader.messages().some(({ seq }) => seq === count), "the log has come");
  for (const { messageId, data } of answers()) assert.equal(messageId, `again-${data.message.seq}`);
  const seen = new Set();
  const firsts = reader.messages().flatMap(({ seq }) => (seen.has(seq) ? [] : [seen.add(seq) && seq]));
  assert.deepEqual(
    firsts,
    Array.from({ length: count }, (_, place) => place + 1),
  );
});

test("the same messageId is one message, over any connection, and other content under it is refused", async () => {
  const { length } = upstream.calls;
  const chatId = await server.conversation(owner);
  const [first, second] = [await gurukul(server, owner), await gurukul(server, owner)];
  await first.join(chatId);
  const send = { chatId, content: "Once only", messageId: "temp-7" };
  const { data } = await first.ask("message", send);
  (await upstream.call()).say("Yes.").finish();
  await first.message("Yes.");
  for (const client of [first, second]) {
    const again = await client.ask("message", send);
    assert.equal(again.type, "message");
    assert.equal(again.data.message.id, data.message.id);
    assert.equal(again.data.message.seq, data.message.seq);
    await client.refused(409, "message", { ...send, content: "Something else" });
    await client.alive();
  }
  assert.equal((await server.messages(chatId, owner)).length, 2);
  assert.equal(upstream.calls.length, length + 1, "the AI is asked once");
  assert.equal(second.messages().filter(({ id }) => id === data.message.id).length, 1);
});

test("a hundred sends of one messageId at once make one row", async () => {
  const chatId = await quietChat();
  const clients = await Promise.all(Array.from({ length: 5 }, () => gurukul(server, owner)));
  const sends = Array.from({ length: 100 }, (_, n) =>
    clients[n % 5].ask("message", { chatId, content: "Storm", messageId: "storm" }),
  );
  const ids = (await Promise.all(sends)).map(({ data }) => data.message.id);
  assert.equal(new Set(ids).size, 1);
  assert.equal((await server.messages(chatId, owner)).length, 1);
});

test("joining brings the latest 50 messages, marked as history, before anything new", async () => {
  const chatId = await quietChat(60);
  const client = await gurukul(server, owner);
  const { data } = await client.join(chatId);
  assert.deepEqual([data.chatId, data.action], [chatId, "join"]);
  assert.equal(typeof data.updates.title, "string");
  assert.equal(data.updates.messageCount, 60);
  assert.equal(data.updates.lastMessage, "message 60");
  client.send(envelope("message", { chatId, content: "new" }));
  await client.message("new");
  const seqs = client.messages().map(({ seq }) => seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: 51 }, (_, n) => n + 11),
  );
  assert.deepEqual(
    client.messages().map(({ metadata }) => metadata.history === true),
    [...Array(50).fill(true), false],
  );
  assert.equal(client.frames[0].type, "chat_update", "the answer to the join comes first");
});

test("joining with `after` brings exactly what is behind it, however much that is", async () => {
  const chatId = await quietChat(260);
  const client = await gurukul(server, owner);
  await client.join(chatId, { after: 10 });
  await client.message("message 260");
  const seqs = client.messages().map(({ seq }) => seq);
  assert.deepEqual(
    seqs,
    Array.from({ length: 250 }, (_, n) => n + 11),
  );
  assert.ok(client.messages().every(({ metadata }) => metadata.history === true));
  const upToDate = await gurukul(server, owner);
  await upToDate.join(chatId, { after: 260 });
  await upToDate.alive();
  assert.deepEqual(upToDate.messages(), []);
});

test("an answer comes between its typing, behind its question, in every tab", async () => {
  const chatId = await server.conversation(owner, { agentId: "therapist" });
  const tabs = [await gurukul(server, owner), await gurukul(server, owner)];
  for (const tab of tabs) await tab.join(chatId);
  tabs[0].send(envelope("message", { chatId, content: "How are you?", agentId: "therapist", messageId: "t1" }));
  const typing = await tabs[0].next("typing");
  assert.deepEqual(typing.data, { chatId, userId: "assistant", agentId: "therapist", isTyping: true });
  (await upstream.call()).say("I am ").say("well.").finish();
  for (const tab of tabs) {
    const { message } = await tab.message("I am well.");
    assert.equal(message.userId, "assistant");
    assert.equal(message.agentId, "therapist");
    assert.equal(message.seq, 2);
    await tab.next(({ type, data }) => type === "typing" && data.isTyping === false);
    await tab.alive();
    assert.deepEqual(story(tab), ["user", "typing true", "assistant", "typing false"]);
  }
});

test("messages during an answer are stored at once and answered afterwards, one by one", async () => {
  const chatId = await server.conversation(owner);
  const client = await gurukul(server, owner);
  await client.join(chatId);
  for (const content of ["one?", "two?", "three?"]) await client.ask("message", { chatId, content });
  for (const answer of ["one.", "two.", "three."]) {
    (await upstream.call()).say(answer).finish();
    await client.message(answer);
  }
  assert.deepEqual(
    client.messages().map(({ content }) => content),
    ["one?", "two?", "three?", "one.", "two.", "three."],
  );
  assertGapless(
    client.messages().map(({ seq }) => seq),
    6,
  );
});

test("an answer that fails is error 503 behind the end of typing, and the chat goes on", async () => {
  const chatId = await server.conversation(owner);
  const client = await gurukul(server, owner);
  await client.join(chatId);
  await client.ask("message", { chatId, content: "Hello?" });
  (await upstream.call()).refuse(401);
  const { data } = await client.next("error", 15_000);
  assert.equal(data.code, 503);
  assert.deepEqual(story(client), ["user", "typing true", "typing false"]);
  assert.equal(client.frames.at(-1).type, "error");
  await client.ask("message", { chatId, content: "And now?" });
  (await upstream.call()).say("Here.").finish();
  await client.message("Here.");
});

test("typing is told to the others, not to one's own tabs", async () => {
  const chatId = await quietChat();
  const [writer, tab, other] = [
    await gurukul(server, owner),
    await gurukul(server, owner),
    await gurukul(server, agent),
  ];
  for (const client of [writer, tab, other]) await client.join(chatId);
  for (const isTyping of [true, false]) {
    writer.send(envelope("typing", { chatId, userId: owner.id, isTyping }));
    const { data } = await other.next("typing");
    assert.deepEqual([data.chatId, data.userId, data.isTyping], [chatId, owner.id, isTyping]);
  }
  for (const client of [writer, tab]) {
    await client.alive();
    assert.deepEqual(client.heard("typing"), []);
  }
});

test("a receipt is confirmed to its sender and told to the whole chat", async () => {
  const chatId = await quietChat(3);
  const [reader, tab, other] = [
    await gurukul(server, owner),
    await gurukul(server, owner),
    await gurukul(server, agent),
  ];
  for (const client of [reader, tab, other]) await client.join(chatId);
  const messageIds = (await server.messages(chatId, owner)).slice(0, 2).map(({ id }) => id);
  // Who has read is whoever sends: what a client claims about that does not count.
  const receipt = await reader.ask("read_receipt", { chatId, messageIds, userId: "somebody-else" });
  const told = { chatId, messageIds, userId: owner.id, confirmed: true };
  assert.deepEqual(receipt.data, told);
  for (const client of [tab, other]) assert.deepEqual((await client.next("read_receipt")).data, told);
  await reader.alive();
  assert.equal(reader.heard("read_receipt").length, 1);
});

test("a new title and a new status are told to the chat", async () => {
  const chatId = await quietChat(1);
  const client = await gurukul(server, owner);
  await client.join(chatId);
  await server.ok("PATCH", `/api/conversations/${chatId}`, { as: owner, body: { title: "Order 7" } });
  const renamed = await client.next(({ type, data }) => type === "chat_update" && data.updates?.title === "Order 7");
  assert.equal(renamed.data.chatId, chatId);
  assert.equal(renamed.data.updates.messageCount, 1);
  await server.ok("POST", `/api/conversations/${chatId}/resolve`, { as: agent, body: {} });
  await client.next(({ type, data }) => type === "chat_update" && data.updates?.status === "resolved");
});

test("sending joins, leaving ends hearing, and whoever has no access hears nothing", async () => {
  const chatId = await quietChat();
  const [sender, colleague] = [await gurukul(server, owner), await gurukul(server, agent)];
  await colleague.join(chatId);
  await sender.ask("message", { chatId, content: "not joined" });
  await colleague.message("not joined");
  await colleague.ask("message", { chatId, content: "heard" });
  await sender.message("heard");
  const left = await sender.ask("chat_update", { action: "leave", chatId });
  assert.deepEqual([left.data.chatId, left.data.action], [chatId, "leave"]);
  await colleague.ask("message", { chatId, content: "no longer heard" });
  await sender.alive();
  assert.deepEqual(
    sender.messages().map(({ content }) => content),
    ["not joined", "heard"],
  );
});

test("with ?batch=1 frames are gathered, in order and without a loss", async () => {
  const chatId = await quietChat();
  const [batched, sender] = [await gurukul(server, owner, { query: { batch: "1" } }), await gurukul(server, agent)];
  batched.send(envelope("chat_update", { action: "join", chatId }));
  await batched.next("batch");
  await Promise.all(Array.from({ length: 40 }, (_, n) => sender.ask("message", { chatId, content: `${n}` })));
  const told = () => batched.heard("batch").flatMap(({ data }) => data.messages);
  await batched.until(() => told().filter(({ type }) => type === "message").length === 40, "40 messages in batches");
  assert.equal(batched.frames.length, batched.heard("batch").length, "everything comes in batches");
  const messages = told().filter(({ type }) => type === "message");
  assertGapless(
    messages.map(({ data }) => data.message.seq),
    40,
  );
  for (const { timestamp, data } of batched.heard("batch")) {
    assert.ok(Number.isInteger(timestamp));
    assert.ok(data.messages.every((one) => typeof one.type === "string" && Number.isInteger(one.timestamp)));
  }
  assert.ok(batched.frames.length < 40, `${batched.frames.length} frames are no batches`);
});
