// The API documents are true: well-formed, they name every route and every event, and a real session fits them.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { after, afterEach, before, test } from "node:test";
import { at, checker, follow, walk } from "./documents.mjs";
import {
  asUser,
  connect,
  emitAck,
  emitFails,
  emitOk,
  expectDisconnect,
  expectEvent,
  hangUp,
  heard,
  meeting,
  startServer,
  startUpstream,
} from "./harness.mjs";

const SOURCES = new URL("../../src/", import.meta.url);
const METHODS = ["get", "post", "put", "patch", "delete"];

let upstream;
let server;
let rest;
let live;
let check;
before(async () => {
  upstream = await startUpstream();
  server = await startServer(upstream.env);
  rest = await server.ok("GET", "/openapi.json");
  live = await server.ok("GET", "/asyncapi.json");
  check = checker({ rest, live });
});
afterEach(() => hangUp());
after(async () => {
  await server.stop();
  await upstream.stop();
});

const source = (path) => readFile(new URL(path, SOURCES), "utf8");

/** Every documented operation: `{path, method, operation, pointer}`. */
function operations() {
  return Object.entries(rest.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({
      path,
      method: method.toUpperCase(),
      operation: item[method],
      pointer: `#/paths/${path.replaceAll("/", "~1")}/${method}`,
    })),
  );
}

/** Calls an operation and checks status and body against the document. */
async function call(method, path, url, options) {
  const answer = await server.rest(method, url, options);
  const pointer = `#/paths/${path.replaceAll("/", "~1")}/${method.toLowerCase()}/responses/${answer.status}`;
  const documented = at(rest, pointer);
  assert.ok(documented, `${method} ${url} answered ${answer.status}, which is not documented: ${answer.text}`);
  const place = documented.$ref ?? pointer;
  const kind = answer.headers.get("content-type").split(";")[0];
  const content = at(rest, place).content[kind];
  assert.ok(content, `${method} ${url} answered ${answer.status} as ${kind}, which is not documented`);
  const schema = `${place}/content/${kind.replaceAll("/", "~1")}/schema`;
  check("rest", schema, answer.body ?? answer.text, `${method} ${url} with ${answer.status}`);
  return answer;
}

/** The documented message of an event, by direction: `client` or `server`. */
const eventMessage = (direction, event) => `${direction}.${event.replaceAll(":", ".")}`;

function eventNames(direction) {
  const keys = Object.keys(live.components.messages).filter((key) => key.startsWith(`${direction}.`));
  return keys.map((key) => live.components.messages[key].name);
}

/** Checks every event and acknowledgement that sockets have heard; gives the names of the events. */
function checkHeard(...sockets) {
  const names = new Set();
  for (const { name, data } of sockets.flatMap((socket) => heard(socket))) {
    if (name.startsWith("client:")) continue;
    const isAck = name.startsWith("ack:");
    const key = isAck ? eventMessage("client", name.slice(4)) : eventMessage("server", name);
    assert.ok(live.components.messages[key], `${name} is not documented`);
    check("live", `#/components/messages/${key}/${isAck ? "x-ack" : "payload"}`, data, name);
    if (!isAck) names.add(name);
  }
  return names;
}

/** Emits what the document says may be emitted. */
function send(socket, name, payload) {
  check("live", `#/components/messages/${eventMessage("client", name)}/payload`, payload, `the test's ${name}`);
  return emitOk(socket, name, payload);
}

test("both documents are what they say, and every reference leads somewhere", () => {
  assert.match(rest.openapi, /^3\.1\./);
  assert.match(live.asyncapi, /^3\.0\./);
  for (const document of [rest, live]) {
    walk(document, (value, path) => {
      if (typeof value?.$ref !== "string") return;
      assert.match(value.$ref, /^#\//, path);
      assert.notEqual(at(document, value.$ref), undefined, `${path} refers to ${value.$ref}, which is not there`);
    });
  }
});

test("every named schema is a valid one, is used, and means the same in both documents", () => {
  for (const [name, document] of Object.entries({ rest, live })) {
    const used = new Set();
    walk(document, (value) => used.add(value?.$ref));
    for (const schema of Object.keys(document.components.schemas)) {
      const pointer = `#/components/schemas/${schema}`;
      // Compiling is the check: nothing fits all of them.
      assert.throws(() => check(name, pointer, Symbol("nothing"), schema), /does not fit/);
      const isOnlyNamed = name === "rest" && schema === "Chunk";
      assert.ok(used.has(pointer) || isOnlyNamed, `${name}: nothing uses ${schema}`);
    }
  }
  for (const [schema, meaning] of Object.entries(live.components.schemas)) {
    if (schema in rest.components.schemas) assert.deepEqual(rest.components.schemas[schema], meaning, schema);
  }
});

test("the version is the server's, and the documents can be cached", async () => {
  const { version } = await server.ok("GET", "/health");
  assert.equal(rest.info.version, version);
  assert.equal(live.info.version, version);
  for (const path of ["/openapi.json", "/asyncapi.json"]) {
    const { headers } = await server.rest("GET", path);
    assert.equal((await server.rest("GET", path, { headers: { "if-none-match": headers.get("etag") } })).status, 304);
  }
});

test("REST: the documented routes are exactly those that the server has", async () => {
  const routes = await source("http/mod.rs");
  const routers = routes.slice(routes.indexOf("fn api()"), routes.indexOf("async fn check_origin"));
  const registered = routers
    .split(".route(")
    .slice(1)
    .flatMap((route) => {
      const [, path] = /^\s*"([^"]+)"/.exec(route);
      const methods = route.matchAll(new RegExp(`\\b(${METHODS.join("|")})\\(`, "g"));
      return [...methods].map(([, method]) => `${method.toUpperCase()} ${path}`);
    });
  assert.ok(registered.length > 10, "the routes are found in the source");
  const documented = operations().map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(documented.sort(), registered.sort());
});

test("REST: every operation answers as documented, to strangers, customers and agents", async () => {
  const ids = operations().map(({ operation }) => operation.operationId);
  assert.equal(new Set(ids).size, ids.length);
  for (const as of [undefined, server.user(), server.user("admin")]) {
    for (const { path, method, operation } of operations()) {
      const parameters = [...(rest.paths[path].parameters ?? []), ...(operation.parameters ?? [])];
      const named = parameters.map((one) => follow(rest, one)).filter((one) => one.in === "path");
      assert.deepEqual(
        path.match(/[^{]+(?=\})/g) ?? [],
        named.map(({ name }) => name),
        path,
      );
      // Signing out would end the story for this person.
      if (as && operation.operationId === "signOut") continue;
      const url = path.replaceAll(/\{\w+\}/g, randomUUID());
      const { status, body } = await call(method, path, url, { as, body: operation.requestBody && {} });
      assert.notEqual(status, 405, `${method} ${path}`);
      assert.notEqual(body?.error?.message, "page not found", `${method} ${path}`);
      const isOpen = operation.security?.length === 0;
      if (!as) assert.equal(status === 401, !isOpen, `${method} ${path} answered a stranger ${status}`);
    }
  }
});

test("Socket.IO: every event that the dialects spell is documented, and no other", async () => {
  const folders = (await readdir(new URL("dialects/", SOURCES), { withFileTypes: true })).filter((one) =>
    one.isDirectory(),
  );
  const files = folders.flatMap(({ name }) => [`dialects/${name}/decode.rs`, `dialects/${name}/encode.rs`]);
  const dialects = new Set(folders.map(({ name }) => name));
  const spelled = new Set();
  for (const file of [...files, "dialects/socketio.rs"]) {
    const code = (await source(file)).replaceAll(/^\s*\/\/.*$/gm, "");
    // Words of several parts are events wherever they stand; single ones where an event is matched, built or named.
    const patterns = [
      /"([a-z]+(?:[_:][a-z]+)+)"/g,
      /"([a-z]+)"(?= =>| \|)/g,
      /Frame::event\("([a-z]+)"/g,
      /const SIGN_IN: &str = "([a-z]+)"/g,
    ];
    for (const pattern of patterns) for (const [, word] of code.matchAll(pattern)) spelled.add(word);
  }
  for (const dialect of dialects) spelled.delete(dialect);
  assert.ok(spelled.size > 20, "the events are found in the source");
  const documented = new Set([...eventNames("client"), ...eventNames("server")]);
  assert.deepEqual([...documented].sort(), [...spelled].sort());
});

test("Socket.IO: every event has a direction, an operation, a channel, and an acknowledgement when clients send it", () => {
  for (const [key, message] of Object.entries(live.components.messages)) {
    const direction = key.split(".")[0];
    assert.equal(key, eventMessage(direction, message.name));
    assert.equal("x-ack" in message, direction === "client", key);
    const { action, channel, messages } = live.operations[key];
    assert.equal(action, direction === "client" ? "receive" : "send", key);
    assert.equal(follow(live, messages[0]), message, key);
    assert.ok(
      Object.values(follow(live, channel).messages).some((one) => follow(live, one) === message),
      key,
    );
  }
  assert.equal(Object.keys(live.operations).length, Object.keys(live.components.messages).length);
});

test("Socket.IO: the server knows every documented client event, and refuses others as documented", async () => {
  const socket = await asUser(server, server.user());
  for (const name of eventNames("client").filter((one) => one !== "authenticate")) {
    const ack = await emitAck(socket, name, { conversationId: 7 });
    assert.notEqual(ack.code, "UNKNOWN_EVENT", name);
  }
  await emitFails(socket, "INVALID", "send_message");
  await emitFails(socket, "NOT_FOUND", "join:conversation", randomUUID());
  assert.equal((await emitAck(socket, "no_such_event")).code, "UNKNOWN_EVENT");
  const unknown = await expectEvent(socket, "error", ({ code }) => code === "UNKNOWN_EVENT");
  check("live", "#/components/messages/server.error/payload", unknown, "the error of an unknown event");
  const [, refused] = heard(socket, "ack:no_such_event", "ack:send_message").map(({ data }) => data);
  check("live", "#/components/schemas/AckFailure", refused, "the acknowledgement of an unknown event");
  const stranger = await connect(server.url);
  await emitFails(stranger, "UNAUTHENTICATED", "join_conversation", "anything");
  await emitFails(stranger, "UNAUTHENTICATED", "authenticate", { token: "nonsense" });
  await expectDisconnect(stranger);
  checkHeard(stranger);
});

test("a session over REST fits the document", async () => {
  const email = `${randomUUID()}@example.org`;
  const account = { email, password: "correct horse battery" };
  const me = (await call("POST", "/v1/auth/sign-up", "/v1/auth/sign-up", { body: { ...account, name: "Sina" } })).body;
  server.keepSecret(me.token);
  for (const path of ["/v1/auth/sign-in", "/api/auth/login"]) {
    server.keepSecret((await call("POST", path, path, { body: account })).body.token);
  }
  const visitor = { name: "Vera", email: "vera@example.org", metadata: { page: "/prices" } };
  const session = (await call("POST", "/api/sessions", "/api/sessions", { body: visitor })).body;
  server.keepSecret(session.sessionId);

  const path = "/api/conversations";
  const { conversation } = (await call("POST", path, path, { as: me, body: { title: "Holidays" } })).body;
  assert.equal((await call("POST", path, path, { as: me, body: { id: conversation.id } })).status, 409);
  const one = (step = "") => [`/api/conversations/{id}${step}`, `/api/conversations/${conversation.id}${step}`];
  const asked = call("POST", "/api/coze/chat", "/api/coze/chat", {
    as: me,
    body: { message: "Where to?", conversationId: conversation.id },
  });
  (await upstream.call()).say("To the sea.").finish();
  assert.equal((await asked).body.reply.content, "To the sea.");
  const message = { as: me, body: { content: "And then?", clientMessageId: "m1" } };
  assert.equal((await call("POST", ...one("/messages"), message)).status, 201);
  assert.equal((await call("POST", ...one("/messages"), message)).status, 200, "sent again");
  // Its answer is never given: it is stopped below.
  await upstream.call();
  const { messages } = (await call("GET", ...one("/messages"), { as: me })).body;
  assert.deepEqual(
    messages.map(({ content }) => content),
    ["Where to?", "To the sea.", "And then?"],
  );
  await call("POST", ...one("/read"), { as: me, body: { upToSeq: 2 } });
  await call("POST", ...one("/read"), { as: me, body: { messageIds: [messages[2].id] } });
  await call("PATCH", ...one(), { as: me, body: { title: "The sea" } });
  await call("POST", ...one("/stop"), { as: me });
  assert.equal((await call("POST", ...one("/assign"), { as: me, body: {} })).status, 403);
  await call("GET", ...one(), { as: me });
  const listed = (await call("GET", path, `${path}?status=open&handledBy=bot&waiting=false&limit=1`, { as: me })).body;
  assert.deepEqual(
    listed.conversations.map(({ id }) => id),
    [conversation.id],
  );
  await call("DELETE", ...one(), { as: me });

  const agent = server.user("admin");
  const support = (step) => [`/api/conversations/{id}${step}`, `/api/conversations/${session.conversationId}${step}`];
  for (const step of ["/assign", "/handback", "/resolve"]) {
    assert.equal((await call("POST", ...support(step), { as: agent })).status, 200, step);
  }
  assert.equal((await call("POST", "/v1/auth/sign-out", "/v1/auth/sign-out", { as: me })).status, 200);
});

test("listings over REST fit the document", async () => {
  const [agent, anna] = [server.user("admin"), server.user()];
  const path = "/v1/listings";
  const one = [`${path}/{id}`, `${path}/lamp-1`];
  const lamp = { id: "lamp-1", title: "Desk lamp", category: "Furniture", price: 12.5 };
  assert.equal((await call("POST", path, path, { as: agent, body: lamp })).status, 201);
  assert.equal((await call("POST", path, path, { as: agent, body: lamp })).status, 409);
  assert.equal((await call("POST", path, path, { as: anna, body: lamp })).status, 403);
  const change = { description: "Brass", status: "reserved" };
  assert.equal((await call("PATCH", ...one, { as: agent, body: change })).status, 200);
  assert.equal((await call("GET", ...one, { as: anna })).status, 404);
  await call("PATCH", ...one, { as: agent, body: { description: null, status: "available" } });
  assert.equal((await call("GET", ...one, { as: anna })).status, 200);
  const { listings } = (await call("GET", path, `${path}?status=available&category=Furniture&limit=1`, { as: anna })).body;
  assert.deepEqual(
    listings.map(({ id }) => id),
    ["lamp-1"],
  );
  const search = (query) => call("GET", `${path}/search`, `${path}/search?${query}`, { as: anna });
  const found = search("q=lamp+under+20&limit=5&category=Furniture&minPrice=1");
  (await upstream.call()).say('{"category":"Furniture","keywords":["lamp"],"min_price":null,"max_price":20}').finish();
  assert.equal((await found).body.listings.length, 1);
  const degraded = search("q=lamp+for+a+desk");
  (await upstream.call()).refuse(401);
  assert.equal((await degraded).body.degraded, true);
  const popular = `${path}/searches/popular`;
  assert.equal((await call("GET", popular, `${popular}?days=1&limit=5`, { as: agent })).body.searches.length, 2);
  assert.equal((await call("DELETE", ...one, { as: agent })).status, 200);
});

test("an answer that fails, and a page of another origin, are documented too", async () => {
  const failed = call("POST", "/api/coze/chat", "/api/coze/chat", { as: server.user(), body: { message: "Hello?" } });
  (await upstream.call()).refuse(401);
  const { status, body } = await failed;
  assert.equal(status, 503);
  assert.equal(body.error.code, "AI_UNAVAILABLE");
  const headers = { origin: "https://elsewhere.example" };
  const foreign = await call("GET", "/api/conversations", "/api/conversations", { as: server.user(), headers });
  assert.equal(foreign.status, 403);
});

test("a session in both vocabularies fits the document and has every event that the server tells", async () => {
  const { session, id, visitorSocket, agentSocket } = await meeting(server);
  await send(visitorSocket, "send_message", { conversationId: id, content: "Is it there?", clientMessageId: "v1" });
  await send(visitorSocket, "send_message", { conversationId: id, content: "Is it there?", clientMessageId: "v1" });
  await send(visitorSocket, "typing_start", id);
  await send(visitorSocket, "typing_stop", id);
  await send(visitorSocket, "mark_read", { conversationId: id, upToSeq: 1 });
  await send(agentSocket, "conversation:update", { conversationId: id, title: "Order 7" });
  await expectEvent(visitorSocket, "conversation_updated", ({ conversation }) => conversation.title === "Order 7");
  const late = await connect(server.url);
  await send(late, "authenticate", { sessionId: session.sessionId });
  const { messages } = await send(late, "join_conversation", { conversationId: id, after: 0 });
  assert.equal(messages.length, 1);
  await send(late, "leave_conversation", id);

  const anna = server.user();
  const [tab, other] = [await asUser(server, anna), await asUser(server, anna, { auth: { deltas: true } })];
  const { conversation } = await send(tab, "conversation:create", { title: "Holidays", agentId: "tutor" });
  for (const socket of [tab, other]) await send(socket, "join:conversation", conversation.id);
  await send(tab, "message:send", { conversationId: conversation.id, content: "Where to?" });
  const first = await upstream.call();
  first.say("To the ");
  await expectEvent(other, "message:chunk");
  const inTheMiddle = await asUser(server, anna);
  const joined = await send(inTheMiddle, "join:conversation", { conversationId: conversation.id, after: 0 });
  assert.equal(joined.active.length, 1);
  first.say("sea.").finish();
  await expectEvent(inTheMiddle, "message:complete");
  await send(tab, "message:regenerate", { conversationId: conversation.id });
  (await upstream.call()).say("To the");
  await expectEvent(tab, "message:chunk", ({ chunk }) => chunk === "To the");
  await send(tab, "message:stop", conversation.id);
  await expectEvent(tab, "message:complete", ({ assistantMessage }) => assistantMessage.status === "cancelled");
  await send(agentSocket, "join:conversation", conversation.id);
  await send(agentSocket, "typing:start", { conversationId: conversation.id });
  await send(agentSocket, "typing:stop", { conversationId: conversation.id });
  await send(tab, "ping", { any: ["thing"] });
  await emitFails(tab, "NOT_FOUND", "message:send", { conversationId: randomUUID(), content: "x" });
  await expectEvent(other, "typing:stop");
  await send(tab, "leave:conversation", conversation.id);
  await send(tab, "conversation:update", { conversationId: conversation.id, title: "The sea" });
  await send(tab, "conversation:delete", { conversationId: conversation.id });
  await expectEvent(other, "conversation:delete");

  const told = checkHeard(visitorSocket, agentSocket, late, tab, other, inTheMiddle);
  assert.deepEqual([...told].sort(), [...new Set(eventNames("server"))].sort());
});

test("the reference page is served without anything inline, and its parts are there", async () => {
  const page = await server.rest("GET", "/docs");
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-type"), /^text\/html/);
  assert.match(page.headers.get("content-security-policy"), /script-src 'self'/);
  assert.doesNotMatch(page.text, /<script(?![^>]* src=)|<style| style=| on\w+=/i);
  const parts = [...page.text.matchAll(/(?:href|src)="(\/[^"#]*)"/g)].map(([, path]) => path);
  assert.ok(parts.includes("/assets/docs.js"));
  const script = await server.rest("GET", "/assets/docs.js");
  const imported = [...script.text.matchAll(/from '\.\/([\w-]+\.js)'/g)].map(([, name]) => `/assets/${name}`);
  for (const part of [...parts, ...imported]) assert.equal((await server.rest("GET", part)).status, 200, part);
  for (const name of imported.concat("/assets/docs.js")) {
    assert.doesNotMatch(
      (await server.rest("GET", name)).text,
      /innerHTML|insertAdjacentHTML|document\.write|eval\(/,
      name,
    );
  }
});
