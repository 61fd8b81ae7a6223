// The AI-chat vocabulary (seed 003): one person with several tabs, conversations of their own, and streamed answers.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import {
  asUser,
  emitFails,
  emitOk,
  expectAlive,
  expectEvent,
  hangUp,
  heard,
  isTime,
  payloads,
  startServer,
  startUpstream,
} from "./harness.mjs";

let upstream;
let server;
before(async () => {
  upstream = await startUpstream();
  server = await startServer(upstream.env);
});
afterEach(() => hangUp());
after(async () => {
  await server.stop();
  await upstream.stop();
});

const ANSWER = ["ai:typing:start", "message:chunk", "ai:typing:stop", "message:complete"];

/** A customer with two tabs that have joined a new conversation. */
async function twoTabs() {
  const user = server.user();
  const id = await server.conversation(user);
  const [tab, other] = [await asUser(server, user), await asUser(server, user)];
  for (const socket of [tab, other]) await emitOk(socket, "join:conversation", id);
  return { user, id, tab, other };
}

/** Asks, has the AI say `words`, and gives the `message:complete` of that answer. */
async function ask(socket, id, content, ...words) {
  await emitOk(socket, "message:send", { conversationId: id, content });
  const call = await upstream.call();
  for (const word of words) call.say(word);
  call.finish();
  return expectEvent(socket, "message:complete", (data) => data.userMessage.content === content);
}

test("a question is acked, then answered in the documented order, to every tab", async () => {
  const { user, id, tab, other } = await twoTabs();
  const { userMessage } = await emitOk(tab, "message:send", {
    conversationId: id,
    content: "Hello AI!",
    clientMessageId: "q1",
  });
  assert.deepEqual(
    { ...userMessage, id: undefined, createdAt: undefined, metadata: undefined, agentId: undefined },
    {
      id: undefined,
      conversationId: id,
      seq: 1,
      role: "user",
      sender: { userId: user.id, userName: "Anna", role: "customer" },
      agentId: undefined,
      content: "Hello AI!",
      status: "complete",
      clientMessageId: "q1",
      createdAt: undefined,
      metadata: undefined,
    },
  );
  assert.ok(isTime(userMessage.createdAt));
  const call = await upstream.call();
  assert.equal(call.body.stream, true);
  for (const word of ["Hello ", "Anna", ", how are ", "you?"]) call.say(word);
  call.finish();

  for (const socket of [tab, other]) {
    const complete = await expectEvent(socket, "message:complete");
    assert.equal(complete.conversationId, id);
    assert.equal(complete.userMessage.id, userMessage.id);
    const { assistantMessage } = complete;
    assert.equal(assistantMessage.content, "Hello Anna, how are you?");
    assert.equal(assistantMessage.role, "assistant");
    assert.equal(assistantMessage.sender.role, "bot");
    assert.equal(assistantMessage.status, "complete");
    assert.equal(assistantMessage.seq, 2);

    const story = heard(socket, ...ANSWER).map(({ name }) => name);
    const chunkCount = story.length - 3;
    assert.ok(chunkCount >= 1);
    assert.deepEqual(story, [ANSWER[0], ...Array(chunkCount).fill(ANSWER[1]), ANSWER[2], ANSWER[3]]);
    assert.deepEqual(payloads(socket, "ai:typing:start"), [{ conversationId: id }]);
    assert.deepEqual(payloads(socket, "ai:typing:stop"), [{ conversationId: id }]);
    let text = "";
    payloads(socket, "message:chunk").forEach((chunk, index) => {
      text += chunk.chunk;
      assert.deepEqual(chunk, {
        conversationId: id,
        messageId: assistantMessage.id,
        index,
        chunk: chunk.chunk,
        content: text,
      });
    });
    assert.equal(text, assistantMessage.content);
  }
  const order = heard(tab, "ack:message:send", "ai:typing:start").map(({ name }) => name);
  assert.deepEqual(order, ["ack:message:send", "ai:typing:start"]);
  assert.equal(payloads(tab, "message:new").length, 0, "the sender's own tab has the ack");
  const echo = await expectEvent(other, "message:new");
  assert.deepEqual(echo, { conversationId: id, message: userMessage });
});

test("sending needs no join and hears the answer all the same", async () => {
  const user = server.user();
  const id = await server.conversation(user);
  const tab = await asUser(server, user);
  const complete = await ask(tab, id, "Unjoined", "Heard.");
  assert.equal(complete.assistantMessage.content, "Heard.");
});

test("a new conversation appears in the other tabs, also its new title and its end", async () => {
  const user = server.user();
  const [tab, other] = [await asUser(server, user), await asUser(server, user)];
  const { conversation } = await emitOk(tab, "conversation:create", { title: "Holidays", agentId: "tutor" });
  assert.equal(conversation.kind, "assistant");
  assert.equal(conversation.title, "Holidays");
  assert.equal(conversation.agentId, "tutor");
  assert.equal(conversation.status, "open");
  assert.equal(conversation.handledBy, "bot");
  assert.equal(conversation.ownerId, user.id);
  assert.equal(conversation.lastSeq, 0);
  assert.equal(conversation.messageCount, 0);
  assert.ok(Array.isArray(conversation.participants));
  assert.ok(isTime(conversation.createdAt) && isTime(conversation.updatedAt));
  const { id } = conversation;
  assert.equal((await expectEvent(other, "conversation:create")).id, id);

  const renamed = await emitOk(tab, "conversation:update", { conversationId: id, title: "Holidays in May" });
  assert.equal(renamed.conversation.title, "Holidays in May");
  const update = await expectEvent(other, "conversation:update");
  assert.equal(update.id, id);
  assert.equal(update.title, "Holidays in May");

  await emitOk(other, "join:conversation", id);
  await emitOk(tab, "conversation:delete", id);
  assert.deepEqual(await expectEvent(other, "conversation:delete"), { conversationId: id });
  await emitFails(other, "NOT_FOUND", "message:send", { conversationId: id, content: "too late" });
  await emitFails(tab, "NOT_FOUND", "join:conversation", id);
  await expectAlive(tab);
  assert.equal(payloads(tab, "conversation:create").length, 0, "the acting tab has the ack");
  assert.equal(payloads(tab, "conversation:delete").length, 0);
});

test("applications bring their own ids, and a taken one is a conflict for everybody", async () => {
  const [anna, otto] = [server.user(), server.user("customer", "Otto")];
  const [tab, foreign] = [await asUser(server, anna), await asUser(server, otto)];
  const id = `order:${randomUUID()}`;
  assert.equal((await emitOk(tab, "conversation:create", { id })).conversation.id, id);
  await emitFails(tab, "CONFLICT", "conversation:create", { id });
  await emitFails(foreign, "CONFLICT", "conversation:create", { id });
});

test("join takes an id or an object, with `after` it brings what is missing", async () => {
  const { user, id, tab } = await twoTabs();
  await ask(tab, id, "one", "1");
  await ask(tab, id, "two", "2");
  const fresh = await asUser(server, user);
  const plain = await emitOk(fresh, "join:conversation", { conversationId: id });
  assert.equal(plain.conversationId, id);
  assert.equal(plain.lastSeq, 4);
  assert.equal(plain.messages, undefined);
  const full = await emitOk(fresh, "join:conversation", { conversationId: id, after: 2 });
  assert.equal(full.messages.length, 2);
  assert.match(JSON.stringify(full.messages[0]), /"content":"two"/);
  assert.match(JSON.stringify(full.messages[1]), /"content":"2"/);
  await emitOk(fresh, "leave:conversation", { conversationId: id });
});

test("typing in this vocabulary is two events, told to other people", async () => {
  const { user, id, tab, other } = await twoTabs();
  const agentSocket = await asUser(server, server.user("admin"));
  await emitOk(agentSocket, "join:conversation", id);
  await emitOk(tab, "typing:start", id);
  const typing = { conversationId: id, userId: user.id, userName: "Anna" };
  assert.deepEqual(await expectEvent(agentSocket, "typing:start"), typing);
  await emitOk(tab, "typing:stop", { conversationId: id });
  assert.deepEqual(await expectEvent(agentSocket, "typing:stop"), typing);
  await emitOk(agentSocket, "typing:start", id);
  assert.equal((await expectEvent(other, "typing:start")).userName, "Bert");
  assert.equal((await expectEvent(other, "typing:stop")).userName, "Bert");
  assert.equal(payloads(other, "typing:start").length, 1, "one's own typing is not told to one's other tab");
});

test("ping is answered with pong and an acknowledgement", async () => {
  const { tab } = await twoTabs();
  for (const payload of [undefined, null, 7, "x", { any: ["thing"] }]) {
    await (payload === undefined ? emitOk(tab, "ping") : emitOk(tab, "ping", payload));
    const pong = await expectEvent(tab, "pong");
    assert.ok(!Number.isNaN(new Date(pong.timestamp).getTime()) && pong.timestamp !== undefined);
  }
});

test("questions that come while an answer runs are stored at once and answered in turn", async () => {
  const { user, id, tab } = await twoTabs();
  for (const content of ["first", "second", "third"])
    await emitOk(tab, "message:send", { conversationId: id, content });
  assert.equal((await server.messages(id, user)).length, 3, "all are stored before any answer");
  for (const question of ["first", "second", "third"]) {
    const call = await upstream.call();
    assert.equal(call.question, question);
    call.say(`Answer to ${question}`).finish();
    const complete = await expectEvent(tab, "message:complete");
    assert.equal(complete.userMessage.content, question);
    assert.equal(complete.assistantMessage.content, `Answer to ${question}`);
  }
  const log = await server.messages(id, user);
  assert.deepEqual(
    log.map(({ seq }) => seq),
    [1, 2, 3, 4, 5, 6],
  );
});

test("regenerating appends a new answer to the last question and keeps the old one", async () => {
  const { user, id, tab, other } = await twoTabs();
  const old = await ask(tab, id, "Tell me a joke", "A bad one.");
  await emitOk(other, "message:regenerate", { conversationId: id });
  const call = await upstream.call();
  assert.equal(call.question, "Tell me a joke");
  call.say("A good one.").finish();
  const renewed = await expectEvent(tab, "message:complete");
  assert.equal(renewed.userMessage.id, old.userMessage.id);
  assert.equal(renewed.assistantMessage.content, "A good one.");
  assert.equal(renewed.assistantMessage.metadata.regenerates, old.assistantMessage.id);
  const contents = (await server.messages(id, user)).map(({ content }) => content);
  assert.deepEqual(contents, ["Tell me a joke", "A bad one.", "A good one."]);
});

test("the AI is shown the conversation so far and the persona's instructions", async () => {
  const { id, tab } = await twoTabs();
  await ask(tab, id, "My name is Anna", "Nice.");
  await emitOk(tab, "message:send", { conversationId: id, content: "What is my name?" });
  const call = await upstream.call();
  call.say("Anna.").finish();
  const roles = call.body.messages.map(({ role }) => role);
  assert.deepEqual(
    roles.filter((role) => role !== "system"),
    ["user", "assistant", "user"],
  );
  assert.equal(roles[0], "system");
  await expectEvent(tab, "message:complete", (data) => data.assistantMessage.content === "Anna.");
});

test("a connection that uses both vocabularies is told in both, and shared events once", async () => {
  const { user, id } = await twoTabs();
  const both = await asUser(server, user);
  await emitOk(both, "join_conversation", id);
  await emitOk(both, "join:conversation", id);
  const only7 = await asUser(server, user);
  await emitOk(only7, "join_conversation", id);
  await emitOk(both, "message:send", { conversationId: id, content: "Both?" });
  (await upstream.call()).say("Both.").finish();
  await expectEvent(both, "message:complete");
  await expectEvent(both, "message_received", (data) => data.content === "Both.");
  await expectEvent(only7, "message_received", (data) => data.content === "Both.");
  const indexes = payloads(both, "message:chunk").map(({ index }) => index);
  assert.deepEqual(indexes, [...indexes.keys()], "each chunk once");
  assert.equal(payloads(only7, "message:complete").length, 0, "who speaks one vocabulary hears one");
  assert.equal(payloads(only7, "message:new").length, 0);
});

test("before it has shown what it speaks, a customer is told as AI chat and an agent as support desk", async () => {
  const user = server.user();
  const agentSocket = await asUser(server, server.user("admin"));
  const [tab, silent] = [await asUser(server, user), await asUser(server, user)];
  const { conversation } = await emitOk(tab, "conversation:create", { kind: "support", title: "Quiet" });
  assert.equal((await expectEvent(silent, "conversation:create")).id, conversation.id);
  await emitOk(tab, "conversation:update", { conversationId: conversation.id, title: "Quieter" });
  const told = await expectEvent(agentSocket, "conversation_updated", (data) => data.conversation.title === "Quieter");
  assert.equal(told.conversation.id, conversation.id);
});

test("a stranger gets the same refusal everywhere", async () => {
  const { id } = await twoTabs();
  const stranger = await asUser(server, server.user());
  await emitFails(stranger, "NOT_FOUND", "join:conversation", id);
  await emitFails(stranger, "NOT_FOUND", "message:send", { conversationId: id, content: "let me in" });
  await emitFails(stranger, "NOT_FOUND", "conversation:update", { conversationId: id, title: "mine" });
  await emitFails(stranger, "NOT_FOUND", "conversation:delete", id);
  await emitFails(stranger, "NOT_FOUND", "typing:start", id);
  await emitFails(stranger, "NOT_FOUND", "message:stop", { conversationId: id });
  await emitFails(stranger, "NOT_FOUND", "message:regenerate", { conversationId: id });
  await expectAlive(stranger);
});
