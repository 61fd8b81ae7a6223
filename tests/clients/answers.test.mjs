// AI answers when things go wrong or people come and go: faults of the provider, stopping, leaving, joining in the middle.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  connect,
  connectRaw,
  emitOk,
  expectEvent,
  hangUp,
  heard,
  payloads,
  startAimock,
  startServer,
  startUpstream,
  tabOf,
} from "./harness.mjs";

afterEach(() => hangUp());

/** Everything of a failed answer in one look. */
async function failure(tab, deadline = 15_000) {
  const complete = await expectEvent(tab, "message:complete", undefined, deadline);
  const error = await expectEvent(tab, "error", undefined, deadline);
  assert.equal(error.code, "AI_UNAVAILABLE");
  const story = heard(tab, "ai:typing:stop", "error", "message:complete").map(({ name }) => name);
  assert.equal(story[0], "ai:typing:stop");
  assert.equal(story.length, 3);
  return { ...complete.assistantMessage, conversationOfError: error.conversationId };
}

describe("with a third-party OpenAI-compatible server", () => {
  let mock;
  let server;
  before(async () => {
    mock = await startAimock();
    server = await startServer(mock.env);
  });
  after(async () => {
    await server.stop();
    await mock.stop();
  });

  test("the whole text arrives, chunk by chunk", async () => {
    const { id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "What are your opening hours?" });
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    const text =
      "We are open from nine to five, Monday to Friday. ☕ On Saturdays the café opens at ten — see you there!";
    assert.equal(assistantMessage.content, text);
    const chunks = payloads(tab, "message:chunk");
    assert.ok(chunks.length > 2, `only ${chunks.length} chunks`);
    assert.equal(chunks.map(({ chunk }) => chunk).join(""), text);
  });

  test("429 with Retry-After is waited out", async () => {
    const { id, tab } = await tabOf(server);
    const before = Date.now();
    await emitOk(tab, "message:send", { conversationId: id, content: "Please be busy once" });
    const { assistantMessage } = await expectEvent(tab, "message:complete", undefined, 10_000);
    assert.equal(assistantMessage.content, "Now I have time for you.");
    assert.ok(Date.now() - before >= 950, "the second try came too early");
    assert.equal(payloads(tab, "error").length, 0);
  });

  test("a provider that answers 500 fails the answer without a row", async () => {
    const { user, id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "Please explode" });
    const answer = await failure(tab, 30_000);
    assert.equal(answer.status, "failed");
    assert.equal(answer.content, "");
    assert.ok(answer.seq === undefined || answer.seq === null);
    assert.equal(answer.conversationOfError, id);
    assert.deepEqual(
      (await server.messages(id, user)).map(({ role }) => role),
      ["user"],
    );
  });

  test("a stream that is cut keeps its text as failed", async () => {
    const { user, id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "Please stop in the middle" });
    const answer = await failure(tab);
    assert.equal(answer.status, "failed");
    assert.ok("This answer is going to be cut before it ends properly.".startsWith(answer.content));
    assert.ok(answer.content.length > 0);
    assert.equal((await server.messages(id, user))[1].content, answer.content);
  });

  test("3,000 tokens cost under 3 MiB with content and under three times the text with deltas", async () => {
    const { user, id } = await tabOf(server);
    const tabs = {
      content: await connectRaw(server.url, { token: user.token }),
      deltas: await connectRaw(server.url, { token: user.token, deltas: true }),
    };
    for (const raw of Object.values(tabs)) {
      assert.equal((await raw.emitAck("join:conversation", id)).success, true);
      raw.received = 0;
    }
    const sender = await connect(server.url, { auth: { token: user.token } });
    await emitOk(sender, "message:send", { conversationId: id, content: "Tell me the long story" });
    let text;
    for (const raw of Object.values(tabs)) {
      const isComplete = ({ name }) => name === "message:complete";
      assert.ok(await raw.until((events) => events.some(isComplete), 90_000, "the long answer ends"));
      text = raw.events.find(isComplete).data.assistantMessage.content;
      assert.equal(text.length, 15_000);
      const chunks = raw.events.filter(({ name }) => name === "message:chunk").map(({ data }) => data);
      assert.equal(chunks.map(({ chunk }) => chunk).join(""), text);
      assert.ok(chunks.length >= 15, `${chunks.length} chunks are no stream`);
    }
    const { content, deltas } = tabs;
    assert.ok(content.received < 3 * 1024 * 1024, `content: ${content.received} bytes`);
    assert.ok(deltas.received < 3 * text.length, `deltas: ${deltas.received} bytes for ${text.length} of text`);
    content.close();
    deltas.close();
  });
});

describe("with a scripted provider", () => {
  let upstream;
  let server;
  before(async () => {
    upstream = await startUpstream();
    server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms", AI_TIMEOUT: "20s" });
  });
  after(async () => {
    await server.stop();
    await upstream.stop();
  });

  /** Sends a question and gives the provider's side of it. */
  async function question(tab, id, content = "Well?") {
    await emitOk(tab, "message:send", { conversationId: id, content });
    return upstream.call();
  }

  test("429 with Retry-After, then success: one answer and no error", async () => {
    const { id, tab } = await tabOf(server);
    const first = await question(tab, id);
    first.refuse(429, { "retry-after": "1" });
    const second = await upstream.call();
    assert.ok(second.at - first.at >= 950, `tried again after ${second.at - first.at} ms`);
    second.say("At last.").finish();
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    assert.equal(assistantMessage.content, "At last.");
    assert.equal(payloads(tab, "error").length, 0);
  });

  test("a stream cut in the middle fails with the text so far", async () => {
    const { user, id, tab } = await tabOf(server);
    const call = await question(tab, id);
    call.say("So far ");
    await expectEvent(tab, "message:chunk");
    call.cut();
    const answer = await failure(tab);
    assert.equal(answer.status, "failed");
    assert.equal(answer.content, "So far ");
    assert.equal(answer.seq, 2);
    assert.equal((await server.messages(id, user))[1].status, "failed");
  });

  test("malformed data fails the answer with the text so far", async () => {
    const { id, tab } = await tabOf(server);
    const call = await question(tab, id);
    call.say("Good ");
    await expectEvent(tab, "message:chunk");
    call.garble();
    const answer = await failure(tab);
    assert.equal(answer.status, "failed");
    assert.equal(answer.content, "Good ");
  });

  test("after a failure the next question is answered", async () => {
    const { id, tab } = await tabOf(server);
    (await question(tab, id, "one")).refuse(400);
    await failure(tab);
    (await question(tab, id, "two")).say("Fine.").finish();
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    assert.equal(assistantMessage.content, "Fine.");
    assert.equal(assistantMessage.status, "complete");
  });

  test("a failed answer in a support conversation is told there too", async () => {
    const session = await server.session();
    const id = session.conversationId;
    const visitor = await connect(server.url, { auth: { sessionId: session.sessionId } });
    await emitOk(visitor, "send_message", { conversationId: id, content: "Hello?" });
    (await upstream.call()).refuse(400);
    const error = await expectEvent(visitor, "error");
    assert.equal(error.code, "AI_UNAVAILABLE");
    assert.equal(error.conversationId, id);
    await expectEvent(visitor, "typing_indicator", (data) => data.isTyping === false);
    await emitOk(visitor, "send_message", { conversationId: id, content: "Still here" });
    (await upstream.call()).say("Me too.").finish();
    await expectEvent(visitor, "message_received", (data) => data.content === "Me too.");
  });
});

test("a provider that stalls is given up after AI_TIMEOUT, with the text so far", async () => {
  const upstream = await startUpstream();
  const server = await startServer({ ...upstream.env, AI_TIMEOUT: "2s" });
  try {
    const { id, tab } = await tabOf(server);
    const before = Date.now();
    await emitOk(tab, "message:send", { conversationId: id, content: "Hurry" });
    const call = await upstream.call();
    call.say("One mom");
    const answer = await failure(tab, 8_000);
    assert.equal(answer.status, "failed");
    assert.equal(answer.content, "One mom");
    assert.ok(Date.now() - before < 5_000, "AI_TIMEOUT is the total for one answer");
    await call.closed();

    await emitOk(tab, "message:send", { conversationId: id, content: "Are you there?" });
    const silent = await upstream.call();
    await expectEvent(tab, "message:complete", (data) => data.assistantMessage.status === "failed", 8_000);
    await silent.closed();
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

test("the fallback provider answers when the first one fails", async () => {
  const [first, second] = [await startUpstream(), await startUpstream()];
  const server = await startServer({
    ...first.env,
    AI_FALLBACK_BASE_URL: second.url,
    AI_FALLBACK_API_KEY: "test",
    AI_FALLBACK_MODEL: "other",
  });
  try {
    const { id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "Anyone?" });
    (await first.call()).refuse(401);
    const call = await second.call();
    assert.equal(call.body.model, "other");
    call.say("Me.").finish();
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    assert.equal(assistantMessage.content, "Me.");
    assert.equal(payloads(tab, "error").length, 0);
  } finally {
    hangUp();
    await server.stop();
    await Promise.all([first.stop(), second.stop()]);
  }
});

test("without any AI configured the server answers offline, through the same events", async () => {
  const server = await startServer();
  try {
    const { id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "Hello?" });
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    assert.equal(assistantMessage.status, "complete");
    assert.ok(assistantMessage.content.length > 20);
    assert.ok(payloads(tab, "message:chunk").length > 1, "it is streamed");
    const session = await server.session();
    const visitor = await connect(server.url, { auth: { sessionId: session.sessionId } });
    await emitOk(visitor, "send_message", { conversationId: session.conversationId, content: "Hello?" });
    const answer = await expectEvent(visitor, "message_received", (data) => data.sender.role === "bot");
    assert.ok(answer.content.length > 20);
  } finally {
    hangUp();
    await server.stop();
  }
});
