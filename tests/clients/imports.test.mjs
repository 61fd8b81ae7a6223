// Filling the store from files, as an operator does: what is written, what is refused and why, and the samples.
import assert from "node:assert/strict";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startServer, switchboard, temporaryFolder } from "./harness.mjs";

let server;
let agent;
let folder;
before(async () => {
  folder = await temporaryFolder();
  server = await startServer();
  agent = server.user("admin");
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs a command against the server's database. */
const cli = (args, input) => switchboard(args, server.env, { input });

async function file(name, content) {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

/** The listings of a category, oldest id first, with the fields that an import sets. */
async function stored(category) {
  const query = new URLSearchParams({ category, limit: 200 });
  const { listings } = await server.ok("GET", `/v1/listings?${query}`, { as: agent });
  const kept = listings.map(({ createdAt, updatedAt, category: _, ...fields }) => fields);
  return kept.sort((a, b) => a.id.localeCompare(b.id));
}

test("a table is imported, and each refused row is named with its line and reason", async () => {
  const path = await file(
    "offers.csv",
    [
      "\ufeffPrice,Title,ID,Category,Description,Status,Colour",
      '"$1,200.00","Desk, oak",t-1,Tables,"Two\nlines",,brown',
      "19.99,Side table,t-2,Tables,,SOLD,",
      "",
      "free,Stool,t-3,Tables,,,",
      ",Bench,t-4,Tables,,,",
      "5,,t-5,Tables,,,",
      "5,Shelf,t 6,Tables,,,",
      "5,Rack,t-7,Tables,,gone,",
      "5,Too few",
      '7,"Chair ""Bo""",t-8,Tables,,,',
    ].join("\r\n"),
  );
  const { code, stdout, stderr } = await cli(["listings", "import", path]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "9 rows read, 3 written, 6 refused\n");
  assert.deepEqual(stderr.trim().split("\n"), [
    "column \"colour\" is not one of a listing's and was left out",
    "line 6: price is not an amount such as 25, 25.50, $25 or 1,200",
    "line 7: price is missing",
    "line 8: title is missing",
    "line 9: listing id is not a valid id",
    "line 10: status must be available, reserved, sold or hidden",
    "line 11: 2 fields where the header has 7",
  ]);
  assert.deepEqual(await stored("Tables"), [
    { id: "t-1", title: "Desk, oak", description: "Two\nlines", price: 1200, status: "available" },
    { id: "t-2", title: "Side table", description: null, price: 19.99, status: "sold" },
    { id: "t-8", title: 'Chair "Bo"', description: null, price: 7, status: "available" },
  ]);
});

test("a row with the id of a stored listing replaces it", async () => {
  const rows = (price) => `id,title,category,price\nr-1,Lamp,Lamps,${price}\nr-2,Torch,Lamps,3\n`;
  assert.equal((await cli(["listings", "import", await file("a.csv", rows(10))])).code, 0);
  const before = (await server.ok("GET", "/v1/listings/r-1", { as: agent })).listing;
  assert.equal((await cli(["listings", "import", await file("a.csv", rows(8))])).code, 0);
  const now = (await server.ok("GET", "/v1/listings/r-1", { as: agent })).listing;
  assert.deepEqual([now.price, now.createdAt], [8, before.createdAt]);
  assert.equal((await stored("Lamps")).length, 2);
  const twice = await cli(["listings", "import", "-"], "id,title,category,price\nr-1,Lamp,Lamps,6\nr-1,Lamp,Lamps,5\n");
  assert.equal(twice.code, 0, twice.stderr);
  assert.equal((await server.ok("GET", "/v1/listings/r-1", { as: agent })).listing.price, 5, "the last one counts");
});

test("JSON comes as an array or line by line, also from standard input", async () => {
  const rows = [
    { id: 1, title: "Jar", category: "Json", price: "25.00" },
    { id: "2", title: "Jug", category: "Json", price: 3.5, description: "Blue", status: "reserved" },
    { id: "3", title: "Can", category: "Json" },
  ];
  const path = await file("rows.json", JSON.stringify(rows, null, 2));
  const array = await cli(["listings", "import", path]);
  assert.deepEqual([array.code, array.stdout], [0, "3 rows read, 2 written, 1 refused\n"]);
  assert.equal(array.stderr, "line 16: price is missing\n");
  const lines = rows.map((row) => JSON.stringify({ ...row, id: `l-${row.id}` })).join("\n");
  const piped = await cli(["listings", "import", "-"], `${lines}\n{"title":\n`);
  assert.deepEqual([piped.code, piped.stdout], [0, "4 rows read, 2 written, 2 refused\n"]);
  assert.equal(piped.stderr, "line 3: price is missing\nline 4: this is not JSON\n");
  assert.deepEqual(
    (await stored("Json")).map(({ id, price, status }) => [id, price, status]),
    [
      ["1", 25, "available"],
      ["2", 3.5, "reserved"],
      ["l-1", 25, "available"],
      ["l-2", 3.5, "reserved"],
    ],
  );
  const forced = await cli(["listings", "import", "-", "--format", "csv"], "[title,category,price\n");
  assert.equal(forced.code, 1);
  assert.match(forced.stderr, /there is no column 'title'/);
});

test("a file that cannot be used ends with 1 and says why", async () => {
  await mkdir(join(folder, "folder.csv"));
  const wrong = {
    "missing.csv": [null, /No such file/],
    "folder.csv": [null, /directory/],
    "empty.csv": ["", /there is no column 'title'/],
    "refused.csv": ["title,category,price\nA,B,\nA,B,x\n", /line 3: price is not an amount.*\nswitchboard: nothing could be taken/],
    "broken.json": ['[{"title":"A"', /the file ends inside the JSON array/],
    "wide.csv": [Buffer.from("\ufefftitle", "utf16le"), /UTF-16/],
  };
  for (const [name, [content, reason]] of Object.entries(wrong)) {
    const path = content === null ? join(folder, name) : await file(name, content);
    const { code, stderr } = await cli(["listings", "import", path]);
    assert.equal(code, 1, `${name}: ${stderr}`);
    assert.match(stderr, reason);
    assert.doesNotMatch(stderr, /panicked|src\//);
  }
  const half = await file("half.json", '[{"title":"Half","category":"Halves","price":1}, {"title":');
  const { code, stdout } = await cli(["listings", "import", half]);
  assert.deepEqual([code, stdout], [1, "1 rows read, 1 written, 0 refused\n"]);
  assert.equal((await stored("Halves")).length, 1, "what was read is kept");
});

test("many rows are written in batches, and no more than fifty refusals are named", async () => {
  const rows = ["id,title,category,price"];
  for (let n = 1; n <= 20_000; n++) rows.push(`m-${n},Marble number ${n},Marbles,${n % 200 === 0 ? "x" : n}`);
  const path = await file("many.csv", rows.join("\n"));
  const { code, stdout, stderr } = await cli(["listings", "import", path]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "20000 rows read, 19900 written, 100 refused\n");
  const said = stderr.trim().split("\n");
  assert.equal(said.length, 51);
  assert.equal(said[0], "line 201: price is not an amount such as 25, 25.50, $25 or 1,200");
  assert.equal(said.at(-1), "and 50 more");
  const { listing } = await server.ok("GET", "/v1/listings/m-19999", { as: agent });
  assert.equal(listing.title, "Marble number 19999");
});

test("articles are imported under their files' names, listed and deleted", async () => {
  const good = await file("returns.md", "# Returns\n\nBring it back within 7 days.\n");
  const bad = await file("bad name.md", "# Bad\n\nName.\n");
  const empty = await file("empty.md", " \n");
  const binary = await file("binary.md", Buffer.from([0xff, 0xfe, 0x00]));
  const { code, stdout, stderr } = await cli(["articles", "import", good, bad, empty, binary, join(folder, "none.md")]);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, "5 articles read, 1 written, 4 refused\n");
  const said = stderr.trim().split("\n");
  assert.equal(said.length, 4);
  assert.equal(said[0], `${bad}: the file's name may have letters, digits and _ . : - only`);
  assert.match(said[1], /empty\.md: an article must not be empty/);
  assert.match(said[2], /binary\.md: it is not UTF-8/);
  assert.match(said[3], /none\.md: No such file/);
  assert.equal((await cli(["articles", "list"])).stdout, "returns\tReturns\n");
  await writeFile(good, "---\ntitle: Sending back\n---\nWithin 14 days.\n");
  assert.equal((await cli(["articles", "import", good])).code, 0);
  assert.equal((await cli(["articles", "list"])).stdout, "returns\tSending back\n");
  assert.deepEqual((await cli(["articles", "delete", "returns"])).stdout, "returns\tdeleted\n");
  assert.equal((await cli(["articles", "list"])).stdout, "");
  assert.equal((await cli(["articles", "delete", "returns"])).code, 1);
  assert.equal((await cli(["articles", "import", empty])).code, 1, "nothing was taken");
});

test("--demo fills an empty database, once, by the same way", async () => {
  const demo = await startServer({}, ["--demo"]);
  try {
    const [, listings, articles] = /Demo data: (\d+) listings, (\d+) help articles/.exec(demo.logs()) ?? [];
    assert.ok(listings >= 40 && articles >= 5, demo.logs());
    const anna = demo.user();
    const { answer } = await demo.ok("GET", "/v1/listings/search?q=used+textbook+for+cmpe202", { as: anna });
    assert.match(answer, /CMPE 202 Textbook for 25/);
    assert.equal((await switchboard(["articles", "list"], demo.env)).stdout.trim().split("\n").length, Number(articles));
    const count = async () => (await demo.ok("GET", "/v1/listings?limit=200", { as: demo.user("admin") })).listings.length;
    assert.equal(await count(), Number(listings));
    await demo.restart();
    assert.equal(await count(), Number(listings), "a second start adds nothing");
  } finally {
    await demo.stop();
  }
});
