// Workers that die or are told to end, and processes that cannot work together.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";
import {
  campusHub,
  emitOk,
  expectEvent,
  expectTimed,
  hangUp,
  hangUpRaw,
  heard,
  startServer,
  startUpstream,
  switchboard,
  temporaryFolder,
} from "./harness.mjs";
import { LAMPS, NO_WORKER, SERVE, assertLamp, offerLamp, shared, startRedis, startWeb, tabsOn } from "./processes.mjs";

afterEach(() => {
  hangUp();
  hangUpRaw();
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
    const { busy, idle, id, tab, call } = await inTheMiddle("Once upon ");
    try {
      // Told, but perhaps not saved yet.
      call.say("a time");
      await expectEvent(tab, "message:chunk");
      const died = Date.now();
      await busy.kill9();
      const { data, at } = await expectTimed(tab, ["message:complete"], undefined, 12_000);
      assert.ok(at - died < 10_000, `after ${at - died} ms`);
      const { status, content } = data.assistantMessage;
      assert.deepEqual([status, content], ["interrupted", "Once upon a time"]);
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

  test("paused until another one answers: it has nothing more to say", async () => {
    const { busy, idle, id, tab, call } = await inTheMiddle("Once upon ");
    try {
      busy.terminate("SIGSTOP");
      call.say("a time ");
      const { assistantMessage } = await expectEvent(tab, "message:complete", undefined, 12_000);
      assert.deepEqual([assistantMessage.status, assistantMessage.content], ["interrupted", "Once upon "]);
      await emitOk(tab, "message:send", { conversationId: id, content: "And then?" });
      const next = await upstream.call();
      next.say("Then it ");
      await expectEvent(tab, "message:chunk");
      const before = heard(tab).length;
      busy.terminate("SIGCONT");
      await call.closed();
      // What it says in its last moment would be heard before this.
      next.say("ended.").finish();
      await expectEvent(tab, "message:complete");
      assert.deepEqual(
        heard(tab)
          .slice(before)
          .map(({ name }) => name),
        ["message:chunk", "ai:typing:stop", "message:complete"],
      );
    } finally {
      busy.terminate("SIGCONT");
      await busy.stop();
      await idle.stop();
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

test("told to end while it cannot hand back a search's answer, because Redis is away: it ends in time", async () => {
  const upstream = await startUpstream();
  const redis = await startRedis();
  const web = await startWeb({ ...upstream.env, REDIS_URL: redis.url, SHUTDOWN_TIMEOUT: "10s" });
  const worker = await web.beside("worker");
  try {
    const client = await campusHub(web, web.user());
    client.send({ type: "agent.search", requestId: "search-1", payload: { query: "a lamp" } });
    const call = await upstream.call();
    await redis.kill();
    call.say(LAMPS).finish();
    await call.closed();
    await worker.shutDown();
  } finally {
    await redis.kill();
    await worker.stop();
    await web.stop();
    await upstream.stop();
  }
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
    [["worker"], { ...redis, DATABASE_URL: "postgres://me:password@localhost:99999/x" }, /DATABASE_URL/],
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
