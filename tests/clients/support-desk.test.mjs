// The support-desk vocabulary (seed 004): visitors and agents in rooms, with typing, presence, reading and hand-over.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import {
  asUser,
  connect,
  emitOk,
  expectAlive,
  expectEvent,
  expectTimed,
  hangUp,
  heard,
  isTime,
  meeting,
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

test("a visitor and an agent talk as the guide describes it", async () => {
  const session = await server.session({ name: "Vera" });
  const agent = server.user("admin", "Bert");
  const id = session.conversationId;
  const visitorSocket = await asUser(server, session);
  const agentSocket = await asUser(server, agent);
  const visitor = await expectEvent(visitorSocket, "authenticated");
  assert.deepEqual(visitor, { userId: session.userId, userName: "Vera", role: "customer" });
  assert.deepEqual(await expectEvent(agentSocket, "authenticated"), {
    userId: agent.id,
    userName: "Bert",
    role: "admin",
  });

  for (const socket of [visitorSocket, agentSocket]) {
    const ack = await emitOk(socket, "join_conversation", id);
    assert.equal(ack.conversationId, id);
    assert.equal(ack.lastSeq, 0);
    assert.equal(ack.messages, undefined, "without `after` no messages");
    assert.deepEqual(await expectEvent(socket, "joined_conversation"), { conversationId: id });
  }

  const hello = { conversationId: id, content: "Hello customer!", clientMessageId: "agent-1" };
  const ack = await emitOk(agentSocket, "send_message", hello);
  assert.equal(ack.seq, 1);
  assert.ok(isTime(ack.timestamp));
  assert.notEqual(ack.duplicate, true);
  for (const socket of [visitorSocket, agentSocket]) {
    const message = await expectEvent(socket, "message_received");
    assert.deepEqual(message, {
      id: ack.messageId,
      seq: 1,
      conversationId: id,
      content: "Hello customer!",
      sender: { userId: agent.id, userName: "Bert", role: "admin" },
      timestamp: ack.timestamp,
      status: "complete",
      clientMessageId: "agent-1",
    });
    const { conversation } = await expectEvent(
      socket,
      "conversation_updated",
      (data) => data.conversation.handledBy === agent.id,
    );
    assert.equal(conversation.id, id);
    assert.equal(conversation.status, "open");
  }

  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "Hello agent!" });
  const reply = await expectEvent(agentSocket, "message_received", (data) => data.seq === 2);
  assert.deepEqual(reply.sender, { userId: session.userId, userName: "Vera", role: "customer" });
  assert.equal(reply.content, "Hello agent!");
  assert.equal("clientMessageId" in reply, false);
});

test("everything in auth may stand in the query", async () => {
  const session = await server.session();
  const agent = server.user("admin");
  const visitorSocket = await connect(server.url, { query: { sessionId: session.sessionId } });
  assert.equal((await expectEvent(visitorSocket, "authenticated")).userId, session.userId);
  const agentSocket = await connect(server.url, { query: { token: agent.token } });
  assert.equal((await expectEvent(agentSocket, "authenticated")).userId, agent.id);
});

test("the AI answers a visitor between its typing indicators, as a bot", async () => {
  const { session, id, visitorSocket, agentSocket } = await meeting(server, { bot: true });
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "When do you open?" });
  const call = await upstream.call();
  assert.equal(call.question, "When do you open?");
  call.say("At ").say("nine.").finish();
  const answer = await expectEvent(visitorSocket, "message_received", (data) => data.sender.role === "bot");
  assert.equal(answer.content, "At nine.");
  assert.equal(answer.status, "complete");
  assert.equal(answer.seq, 2);
  for (const socket of [visitorSocket, agentSocket]) {
    if (socket === agentSocket) await expectEvent(socket, "message_received", (data) => data.sender.role === "bot");
    await expectEvent(socket, "typing_indicator", (data) => data.isTyping === false);
    const story = heard(socket, "message_received", "typing_indicator", "message:chunk").map(({ name, data }) =>
      name === "message_received"
        ? data.sender.role
        : name === "typing_indicator"
          ? `typing ${data.isTyping}`
          : "chunk",
    );
    assert.equal(story[0], "customer");
    assert.equal(story[1], "typing true");
    assert.equal(story[2], "chunk");
    assert.deepEqual(
      new Set(story.slice(3)),
      new Set([...story.slice(3).filter((word) => word === "chunk"), "typing false", "bot"]),
    );
    const typing = payloads(socket, "typing_indicator")[0];
    assert.equal(typing.conversationId, id);
    assert.equal(typing.userId, answer.sender.userId);
    assert.notEqual(typing.userId, session.userId);
    const chunks = payloads(socket, "message:chunk");
    assert.equal(chunks.at(-1).content, "At nine.");
    assert.equal(chunks.at(-1).messageId, answer.id);
  }
});

test("typing is told to the others and ends on stop", async () => {
  const { session, agent, id, visitorSocket, agentSocket } = await meeting(server);
  const otherTab = await asUser(server, agent);
  await emitOk(otherTab, "join_conversation", id);
  await emitOk(agentSocket, "typing_start", id);
  const typing = { conversationId: id, userId: agent.id, userName: "Bert" };
  assert.deepEqual(await expectEvent(visitorSocket, "typing_indicator"), { ...typing, isTyping: true });
  await emitOk(agentSocket, "typing_stop", id);
  assert.deepEqual(await expectEvent(visitorSocket, "typing_indicator"), { ...typing, isTyping: false });
  await emitOk(visitorSocket, "typing_start", id);
  for (const socket of [agentSocket, otherTab]) {
    const heardTyping = await expectEvent(socket, "typing_indicator");
    assert.equal(heardTyping.userId, session.userId, "one's own typing is not told to one's other connections");
    assert.equal(heardTyping.userName, "Vera");
  }
});

test("typing ends by itself three seconds after the last start", async () => {
  const { id, visitorSocket, agentSocket } = await meeting(server);
  await emitOk(agentSocket, "typing_start", id);
  const start = await expectTimed(visitorSocket, ["typing_indicator"], (data) => data.isTyping);
  const stop = await expectTimed(visitorSocket, ["typing_indicator"], (data) => !data.isTyping);
  const lasted = stop.at - start.at;
  assert.ok(lasted > 2_500 && lasted < 4_000, `typing lasted ${lasted} ms`);
});

test("typing ends with the message, with leaving and with the connection", async () => {
  const { id, visitorSocket, agentSocket } = await meeting(server);
  const ends = async (how) => {
    await emitOk(visitorSocket, "typing_start", id);
    await expectEvent(agentSocket, "typing_indicator", (data) => data.isTyping);
    const before = Date.now();
    await how();
    const stop = await expectTimed(agentSocket, ["typing_indicator"], (data) => !data.isTyping);
    assert.ok(stop.at - before < 1_500, `typing ended ${stop.at - before} ms later: by the timer`);
  };
  await ends(() => emitOk(visitorSocket, "send_message", { conversationId: id, content: "done" }));
  await ends(() => emitOk(visitorSocket, "leave_conversation", id));
  await emitOk(visitorSocket, "join_conversation", id);
  await ends(() => visitorSocket.disconnect());
});

test("what was read is told to the room", async () => {
  const { session, id, visitorSocket, agentSocket } = await meeting(server);
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "one" });
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "two" });
  await emitOk(visitorSocket, "mark_read", { conversationId: id, upToSeq: 2 });
  const read = await expectEvent(agentSocket, "messages_read");
  assert.deepEqual(read, { conversationId: id, userId: session.userId, upToSeq: 2 });
});

test("agents see a visitor come online with the first connection and offline after the last", async () => {
  const session = await server.session();
  const agentSocket = await asUser(server, server.user("admin"));
  const ofVisitor = (status) => (data) => data.userId === session.userId && (!status || data.status === status);
  const first = await asUser(server, session);
  const online = await expectEvent(agentSocket, "presence_update", ofVisitor());
  assert.equal(online.status, "online");
  assert.ok(online.timestamp !== undefined && !Number.isNaN(new Date(online.timestamp).getTime()));
  const second = await asUser(server, session);
  hangUp(first);
  await expectAlive(second);
  hangUp(second);
  await expectEvent(agentSocket, "presence_update", ofVisitor("offline"));
  const story = payloads(agentSocket, "presence_update")
    .filter(ofVisitor())
    .map(({ status }) => status);
  assert.deepEqual(story, ["online", "offline"]);
});

test("who joins is told who of the conversation's people is there already", async () => {
  const { agent, id, agentSocket } = await meeting(server);
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "I am here" });
  const supervisor = server.user("admin", "Cora");
  const late = await asUser(server, supervisor);
  await emitOk(late, "join_conversation", id);
  const update = await expectEvent(late, "presence_update", (data) => data.userId === agent.id);
  assert.equal(update.status, "online");
});

test("joining with `after` brings exactly what is missing", async () => {
  const { session, id, agentSocket } = await meeting(server);
  for (const content of ["one", "two", "three"])
    await emitOk(agentSocket, "send_message", { conversationId: id, content });
  const back = await asUser(server, session);
  const ack = await emitOk(back, "join_conversation", { conversationId: id, after: 1 });
  assert.equal(ack.lastSeq, 3);
  assert.deepEqual(
    ack.messages.map(({ seq, content }) => [seq, content]),
    [
      [2, "two"],
      [3, "three"],
    ],
  );
  const live = await expectEvent(agentSocket, "message_received", (data) => data.seq === 3);
  assert.deepEqual(ack.messages[1], live, "messages of a join look like the event");
});

test("who leaves hears nothing more, and leaving twice is no error", async () => {
  const { id, visitorSocket, agentSocket } = await meeting(server);
  await emitOk(visitorSocket, "leave_conversation", id);
  assert.deepEqual(await expectEvent(visitorSocket, "left_conversation"), { conversationId: id });
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "unheard" });
  await emitOk(visitorSocket, "leave_conversation", id);
  await emitOk(visitorSocket, "join_conversation", id);
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "heard" });
  await expectEvent(visitorSocket, "message_received", (data) => data.content === "heard");
  assert.deepEqual(
    payloads(visitorSocket, "message_received").map(({ content }) => content),
    ["heard"],
  );
});

test("sending joins: the sender hears the conversation from then on", async () => {
  const { id, visitorSocket } = await meeting(server);
  const stranger = await asUser(server, server.user("admin", "Cora"));
  await emitOk(stranger, "send_message", { conversationId: id, content: "first" });
  assert.equal((await expectEvent(stranger, "message_received")).content, "first");
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "second" });
  assert.equal((await expectEvent(stranger, "message_received", (data) => data.seq === 2)).content, "second");
});

test("an answer is stopped and made anew in this vocabulary too", async () => {
  const { session, id, visitorSocket } = await meeting(server, { bot: true });
  await emitOk(visitorSocket, "send_message", { conversationId: id, content: "Tell me" });
  const first = await upstream.call();
  first.say("Well, ");
  await expectEvent(visitorSocket, "message:chunk");
  await emitOk(visitorSocket, "message:stop", { conversationId: id });
  await first.closed();
  const stopped = await expectEvent(visitorSocket, "message_received", (data) => data.sender.role === "bot");
  assert.equal(stopped.status, "cancelled");
  assert.equal(stopped.content, "Well, ");
  await emitOk(visitorSocket, "message:regenerate", { conversationId: id });
  const second = await upstream.call();
  assert.equal(second.question, "Tell me");
  second.say("Well then.").finish();
  const renewed = await expectEvent(visitorSocket, "message_received", (data) => data.content === "Well then.");
  const log = await server.messages(id, session);
  assert.equal(log.find(({ id: messageId }) => messageId === renewed.id).metadata.regenerates, stopped.id);
  assert.equal(log.length, 3, "the old answer stays");
});
