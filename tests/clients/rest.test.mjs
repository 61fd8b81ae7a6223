// The REST side: accounts, sessions, conversations, messages, and that sockets hear what REST does.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import {
  asUser,
  connect,
  emitOk,
  expectEvent,
  hangUp,
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

const MESSAGE = [
  "id",
  "conversationId",
  "seq",
  "role",
  "sender",
  "agentId",
  "content",
  "status",
  "clientMessageId",
  "createdAt",
  "metadata",
];
const CONVERSATION = [
  ...["id", "kind", "title", "agentId", "status", "handledBy", "ownerId", "participants"],
  ...["lastSeq", "messageCount", "lastMessage", "createdAt", "updatedAt"],
];
const people = () => [server.user(), server.user("admin")];

test("a visitor's session is made by the server, with a support conversation of its own", async () => {
  const { status, body } = await server.rest("POST", "/api/sessions", {
    body: { name: "Vera", email: "v@example.org", metadata: { page: "/prices" } },
  });
  assert.equal(status, 201);
  server.keepSecret(body.sessionId);
  assert.ok(body.sessionId.length >= 43, "256 bits");
  assert.ok(isTime(body.expiresAt) && Date.parse(body.expiresAt) > Date.now());
  const { conversation } = await server.ok("GET", `/api/conversations/${body.conversationId}`, { as: body });
  assert.equal(conversation.kind, "support");
  assert.equal(conversation.ownerId, body.userId);
  const empty = await server.session({});
  assert.notEqual(empty.sessionId, body.sessionId);
  const { conversations } = await server.ok("GET", "/api/conversations", { as: empty });
  assert.deepEqual(
    conversations.map(({ id }) => id),
    [empty.conversationId],
  );
});

test("a conversation and its messages have all documented fields", async () => {
  const [anna, bert] = people();
  const made = await server.rest("POST", "/api/conversations", {
    as: anna,
    body: { kind: "support", title: "Order 7" },
  });
  assert.ok([200, 201].includes(made.status), made.text);
  const { conversation } = made.body;
  for (const field of CONVERSATION) assert.ok(field in conversation, `conversation.${field}`);
  assert.equal(conversation.kind, "support");
  assert.equal(conversation.title, "Order 7");
  assert.equal(conversation.status, "open");
  assert.equal(conversation.handledBy, "bot");
  assert.equal(conversation.ownerId, anna.id);
  assert.equal(conversation.lastMessage, null);
  const path = `/api/conversations/${conversation.id}`;
  const assigned = await server.ok("POST", `${path}/assign`, { as: bert, body: {} });
  assert.equal(assigned.conversation?.handledBy ?? bert.id, bert.id);
  const { message } = await server.ok("POST", `${path}/messages`, {
    as: anna,
    body: { content: "Hello", clientMessageId: "m1" },
  });
  for (const field of MESSAGE) assert.ok(field in message, `message.${field}`);
  assert.equal(message.seq, 1);
  assert.equal(message.role, "user");
  assert.deepEqual(message.sender, { userId: anna.id, userName: "Anna", role: "customer" });
  assert.ok(isTime(message.createdAt));
  const now = (await server.ok("GET", path, { as: anna })).conversation;
  assert.equal(now.lastSeq, 1);
  assert.equal(now.messageCount, 1);
  assert.equal(now.lastMessage.id, message.id);
  assert.equal(now.handledBy, bert.id);
  assert.deepEqual(await server.messages(conversation.id, bert), [message]);
});

test("messages are paged by seq in both directions", async () => {
  const [anna, bert] = people();
  const id = await server.quietConversation(anna, bert);
  for (let n = 1; n <= 12; n++)
    await server.ok("POST", `/api/conversations/${id}/messages`, { as: anna, body: { content: `${n}` } });
  const page = async (query) => {
    const { messages, hasMore } = await server.ok("GET", `/api/conversations/${id}/messages?${query}`, { as: anna });
    return [messages.map(({ seq }) => seq), hasMore];
  };
  assert.deepEqual(await page("after=0&limit=5"), [[1, 2, 3, 4, 5], true]);
  assert.deepEqual(await page("after=10&limit=5"), [[11, 12], false]);
  assert.deepEqual(await page("before=6&limit=3"), [[3, 4, 5], true]);
  assert.deepEqual(await page("before=3&limit=5"), [[1, 2], false]);
  assert.deepEqual(await page("after=12"), [[], false]);
  for (const query of ["after=x", "after=-1", "limit=x", "before=1.5"]) {
    await server.refused(400, "INVALID", "GET", `/api/conversations/${id}/messages?${query}`, { as: anna });
  }
  for (const query of ["limit=0", "limit=-1", "limit=1000000000"]) {
    const { status, body } = await server.rest("GET", `/api/conversations/${id}/messages?${query}`, { as: anna });
    assert.ok(status === 400 || (status === 200 && body.messages.length <= 200), `${query}: ${status}`);
  }
});

test("conversations are listed page by page, each person's own, all for agents", async () => {
  const [anna, bert] = people();
  const mine = new Set();
  for (let n = 0; n < 7; n++) mine.add(await server.conversation(anna, { title: `${n}` }));
  const listed = [];
  let cursor;
  do {
    const query = `?limit=3${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    const page = await server.ok("GET", `/api/conversations${query}`, { as: anna });
    assert.ok(page.conversations.length <= 3);
    listed.push(...page.conversations.map(({ id }) => id));
    cursor = page.nextCursor;
  } while (cursor);
  assert.equal(listed.length, 7);
  assert.deepEqual(new Set(listed), mine);
  const { conversations } = await server.ok("GET", "/api/conversations", { as: bert });
  assert.ok(conversations.some(({ ownerId }) => ownerId === anna.id));
  await server.refused(400, "INVALID", "GET", "/api/conversations?cursor=nonsense", { as: anna });
});

test("a conversation is renamed and deleted, and sockets hear it", async () => {
  const [anna] = people();
  const id = await server.conversation(anna);
  const tab = await asUser(server, anna);
  await emitOk(tab, "join:conversation", id);
  const { conversation } = await server.ok("PATCH", `/api/conversations/${id}`, {
    as: anna,
    body: { title: "New name" },
  });
  assert.equal(conversation.title, "New name");
  assert.equal((await expectEvent(tab, "conversation:update")).title, "New name");
  const { status } = await server.rest("DELETE", `/api/conversations/${id}`, { as: anna });
  assert.ok([200, 204].includes(status));
  assert.deepEqual(await expectEvent(tab, "conversation:delete"), { conversationId: id });
  await server.refused(404, "NOT_FOUND", "GET", `/api/conversations/${id}`, { as: anna });
  await server.refused(404, "NOT_FOUND", "POST", `/api/conversations/${id}/messages`, {
    as: anna,
    body: { content: "x" },
  });
});

test("a message posted over REST reaches the sockets in the room, and an AI answers it", async () => {
  const [anna] = people();
  const id = await server.conversation(anna);
  const tab = await asUser(server, anna);
  await emitOk(tab, "join:conversation", id);
  const { message } = await server.ok("POST", `/api/conversations/${id}/messages`, {
    as: anna,
    body: { content: "From REST" },
  });
  assert.deepEqual(await expectEvent(tab, "message:new"), { conversationId: id, message });
  (await upstream.call()).say("To sockets").finish();
  const complete = await expectEvent(tab, "message:complete");
  assert.equal(complete.assistantMessage.content, "To sockets");
  assert.equal(complete.userMessage.id, message.id);
});

test("reading is told to the room, by seq or by message ids", async () => {
  const [anna, bert] = people();
  const id = await server.quietConversation(anna, bert);
  const agentSocket = await asUser(server, bert);
  await emitOk(agentSocket, "join_conversation", id);
  const sent = [];
  for (const content of ["one", "two"])
    sent.push(await emitOk(agentSocket, "send_message", { conversationId: id, content }));
  await server.ok("POST", `/api/conversations/${id}/read`, { as: anna, body: { upToSeq: 1 } });
  assert.deepEqual(await expectEvent(agentSocket, "messages_read"), {
    conversationId: id,
    userId: anna.id,
    upToSeq: 1,
  });
  await server.ok("POST", `/api/conversations/${id}/read`, { as: anna, body: { messageIds: [sent[1].messageId] } });
  assert.deepEqual(await expectEvent(agentSocket, "messages_read"), {
    conversationId: id,
    userId: anna.id,
    upToSeq: 2,
  });
  await server.refused(400, "INVALID", "POST", `/api/conversations/${id}/read`, { as: anna, body: { upToSeq: "x" } });
});

test("personas and health are there for everybody", async () => {
  const agents = await server.ok("GET", "/api/agents", { as: people()[0] });
  const list = agents.agents ?? agents;
  for (const id of ["default", "therapist", "tutor"]) {
    const persona = list.find((agent) => agent.id === id);
    assert.ok(persona?.name && persona.description, id);
  }
  const tab = await asUser(server, people()[0]);
  const health = await server.rest("GET", "/health");
  assert.equal(health.status, 200);
  for (const field of ["status", "version", "uptime", "database", "redis", "ai", "websocket"])
    assert.ok(field in health.body, field);
  assert.ok(health.body.websocket.connections >= 1);
  assert.equal(typeof health.body.websocket.status, "string");
  const raw = await server.ok("GET", "/ws/health");
  for (const field of ["status", "connections", "activeChats", "uptime"]) assert.ok(field in raw, field);
  assert.equal(raw.status, "healthy");
  hangUp(tab);
});

test("bad requests get a JSON error that says nothing about the inside", async () => {
  const [anna] = people();
  const id = await server.conversation(anna);
  const messages = `/api/conversations/${id}/messages`;
  for (const body of [
    "{",
    "null",
    "[]",
    '"x"',
    "7",
    '{"content":"\\ud800"}',
    '{"content":7}',
    '{"content":"a\\u0000b"}',
    '{"content":""}',
  ]) {
    const { text } = await server.refused(400, "INVALID", "POST", messages, { as: anna, body });
    assert.doesNotMatch(text, /src\/|\.rs|panicked|select |sqlite|postgres|serde/i);
  }
  const large = await server.rest("POST", messages, { as: anna, body: { content: "x".repeat(8_001) } });
  assert.ok([400, 413].includes(large.status));
  assert.equal(large.body.error.code, "TOO_LARGE");
  const huge = await server
    .rest("POST", messages, { as: anna, body: { content: "x".repeat(3_000_000) } })
    .catch(() => ({ status: 413 }));
  assert.equal(huge.status, 413);
  await server.refused(400, "INVALID", "POST", "/api/conversations", { as: anna, body: { id: "no good id" } });
  await server.refused(400, "INVALID", "POST", "/api/conversations", { as: anna, body: { kind: "nonsense" } });
  await server.refused(409, "CONFLICT", "POST", "/api/conversations", { as: anna, body: { id } });
  await server.refused(401, "UNAUTHENTICATED", "GET", "/api/conversations");
  await server.refused(401, "UNAUTHENTICATED", "GET", "/api/conversations", {
    headers: { authorization: "Bearer garbage" },
  });
  await server.refused(401, "UNAUTHENTICATED", "GET", "/api/conversations", {
    headers: { "x-session-id": "test-session" },
  });
  const unknown = await server.rest("GET", "/api/nothing-here", { as: anna });
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body?.error?.code, "NOT_FOUND");
  const method = await server.rest("DELETE", "/health");
  assert.equal(method.status, 405);
  assert.equal((await server.messages(id, anna)).length, 0);
});

test("the cookie carries the token too", async () => {
  const [anna] = people();
  const { status } = await server.rest("GET", "/api/conversations", {
    headers: { cookie: `theme=dark; lykke_auth=${anna.token}` },
  });
  assert.equal(status, 200);
});

test("AUTO_CREATE_CONVERSATIONS makes unknown ids the caller's", async () => {
  const open = await startServer({ ...upstream.env, AUTO_CREATE_CONVERSATIONS: "1" });
  try {
    const [anna, otto] = [open.user(), open.user("customer", "Otto")];
    const tab = await connect(open.url, { auth: { token: anna.token } });
    await emitOk(tab, "join:conversation", "conv-123");
    await emitOk(tab, "send_message", { conversationId: "conv-456", content: "Hello!" });
    (await upstream.call()).say("Hi!").finish();
    const kinds = {};
    const { conversations } = await open.ok("GET", "/api/conversations", { as: anna });
    for (const { id, kind } of conversations) kinds[id] = kind;
    assert.deepEqual(kinds, { "conv-123": "assistant", "conv-456": "support" });
    const other = await connect(open.url, { auth: { token: otto.token } });
    const ack = await new Promise((resolve) => other.emit("join:conversation", "conv-123", resolve));
    assert.equal(ack.code, "NOT_FOUND", "somebody else's id stays theirs");
    assert.equal(payloads(tab, "error").length, 0);
  } finally {
    hangUp();
    await open.stop();
  }
});
