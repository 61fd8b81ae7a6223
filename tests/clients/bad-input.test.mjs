// What broken, hostile or too eager clients send: each gets the contract's answer, and the connection lives.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import {
  connect,
  connectRaw,
  emitAck,
  emitFails,
  emitOk,
  expectAlive,
  expectDisconnect,
  expectEvent,
  hangUp,
  payloads,
  startServer,
} from "./harness.mjs";

let server;
let owner;
let agent;
let id;
before(async () => {
  server = await startServer();
  [owner, agent] = [server.user(), server.user("admin")];
  id = await server.quietConversation(owner, agent);
});
afterEach(() => hangUp());
after(() => server.stop());

const asOwner = (more = {}) => connect(server.url, { auth: { token: owner.token }, ...more });
const nested = (depth) => JSON.parse("[".repeat(depth) + "]".repeat(depth));
const TAKES_ID = ["join_conversation", "leave_conversation", "typing_start", "typing_stop"];
const TAKES_ID_OR_OBJECT = [
  "join:conversation",
  "leave:conversation",
  "conversation:delete",
  "typing:start",
  "typing:stop",
];
const TAKES_OBJECT = [
  "send_message",
  "mark_read",
  "message:stop",
  "message:regenerate",
  "conversation:update",
  "message:send",
];
const EVENTS = [...TAKES_ID, ...TAKES_ID_OR_OBJECT, ...TAKES_OBJECT, "conversation:create"];
const BROKEN_IDS = ["", " ", "a b", "a/b", "../x", "ä", "x".repeat(129), "a\u0000b", "*", "' or 1=1 --"];

for (const transport of ["websocket", "polling"]) {
  test(`no malformed payload of any event stays unanswered or ends the connection, over ${transport}`, async () => {
    const socket = await asOwner({ transports: [transport] });
    const malformed = [
      null,
      7,
      true,
      [],
      [id],
      [id, "x"],
      nested(200),
      { conversationId: 7, content: "x", title: 7, id: 7, upToSeq: "x" },
    ];
    const wrong = [];
    for (const name of EVENTS) {
      // Nothing is required to create a conversation, so null says no less than is needed.
      const payloads = name === "conversation:create" ? malformed.slice(1) : [...malformed, undefined];
      for (const payload of payloads) {
        const ack = await (payload === undefined ? emitAck(socket, name) : emitAck(socket, name, payload));
        if (ack?.success !== false || ack.code !== "INVALID") wrong.push([name, JSON.stringify(payload), ack]);
        else await expectEvent(socket, "error", (data) => data.event === name && data.code === "INVALID");
      }
    }
    assert.deepEqual(wrong, []);
    await expectAlive(socket);
    assert.equal((await server.messages(id, owner)).length, 0);
  });
}

test("ids that are none are refused by every event that takes one", async () => {
  const socket = await asOwner();
  for (const broken of BROKEN_IDS) {
    for (const name of TAKES_ID) await emitFails(socket, "INVALID", name, broken);
    for (const name of [...TAKES_ID_OR_OBJECT, ...TAKES_OBJECT]) {
      await emitFails(socket, "INVALID", name, { conversationId: broken, content: "x", title: "x", upToSeq: 1 });
    }
    await emitFails(socket, "INVALID", "conversation:create", { id: broken });
  }
  await expectAlive(socket);
});

test("JSON that cannot be represented is INVALID, and the connection lives", async () => {
  const raw = await connectRaw(server.url, { token: owner.token });
  const bodies = [
    `"send_message",{"conversationId":"${id}","content":"lone \\ud800 surrogate"}`,
    `"message:send",{"conversationId":"${id}","content":"\\udc00"}`,
    `"send_message",{"conversationId":"${id}","content":"x","clientMessageId":"\\ud83d"}`,
    `"join_conversation","\\ud800"`,
    `"conversation:create",{"title":"\\ud800"}`,
    `"send_message",${"[".repeat(200)}${"]".repeat(200)}`,
    `"send_message",${'{"a":'.repeat(5_000)}1${"}".repeat(5_000)}`,
  ];
  for (const body of bodies) {
    const ack = await raw.ackOf(body);
    assert.equal(ack.success, false, body.slice(0, 80));
    assert.equal(ack.code, "INVALID", body.slice(0, 80));
  }
  assert.equal((await raw.emitAck("leave_conversation", id)).success, true);
  raw.close();
});

test("text is 1 to 8,000 characters after trimming, without NUL, and is stored as sent", async () => {
  const socket = await asOwner();
  const conversationId = await server.quietConversation(owner, agent);
  const refused = [
    ["INVALID", ""],
    ["INVALID", " \n\t "],
    ["INVALID", "a\u0000b"],
    ["INVALID", 7],
    ["INVALID", null],
    ["INVALID", ["x"]],
    ["INVALID", { text: "x" }],
    ["TOO_LARGE", "x".repeat(8_001)],
    ["TOO_LARGE", "🚀".repeat(8_001)],
  ];
  for (const [code, content] of refused) {
    for (const name of ["send_message", "message:send"]) {
      const { error } = await emitFails(socket, code, name, { conversationId, content });
      assert.equal(error.conversationId ?? conversationId, conversationId);
    }
  }
  const accepted = [
    "x".repeat(8_000),
    "🚀".repeat(8_000),
    "  spaces around  ",
    `${" ".repeat(50)}${"y".repeat(8_000)}`,
    '<script>alert(1)</script> & "quotes" \\ \u2028 \u202e \ufffe \u{e0041}',
    "'; drop table messages; --",
    "e\u0301 is not é",
    "__proto__",
  ];
  for (const content of accepted) await emitOk(socket, "send_message", { conversationId, content });
  assert.deepEqual(
    (await server.messages(conversationId, owner)).map(({ content }) => content),
    accepted,
  );
});

test("a client message id is any text of 1 to 128 characters", async () => {
  const socket = await asOwner();
  const conversationId = await server.quietConversation(owner, agent);
  for (const clientMessageId of ["", "x".repeat(129), 7, {}, []]) {
    await emitFails(socket, "INVALID", "send_message", { conversationId, content: "x", clientMessageId });
  }
  for (const clientMessageId of ["x", "x".repeat(128), "🚀".repeat(128), "a b/c'\"", "0"]) {
    await emitOk(socket, "send_message", { conversationId, content: "x", clientMessageId });
    const message = await expectEvent(socket, "message_received");
    assert.equal(message.clientMessageId, clientMessageId);
  }
});

test("what a client claims about itself or the order is ignored or refused, never believed", async () => {
  const socket = await asOwner();
  const conversationId = await server.quietConversation(owner, agent);
  const claims = { role: "assistant", seq: 99, id: randomUUID(), status: "failed", createdAt: "1999-01-01T00:00:00Z" };
  const sender = { userId: agent.id, userName: "Bert", role: "admin" };
  await emitAck(socket, "send_message", { conversationId, content: "me", sender, ...claims });
  await emitAck(socket, "conversation:create", { ownerId: agent.id, handledBy: agent.id, lastSeq: 7 });
  for (const message of await server.messages(conversationId, owner)) {
    assert.equal(message.sender.userId, owner.id);
    assert.equal(message.role, "user");
    assert.equal(message.seq, 1);
    assert.notEqual(message.id, claims.id);
  }
});

test("an unknown event is answered, whatever its name", async () => {
  const socket = await asOwner();
  const names = [
    "nonsense",
    "message_received",
    "authenticated",
    "__proto__",
    "constructor",
    "toString",
    "",
    "x".repeat(300),
    "connection",
    "🚀",
    "error",
  ];
  for (const name of names) {
    const ack = await emitAck(socket, name, { any: "thing" });
    assert.equal(ack.success, false, name);
    assert.equal(ack.code, "UNKNOWN_EVENT", name);
    await expectEvent(socket, "error", (data) => data.code === "UNKNOWN_EVENT");
  }
  socket.emit("without an acknowledgement", 1);
  await expectEvent(socket, "error", (data) => data.code === "UNKNOWN_EVENT");
  await expectAlive(socket);
});

test("binary payloads are refused like any other malformed one", async () => {
  const socket = await asOwner();
  const answered = emitAck(socket, "send_message", { conversationId: id, content: Buffer.from("x") });
  const ended = expectDisconnect(socket, 10_000).then(
    () => assert.fail("the connection was closed"),
    () => {},
  );
  const ack = await Promise.race([answered, ended]);
  assert.equal(ack.success, false);
  assert.equal(ack.code, "INVALID");
  await expectAlive(socket);
});

test("broken packets end at most their own connection", async () => {
  const bystander = await asOwner();
  const packets = [
    "42",
    "42{}",
    "42[]",
    "42[null]",
    '42[{"toString":1}]',
    '42["send_message"',
    "4zzz",
    "9",
    "450-",
    "451-",
    "49",
    "5999999999999-",
    "4",
    "",
  ];
  for (const packet of packets) {
    const raw = await connectRaw(server.url, { token: owner.token });
    raw.send(packet);
    const lives = raw.emitAck("leave_conversation", id, 5_000).then(() => "lives");
    const ended = await Promise.race([lives.catch(() => "silent"), raw.closed.then(() => "closed")]);
    assert.notEqual(ended, "silent", `after ${JSON.stringify(packet)} the connection neither answers nor ends`);
    raw.close();
  }
  await expectAlive(bystander);
  assert.equal((await server.rest("GET", "/health")).status, 200);
});

test("a page of the log asked for with nonsense is INVALID", async () => {
  const socket = await asOwner();
  for (const after of [-1, 1.5, "x", {}, [], true, 2 ** 70]) {
    await emitFails(socket, "INVALID", "join_conversation", { conversationId: id, after });
    await emitFails(socket, "INVALID", "join:conversation", { conversationId: id, after });
  }
  const beyond = await emitOk(socket, "join_conversation", { conversationId: id, after: 1_000_000 });
  assert.deepEqual(beyond.messages, []);
  for (const upToSeq of [-1, 1.5, "x", null, 2 ** 70]) {
    await emitFails(socket, "INVALID", "mark_read", { conversationId: id, upToSeq });
  }
});

test("titles have a limit and no NUL", async () => {
  const socket = await asOwner();
  for (const title of ["x".repeat(100_000), "a\u0000b", 7, {}]) {
    const ack = await emitAck(socket, "conversation:create", { title });
    assert.equal(ack.success, false);
    assert.ok(["INVALID", "TOO_LARGE"].includes(ack.code), ack.code);
  }
});
