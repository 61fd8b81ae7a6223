// Seed 000's clients: searching the listings in plain words, each request answered once, to its asker alone, also when the AI fails.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { campusHub, gurukul, hangUpRaw, startServer, startUpstream } from "./harness.mjs";

const LISTINGS = [
  { title: "CMPE 202 Textbook", description: "Used, some notes in pencil", category: "Textbooks", price: 25 },
  { title: "Calculus Textbook", description: "Eighth edition", category: "Textbooks", price: 40 },
  { title: "MacBook Air M1", description: "Good battery", category: "Electronics", price: 450 },
  { title: "MacBook Pro 14", description: "Nearly new", category: "Electronics", price: 1250 },
  { title: "MacBook Air 2015", description: "Old, but it works", category: "Electronics", price: 90, status: "sold" },
  { title: "Desk Lamp", description: "Warm light", category: "Furniture", price: 15 },
];

/** A server with listings in it. */
async function startMarket(env) {
  const server = await startServer(env);
  const agent = server.user("admin");
  try {
    for (const listing of LISTINGS) await server.ok("POST", "/v1/listings", { as: agent, body: listing });
  } catch (failure) {
    await server.stop();
    throw failure;
  }
  return server;
}

const titles = ({ payload }) => payload.results.map(({ title }) => title);

/** The payload of an answer that must be one. */
function answered(frame, requestId) {
  assert.equal(frame.type, "agent.response", JSON.stringify(frame));
  if (requestId !== undefined) assert.equal(frame.requestId, requestId);
  assert.ok(frame.payload.answer.length > 0);
  for (const { id, title, category, price } of frame.payload.results) {
    assert.deepEqual(
      [typeof id, typeof title, typeof category, typeof price],
      ["string", "string", "string", "number"],
    );
  }
  return frame.payload;
}

/** The code of an answer that must be an error. */
function refused(frame) {
  assert.equal(frame.type, "error", JSON.stringify(frame));
  assert.ok(frame.payload.message.length > 0);
  return frame.payload.code;
}

describe("without an AI", () => {
  let server;
  let buyer;
  before(async () => {
    server = await startMarket({ AI_PROVIDER: "offline" });
    buyer = server.user();
  });
  afterEach(() => hangUpRaw());
  after(() => server.stop());

  test("a search finds what is meant, and only what is available", async () => {
    const client = await campusHub(server, buyer);
    const frame = await client.search("used textbook for cmpe202", "abc-123");
    const { results, degraded } = answered(frame, "abc-123");
    assert.equal(results[0].title, "CMPE 202 Textbook");
    assert.equal(results[0].price, 25);
    assert.equal(degraded, undefined, "nothing is missing when there is no AI by choice");
    assert.deepEqual(titles(await client.search("MacBook under $500")), ["MacBook Air M1"]);
    assert.deepEqual(titles(await client.search("macbok pro")).slice(0, 1), ["MacBook Pro 14"], "a typo is forgiven");
    const nothing = await client.search("spaceship");
    assert.deepEqual(answered(nothing).results, []);
  });

  test("fifty searches at once are each answered once, to all of the asker's clients and to nobody else", async () => {
    const clients = await Promise.all(Array.from({ length: 3 }, () => campusHub(server, buyer)));
    const stranger = await campusHub(server, server.user());
    const chat = await gurukul(server, buyer);
    for (const client of [...clients, stranger]) await client.search("");
    await chat.alive();
    const asked = Array.from({ length: 50 }, (_, n) => ({ requestId: `r-${n}`, query: LISTINGS[n % 4].title }));
    asked.forEach(({ requestId, query }, n) => {
      clients[n % 3].send({ type: "agent.search", requestId, payload: { query } });
    });
    for (const client of clients) {
      for (const { requestId, query } of asked) {
        const frame = await client.next((one) => one.requestId === requestId, 30_000);
        assert.equal(answered(frame, requestId).results[0].title, query);
      }
    }
    // What comes behind all of it shows that nothing came twice, nor to others.
    for (const client of [...clients, stranger]) {
      await client.search("");
      assert.deepEqual(client.unheard(), []);
    }
    await chat.alive();
    assert.deepEqual(chat.unheard(), []);
  });

  test("a query of 1 to 500 characters is one, anything else is INVALID_QUERY under its requestId", async () => {
    const client = await campusHub(server, buyer);
    for (const payload of [{ query: "" }, { query: " \n\t " }, { query: "x".repeat(501) }, { query: 7 }, {}]) {
      const requestId = `r-${JSON.stringify(payload).slice(0, 40)}`;
      client.send({ type: "agent.search", requestId, payload });
      assert.equal(refused(await client.next((frame) => frame.requestId === requestId)), "INVALID_QUERY");
    }
    client.send({ type: "agent.search", requestId: "r-none" });
    assert.equal(refused(await client.next(({ requestId }) => requestId === "r-none")), "INVALID_QUERY");
    answered(await client.search("x".repeat(500)));
    answered(await client.search(`  ${"ä".repeat(500)}  `));
  });

  test("what else cannot be taken is an error, and the connection lives", async () => {
    const client = await campusHub(server, buyer, { query: { protocol: "campushub" } });
    for (const [frame, code] of [
      ["textbook", "INVALID_JSON"],
      ['{"type":', "INVALID_JSON"],
      [{ type: "agent.dance", requestId: "r", payload: {} }, "UNKNOWN_TYPE"],
      [{ requestId: "r" }, "UNKNOWN_TYPE"],
    ]) {
      client.send(frame);
      assert.equal(refused(await client.next("error")), code, JSON.stringify(frame));
    }
    client.send({ type: "agent.search", requestId: "r", payload: { query: "x".repeat(70_000) } });
    refused(await client.next("error"));
    answered(await client.search("lamp"));
  });

  test("queries that look like commands of a database are words", async () => {
    const client = await campusHub(server, buyer);
    for (const query of [
      "'; DROP TABLE listings; --",
      '"unbalanced',
      "NEAR(a b)",
      "title:*",
      "100% _",
      "😀",
      "AND OR NOT",
      "\\",
    ]) {
      answered(await client.search(query));
    }
    assert.equal(titles(await client.search("desk lamp"))[0], "Desk Lamp");
  });

  test("search 4 of a minute where 3 are allowed is RATE_LIMITED", async () => {
    const strict = await startServer({ MESSAGE_RATE_LIMIT: "3", AI_PROVIDER: "offline" });
    try {
      const client = await campusHub(strict, strict.user());
      for (let n = 0; n < 3; n++) answered(await client.search("desk", `r-${n}`), `r-${n}`);
      assert.equal(refused(await client.search("desk", "r-3")), "RATE_LIMITED");
      answered(await (await campusHub(strict, strict.user())).search("desk"));
    } finally {
      hangUpRaw();
      await strict.stop();
    }
  });
});

describe("with an AI that understands queries", () => {
  let upstream;
  let server;
  let client;
  before(async () => {
    upstream = await startUpstream();
    server = await startMarket(upstream.env);
    client = await campusHub(server, server.user());
  });
  after(async () => {
    hangUpRaw();
    await server.stop();
    await upstream.stop();
  });

  const understood = { category: "Electronics", keywords: ["macbook"], minPrice: null, maxPrice: 500 };

  test("what it has understood is searched, and nothing is degraded", async () => {
    upstream.answerAll((call) => call.say(JSON.stringify(understood)).finish());
    const frame = await client.search("an Apple laptop, macbook if possible, below 500 dollars");
    const { results, degraded, filters } = answered(frame);
    assert.deepEqual(
      results.map(({ title }) => title),
      ["MacBook Air M1"],
    );
    assert.equal(degraded, undefined);
    assert.equal(filters.maxPrice, 500);
    assert.equal(filters.category, "Electronics");
  });

  test("a category that only the AI sees does not hide what the words find", async () => {
    upstream.answerAll((call) => call.say(JSON.stringify({ ...understood, category: "Furniture" })).finish());
    const frame = await client.search("macbook, $500 at most");
    assert.deepEqual(titles(frame), ["MacBook Air M1"]);
    assert.equal(answered(frame).filters.category, undefined);
  });

  for (const [fault, query, respond] of [
    ["answers 500", "macbook under $500", (call) => call.refuse(500)],
    ["answers 429", "a macbook below $500", (call) => call.refuse(429, { "retry-after": "1" })],
    ["stalls", "macbook for less than $500", () => {}],
    ["says something that is no JSON", "macbook, max $500", (call) => call.say("Sure! Let me think.").finish()],
  ]) {
    test(`when the AI ${fault}, results still come, degraded`, async () => {
      upstream.answerAll(respond);
      const frame = await client.search(query, undefined, 25_000);
      assert.equal(answered(frame).degraded, true);
      assert.deepEqual(titles(frame), ["MacBook Air M1"]);
    });
  }

  test("as soon as the AI is well again, so are the answers", async () => {
    upstream.answerAll((call) => call.say(JSON.stringify(understood)).finish());
    assert.equal(answered(await client.search("macbook, not above $500")).degraded, undefined);
  });
});
