// Who handles a support conversation: take-over, hand-back, resolving, and who may do it.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import {
  asUser,
  emitFails,
  emitOk,
  expectAlive,
  expectEvent,
  hangUp,
  meeting,
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

test("a person who takes over ends the running answer and the bot stays silent", async () => {
  const { agent, id, visitorSocket, agentSocket } = await meeting(server, { bot: true });
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "Is anybody there?" });
  const call = await upstream.call();
  call.say("I am only a ");
  await expectEvent(visitorSocket, "message:chunk");
  const before = Date.now();
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "Yes, I am." });
  assert.ok((await call.closed()) - before < 500, "the request to the AI is dropped");
  const { conversation } = await expectEvent(
    visitorSocket,
    "conversation_updated",
    (data) => data.conversation.handledBy !== "bot",
  );
  assert.equal(conversation.handledBy, agent.id);

  const asked = upstream.calls.length;
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "Good." });
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "Quite." });
  await expectEvent(visitorSocket, "message_received", (data) => data.content === "Quite.");
  assert.equal(upstream.calls.length, asked, "no further question went to the AI");
  const log = await server.messages(id, agent);
  const takeOver = log.findIndex(({ content }) => content === "Yes, I am.");
  assert.ok(
    log.slice(takeOver).every(({ role }) => role !== "assistant"),
    "no bot message behind the take-over",
  );
  assert.ok(log.slice(0, takeOver).every(({ role, status }) => role !== "assistant" || status === "cancelled"));
});

test("handing back lets the bot answer again, resolving too, and a visitor's message reopens", async () => {
  const { session, agent, id, visitorSocket } = await meeting(server);
  const path = `/api/conversations/${id}`;
  await server.ok("POST", `${path}/handback`, { as: agent, body: {} });
  await expectEvent(visitorSocket, "conversation_updated", (data) => data.conversation.handledBy === "bot");
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "And now?" });
  (await upstream.call()).say("Now it is me.").finish();
  await expectEvent(visitorSocket, "message_received", (data) => data.content === "Now it is me.");

  await server.ok("POST", `${path}/assign`, { as: agent, body: {} });
  await expectEvent(visitorSocket, "conversation_updated", (data) => data.conversation.handledBy === agent.id);
  await server.ok("POST", `${path}/resolve`, { as: agent, body: {} });
  const resolved = await expectEvent(
    visitorSocket,
    "conversation_updated",
    (data) => data.conversation.status === "resolved",
  );
  assert.equal(resolved.conversation.handledBy, "bot");
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "One more thing" });
  await expectEvent(visitorSocket, "conversation_updated", (data) => data.conversation.status === "open");
  (await upstream.call()).say("Go on.").finish();
  await expectEvent(visitorSocket, "message_received", (data) => data.content === "Go on.");
  assert.equal((await server.ok("GET", path, { as: session })).conversation.status, "open");
});

test("an agent outside the room hears that a conversation changed", async () => {
  const { agent, id } = await meeting(server);
  const onlooker = await asUser(server, server.user("admin", "Cora"));
  await server.ok("PATCH", `/api/conversations/${id}`, { as: agent, body: { title: "Opening hours" } });
  const { conversation } = await expectEvent(onlooker, "conversation_updated", (data) => data.conversation.id === id);
  assert.equal(conversation.title, "Opening hours");
});

test("a customer may not do what is the agents'", async () => {
  const { session, id } = await meeting(server);
  for (const action of ["assign", "handback", "resolve"]) {
    const { status, body } = await server.rest("POST", `/api/conversations/${id}/${action}`, { as: session, body: {} });
    assert.equal(status, 403, action);
    assert.equal(body.error.code, "FORBIDDEN");
  }
});

test("a stranger can neither join nor write", async () => {
  const { id } = await meeting(server);
  const stranger = await asUser(server, server.user("customer"));
  await emitFails(stranger, "NOT_FOUND", "join_conversation", id);
  await emitFails(stranger, "NOT_FOUND", "send_message", { conversationId: id, content: "let me in" });
  await emitFails(stranger, "NOT_FOUND", "typing_start", id);
  await emitFails(stranger, "NOT_FOUND", "mark_read", { conversationId: id, upToSeq: 1 });
  await expectAlive(stranger);
});
