// Answers that look things up: sources, several rounds in one stream, and the end of it, with an AI and without.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  asUser,
  emitOk,
  expectEvent,
  hangUp,
  payloads,
  startAimock,
  startServer,
  startUpstream,
  tabOf,
} from "./harness.mjs";

/** Listings and help articles to find. */
const DEMO = ["--demo"];

afterEach(() => hangUp());

/** Sends a question and gives the whole answer, whose chunks must be its text. */
async function answerTo(tab, id, content, deadline = 15_000) {
  await emitOk(tab, "message:send", { conversationId: id, content });
  const { assistantMessage } = await expectEvent(tab, "message:complete", undefined, deadline);
  const chunks = payloads(tab, "message:chunk").filter(({ messageId }) => messageId === assistantMessage.id);
  assert.equal(chunks.map(({ chunk }) => chunk).join(""), assistantMessage.content);
  assert.deepEqual(
    chunks.map(({ index }) => index),
    chunks.map((_, position) => position),
  );
  return assistantMessage;
}

const sourcesOf = ({ metadata }) => (metadata.sources ?? []).map(({ type, id }) => `${type} ${id}`);

/** An agent's connection, which hears of every support conversation. */
const agentOf = (server) => asUser(server, server.user("admin"));

/** Waits until the conversation is told as waiting for a person. */
const expectWaiting = (socket, id) =>
  expectEvent(socket, "conversation_updated", ({ conversation }) => conversation.id === id && conversation.waitingForAgent);

describe("with a third-party OpenAI-compatible server", () => {
  let mock;
  let server;
  before(async () => {
    mock = await startAimock();
    server = await startServer(mock.env, DEMO);
  });
  after(async () => {
    await server.stop();
    await mock.stop();
  });

  test("two searches are made, told as one answer, and named as its sources", async () => {
    const { user, id, tab } = await tabOf(server);
    const answer = await answerTo(tab, id, "Which MacBooks may I send back?");
    assert.equal(answer.status, "complete");
    assert.equal(
      answer.content,
      "Let me look that up.\n\nTwo MacBooks are below 500, and you have 48 hours when something is wrong.",
    );
    const { sources } = answer.metadata;
    assert.deepEqual(sources.slice(0, 2), [
      { type: "listing", id: "macbook-air-2015", title: "MacBook Air 2015", price: 190 },
      { type: "listing", id: "macbook-air-m1", title: "MacBook Air 13 inch M1", price: 480 },
    ]);
    assert.deepEqual(sources[2], { type: "article", id: "returns-and-refunds", title: "Returns and refunds" });
    assert.ok(sources.length <= 8 && new Set(sourcesOf(answer)).size === sources.length);
    assert.deepEqual((await server.messages(id, user))[1].metadata.sources, sources);

    const asked = mock.requests().map(({ body }) => body);
    const [first, second] = asked.slice(-2);
    assert.deepEqual(
      first.tools.map((tool) => tool.function.name),
      ["search_listings", "search_articles"],
    );
    const results = second.messages.filter(({ role }) => role === "tool");
    assert.equal(results.length, 2);
    assert.ok(results[0].content.includes("MacBook Air 2015") && !results[0].content.includes("MacBook Pro"));
  });

  test("an answer that looks nothing up has no sources", async () => {
    const { id, tab } = await tabOf(server);
    const answer = await answerTo(tab, id, "What are your opening hours?");
    assert.equal(answer.status, "complete");
    assert.equal(answer.metadata.sources, undefined);
  });
});

describe("with a scripted provider", () => {
  let upstream;
  let server;
  before(async () => {
    upstream = await startUpstream();
    server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms" }, DEMO);
  });
  after(async () => {
    await server.stop();
    await upstream.stop();
  });

  const articles = ["search_articles", { query: "return an item" }];

  test("who joins between two rounds has the text so far; stopping then keeps text and sources", async () => {
    const { user, id, tab, join } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "May I?" });
    const first = await upstream.call();
    first.say("One moment. ").callTools(articles);
    const second = await upstream.call();
    const { ack } = await join();
    assert.equal(ack.active[0].content, "One moment. ");
    await emitOk(tab, "message:stop", { conversationId: id });
    const { assistantMessage } = await expectEvent(tab, "message:complete");
    await second.closed();
    assert.equal(assistantMessage.status, "cancelled");
    assert.equal(assistantMessage.content, "One moment. ");
    assert.deepEqual(sourcesOf(assistantMessage).slice(0, 1), ["article returns-and-refunds"]);
    assert.equal((await server.messages(id, user))[1].content, "One moment. ");
  });

  test("what several rounds have cost is added up", async () => {
    const { id, tab } = await tabOf(server);
    const answered = answerTo(tab, id, "May I?");
    (await upstream.call()).callTools(articles);
    (await upstream.call()).say("You may.").finish();
    const { metadata } = await answered;
    assert.deepEqual(metadata.usage, { model: "scripted", promptTokens: 14, completionTokens: 10, estimated: false });
    assert.equal(metadata.finishReason, "stop");
  });

  test("a model that calls and calls gets three rounds, and then no tools", async () => {
    const { id, tab } = await tabOf(server);
    const answered = answerTo(tab, id, "Go round in circles");
    for (let round = 0; round < 3; round += 1) {
      const call = await upstream.call();
      assert.equal(call.body.tools.length, 2, `round ${round}`);
      assert.equal(call.body.messages.filter(({ role }) => role === "tool").length, round);
      call.callTools(articles);
    }
    const last = await upstream.call();
    assert.equal(last.body.tools, undefined);
    last.say("Enough.").finish();
    assert.equal((await answered).content, "Enough.");
  });

  test("nonsense is told to the model, and the person gets an answer", async () => {
    const { id, tab } = await tabOf(server);
    const answered = answerTo(tab, id, "Do something odd");
    (await upstream.call()).callTools(["format_disk", {}], ["search_articles", "not an object"], ["call_person", {}]);
    const second = await upstream.call();
    const results = second.body.messages.filter(({ role }) => role === "tool");
    assert.equal(results.length, 3);
    for (const { content } of results) assert.ok(JSON.parse(content).error, content);
    second.say("I cannot do that.").finish();
    const answer = await answered;
    assert.equal(answer.content, "I cannot do that.");
    assert.equal(answer.metadata.sources, undefined);
  });

  test("in a support conversation the model can call a person", async () => {
    const session = await server.session();
    const id = session.conversationId;
    const agent = await agentOf(server);
    const visitor = await asUser(server, session);
    await emitOk(visitor, "send_message", { conversationId: id, content: "I need help with my order" });
    const call = await upstream.call();
    assert.ok(call.body.tools.some((tool) => tool.function.name === "call_person"));
    call.callTools(["call_person", {}]);
    await expectWaiting(agent, id);
    (await upstream.call()).say("Somebody will be with you.").finish();
    await expectEvent(visitor, "message_received", (data) => data.content === "Somebody will be with you.");
  });

  test("an answer whose server dies between two rounds begins anew", async () => {
    const { user, id, tab } = await tabOf(server);
    await emitOk(tab, "message:send", { conversationId: id, content: "May I?" });
    (await upstream.call()).callTools(articles);
    await upstream.call();
    await server.kill9();
    await server.restart();
    const again = await upstream.call(20_000);
    assert.ok(again.body.messages.every(({ role }) => role !== "tool"));
    const socket = await asUser(server, user);
    const { active } = await emitOk(socket, "join:conversation", id);
    assert.ok(active === undefined || active.length === 0, "nothing was said yet");
    again.say("You may.").finish();
    const { assistantMessage } = await expectEvent(socket, "message:complete");
    assert.equal(assistantMessage.content, "You may.");
    assert.equal(assistantMessage.metadata.sources, undefined);
  });
});

test("all rounds together have one AI_TIMEOUT, and keep what was said", async () => {
  const upstream = await startUpstream();
  const server = await startServer({ ...upstream.env, AI_TIMEOUT: "2s" }, DEMO);
  try {
    const { id, tab } = await tabOf(server);
    const begun = Date.now();
    const answered = answerTo(tab, id, "Hurry");
    (await upstream.call()).say("One moment.").callTools(["search_listings", { query: "macbook" }]);
    const stalled = await upstream.call();
    const answer = await answered;
    assert.equal(answer.status, "failed");
    assert.equal(answer.content, "One moment.");
    assert.ok(Date.now() - begun < 5_000, "AI_TIMEOUT is the total for one answer");
    await stalled.closed();
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

describe("without any AI", () => {
  let server;
  before(async () => {
    server = await startServer({}, DEMO);
  });
  after(() => server.stop());

  test("a question is answered from the help article that fits, which is named", async () => {
    const { id, tab } = await tabOf(server);
    const answer = await answerTo(tab, id, "How can I return something?");
    assert.match(answer.content, /“Returns and refunds”[^]*48 hours[^]*without AI/);
    assert.deepEqual(answer.metadata.sources, [
      { type: "article", id: "returns-and-refunds", title: "Returns and refunds" },
    ]);
    assert.equal(answer.metadata.model, "offline");
    assert.ok(payloads(tab, "message:chunk").length > 1, "it is streamed");
  });

  test("a wish is answered with listings within the price, typos or not", async () => {
    const { id, tab } = await tabOf(server);
    for (const wish of ["macbook under 500", "macbok under $500"]) {
      const answer = await answerTo(tab, id, wish);
      assert.match(answer.content, /\*\*MacBook Air 13 inch M1\*\* \(Electronics\): 480/);
      assert.deepEqual(sourcesOf(answer), ["listing macbook-air-2015", "listing macbook-air-m1"]);
    }
  });

  test("who asks for what nobody knows hears so, and nothing of what was asked", async () => {
    const { id, tab } = await tabOf(server);
    const answer = await answerTo(tab, id, "zyxwvut qwertzuiop");
    assert.match(answer.content, /found nothing/);
    assert.doesNotMatch(answer.content, /zyxwvut/);
    assert.equal(answer.metadata.sources, undefined);
  });

  test("a greeting is returned without a search", async () => {
    const { id, tab } = await tabOf(server);
    const answer = await answerTo(tab, id, "Hello!");
    assert.match(answer.content, /^Hello! No AI is configured/);
    assert.equal(answer.metadata.sources, undefined);
  });

  for (const wish of ["Can I talk to a human, please?", "zyxwvut qwertzuiop"]) {
    test(`in a support conversation "${wish}" calls a person`, async () => {
      const session = await server.session();
      const id = session.conversationId;
      const agent = await agentOf(server);
      const visitor = await asUser(server, session);
      await emitOk(visitor, "send_message", { conversationId: id, content: "Hello" });
      const greeting = await expectEvent(visitor, "message_received", ({ sender }) => sender.role === "bot");
      assert.match(greeting.content, /a person from the team/i);
      const before = await server.ok("GET", `/api/conversations/${id}`, { as: session });
      assert.equal(before.conversation.waitingForAgent, false);

      await emitOk(visitor, "send_message", { conversationId: id, content: wish });
      await expectWaiting(agent, id);
      const answer = await expectEvent(visitor, "message_received", ({ sender }) => sender.role === "bot");
      assert.match(answer.content, /I have told the team/);
    });
  }
});
