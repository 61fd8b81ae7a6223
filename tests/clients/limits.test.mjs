// Limits: the size of an event, the number of joined conversations, and messages in a minute.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { connect, emitAck, emitFails, emitOk, expectAlive, hangUp, payloads, startServer } from "./harness.mjs";

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
for (const transport of ["websocket", "polling"]) {
  test(`an event over 64 KiB is TOO_LARGE and the connection lives, over ${transport}`, async () => {
    const socket = await asOwner({ transports: [transport] });
    for (const size of [65 * 1024, 300 * 1024, 900 * 1024]) {
      await emitFails(socket, "TOO_LARGE", "send_message", { conversationId: id, content: "x".repeat(size) });
    }
    await emitFails(socket, "TOO_LARGE", "join_conversation", "x".repeat(65 * 1024));
    await emitFails(socket, "TOO_LARGE", "nonsense", "x".repeat(65 * 1024));
    await expectAlive(socket);
  });
}

test("a connection joins at most 100 conversations", async () => {
  const agentSocket = await connect(server.url, { auth: { token: agent.token } });
  const mine = [];
  for (let n = 0; n < 101; n++) mine.push(await server.conversation(owner));
  const acks = [];
  for (const conversation of mine) acks.push(await emitAck(agentSocket, "join_conversation", conversation));
  assert.ok(acks.slice(0, 100).every(({ success }) => success));
  assert.equal(acks[100].code, "INVALID");
  await emitOk(agentSocket, "leave_conversation", mine[0]);
  await emitOk(agentSocket, "join_conversation", mine[100]);
});

test("message 101 of a minute is RATE_LIMITED over every way in, without a row, and the connection lives", async () => {
  const strict = await startServer({ MESSAGE_RATE_LIMIT: "100" });
  try {
    const [person, colleague] = [strict.user(), strict.user("admin")];
    const conversationId = await strict.quietConversation(person, colleague);
    const [one, two] = [
      await connect(strict.url, { auth: { token: person.token } }),
      await connect(strict.url, { auth: { token: person.token }, transports: ["polling"] }),
    ];
    const names = ["send_message", "message:send"];
    const sends = Array.from({ length: 100 }, (_, n) =>
      emitOk([one, two][n % 2], names[n % 2], { conversationId, content: `${n}` }),
    );
    await Promise.all(sends);
    for (const [socket, name] of [
      [one, "send_message"],
      [two, "message:send"],
    ]) {
      const { ack } = await emitFails(socket, "RATE_LIMITED", name, { conversationId, content: "too much" });
      assert.ok(ack.retryAfterMs > 0 && ack.retryAfterMs <= 60_000, `retryAfterMs ${ack.retryAfterMs}`);
    }
    const rest = await strict.rest("POST", `/api/conversations/${conversationId}/messages`, {
      as: person,
      body: { content: "too much" },
    });
    assert.equal(rest.status, 429);
    assert.equal(rest.body.error.code, "RATE_LIMITED");
    await emitOk(one, "typing_start", conversationId);
    const other = await connect(strict.url, { auth: { token: colleague.token } });
    await emitOk(other, "send_message", { conversationId, content: "others may" });
    assert.equal((await strict.messages(conversationId, person)).length, 101);
    await expectAlive(one);
    await expectAlive(two);
    assert.equal(payloads(other, "error").length, 0);
  } finally {
    hangUp();
    await strict.stop();
  }
});
