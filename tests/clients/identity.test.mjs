// Who may connect, for how long, and what strangers can find out: credentials, expiry, sign-out, foreign conversations.
import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import {
  connect,
  dial,
  emitAck,
  emitFails,
  emitOk,
  expectAlive,
  expectDisconnect,
  expectEvent,
  hangUp,
  payloads,
  signToken,
  startServer,
} from "./harness.mjs";

let server;
before(async () => {
  server = await startServer({ AUTH_TIMEOUT: "1s" });
});
afterEach(() => hangUp());
after(() => server.stop());

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;
const claims = (more = {}) => ({ sub: randomUUID(), name: "Anna", role: "customer", exp: inAnHour(), ...more });
const refusal = (options) => expectEvent(dial(server.url, options), "client:connect_error");

/** The role and id that a token's connection gets. */
async function whoIs(tokenClaims) {
  const token = server.keepSecret(signToken(tokenClaims, server.secret));
  return expectEvent(await connect(server.url, { auth: { token } }), "authenticated");
}

test("wrong credentials are refused with one sentence, over both transports", async () => {
  const good = claims();
  const [head, body, signature] = signToken(good, server.secret).split(".");
  const flipped = Buffer.from(body, "base64url");
  flipped[20] ^= 1;
  const wrong = {
    "not a token": "garbage",
    "another secret": signToken(good, randomBytes(32).toString("hex")),
    "changed claims": `${head}.${flipped.toString("base64url")}.${signature}`,
    "no signature": `${head}.${body}.`,
    "alg none": `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${body}.`,
    "alg HS384 with an HS256 signature": signToken(good, server.secret, { alg: "HS384", typ: "JWT" }),
    "no expiry": signToken(claims({ exp: undefined }), server.secret),
    "expiry as text": signToken(claims({ exp: "tomorrow" }), server.secret),
    "no subject": signToken(claims({ sub: undefined }), server.secret),
    "not yet valid": signToken(claims({ nbf: inAnHour() }), server.secret),
  };
  for (const [what, token] of Object.entries(wrong)) {
    for (const transports of [["websocket"], ["polling"]]) {
      assert.equal(await refusal({ auth: { token }, transports }), "Authentication failed", what);
    }
  }
  for (const sessionId of ["test-session", randomUUID(), "x".repeat(5_000), "' or 1=1 --"]) {
    assert.equal(await refusal({ auth: { sessionId } }), "Authentication failed", sessionId.slice(0, 40));
  }
  assert.equal(await refusal({ query: { token: "garbage" } }), "Authentication failed");
  assert.equal(await refusal({ headers: { authorization: "Bearer garbage" } }), "Authentication failed");
  assert.equal(await refusal({ auth: { token: 7 } }), "Authentication failed");
});

test("an expired token says so", async () => {
  const token = server.token({ ttl: -60 });
  for (const options of [{ auth: { token } }, { query: { token } }, { auth: { token }, transports: ["polling"] }]) {
    assert.equal(await refusal(options), "Token expired");
  }
});

test("a refused client does not try again by itself", async () => {
  const socket = dial(server.url, { auth: { token: "garbage" }, reconnection: true, reconnectionDelay: 10 });
  await expectEvent(socket, "client:connect_error");
  assert.equal(socket.active, false);
});

test("a credential may stand in auth, in the header or in the query", async () => {
  const user = server.user();
  const session = await server.session();
  const places = [
    [user.id, { auth: { token: user.token } }],
    [user.id, { headers: { authorization: `Bearer ${user.token}` } }],
    [user.id, { headers: { authorization: `Bearer ${user.token}` }, transports: ["websocket"] }],
    [user.id, { query: { token: user.token } }],
    [session.userId, { auth: { sessionId: session.sessionId } }],
    [session.userId, { query: { sessionId: session.sessionId } }],
  ];
  for (const [userId, options] of places) {
    const socket = await connect(server.url, options);
    assert.equal((await expectEvent(socket, "authenticated")).userId, userId, JSON.stringify(Object.keys(options)));
  }
});

test("the user is read from the claims that applications use", async () => {
  const n = Math.floor(Math.random() * 1e9);
  assert.equal((await whoIs(claims({ sub: undefined, userId: `u${n}` }))).userId, `u${n}`);
  assert.equal((await whoIs(claims({ sub: undefined, user_id: n }))).userId, String(n));
  assert.equal((await whoIs(claims({ sub: undefined, id: n + 1 }))).userId, String(n + 1));
  assert.equal((await whoIs(claims({ name: undefined, userName: "Uwe" }))).userName, "Uwe");
  for (const role of ["admin", "agent", "support"]) assert.equal((await whoIs(claims({ role }))).role, "admin", role);
  for (const role of ["customer", "user", "superadmin", undefined]) {
    assert.equal((await whoIs(claims({ role }))).role, "customer", role);
  }
});

test("without credentials a connection may only authenticate, and is closed after AUTH_TIMEOUT", async () => {
  for (const options of [{}, { transports: ["polling"] }, { transports: ["websocket"] }]) {
    const socket = await connect(server.url, options);
    const { ack, error } = await emitFails(socket, "UNAUTHENTICATED", "join_conversation", "any");
    assert.equal(ack.error, "Authentication required");
    assert.equal(error.message, "Authentication required");
    await emitFails(socket, "UNAUTHENTICATED", "conversation:create", {});
    await emitFails(socket, "UNAUTHENTICATED", "ping", 1);
    await expectDisconnect(socket, 4_000);
    assert.equal(payloads(socket, "authenticated").length, 0);
  }
});

test("authenticate makes a connection somebody's, and it stays beyond AUTH_TIMEOUT", async () => {
  const user = server.user();
  const session = await server.session();
  const byToken = await connect(server.url);
  const byTheWay = await connect(server.url);
  const idle = await connect(server.url);
  const { userId, userName, role } = await emitOk(byToken, "authenticate", { token: user.token });
  assert.deepEqual({ userId, userName, role }, { userId: user.id, userName: "Anna", role: "customer" });
  assert.deepEqual(await expectEvent(byToken, "authenticated"), { userId, userName, role });
  assert.equal((await emitOk(byTheWay, "authenticate", { sessionId: session.sessionId })).userId, session.userId);
  await expectDisconnect(idle, 4_000);
  await expectAlive(byToken);
  await expectAlive(byTheWay);
  await emitOk(byTheWay, "join_conversation", session.conversationId);
});

test("a failed authenticate is answered and disconnects", async () => {
  for (const payload of [{ token: "garbage" }, { sessionId: "test-session" }, {}, null, "text"]) {
    const socket = await connect(server.url);
    const ack = await emitAck(socket, "authenticate", payload);
    assert.equal(ack.success, false);
    assert.ok(["UNAUTHENTICATED", "INVALID"].includes(ack.code), ack.code);
    await expectDisconnect(socket, 900);
  }
});

test("a token's end closes the connection, unless a fresh one of the same user came", async () => {
  const user = server.user();
  const short = server.token({ sub: user.id, name: "Anna", ttl: 2 });
  const [ends, renewed] = [
    await connect(server.url, { auth: { token: short } }),
    await connect(server.url, { auth: { token: short } }),
  ];
  await emitOk(renewed, "authenticate", { token: user.token });
  await expectDisconnect(ends, 9_000);
  await expectAlive(renewed);
});

test("another user's token is refused on a connection that is somebody's", async () => {
  const [anna, otto] = [server.user(), server.user("customer", "Otto")];
  const socket = await connect(server.url, { auth: { token: anna.token } });
  const ack = await emitAck(socket, "authenticate", { token: otto.token });
  assert.equal(ack.success, false);
  assert.equal(ack.code, "FORBIDDEN");
});

test("a foreign conversation and a missing one give the same answer to everything", async () => {
  const [anna, otto] = [server.user(), server.user("customer", "Otto")];
  const foreign = await server.conversation(anna);
  const missing = randomUUID();
  const socket = await connect(server.url, { auth: { token: otto.token } });
  const digest = (value, id) => createHash("sha256").update(JSON.stringify(value).replaceAll(id, "ID")).digest("hex");
  const requests = {
    join_conversation: (id) => id,
    send_message: (id) => ({ conversationId: id, content: "x" }),
    typing_start: (id) => id,
    typing_stop: (id) => id,
    mark_read: (id) => ({ conversationId: id, upToSeq: 1 }),
    leave_conversation: (id) => id,
    "join:conversation": (id) => ({ conversationId: id, after: 0 }),
    "leave:conversation": (id) => id,
    "message:send": (id) => ({ conversationId: id, content: "x" }),
    "message:stop": (id) => ({ conversationId: id }),
    "message:regenerate": (id) => ({ conversationId: id }),
    "conversation:update": (id) => ({ conversationId: id, title: "x" }),
    "conversation:delete": (id) => id,
    "typing:start": (id) => id,
    "typing:stop": (id) => id,
  };
  for (const [name, payload] of Object.entries(requests)) {
    const answers = [];
    for (const id of [foreign, missing]) {
      const ack = await emitAck(socket, name, payload(id));
      const error = ack.success ? null : await expectEvent(socket, "error");
      answers.push(digest([ack, error], id));
    }
    assert.equal(answers[0], answers[1], name);
  }
  const calls = [
    ["GET", ""],
    ["GET", "/messages"],
    ["POST", "/messages", { content: "x" }],
    ["POST", "/read", { upToSeq: 1 }],
    ["POST", "/stop", {}],
    ["PATCH", "", { title: "x" }],
    ["DELETE", ""],
  ];
  for (const [method, end, body] of calls) {
    const [a, b] = await Promise.all(
      [foreign, missing].map(async (id) => {
        const { status, text } = await server.rest(method, `/api/conversations/${id}${end}`, { as: otto, body });
        return `${status} ${text.replaceAll(id, "ID")}`;
      }),
    );
    assert.equal(a, b, `${method} ${end}`);
    assert.match(a, /^404 /, `${method} ${end}`);
  }
  assert.equal((await server.messages(foreign, anna)).length, 0);
});

test("a connection beyond the user's limit is told so", async () => {
  const small = await startServer({ MAX_CONNECTIONS_PER_USER: "2" });
  try {
    const user = small.user();
    const first = await connect(small.url, { auth: { token: user.token } });
    const second = await connect(small.url, { auth: { token: user.token } });
    const third = dial(small.url, { auth: { token: user.token } });
    assert.equal(await expectEvent(third, "client:connect_error"), "Too many connections");
    await connect(small.url, { auth: { token: small.user().token } });
    await expectAlive(first);
    await expectAlive(second);
  } finally {
    hangUp();
    await small.stop();
  }
});

test("no credential and no message text stands in the log, at any level", async () => {
  const chatty = await startServer({ RUST_LOG: "trace" });
  try {
    const user = chatty.user();
    const session = await chatty.session();
    const text = chatty.keepSecret(`secret-text-${randomUUID()}`);
    const id = await chatty.conversation(user);
    for (const options of [
      { auth: { token: user.token } },
      { query: { token: user.token }, transports: ["websocket"] },
      { headers: { authorization: `Bearer ${user.token}` }, transports: ["polling"] },
    ]) {
      const socket = await connect(chatty.url, options);
      await emitOk(socket, "message:send", { conversationId: id, content: text });
      await emitFails(socket, "INVALID", "message:send", { conversationId: id, content: { text } });
      hangUp(socket);
    }
    const visitor = await connect(chatty.url, { query: { sessionId: session.sessionId } });
    await emitOk(visitor, "send_message", { conversationId: session.conversationId, content: text });
    await chatty.ok("POST", `/api/conversations/${id}/messages`, { as: user, body: { content: text } });
    await chatty.rest("POST", `/api/conversations/${id}/messages`, { as: user, body: `{"content": "${text}` });
    await chatty.rest("GET", `/api/conversations?token=${user.token}`);
    const late = dial(chatty.url, {
      auth: { token: chatty.keepSecret(signToken({ sub: "x", exp: 1 }, chatty.secret)) },
    });
    await expectEvent(late, "client:connect_error");
  } finally {
    hangUp();
    await chatty.stop();
  }
});
