// The delivery guarantees under load: nothing lost, nothing doubled, nothing out of order, and a slow reader harms only itself.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import {
  assertGapless,
  asUser,
  connect,
  connectRaw,
  dial,
  emitAck,
  emitFails,
  emitOk,
  expectEvent,
  hangUp,
  payloads,
  startServer,
  within,
} from "./harness.mjs";

let server;
before(async () => {
  server = await startServer();
});
afterEach(() => hangUp());
after(() => server.stop());

/** A conversation without AI, its owner and an agent. */
async function quiet() {
  const [owner, agent] = [server.user(), server.user("admin")];
  return { owner, agent, id: await server.quietConversation(owner, agent) };
}

/** Counts `message_received` of a stock socket without keeping them, and tells when the last has come. */
function countMessages(socket, conversationId, expected) {
  const seqs = [];
  const done = new Promise((resolve) => {
    socket.on("message_received", (message) => {
      if (message.conversationId !== conversationId) return;
      seqs.push(message.seq);
      if (message.seq >= expected) resolve();
    });
  });
  return { seqs, done };
}

/** Has `count` messages posted to a conversation by several agents at once. */
async function fill(id, count, content = (n) => `message ${n}`, senders = 5) {
  const sockets = await Promise.all(Array.from({ length: senders }, () => asUser(server, server.user("admin"))));
  const share = count / senders;
  await Promise.all(
    sockets.flatMap((socket, s) =>
      Array.from({ length: share }, (_, n) =>
        emitOk(socket, "send_message", { conversationId: id, content: content(s * share + n) }),
      ),
    ),
  );
  hangUp(...sockets);
}

test("300 connections that emit in their connect handler lose nothing", async () => {
  const answered = Array.from({ length: 300 }, (_, n) => {
    const user = server.user();
    const transports = n % 3 === 0 ? ["websocket"] : n % 3 === 1 ? ["polling"] : undefined;
    const socket = dial(server.url, { auth: { token: user.token }, transports, timeout: 60_000 });
    const acked = new Promise((resolve) => {
      socket.on("connect", () => socket.emit("conversation:create", { title: `of ${n}` }, resolve));
    });
    return within(acked, 60_000, `connection ${n} is answered`);
  });
  const acks = await Promise.all(answered);
  assert.ok(
    acks.every(({ success }) => success),
    JSON.stringify(acks.find(({ success }) => !success)),
  );
  assert.equal(new Set(acks.map(({ conversation }) => conversation.id)).size, 300);
});

test("2,000 pipelined sends of one socket are acked, stored and received in order", async () => {
  const { owner, agent, id } = await quiet();
  const [sender, listener] = [await asUser(server, owner), await asUser(server, agent)];
  await emitOk(listener, "join_conversation", id);
  await emitOk(sender, "join_conversation", id);
  const received = countMessages(listener, id, 2_000);
  const own = countMessages(sender, id, 2_000);
  const acks = await within(
    Promise.all(
      Array.from(
        { length: 2_000 },
        (_, n) =>
          new Promise((resolve) => {
            sender.emit(
              "send_message",
              { conversationId: id, content: `line ${n + 1}`, clientMessageId: `c${n + 1}` },
              resolve,
            );
          }),
      ),
    ),
    60_000,
    "2,000 acknowledgements",
  );
  assertGapless(
    acks.map(({ seq }) => seq),
    2_000,
    "the sender's acks",
  );
  await within(Promise.all([received.done, own.done]), 30_000, "the last message");
  assertGapless(received.seqs, 2_000, "the listener");
  assertGapless(own.seqs, 2_000, "the sender");
  const log = await server.messages(id, agent);
  assert.deepEqual(
    log.map(({ content }) => content),
    Array.from({ length: 2_000 }, (_, n) => `line ${n + 1}`),
  );
  assert.deepEqual(
    log.map((message) => message.id),
    acks.map(({ messageId }) => messageId),
  );
});

test("200 members all send with four in flight, and everybody hears the same", async () => {
  const [members, each] = [200, 20];
  const total = members * each;
  const { id } = await quiet();
  const sockets = await Promise.all(
    Array.from({ length: members }, () =>
      asUser(server, server.user("admin"), { transports: ["websocket"], timeout: 60_000 }),
    ),
  );
  await Promise.all(sockets.map((socket) => emitOk(socket, "join_conversation", id)));
  // The recorder of the harness would keep every copy: only numbers are needed here.
  const counts = sockets.map((socket) => (socket.offAny(), countMessages(socket, id, total)));
  const sendAll = async (socket, member) => {
    let next = 0;
    const lane = async () => {
      while (next < each) {
        const content = `${member}/${next++}`;
        const ack = await socket
          .timeout(60_000)
          .emitWithAck("send_message", { conversationId: id, content, clientMessageId: content });
        assert.equal(ack.success, true, JSON.stringify(ack));
      }
    };
    await Promise.all([lane(), lane(), lane(), lane()]);
  };
  await Promise.all(sockets.map(sendAll));
  await within(Promise.all(counts.map(({ done }) => done)), 90_000, "everybody has the last message");
  counts.forEach(({ seqs }, member) => assertGapless(seqs, total, `member ${member}`));
});

test("50 simultaneous duplicates make one row, one broadcast and one id", async () => {
  const { owner, agent, id } = await quiet();
  const listener = await asUser(server, agent);
  await emitOk(listener, "join_conversation", id);
  const tabs = await Promise.all(
    Array.from({ length: 10 }, (_, n) => asUser(server, owner, n % 2 ? { transports: ["websocket"] } : {})),
  );
  const message = { conversationId: id, content: "Once only", clientMessageId: "the-one" };
  const acks = await Promise.all(
    tabs.flatMap((tab) => [
      ...Array.from({ length: 4 }, () => emitOk(tab, "send_message", message)),
      emitOk(tab, "message:send", message),
    ]),
  );
  const ids = new Set(acks.map((ack) => ack.messageId ?? ack.userMessage.id));
  assert.equal(ids.size, 1);
  const firsts = acks.filter((ack) => ack.messageId && !ack.duplicate).length;
  assert.ok(firsts <= 1, `${firsts} acks claim to be the first`);
  const again = await server.ok("POST", `/api/conversations/${id}/messages`, {
    as: owner,
    body: { content: "Once only", clientMessageId: "the-one" },
  });
  assert.ok(ids.has(again.message.id), "REST gives the same id");

  await emitOk(tabs[0], "send_message", { conversationId: id, content: "behind it" });
  await expectEvent(listener, "message_received", (data) => data.content === "behind it");
  assert.deepEqual(
    payloads(listener, "message_received").map(({ seq }) => seq),
    [1, 2],
  );
  assert.equal((await server.messages(id, owner)).length, 2);
});

test("other content under the same client id is a conflict, another person's use of it is not", async () => {
  const { owner, agent, id } = await quiet();
  const [tab, agentSocket] = [await asUser(server, owner), await asUser(server, agent)];
  const first = await emitOk(tab, "send_message", { conversationId: id, content: "one", clientMessageId: "k" });
  await emitFails(tab, "CONFLICT", "send_message", { conversationId: id, content: "two", clientMessageId: "k" });
  await emitFails(tab, "CONFLICT", "message:send", { conversationId: id, content: "two", clientMessageId: "k" });
  const rest = await server.rest("POST", `/api/conversations/${id}/messages`, {
    as: owner,
    body: { content: "two", clientMessageId: "k" },
  });
  assert.equal(rest.status, 409);
  assert.equal(rest.body.error.code, "CONFLICT");
  const theirs = await emitOk(agentSocket, "send_message", {
    conversationId: id,
    content: "two",
    clientMessageId: "k",
  });
  assert.notEqual(theirs.messageId, first.messageId);
  const elsewhere = await server.quietConversation(owner, agent);
  const there = await emitOk(tab, "send_message", { conversationId: elsewhere, content: "one", clientMessageId: "k" });
  assert.equal(there.seq, 1);
  assert.notEqual(there.messageId, first.messageId);
  const repeated = await emitOk(tab, "send_message", { conversationId: id, content: "one", clientMessageId: "k" });
  assert.equal(repeated.messageId, first.messageId);
  assert.equal(repeated.seq, first.seq);
  assert.equal(repeated.timestamp, first.timestamp);
  assert.equal(repeated.duplicate, true);
});

test("a polling client that joins 3,000 messages receives all of them once, in order, before anything newer", async () => {
  const { owner, agent, id } = await quiet();
  await fill(id, 3_000);
  const [poller, agentSocket] = [await asUser(server, owner, { transports: ["polling"] }), await asUser(server, agent)];
  const live = countMessages(poller, id, 3_001);
  const ack = await emitOk(poller, "join_conversation", { conversationId: id, after: 0 });
  assert.equal(ack.messages.length, 200, "one page in the acknowledgement");
  await emitOk(agentSocket, "send_message", { conversationId: id, content: "newer" });
  await within(live.done, 60_000, "the newest message");
  assertGapless([...ack.messages.map(({ seq }) => seq), ...live.seqs], 3_001, "the polling client");
});

test("a reader that stops reading harms no one and catches up", async () => {
  const { owner, agent, id } = await quiet();
  const count = 2_000;
  const stalled = await connectRaw(server.url, { token: owner.token });
  assert.equal((await stalled.emitAck("join_conversation", { conversationId: id, after: 0 })).success, true);
  const healthy = await asUser(server, agent);
  await emitOk(healthy, "join_conversation", id);
  const received = countMessages(healthy, id, count);
  stalled.pause();
  // 8 kB each: far more than the buffers of both kernels and the server's queue take.
  await fill(id, count, (n) => `${n} ${"x".repeat(7_900)}`, 4);
  await within(received.done, 30_000, "the healthy reader has everything");
  assertGapless(received.seqs, count, "the healthy reader");

  stalled.resume();
  const seqsOf = (raw) => raw.events.filter(({ name }) => name === "message_received").map(({ data }) => data.seq);
  const isLast = ({ name, data }) => name === "message_received" && data.seq === count;
  const whole = await stalled.until((events) => events.slice(-20).some(isLast), 60_000, "the stalled reader moves on");
  let seqs = seqsOf(stalled);
  // Closing it is allowed too; then it reconnects like any stock client and asks for the rest.
  while (!whole && seqs.length < count) {
    const again = await connectRaw(server.url, { token: owner.token });
    const ack = await again.emitAck("join_conversation", { conversationId: id, after: seqs.length });
    seqs.push(...ack.messages.map(({ seq }) => seq));
    const rest = count - seqs.length;
    await again.until(() => seqsOf(again).length >= rest, 60_000, "the rest of the log");
    seqs.push(...seqsOf(again));
    again.close();
  }
  stalled.close();
  assertGapless(seqs, count, "the stalled reader");
});

test("messages of many senders over sockets and REST get one gapless order for everybody", async () => {
  const { owner, agent, id } = await quiet();
  const sockets = [
    await asUser(server, owner),
    await asUser(server, agent),
    await asUser(server, owner, { transports: ["polling"] }),
  ];
  for (const socket of sockets) await emitOk(socket, "join_conversation", id);
  const sends = Array.from({ length: 90 }, (_, n) => {
    const body = { content: `n${n}`, clientMessageId: randomUUID() };
    if (n % 4 === 3) return server.ok("POST", `/api/conversations/${id}/messages`, { as: owner, body });
    return emitAck(sockets[n % 4], "send_message", { conversationId: id, ...body });
  });
  await Promise.all(sends);
  for (const socket of sockets) {
    await expectEvent(socket, "message_received", (data) => data.seq === 90);
    assertGapless(
      payloads(socket, "message_received").map(({ seq }) => seq),
      90,
    );
  }
  const contents = (socket) => payloads(socket, "message_received").map(({ content }) => content);
  assert.deepEqual(contents(sockets[0]), contents(sockets[1]));
  assert.deepEqual(contents(sockets[0]), contents(sockets[2]));
});
