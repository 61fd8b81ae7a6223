// Several processes: servers that only serve, and workers that answer for them.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  asUser,
  assertGapless,
  campusHub,
  emitOk,
  expectEvent,
  hangUp,
  hangUpRaw,
  heard,
  payloads,
  startUpstream,
} from "./harness.mjs";
import { LAMPS, SERVE, assertLamp, offerLamp, startWeb, tabsOn } from "./processes.mjs";

afterEach(() => {
  hangUp();
  hangUpRaw();
});

describe("two servers and two workers", () => {
  let upstream;
  let one;
  let two;
  let workers = [];
  before(async () => {
    upstream = await startUpstream();
    one = await startWeb(upstream.env);
    two = await one.beside(...SERVE);
    workers = [await one.beside("worker"), await one.beside("worker")];
  });
  after(async () => {
    // The first one's database goes with it.
    for (const server of [...workers, two, one]) await server.stop();
    await upstream.stop();
  });

  test("a worker's answer streams to the tabs on both servers, each chunk once and in order", async () => {
    const { id, tabs } = await tabsOn([one, two]);
    await emitOk(tabs[0], "message:send", { conversationId: id, content: "Where to?" });
    const call = await upstream.call();
    const words = ["To ", "the ", "sea, ", "of ", "course."];
    for (const word of words) {
      call.say(word);
      for (const tab of tabs) await expectEvent(tab, "message:chunk", ({ content }) => content.endsWith(word));
    }
    call.finish();
    const ends = await Promise.all(tabs.map((tab) => expectEvent(tab, "message:complete")));
    assert.deepEqual(ends[0].assistantMessage, ends[1].assistantMessage);
    assert.equal(ends[0].assistantMessage.content, words.join(""));
    for (const tab of tabs) {
      const chunks = payloads(tab, "message:chunk");
      assert.deepEqual(
        chunks.map(({ index }) => index),
        chunks.map((_, n) => n),
      );
      assert.equal(chunks.map(({ chunk }) => chunk).join(""), words.join(""));
      const story = heard(tab, "ai:typing:start", "message:chunk", "ai:typing:stop", "message:complete");
      const names = story.map(({ name }) => name).filter((name, n, all) => name !== all[n - 1]);
      assert.deepEqual(names, ["ai:typing:start", "message:chunk", "ai:typing:stop", "message:complete"]);
    }
  });

  test("who joins in the middle, on a server where nobody listens yet, gets the text so far and what follows", async () => {
    const { user, id, tabs } = await tabsOn([one]);
    await emitOk(tabs[0], "message:send", { conversationId: id, content: "Tell me" });
    const call = await upstream.call();
    call.say("Once upon ");
    await expectEvent(tabs[0], "message:chunk");
    const late = await asUser(two, user, { auth: { deltas: true } });
    const { active } = await emitOk(late, "join:conversation", id);
    assert.equal(active.length, 1);
    let text = active[0].content;
    assert.equal(text, "Once upon ");
    call.say("a time.").finish();
    await expectEvent(late, "message:complete");
    for (const { offset, chunk } of payloads(late, "message:chunk")) {
      assert.equal(offset, text.length);
      text += chunk;
    }
    assert.equal(text, "Once upon a time.");
  });

  test("stopping on the other server closes the worker's request to the provider", async () => {
    const { id, tabs } = await tabsOn([one, two]);
    await emitOk(tabs[0], "message:send", { conversationId: id, content: "Go on" });
    const call = await upstream.call();
    call.say("This will be ");
    await expectEvent(tabs[1], "message:chunk");
    const before = Date.now();
    await emitOk(tabs[1], "message:stop", { conversationId: id });
    const took = (await call.closed()) - before;
    assert.ok(took <= 500, `closed after ${took} ms`);
    for (const tab of tabs) {
      const { assistantMessage } = await expectEvent(tab, "message:complete");
      assert.deepEqual([assistantMessage.status, assistantMessage.content], ["cancelled", "This will be "]);
    }
  });

  test("an agent who takes over on the other server ends the bot's answer", async () => {
    const session = await one.session();
    const agent = one.user("admin");
    const id = session.conversationId;
    const visitor = await asUser(one, session);
    const desk = await asUser(two, agent);
    await emitOk(visitor, "join_conversation", id);
    await emitOk(desk, "join_conversation", id);
    await emitOk(visitor, "send_message", { conversationId: id, content: "Help" });
    const call = await upstream.call();
    call.say("I am only a bot ");
    await expectEvent(desk, "message:chunk");
    await emitOk(desk, "send_message", { conversationId: id, content: "I am a person" });
    await call.closed();
    await expectEvent(visitor, "message_received", ({ content }) => content === "I am a person");
    await emitOk(visitor, "send_message", { conversationId: id, content: "Good" });
    await expectEvent(desk, "message_received", ({ content }) => content === "Good");
    const log = await two.messages(id, agent);
    assert.deepEqual(
      log.map(({ content }) => content),
      ["Help", "I am a person", "Good"],
    );
  });

  test("an agent who takes over where nobody listens ends the bot's answer for those who do, in order", async () => {
    for (let n = 0; n < 5; n++) {
      const user = one.user();
      const id = await one.conversation(user, { kind: "support" });
      const tab = await asUser(one, user);
      await emitOk(tab, "join:conversation", id);
      await emitOk(tab, "message:send", { conversationId: id, content: "Help" });
      (await upstream.call()).say("I am only a bot ");
      await expectEvent(tab, "message:chunk");
      await two.ok("POST", `/api/conversations/${id}/assign`, { as: two.user("admin"), body: {} });
      const { assistantMessage } = await expectEvent(tab, "message:complete");
      assert.equal(assistantMessage.status, "cancelled");
      await one.ok("POST", `/api/conversations/${id}/handback`, { as: one.user("admin") });
      await emitOk(tab, "message:send", { conversationId: id, content: "And now?" });
      (await upstream.call()).say("A bot again").finish();
      await expectEvent(tab, "message:complete");
      const story = heard(tab, "ai:typing:start", "message:chunk", "ai:typing:stop", "message:complete");
      const turn = ["ai:typing:start", "message:chunk", "ai:typing:stop", "message:complete"];
      assert.deepEqual(
        story.map(({ name }) => name),
        [...turn, ...turn],
      );
    }
  });

  test("a room over two servers hears all messages once and in order", async () => {
    const [customer, agent] = [one.user(), one.user("admin")];
    const id = await one.quietConversation(customer, agent);
    const sockets = [await asUser(one, customer), await asUser(two, agent), await asUser(two, customer)];
    for (const socket of sockets) await emitOk(socket, "join_conversation", id);
    const sending = [];
    for (let n = 0; n < 200; n++) {
      sending.push(emitOk(sockets[n % 2], "send_message", { conversationId: id, content: `n${n}` }));
    }
    await Promise.all(sending);
    for (const socket of sockets) {
      await expectEvent(socket, "message_received", ({ seq }) => seq === 200, 10_000);
      const seqs = payloads(socket, "message_received").map(({ seq }) => seq);
      assertGapless(seqs, 200);
    }
  });

  test("typing, reading and deleting are heard on the other server", async () => {
    const [customer, agent] = [one.user(), one.user("admin")];
    const id = await one.quietConversation(customer, agent);
    const [tab, desk] = [await asUser(one, customer), await asUser(two, agent)];
    await emitOk(tab, "join_conversation", id);
    await emitOk(desk, "join_conversation", id);
    await emitOk(tab, "send_message", { conversationId: id, content: "Hello" });
    await expectEvent(desk, "message_received");
    await emitOk(tab, "typing_start", id);
    await expectEvent(desk, "typing_indicator", ({ userId, isTyping }) => userId === customer.id && isTyping);
    await emitOk(desk, "mark_read", { conversationId: id, upToSeq: 1 });
    await expectEvent(tab, "messages_read", ({ userId, upToSeq }) => userId === agent.id && upToSeq === 1);
    await one.ok("DELETE", `/api/conversations/${id}`, { as: customer });
    await expectEvent(desk, "left_conversation", ({ conversationId }) => conversationId === id);
  });

  test("fifty questions at once are each answered once", async () => {
    upstream.answerAll((call) => call.say(`Answer to ${call.question}`).finish());
    try {
      const asked = Array.from({ length: 50 }, async (_, n) => {
        const { user, id, tabs } = await tabsOn([n % 2 === 0 ? one : two]);
        await emitOk(tabs[0], "message:send", { conversationId: id, content: `question ${n}` });
        const { assistantMessage } = await expectEvent(tabs[0], "message:complete", undefined, 20_000);
        assert.equal(assistantMessage.content, `Answer to question ${n}`);
        assert.equal((await one.messages(id, user)).length, 2);
      });
      await Promise.all(asked);
      const questions = upstream.calls.map((call) => call.question).filter((text) => text.startsWith("question "));
      assert.equal(questions.length, 50);
    } finally {
      upstream.answerAll(undefined);
    }
  });

  test("two hundred searches over two servers are each done and answered once", async () => {
    await offerLamp(one);
    upstream.answerAll((call) => call.say(LAMPS).finish());
    try {
      const clients = [await campusHub(one, one.user()), await campusHub(two, two.user())];
      const asked = Array.from({ length: 200 }, (_, n) => clients[n % 2].search(`lamp number ${n}`, `search-${n}`));
      for (const frame of await Promise.all(asked)) assertLamp(frame);
      for (const client of clients) {
        await client.search("");
        assert.equal(new Set(client.frames.map(({ requestId }) => requestId)).size, 101);
        assert.equal(client.frames.length, 101, "one answer each");
      }
    } finally {
      upstream.answerAll(undefined);
    }
  });

  test("a search that goes on from the one before does so whichever worker gets it", async () => {
    const agent = one.user("admin");
    for (const price of [10, 20, 30]) {
      const bike = { title: `Bicycle for ${price}`, category: "Sports", price };
      await one.ok("POST", "/v1/listings", { as: agent, body: bike });
    }
    upstream.answerAll((call) => call.say(JSON.stringify({ keywords: ["bicycle"], maxPrice: 25 })).finish());
    try {
      for (let n = 0; n < 8; n++) {
        const client = await campusHub(one, one.user());
        const { payload: first } = await client.search("bicycle under 25");
        assert.equal(first.results.length, 2);
        const { payload: cheaper } = await client.search("cheaper ones");
        assert.ok(cheaper.filters.maxPrice < 25, JSON.stringify(cheaper.filters));
      }
    } finally {
      upstream.answerAll(undefined);
    }
  });

  test("health names Redis", async () => {
    assert.equal((await one.ok("GET", "/health")).redis, "ok");
  });
});
