// Deaths and restarts: what was acknowledged is there once, answers end, and stock clients come back by themselves.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import {
  assertGapless,
  connect,
  dial,
  emitOk,
  expectEvent,
  hangUp,
  payloads,
  startServer,
  startUpstream,
  within,
} from "./harness.mjs";

afterEach(() => hangUp());

/** The assistant's message, which must be in the log at most 10 s after `since`. */
async function answerSoon(server, id, user, since) {
  while (Date.now() - since < 10_000) {
    const answer = (await server.messages(id, user)).find(({ role }) => role === "assistant");
    if (answer) return answer;
  }
  return assert.fail("the answer has not ended within 10 s");
}

test("kill -9 during sends: after the restart every acknowledged message is there once", async () => {
  const server = await startServer();
  try {
    const [owner, agent] = [server.user(), server.user("admin")];
    const id = await server.quietConversation(owner, agent);
    const acked = new Map();
    const unacked = new Map();
    const writers = await Promise.all(
      [owner, agent, owner].map(({ token }) => connect(server.url, { auth: { token } })),
    );
    const enough = new Promise((resolve) => {
      writers.forEach((writer, w) => {
        const sendNext = (n) => {
          const message = { conversationId: id, content: `${w}/${n}`, clientMessageId: `${w}/${n}` };
          unacked.set(message.content, w);
          writer.emit("send_message", message, (ack) => {
            unacked.delete(message.content);
            acked.set(message.content, ack);
            if (acked.size === 300) resolve();
            if (acked.size < 100_000 && writer.connected) sendNext(n + 8);
          });
        };
        for (let n = 0; n < 8; n++) sendNext(n);
      });
    });
    await within(enough, 30_000, "300 acknowledgements");
    await server.kill9();
    await Promise.all(writers.map((writer) => expectEvent(writer, "client:disconnect")));
    await server.restart();

    const log = await server.messages(id, agent);
    const rows = new Map(log.map((message) => [message.content, message]));
    assert.equal(rows.size, log.length, "no message is stored twice");
    for (const [content, ack] of acked) {
      assert.equal(ack.success, true);
      assert.equal(rows.get(content)?.id, ack.messageId, `the acknowledged message ${content}`);
      assert.equal(rows.get(content).seq, ack.seq);
    }
    assertGapless(
      log.map(({ seq }) => seq),
      log.length,
      "the log",
    );

    // What was not acknowledged is sent again under its id, as a client does that does not know.
    const again = [
      await connect(server.url, { auth: { token: owner.token } }),
      await connect(server.url, { auth: { token: agent.token } }),
    ];
    for (const [content, w] of unacked) {
      await emitOk(again[w === 1 ? 1 : 0], "send_message", { conversationId: id, content, clientMessageId: content });
    }
    const final = await server.messages(id, agent);
    assert.equal(final.length, acked.size + unacked.size);
    assertGapless(
      final.map(({ seq }) => seq),
      final.length,
      "the log after sending again",
    );
  } finally {
    hangUp();
    await server.stop();
  }
});

test("kill -9 during an AI answer: after the restart it ends with its text so far, within 10 s", async () => {
  const upstream = await startUpstream();
  const server = await startServer(upstream.env);
  try {
    const user = server.user();
    const id = await server.conversation(user);
    const tab = await connect(server.url, { auth: { token: user.token } });
    await emitOk(tab, "message:send", { conversationId: id, content: "A long one" });
    const call = await upstream.call();
    const parts = ["Once upon a time ", "there was "];
    call.say(parts[0]);
    // The running text is saved about once a second: the second piece is said when the first has been seen for that long.
    const first = Date.now();
    while (Date.now() - first < 2_500) {
      call.say(".");
      await expectEvent(tab, "message:chunk");
      await server.ok("GET", "/health");
    }
    call.say(parts[1]);
    await expectEvent(tab, "message:chunk", (data) => data.content.endsWith(parts[1]));
    await server.kill9();
    await call.closed();
    upstream.answerAll((next) => next.say(`Answer to ${next.question}`).finish());
    const restarted = Date.now();
    await server.restart();

    const back = await connect(server.url, { auth: { token: user.token } });
    await emitOk(back, "join:conversation", { conversationId: id, after: 1 });
    const answer = await answerSoon(server, id, user, restarted);
    assert.equal(answer.seq, 2);
    assert.equal(answer.status, "interrupted");
    assert.ok(answer.content.startsWith(parts[0]), `kept: ${answer.content.slice(0, 40)}`);
    assert.equal((await server.ok("GET", `/api/conversations/${id}`, { as: user })).conversation.lastSeq, 2);
    await emitOk(back, "message:send", { conversationId: id, content: "And the next?" });
    await expectEvent(back, "message:complete", (data) => data.userMessage.content === "And the next?");
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

test("SIGTERM ends with 0, clients come back by themselves, nothing acknowledged is lost", async () => {
  const upstream = await startUpstream();
  const server = await startServer(upstream.env);
  try {
    const [owner, agent] = [server.user(), server.user("admin")];
    const id = await server.quietConversation(owner, agent);
    const talk = await server.conversation(owner);
    const options = { reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 100 };
    const [writer, poller] = [
      await connect(server.url, { auth: { token: owner.token }, ...options }),
      await connect(server.url, { auth: { token: agent.token }, transports: ["polling"], ...options }),
    ];
    await emitOk(poller, "join_conversation", id);
    await emitOk(writer, "message:send", { conversationId: talk, content: "Answer slowly" });
    const call = await upstream.call();
    call.say("Slowly ");
    await expectEvent(writer, "message:chunk");
    const acks = [];
    for (let n = 0; n < 50; n++)
      writer.emit("send_message", { conversationId: id, content: `n${n}` }, (ack) => acks.push(ack));
    await emitOk(writer, "typing_start", id);

    server.terminate();
    const ended = server.exited;
    const statuses = new Set();
    let gone = false;
    ended.then(() => (gone = true));
    while (!gone) {
      const { status, body } = await server.rest("GET", "/health").catch(() => ({ status: 0 }));
      statuses.add(status);
      if (status === 503) assert.equal(body.status, "draining");
    }
    const { code } = await ended;
    assert.equal(code, 0);
    assert.ok(
      [...statuses].every((status) => [0, 200, 503].includes(status)),
      [...statuses].join(),
    );
    for (const socket of [writer, poller]) {
      const reason = await expectEvent(socket, "client:disconnect");
      assert.notEqual(reason, "io server disconnect", "stock clients would not come back");
    }
    await server.start();
    for (const socket of [writer, poller]) await expectEvent(socket, "client:connect", undefined, 10_000);

    const stored = (await server.messages(id, agent)).map((message) => message.id);
    for (const ack of acks.filter(({ success }) => success)) assert.ok(stored.includes(ack.messageId));
    assert.ok(acks.filter(({ success }) => !success).every((ack) => ack.code === "UNAVAILABLE"));
    await emitOk(poller, "join_conversation", id);
    await emitOk(writer, "send_message", { conversationId: id, content: "I am back" });
    await expectEvent(poller, "message_received", (data) => data.content === "I am back");
    assert.equal(payloads(poller, "error").length, 0);
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

test("an unfinished answer of a server that was stopped in good order ends after the restart", async () => {
  const upstream = await startUpstream();
  const server = await startServer(upstream.env);
  try {
    const user = server.user();
    const id = await server.conversation(user);
    const tab = await connect(server.url, { auth: { token: user.token } });
    await emitOk(tab, "message:send", { conversationId: id, content: "Go on" });
    const call = await upstream.call();
    call.say("I was just ");
    await expectEvent(tab, "message:chunk");
    upstream.answerAll((next) => next.say("I am done.").finish());
    await server.restart();
    const answer = await answerSoon(server, id, user, Date.now());
    assert.ok(["complete", "interrupted"].includes(answer.status), answer.status);
    if (answer.status === "interrupted") assert.ok(answer.content.startsWith("I was just "));
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

test("a client that was never connected waits for the server and connects when it comes", async () => {
  const server = await startServer();
  try {
    const user = server.user();
    await server.kill9();
    const socket = dial(server.url, {
      auth: { token: user.token },
      reconnection: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 50,
    });
    await expectEvent(socket, "client:connect_error");
    await server.restart();
    await expectEvent(socket, "client:connect", undefined, 10_000);
    assert.equal((await expectEvent(socket, "authenticated")).userId, user.id);
  } finally {
    hangUp();
    await server.stop();
  }
});
