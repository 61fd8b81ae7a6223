// Accounts of people: sign-up, sign-in, sign-out, and what happens to connections when an account changes.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import {
  connect,
  dial,
  dialRaw,
  expectAlive,
  expectDisconnect,
  expectEvent,
  gurukul,
  hangUp,
  hangUpRaw,
  startServer,
  switchboard,
} from "./harness.mjs";

let server;
before(async () => {
  server = await startServer();
});
afterEach(() => hangUp());
after(() => server.stop());

const refusal = (options) => expectEvent(dial(server.url, options), "client:connect_error");

test("people sign up, sign in and sign out", async () => {
  const email = `${randomUUID()}@example.org`;
  const account = { email, password: "correct horse battery" };
  const made = await server.rest("POST", "/v1/auth/sign-up", { body: { ...account, name: "Sina" } });
  assert.ok([200, 201].includes(made.status), made.text);
  server.keepSecret(made.body.token);
  assert.equal(made.body.user.name, "Sina");
  assert.equal(made.body.user.role, "customer");
  assert.equal(made.text.includes(account.password), false);
  await server.refused(409, "CONFLICT", "POST", "/v1/auth/sign-up", { body: { ...account, name: "Other" } });
  for (const path of ["/v1/auth/sign-in", "/api/auth/login"]) {
    const { token, user } = await server.ok("POST", path, { body: account });
    server.keepSecret(token);
    assert.equal(user.id, made.body.user.id);
    const socket = await connect(server.url, { auth: { token } });
    assert.equal((await expectEvent(socket, "authenticated")).userId, user.id);
  }
  const wrong = await server.refused(401, "UNAUTHENTICATED", "POST", "/v1/auth/sign-in", {
    body: { ...account, password: "wrong" },
  });
  const nobody = await server.refused(401, "UNAUTHENTICATED", "POST", "/v1/auth/sign-in", {
    body: { email: "nobody@example.org", password: "wrong" },
  });
  assert.equal(wrong.text, nobody.text, "nobody learns which accounts exist");
  const upperCase = await server.rest("POST", "/v1/auth/sign-in", {
    body: { ...account, email: ` ${email.toUpperCase()} ` },
  });
  assert.ok([200, 401, 400].includes(upperCase.status));
  if (upperCase.body?.token) server.keepSecret(upperCase.body.token);
  await server.ok("POST", "/v1/auth/sign-out", { as: made.body });
  await server.refused(401, "UNAUTHENTICATED", "GET", "/api/conversations", { as: made.body });
});

test("sign-up refuses what is no account", async () => {
  for (const body of [
    {},
    { email: "x", password: "correct horse" },
    { email: "a@example.org" },
    { email: "a@example.org", password: "" },
    [],
    "nonsense",
  ]) {
    await server.refused(400, "INVALID", "POST", "/v1/auth/sign-up", { body });
  }
  const { status, body } = await server.rest("POST", "/v1/auth/sign-up", {
    body: { email: `${randomUUID()}@example.org`, password: "correct horse battery", role: "admin" },
  });
  if (status < 300) {
    server.keepSecret(body.token);
    assert.equal(body.user.role, "customer", "nobody makes himself an admin");
  }
});

test("signing out closes the connections of that token and makes it worthless", async () => {
  const email = `${randomUUID()}@example.org`;
  const password = "correct horse battery";
  const account = await server.ok("POST", "/v1/auth/sign-up", { body: { email, password, name: "Sina" } });
  server.keepSecret(account.token);
  const second = await server.ok("POST", "/v1/auth/sign-in", { body: { email, password } });
  server.keepSecret(second.token);
  const [first, other] = [
    await connect(server.url, { auth: { token: account.token } }),
    await connect(server.url, { auth: { token: second.token } }),
  ];
  await server.ok("POST", "/v1/auth/sign-out", { as: account });
  await expectDisconnect(first);
  assert.equal(await refusal({ auth: { token: account.token } }), "Authentication failed");
  assert.equal((await server.rest("GET", "/api/conversations", { as: account })).status, 401);
  if (second.token !== account.token) await expectAlive(other);
});

test("signing out leaves no connection that was just being made, nor one to another process", async () => {
  const DATABASE_URL = server.env.DATABASE_URL ?? `sqlite:${join(server.dataDir, "switchboard.db")}`;
  const other = await startServer({ AI_PROVIDER: "offline", JWT_SECRET: server.secret, DATABASE_URL });
  try {
    const ends = [];
    for (let round = 0; round < 4; round++) {
      const person = server.user();
      const clients = Array.from({ length: 25 }, () => dialRaw(server, "/ws", { as: person }));
      clients.push(await gurukul(other, person));
      await server.ok("POST", "/v1/auth/sign-out", { as: person });
      ends.push(...clients.map((client) => client.end(10_000)));
      const { sessionId } = await server.session();
      const visitor = await connect(other.url, { auth: { sessionId } });
      await server.ok("POST", "/v1/auth/sign-out", { as: { sessionId } });
      ends.push(expectDisconnect(visitor, 10_000).then(() => ({ code: 1008 })));
    }
    assert.deepEqual([...new Set((await Promise.all(ends)).map(({ code }) => code))], [1008]);
  } finally {
    hangUpRaw();
    await other.stop();
  }
});

test("a deleted user's connections are closed, and so are a demoted one's", async () => {
  const made = async (role) => {
    const email = `${randomUUID()}@example.org`;
    const args = [
      "user",
      "create",
      "--email",
      email,
      "--name",
      "Nora",
      "--role",
      role,
      "--password",
      "correct horse battery",
    ];
    const { code, stderr } = await switchboard(args, server.env);
    assert.equal(code, 0, stderr);
    const account = await server.ok("POST", "/v1/auth/sign-in", { body: { email, password: "correct horse battery" } });
    server.keepSecret(account.token);
    return { email, token: account.token, socket: await connect(server.url, { auth: { token: account.token } }) };
  };
  const deleted = await made("customer");
  const demoted = await made("admin");
  assert.equal((await switchboard(["user", "delete", deleted.email], server.env)).code, 0);
  assert.equal((await switchboard(["user", "role", demoted.email, "customer"], server.env)).code, 0);
  await expectDisconnect(deleted.socket, 10_000);
  await expectDisconnect(demoted.socket, 10_000);
  assert.equal(await refusal({ auth: { token: deleted.token } }), "Authentication failed");
});
