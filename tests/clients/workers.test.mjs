// Several processes on one PostgreSQL and one Redis: servers that only serve, and workers that answer for them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";
import {
  asUser,
  assertGapless,
  campusHub,
  emitOk,
  expectEvent,
  expectTimed,
  hangUp,
  hangUpRaw,
  heard,
  payloads,
  startServer,
  startUpstream,
  switchboard,
  temporaryFolder,
} from "./harness.mjs";

const NO_WORKER = ["--no-worker"];
const SERVE = ["serve", ...NO_WORKER];
const shared = () => ({ REDIS_URL: process.env.TEST_REDIS_URL, REDIS_PREFIX: `clients-${randomUUID()}` });

/** A server without a worker, on PostgreSQL. */
function startWeb(env) {
  return startServer({ ...shared(), CHUNK_WINDOW: "5ms", ...env }, NO_WORKER, { database: "postgres" });
}

/** A user with one tab on each of these servers, all in one conversation with the AI. */
async function tabsOn(servers) {
  const user = servers[0].user();
  const id = await servers[0].conversation(user);
  const tabs = [];
  for (const server of servers) {
    const tab = await asUser(server, user);
    await emitOk(tab, "join:conversation", id);
    tabs.push(tab);
  }
  return { user, id, tabs };
}

/** What the AI makes of a search for lamps. */
const LAMPS = JSON.stringify({ category: null, keywords: ["lamp"], minPrice: null, maxPrice: null });

/** Puts a lamp among the listings. */
function offerLamp(server) {
  const lamp = { title: "Desk Lamp", category: "Furniture", price: 15 };
  return server.ok("POST", "/v1/listings", { as: server.user("admin"), body: lamp });
}

function assertLamp(frame) {
  assert.equal(frame.type, "agent.response", JSON.stringify(frame));
  assert.deepEqual([frame.payload.results[0]?.title, frame.payload.degraded], ["Desk Lamp", undefined]);
}

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

  test("health names Redis", async () => {
    assert.equal((await one.ok("GET", "/health")).redis, "ok");
  });
});

describe("a worker that goes", () => {
  let upstream;
  let web;
  before(async () => {
    upstream = await startUpstream();
    web = await startWeb(upstream.env);
  });
  after(async () => {
    await web.stop();
    await upstream.stop();
  });

  /** A worker in the middle of an answer that has said `words`, and another one that is idle. */
  async function inTheMiddle(words) {
    const busy = await web.beside("worker");
    const { id, tabs } = await tabsOn([web]);
    await emitOk(tabs[0], "message:send", { conversationId: id, content: "A long one" });
    const call = await upstream.call();
    if (words) {
      call.say(words);
      await expectEvent(tabs[0], "message:chunk");
    }
    return { busy, idle: await web.beside("worker"), id, tab: tabs[0], call };
  }

  test("killed in the middle: the answer ends interrupted within 10 s, the next one comes from another worker", async () => {
    const { busy, idle, id, tab } = await inTheMiddle("Once upon ");
    try {
      const died = Date.now();
      await busy.kill9();
      const { data, at } = await expectTimed(tab, ["message:complete"], undefined, 12_000);
      assert.ok(at - died < 10_000, `after ${at - died} ms`);
      assert.deepEqual([data.assistantMessage.status, data.assistantMessage.content], ["interrupted", "Once upon "]);
      await emitOk(tab, "message:send", { conversationId: id, content: "And then?" });
      (await upstream.call()).say("Then it ended.").finish();
      const next = await expectEvent(tab, "message:complete");
      assert.equal(next.assistantMessage.content, "Then it ended.");
    } finally {
      await busy.stop();
      await idle.stop();
    }
  });

  test("killed before the first word: another worker answers", async () => {
    const { busy, idle, tab } = await inTheMiddle();
    try {
      await busy.kill9();
      (await upstream.call(12_000)).say("Here I am.").finish();
      const { assistantMessage } = await expectEvent(tab, "message:complete");
      assert.deepEqual([assistantMessage.status, assistantMessage.content], ["complete", "Here I am."]);
    } finally {
      await busy.stop();
      await idle.stop();
    }
  });

  test("killed with a search in its hands: another worker takes it over within 5 s, and it is answered once", async () => {
    await offerLamp(web);
    const busy = await web.beside("worker");
    const idle = [];
    try {
      const client = await campusHub(web, web.user());
      const answer = client.search("a bright lamp", "search-1", 15_000);
      await upstream.call();
      idle.push(await web.beside("worker"));
      const died = Date.now();
      await busy.kill9();
      const again = await upstream.call();
      assert.ok(again.at - died < 5_000, `taken over after ${again.at - died} ms`);
      again.say(LAMPS).finish();
      assertLamp(await answer);
      await client.search("");
      assert.equal(client.frames.length, 2);
    } finally {
      for (const worker of [busy, ...idle]) await worker.stop();
    }
  });

  test("told to end: it ends with 0 and its answer is stored at once", async () => {
    const { busy, idle, tab } = await inTheMiddle("Half a ");
    try {
      const asked = Date.now();
      await busy.shutDown();
      const { data, at } = await expectTimed(tab, ["message:complete"]);
      assert.deepEqual([data.assistantMessage.status, data.assistantMessage.content], ["interrupted", "Half a "]);
      assert.ok(at - asked < 2_000, `after ${at - asked} ms`);
    } finally {
      await busy.stop();
      await idle.stop();
    }
  });
});

test("without Redis the server says so and works, and so does its own worker", async () => {
  const upstream = await startUpstream();
  upstream.answerAll((call) => call.say("Still here.").finish());
  const server = await startServer({ ...upstream.env, REDIS_URL: "redis://:secret@127.0.0.1:1" });
  server.keepSecret("secret@");
  try {
    assert.equal((await server.ok("GET", "/health")).redis, "down");
    const { id, tabs } = await tabsOn([server]);
    await emitOk(tabs[0], "message:send", { conversationId: id, content: "Anybody?" });
    const { assistantMessage } = await expectEvent(tabs[0], "message:complete");
    assert.equal(assistantMessage.content, "Still here.");
  } finally {
    hangUp();
    await server.stop();
    await upstream.stop();
  }
});

test("a worker whose key is not accepted says so at its start and ends with 1", async () => {
  const upstream = await startUpstream();
  const server = await startServer({ ...upstream.env, ...shared() }, NO_WORKER, { database: "postgres" });
  try {
    const { code, stdout, stderr } = await switchboard(["worker"], { ...server.env, OPENAI_API_KEY: "wrong-key" });
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "", "it is not ready");
    const said = stderr.split("\n").filter((line) => line.startsWith("switchboard:"));
    assert.equal(said.length, 1, stderr);
    assert.match(said[0], /OPENAI_API_KEY/);
    assert.ok(!stderr.includes("wrong-key"));
  } finally {
    await server.stop();
    await upstream.stop();
  }
});

test("processes that cannot work together say why and end with 64", async () => {
  const folder = await temporaryFolder();
  const redis = { REDIS_URL: process.env.TEST_REDIS_URL };
  for (const [args, env, why] of [
    [["worker"], {}, /REDIS_URL/],
    [["worker"], redis, /DATABASE_URL/],
    [SERVE, {}, /REDIS_URL/],
    [SERVE, redis, /DATABASE_URL/],
    [["serve"], { REDIS_URL: "localhost:6379" }, /REDIS_URL/],
    [["serve"], { REDIS_URL: "redis://:password@[" }, /REDIS_URL/],
  ]) {
    const { code, stderr } = await switchboard(args, { DATA_DIR: folder, PORT: "0", ...env });
    assert.equal(code, 64, `${args.join(" ")}: ${stderr}`);
    assert.match(stderr, why);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    assert.ok(!stderr.includes("password"), "the address stays untold");
  }
  await rm(folder, { recursive: true });
});
