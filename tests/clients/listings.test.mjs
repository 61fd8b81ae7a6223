// Listings over REST: agents keep them, customers see what is available, and everybody finds them by a sentence.
import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import { isTime, startServer, startUpstream } from "./harness.mjs";

let server;
let agent;
let anna;
before(async () => {
  server = await startServer();
});
beforeEach(() => {
  agent = server.user("admin");
  anna = server.user();
});
after(() => server.stop());

const FIELDS = ["id", "title", "description", "category", "price", "status", "createdAt", "updatedAt"];
const ids = (listings) => listings.map(({ id }) => id);

/** Offers something as an agent. */
async function offer(fields, as = agent) {
  const { listing } = await server.ok("POST", "/v1/listings", { as, body: { category: "Things", price: 5, ...fields } });
  return listing;
}

/** What a search answers. */
const find = (q, as = anna, more = {}) =>
  server.ok("GET", `/v1/listings/search?${new URLSearchParams({ q, ...more })}`, { as });

test("an agent offers, changes and takes away; a customer only reads", async () => {
  const body = { id: "book-1", title: " CMPE 202 Textbook ", description: "Some marks", category: "Textbooks", price: 25 };
  const made = await server.rest("POST", "/v1/listings", { as: agent, body });
  assert.equal(made.status, 201, made.text);
  const { listing } = made.body;
  assert.deepEqual(Object.keys(listing).sort(), [...FIELDS].sort());
  assert.ok(isTime(listing.createdAt) && isTime(listing.updatedAt));
  const { createdAt, updatedAt, ...said } = listing;
  assert.deepEqual(said, { ...body, title: "CMPE 202 Textbook", status: "available" });
  for (const as of [agent, anna, await server.session()]) {
    assert.deepEqual((await server.ok("GET", "/v1/listings/book-1", { as })).listing, listing);
  }

  const change = { price: 19.99, description: null };
  const changed = await server.ok("PATCH", "/v1/listings/book-1", { as: agent, body: change });
  assert.deepEqual({ ...changed.listing, updatedAt }, { ...listing, ...change, updatedAt });
  assert.ok(Date.parse(changed.listing.updatedAt) >= Date.parse(createdAt));
  const same = await server.ok("PATCH", "/v1/listings/book-1", { as: agent, body: {} });
  assert.equal(same.listing.price, 19.99);

  await server.refused(409, "CONFLICT", "POST", "/v1/listings", { as: agent, body });
  const writes = [
    ["POST", "/v1/listings", body],
    ["PATCH", "/v1/listings/book-1", { price: 1 }],
    ["DELETE", "/v1/listings/book-1", undefined],
  ];
  for (const [method, path, sent] of writes) {
    await server.refused(403, "FORBIDDEN", method, path, { as: anna, body: sent });
    await server.refused(403, "FORBIDDEN", method, path, { as: await server.session(), body: sent });
    await server.refused(401, "UNAUTHENTICATED", method, path, { body: sent });
  }
  assert.deepEqual(await server.ok("DELETE", "/v1/listings/book-1", { as: agent }), { success: true });
  for (const [method, sent] of [["GET"], ["PATCH", { price: 1 }], ["DELETE"]]) {
    await server.refused(404, "NOT_FOUND", method, "/v1/listings/book-1", { as: agent, body: sent });
    await server.refused(404, "NOT_FOUND", method, "/v1/listings/no%20such%20id", { as: agent, body: sent });
  }
});

test("strangers see nothing", async () => {
  for (const path of ["", "/x", "/search?q=x", "/searches/popular"]) {
    await server.refused(401, "UNAUTHENTICATED", "GET", `/v1/listings${path}`);
  }
});

test("what is not available is there for agents only", async () => {
  for (const status of ["reserved", "sold", "hidden"]) {
    const { id } = await offer({ title: "Gramophone", category: "Secrets", status });
    assert.equal((await server.ok("GET", `/v1/listings/${id}`, { as: agent })).listing.status, status);
    await server.refused(404, "NOT_FOUND", "GET", `/v1/listings/${id}`, { as: anna });
    const list = async (as) => (await server.ok("GET", `/v1/listings?status=${status}&category=Secrets`, { as })).listings;
    assert.deepEqual(ids(await list(agent)), [id]);
    assert.deepEqual(await list(anna), []);
  }
  assert.deepEqual((await server.ok("GET", "/v1/listings?category=Secrets", { as: anna })).listings, []);
  assert.equal((await server.ok("GET", "/v1/listings?category=Secrets", { as: agent })).listings.length, 3);
  assert.deepEqual((await find("gramophone")).listings, []);
  assert.deepEqual((await find("gramophone", agent)).listings, []);
});

test("listings are paged, newest first", async () => {
  const made = [];
  for (let n = 1; n <= 7; n++) made.unshift((await offer({ title: `Chair ${n}`, category: "Chairs" })).id);
  const seen = [];
  let cursor = "";
  do {
    const query = new URLSearchParams({ category: "Chairs", limit: 3, ...(cursor && { cursor }) });
    const page = await server.ok("GET", `/v1/listings?${query}`, { as: anna });
    assert.ok(page.listings.length <= 3);
    seen.push(...ids(page.listings));
    cursor = page.nextCursor;
  } while (cursor);
  assert.deepEqual(seen, made);
});

test("bad fields are refused by name", async () => {
  const good = { title: "Desk", category: "Furniture", price: 40 };
  const { id } = await offer(good);
  const bad = [
    ["title", [null, "", "  ", 7, "x".repeat(201), "a\nb"]],
    ["category", [null, "", " ", ["x"], "x".repeat(201)]],
    ["price", [null, -1, "25", 100_000_001, {}]],
    ["description", [7, "x".repeat(8_001), "a\0b"]],
    ["status", ["gone", 1]],
  ];
  const refused = async (method, path, body) => {
    const { text } = await server.refused(400, "INVALID", method, path, { as: agent, body });
    assert.doesNotMatch(text, /src\/|\.rs|panicked|select |sqlite|postgres|serde/i);
  };
  for (const [field, values] of bad) {
    for (const value of values) {
      await refused("POST", "/v1/listings", { ...good, [field]: value });
      // In a change, null and absent mean that nothing is to be different.
      if (value !== null) await refused("PATCH", `/v1/listings/${id}`, { [field]: value });
    }
  }
  for (const field of ["title", "category", "price"]) {
    await refused("POST", "/v1/listings", { ...good, [field]: undefined });
  }
  for (const taken of ["", "a b", "a/b", "x".repeat(129), 7]) await refused("POST", "/v1/listings", { ...good, id: taken });
  for (const body of ["{", "[]", "null", '"x"']) await refused("POST", "/v1/listings", body);
  const { listing } = await server.ok("GET", `/v1/listings/${id}`, { as: agent });
  assert.deepEqual({ title: listing.title, category: listing.category, price: listing.price }, good, "nothing has changed");
});

test("bad queries are refused", async () => {
  const refused = (path, as = anna) => server.refused(400, "INVALID", "GET", `/v1/listings${path}`, { as });
  for (const query of ["limit=0", "limit=x", "limit=-1", "status=gone", "cursor=nonsense"]) await refused(`?${query}`);
  for (const query of ["", "q=", "q=%20", `q=${"x".repeat(501)}`, "q=a%00b"]) await refused(`/search?${query}`);
  for (const query of ["limit=0", "minPrice=-1", "maxPrice=cheap", "minPrice=NaN", "minPrice=9&maxPrice=8"]) {
    await refused(`/search?q=desk&${query}`);
  }
  for (const query of ["days=0", "days=x", "limit=0"]) await refused(`/searches/popular?${query}`, agent);
});

test("a sentence finds what is available, and a follow-up what fits better", async () => {
  await offer({ id: "dear", title: "MacBook Pro 14", category: "Laptops", price: 900 });
  await offer({ id: "fair", title: "MacBook Air 2019", category: "Laptops", price: 450 });
  await offer({ id: "low", title: "MacBook, screen cracked", category: "Laptops", price: 120.5 });
  await offer({ id: "gone", title: "MacBook Air", category: "Laptops", price: 300, status: "sold" });
  const all = await find("macbook");
  assert.deepEqual(ids(all.listings).sort(), ["dear", "fair", "low"]);
  assert.deepEqual(Object.keys(all).sort(), ["answer", "filters", "listings", "nextCursor"], "and not degraded");
  assert.equal(all.nextCursor, null);
  assert.match(all.answer, /^I found 3 items for 'macbook'\. The best matches are MacBook.* for \d+.* and MacBook.*\.$/);

  const under = await find("MacBook under $500");
  assert.deepEqual(ids(under.listings).sort(), ["fair", "low"]);
  assert.equal(under.filters.maxPrice, 500);
  assert.match(under.answer, /^I found 2 items for 'MacBook under \$500': .* and .*\.$/);
  const cheaper = await find("cheaper than 200");
  assert.deepEqual(ids(cheaper.listings), ["low"], "a follow-up keeps what was looked for");
  assert.equal(cheaper.answer, "I found 1 item for 'cheaper than 200': MacBook, screen cracked for 120.50.");
  assert.equal((await find("macbook pro")).listings[0].id, "dear");
  const ones = await find("cheaper ones");
  assert.deepEqual([ones.filters.keywords, ones.filters.maxPrice], [["macbook", "pro"], 899.99], "than the best one");
  assert.deepEqual(ids(ones.listings).sort(), ["fair", "low"]);
  await offer({ id: "console", title: "Xbox One", category: "Games", price: 90 });
  assert.deepEqual(ids((await find("xbox one")).listings), ["console"], "what only looks like a follow-up is none");
  const stranger = await find("cheaper ones", server.user());
  assert.equal(stranger.filters.maxPrice, undefined, "another person has no last search");

  assert.deepEqual(ids((await find("macbook", anna, { maxPrice: 200 })).listings), ["low"]);
  assert.deepEqual(ids((await find("macbook", anna, { minPrice: 500, category: "laptops" })).listings), ["dear"]);
  assert.equal((await find("macbook", anna, { limit: 1 })).listings.length, 1);
  assert.match((await find("macbook", anna, { limit: 1 })).answer, /^I found more than 1 item/);
});

test("when nothing fits, the answer says what nearly does", async () => {
  await offer({ id: "bike-1", title: "Mountain bike", category: "Bikes", price: 150 });
  await offer({ id: "bike-2", title: "City bike", category: "Bikes", price: 95 });
  const cheap = await find("bike under 50", server.user());
  assert.deepEqual(cheap.listings, []);
  assert.equal(cheap.answer, "I found nothing for 'bike under 50'. At another price there is City bike for 95.");
  const elsewhere = await find("mountain bike", server.user(), { category: "Laptops" });
  assert.match(elsewhere.answer, /In Bikes there is Mountain bike for 150\.$/);
  const nothing = await find("spaceship", server.user());
  assert.equal(nothing.answer, "I found nothing for 'spaceship'. Try other words, or fewer.");
});

test("searches take any text", async () => {
  const texts = ["'; DROP TABLE listings; --", '"*NEAR(', "%_%", "😀", "a".repeat(500), "<b>bold</b>", "\\", "()", "AND OR NOT"];
  for (const text of texts) {
    const { answer, listings } = await find(text);
    assert.ok(answer.startsWith("I found "), answer);
    assert.ok(Array.isArray(listings));
  }
});

test("agents see what people look for", async () => {
  await offer({ title: "Piano", category: "Music", price: 300 });
  for (const text of ["grand  PIANO", "Grand piano", "harpsichord"]) await find(text, server.user());
  const popular = (as, query = "") => server.ok("GET", `/v1/listings/searches/popular${query}`, { as });
  const { searches } = await popular(agent);
  const piano = searches.find(({ query }) => query === "grand piano");
  assert.equal(piano.count, 2);
  assert.ok(piano.averageResults >= 1 && isTime(piano.lastAt));
  assert.equal(searches.find(({ query }) => query === "harpsichord").averageResults, 0);
  const counts = searches.map(({ count }) => count);
  assert.deepEqual(counts, counts.toSorted((a, b) => b - a));
  assert.equal((await popular(agent, "?days=1&limit=1")).searches.length, 1);
  await server.refused(403, "FORBIDDEN", "GET", "/v1/listings/searches/popular", { as: anna });
});

/** A server with an AI that the test answers for, and a lamp on offer. */
async function withAi(story) {
  const upstream = await startUpstream();
  const clever = await startServer(upstream.env);
  try {
    const body = { title: "Reading lamp, blue", category: "Furniture", price: 12 };
    await clever.ok("POST", "/v1/listings", { as: clever.user("admin"), body });
    const ask = (q, as) => clever.ok("GET", `/v1/listings/search?${new URLSearchParams({ q })}`, { as });
    await story(upstream, ask, clever);
    assert.ok(!/reading|lamp/i.test(clever.logs()), "no query in the log");
  } finally {
    await clever.stop();
    await upstream.stop();
  }
}

test("an AI reads the sentence; its reading is checked, remembered, and goes on from the last search", () =>
  withAi(async (upstream, ask, clever) => {
    const user = clever.user();
    let said = { category: "Furniture", keywords: ["lamp"], min_price: null, max_price: 200 };
    upstream.answerAll((call) => call.say(JSON.stringify(said)).finish());
    const first = await ask("I need a lamp for reading, under 20", user);
    assert.deepEqual(first.filters, { category: "Furniture", keywords: ["lamp"], maxPrice: 20 }, "the invented price");
    assert.equal(first.answer, "I found 1 item for 'I need a lamp for reading, under 20': Reading lamp, blue for 12.");
    assert.ok(!("degraded" in first));
    assert.equal(upstream.calls.length, 1);
    const again = await ask("i need a LAMP  for reading, under 20", clever.user());
    assert.deepEqual([again.filters, upstream.calls.length], [first.filters, 1], "the AI is not asked twice");

    said = { category: "Furniture", keywords: ["lamp", "blue"], min_price: null, max_price: 20 };
    const next = await ask("is there another in blue?", user);
    assert.equal(upstream.calls.length, 2);
    assert.match(JSON.stringify(upstream.calls[1].body.messages[0]), /lamp/, "the AI is told of the last search");
    assert.deepEqual(next.filters, { category: "Furniture", keywords: ["lamp", "blue"], maxPrice: 20 });
    assert.equal(next.listings.length, 1);
  }));

test("an AI that fails is replaced by rules, and the answer says so", () =>
  withAi(async (upstream, ask, clever) => {
    upstream.answerAll((call) => call.refuse(400));
    const found = await ask("reading lamp under 20", clever.user());
    assert.equal(found.degraded, true);
    assert.equal(found.listings.length, 1);
    assert.equal(found.filters.maxPrice, 20);
    const asked = upstream.calls.length;
    assert.ok(asked > 0, "the AI was asked");
    upstream.answerAll((call) => call.say('{"category":null,"keywords":["lamp"]}').finish());
    const better = await ask("reading lamp under 20", clever.user());
    assert.ok(!("degraded" in better), "what failed was not remembered");
    assert.ok(upstream.calls.length > asked);
  }));
