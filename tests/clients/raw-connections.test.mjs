// How bare WebSockets begin and end, whatever is spoken on them: credentials, the choice of the protocol, limits, closing.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  campusHub,
  dialRaw,
  envelope,
  gurukul,
  hangUpRaw,
  httpStatus,
  lykke,
  openRaw,
  refusedRaw,
  signToken,
  startServer,
} from "./harness.mjs";

const ALLOWED = "https://app.example.org";
const REFUSED = { code: 1008, reason: "Authentication failed" };
const OFFLINE = { AI_PROVIDER: "offline" };

let server;
let owner;
let id;
let paths;
before(async () => {
  server = await startServer({ ...OFFLINE, CORS_ORIGIN: ALLOWED, GURUKUL_PORT: "0", WS_PORT: "0" });
  owner = server.user();
  id = await server.conversation(owner);
  paths = { chat: "/ws", conversation: `/api/v1/conversations/${id}/ws` };
});
afterEach(() => hangUpRaw());
after(() => server.stop());

/** The port of the listener that speaks only one protocol, as the server has printed it. */
const portOf = (protocol) => Number(new RegExp(`127\\.0\\.0\\.1:(\\d+) \\(${protocol} `).exec(server.logs())[1]);
const ping = () => envelope("ping", { timestamp: 1 });

describe("credentials", () => {
  test("the token may stand in the address, the Authorization header or the cookie", async () => {
    const ways = {
      query: { query: { token: owner.token } },
      header: { headers: { authorization: `Bearer ${owner.token}` } },
      cookie: { headers: { cookie: `theme=dark; lykke_auth=${owner.token}` } },
      "an offer of compression": { query: { token: owner.token }, perMessageDeflate: true },
    };
    for (const [way, options] of Object.entries(ways)) {
      const client = await openRaw(server, paths.chat, options);
      client.send(ping());
      assert.equal((await client.next(() => true)).type, "pong", way);
      const other = await openRaw(server, paths.conversation, options);
      assert.equal((await other.next(() => true)).user_id, owner.id, way);
    }
  });

  test("without a good token the handshake succeeds, and the close says why", async () => {
    const expired = server.token({ sub: owner.id, ttl: -60 });
    const forged = signToken({ sub: owner.id, exp: Math.floor(Date.now() / 1000) + 3600 }, "x".repeat(64));
    for (const query of [{}, { token: "" }, { token: "garbage" }, { token: expired }, { token: forged }]) {
      const client = await openRaw(server, paths.chat, { query });
      assert.deepEqual(await client.end(), REFUSED);
      assert.deepEqual(client.frames, []);
      const other = await openRaw(server, paths.conversation, { query });
      assert.equal((await other.end()).code, 1008);
      assert.deepEqual(
        other.frames.map(({ type, code }) => [type, code]),
        [["error", "UNAUTHENTICATED"]],
      );
    }
  });

  test("a connection ends when its token does", async () => {
    const token = server.token({ sub: owner.id, name: "Anna", ttl: 2 });
    const chat = await gurukul(server, { token });
    await chat.alive();
    const conversation = await lykke(server, { token }, id);
    assert.deepEqual(await chat.end(10_000), REFUSED);
    assert.equal((await conversation.end(10_000)).code, 1008);
    assert.equal(conversation.frames.at(-1).code, "UNAUTHENTICATED");
  });

  test("signing out ends the connections made with that token, and no others", async () => {
    const email = "sina@example.org";
    const password = "correct horse battery";
    const made = await server.ok("POST", "/v1/auth/sign-up", { body: { email, password, name: "Sina" } });
    const again = await server.ok("POST", "/v1/auth/sign-in", { body: { email, password } });
    for (const { token } of [made, again]) server.keepSecret(token);
    const [first, second] = [await gurukul(server, made), await gurukul(server, again)];
    for (const client of [first, second]) await client.alive();
    await server.ok("POST", "/v1/auth/sign-out", { as: made });
    assert.deepEqual(await first.end(), REFUSED);
    await second.alive();
    assert.deepEqual(await (await openRaw(server, paths.chat, { as: made })).end(), REFUSED);
  });
});

describe("the protocol", () => {
  test("is CampusHub's when the first frame is a search or has a requestId or a payload, else Gurukul's", async () => {
    const theirs = [
      { type: "agent.search", requestId: "r", payload: { query: "" } },
      { type: "agent.search" },
      { type: "message", requestId: "r" },
      { type: "message", payload: {} },
    ];
    for (const frame of theirs) {
      const client = await openRaw(server, paths.chat, { as: owner });
      client.send(frame);
      const answer = await client.next("error");
      assert.equal(typeof answer.payload.code, "string", JSON.stringify(answer));
      client.send(ping());
      assert.equal((await client.next("error")).payload.code, "UNKNOWN_TYPE", "the choice is made once");
    }
    for (const frame of [{ type: "dance", data: {}, timestamp: 1 }, "nonsense", "[]", { type: "message" }]) {
      const client = await openRaw(server, paths.chat, { as: owner });
      client.send(frame);
      assert.equal((await client.next("error")).data.code, 400, JSON.stringify(frame));
      client.send({ type: "agent.search", requestId: "r", payload: { query: "desk" } });
      assert.equal((await client.next("error")).data.code, 400, "the choice is made once");
    }
  });

  test("may be named in the address, or by the port", async () => {
    const search = { type: "agent.search", requestId: "r", payload: { query: "" } };
    const doors = {
      gurukul: [{ query: { protocol: "gurukul" } }, { port: portOf("gurukul") }],
      campushub: [{ query: { protocol: "campushub" } }, { port: portOf("campushub") }],
    };
    for (const door of doors.gurukul) {
      const client = await openRaw(server, paths.chat, { ...door, query: { ...door.query, token: owner.token } });
      client.send(search);
      assert.equal((await client.next("error")).data.code, 400);
      client.send(ping());
      await client.next("pong");
    }
    for (const door of doors.campushub) {
      const client = await openRaw(server, paths.chat, { ...door, query: { ...door.query, token: owner.token } });
      client.send(ping());
      assert.equal((await client.next("error")).payload.code, "UNKNOWN_TYPE");
      client.send(search);
      assert.equal((await client.next("error")).payload.code, "INVALID_QUERY");
    }
    for (const protocol of ["gurukul", "campushub"]) {
      const health = await fetch(`http://127.0.0.1:${portOf(protocol)}/health`);
      assert.equal(health.status, 200, "everything else is there as on the main port");
      assert.equal((await lykke(server, owner, id, { port: portOf(protocol) })).ack.user_id, owner.id);
    }
  });

  test("nothing is said before the first frame", async () => {
    const silent = await openRaw(server, paths.chat, { as: owner });
    const chatty = await gurukul(server, owner);
    await chatty.join(id);
    await chatty.ask("message", { chatId: id, content: "Is anybody there?" });
    await chatty.next(({ type, data }) => type === "typing" && data.isTyping === false, 20_000);
    await server.ok("PATCH", `/api/conversations/${id}`, { as: owner, body: { title: "Nobody listens" } });
    await chatty.next("chat_update");
    assert.deepEqual(silent.frames, []);
    silent.send(ping());
    assert.equal((await silent.next(() => true)).type, "pong");
  });

  test("has its path where WS_PATH says", async () => {
    const elsewhere = await startServer({ ...OFFLINE, WS_PATH: "/live" });
    try {
      const person = elsewhere.user();
      const client = await openRaw(elsewhere, "/live", { as: person });
      client.send(ping());
      await client.next("pong");
      assert.equal(await refusedRaw(elsewhere, "/ws", { as: person }), 404);
    } finally {
      hangUpRaw();
      await elsewhere.stop();
    }
  });
});

describe("limits and handshakes", () => {
  test("beyond a user's limit a connection is closed with 1013, and there is room again when another ends", async () => {
    const small = await startServer({ ...OFFLINE, MAX_CONNECTIONS_PER_USER: "2" });
    try {
      const person = small.user();
      const conversation = await small.conversation(person);
      const first = await gurukul(small, person);
      await first.alive();
      await (await campusHub(small, person)).search("");
      for (const path of ["/ws", `/api/v1/conversations/${conversation}/ws`]) {
        assert.equal((await (await openRaw(small, path, { as: person })).end()).code, 1013, path);
      }
      await (await gurukul(small, small.user())).alive();
      await first.alive();
      first.ws.close();
      await first.end();
      assert.equal((await lykke(small, person, conversation)).ack.user_id, person.id);
    } finally {
      hangUpRaw();
      await small.stop();
    }
  });

  test("beyond the limit of all a handshake is answered 503", async () => {
    const small = await startServer({ ...OFFLINE, MAX_CONNECTIONS: "2" });
    try {
      const conversation = await small.conversation(small.user());
      for (let n = 0; n < 2; n++) await (await gurukul(small, small.user())).alive();
      for (const path of ["/ws", `/api/v1/conversations/${conversation}/ws`]) {
        assert.equal(await refusedRaw(small, path, { as: small.user() }), 503, path);
      }
      const { connections } = await small.ok("GET", "/ws/health");
      assert.equal(connections, 2);
    } finally {
      hangUpRaw();
      await small.stop();
    }
  });

  test("pages of other origins are refused with 403", async () => {
    for (const path of Object.values(paths)) {
      for (const origin of ["https://evil.example.org", "null", `${ALLOWED}.evil.org`]) {
        assert.equal(await refusedRaw(server, path, { as: owner, origin }), 403, `${path} from ${origin}`);
      }
      for (const origin of [ALLOWED, server.url]) {
        await (await openRaw(server, path, { as: owner, origin })).ws.close();
      }
    }
  });

  test("a bad handshake is a 4xx, never a 101", async () => {
    const good = {
      Host: "localhost",
      Upgrade: "websocket",
      Connection: "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const statusOf = (path, fields, method = "GET", version = "1.1") => {
      const lines = Object.entries({ ...good, ...fields }).filter(([, value]) => value !== undefined);
      const head = [`${method} ${path}?token=${owner.token} HTTP/${version}`, ...lines.map((line) => line.join(": "))];
      return httpStatus(server.port, [...head, "", ""].join("\r\n"));
    };
    for (const path of Object.values(paths)) {
      assert.equal(await statusOf(path, {}), 101);
      for (const wrong of [
        { Upgrade: undefined },
        { Upgrade: "h2c" },
        { Connection: "close" },
        { "Sec-WebSocket-Version": undefined },
        { "Sec-WebSocket-Version": "8" },
        { "Sec-WebSocket-Key": undefined },
        { "Sec-WebSocket-Key": "AAAA" },
        { Host: undefined },
      ]) {
        const status = await statusOf(path, wrong);
        assert.ok(status >= 400 && status < 500, `${path} with ${JSON.stringify(wrong)}: ${status}`);
      }
      for (const [method, version] of [
        ["POST", "1.1"],
        ["GET", "1.0"],
      ]) {
        const status = await statusOf(path, { "Content-Length": "0" }, method, version);
        assert.ok(status >= 400 && status < 500, `${path} with ${method} HTTP/${version}: ${status}`);
      }
    }
  });
});

test("health counts connections and chats of every kind", async () => {
  const counting = await startServer(OFFLINE);
  try {
    const person = counting.user();
    const conversation = await counting.conversation(person);
    await (await gurukul(counting, person)).join(conversation);
    await lykke(counting, person, await counting.conversation(person));
    const { connections, activeChats } = await counting.ok("GET", "/ws/health");
    assert.deepEqual([connections, activeChats], [2, 2]);
  } finally {
    hangUpRaw();
    await counting.stop();
  }
});

test("a server that stops closes every connection, with a code after which clients come back", async () => {
  const stopping = await startServer(OFFLINE);
  const person = stopping.user();
  const conversation = await stopping.conversation(person);
  const clients = [
    await gurukul(stopping, person),
    await campusHub(stopping, person),
    await lykke(stopping, person, conversation),
  ];
  await clients[0].alive();
  await clients[1].search("");
  const [ends] = await Promise.all([Promise.all(clients.map((client) => client.end(15_000))), stopping.stop()]);
  for (const { code } of ends) assert.ok(![1000, 1005, 1006, 1008].includes(code), `closed with ${code}`);
  const late = dialRaw(stopping, "/ws", { as: person });
  assert.equal((await late.end()).code, 1006);
});
