// Every generation of stock clients over every transport, and what is refused before a connection exists.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import {
  connect,
  dial,
  emitAck,
  emitOk,
  expectAlive,
  expectEvent,
  hangUp,
  httpStatus,
  payloads,
  startServer,
  startUpstream,
} from "./harness.mjs";

const ALLOWED = "https://app.example.org";
let upstream;
let server;
before(async () => {
  upstream = await startUpstream();
  server = await startServer({ ...upstream.env, CORS_ORIGIN: `${ALLOWED},https://other.example.org` });
});
afterEach(() => hangUp());
after(async () => {
  await server.stop();
  await upstream.stop();
});

const TRANSPORTS = { websocket: ["websocket"], polling: ["polling"], "the default upgrade": undefined };

for (const client of [4, 3, 2]) {
  describe(`socket.io-client ${client}`, () => {
    // Client 2 has no auth payload: the query carries the credential.
    const credential = (fields) => (client === 2 ? { query: fields } : { auth: fields });

    for (const [name, transports] of Object.entries(TRANSPORTS)) {
      test(`a visitor and an agent talk over ${name}`, async () => {
        const session = await server.session();
        const agent = server.user("admin");
        const id = session.conversationId;
        const [visitorSocket, agentSocket] = [
          await connect(server.url, { client, transports, ...credential({ sessionId: session.sessionId }) }),
          await connect(server.url, { client, transports, ...credential({ token: agent.token }) }),
        ];
        assert.equal((await expectEvent(visitorSocket, "authenticated")).userId, session.userId);
        assert.equal((await expectEvent(agentSocket, "authenticated")).role, "admin");
        if (transports === undefined) {
          const { engine } = visitorSocket.io;
          if (engine.transport.name !== "websocket") await new Promise((resolve) => engine.once("upgrade", resolve));
          assert.equal(engine.transport.name, "websocket");
        }
        for (const socket of [visitorSocket, agentSocket]) {
          await emitOk(socket, "join_conversation", id);
          assert.deepEqual(await expectEvent(socket, "joined_conversation"), { conversationId: id });
        }
        await emitOk(agentSocket, "typing_start", id);
        assert.equal((await expectEvent(visitorSocket, "typing_indicator")).isTyping, true);
        const content = `Grüße 🚀 ${"long ".repeat(1_000)}`;
        const ack = await emitOk(agentSocket, "send_message", { conversationId: id, content });
        const message = await expectEvent(visitorSocket, "message_received");
        assert.equal(message.content, content);
        assert.equal(message.id, ack.messageId);
        for (let n = 0; n < 50; n++) visitorSocket.emit("send_message", { conversationId: id, content: `m${n}` });
        await expectEvent(agentSocket, "message_received", (data) => data.content === "m49");
        const texts = payloads(agentSocket, "message_received")
          .slice(1)
          .map((data) => data.content);
        assert.deepEqual(
          texts,
          Array.from({ length: 50 }, (_, n) => `m${n}`),
        );
        const refused = await emitAck(visitorSocket, "nonsense", 1);
        assert.equal(refused.code, "UNKNOWN_EVENT");
        await expectAlive(visitorSocket);
      });

      test(`an AI answer streams over ${name}`, async () => {
        const user = server.user();
        const tab = await connect(server.url, { client, transports, ...credential({ token: user.token }) });
        const { conversation } = await emitOk(tab, "conversation:create", { title: "Questions" });
        await emitOk(tab, "join:conversation", conversation.id);
        await emitOk(tab, "message:send", { conversationId: conversation.id, content: "Hello AI!" });
        const call = await upstream.call();
        call.say("Hello ");
        await expectEvent(tab, "message:chunk");
        call.say("human.").finish();
        const { assistantMessage } = await expectEvent(tab, "message:complete");
        assert.equal(assistantMessage.content, "Hello human.");
        assert.equal(payloads(tab, "message:chunk").at(-1).content, "Hello human.");
      });
    }

    test("wrong credentials are told in this client's way", async () => {
      const socket = dial(server.url, { client, ...credential({ token: "garbage" }) });
      // Client 2 has no connect_error for a namespace: it hears `error` with the text.
      if (client !== 2) {
        assert.equal(await expectEvent(socket, "client:connect_error"), "Authentication failed");
        return;
      }
      const error = await new Promise((resolve) => socket.once("error", resolve));
      assert.match(JSON.stringify(error), /Authentication failed/);
    });
  });
}

test("nothing is lost while connections change from polling to WebSocket", async () => {
  // Each client upgrades right after its handshake, while the server looks up who it is.
  const users = Array.from({ length: 60 }, () => server.user());
  const hear = async (user) => {
    const socket = dial(server.url, { auth: { token: user.token } });
    await expectEvent(socket, "authenticated", (data) => data.userId === user.id);
    const created = Array.from({ length: 5 }, (_, n) => emitOk(socket, "conversation:create", { title: `${n}` }));
    assert.equal((await Promise.all(created)).length, 5);
  };
  for (const user of users.slice(0, 20)) await hear(user);
  await Promise.all(users.slice(20).map(hear));
});

test("a client that reconnects by itself finds its way after the transport broke", async () => {
  const user = server.user("admin");
  const id = await server.quietConversation(server.user(), user);
  const socket = await connect(server.url, { auth: { token: user.token }, reconnection: true, reconnectionDelay: 10 });
  await emitOk(socket, "join_conversation", id);
  await emitOk(socket, "send_message", { conversationId: id, content: "before" });
  socket.io.engine.close();
  await expectEvent(socket, "client:disconnect");
  await expectEvent(socket, "client:connect", undefined, 5_000);
  const ack = await emitOk(socket, "join_conversation", { conversationId: id, after: 0 });
  assert.deepEqual(
    ack.messages.map(({ content }) => content),
    ["before"],
  );
});

const handshake = (headers, { method = "GET", path = "/socket.io/?EIO=4&transport=websocket", version = "1.1" } = {}) =>
  httpStatus(server.port, [`${method} ${path} HTTP/${version}`, ...headers, "", ""].join("\r\n"));
const GOOD = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
};
const lines = (fields) =>
  Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);

test("browsers from other origins are refused with 403, on upgrades and polling", async () => {
  const polling = "/socket.io/?EIO=4&transport=polling";
  const evil = [
    "https://evil.example.org",
    "null",
    `${ALLOWED}.evil.org`,
    "https://evilapp.example.org",
    "http://app.example.org",
    `${ALLOWED}:8443`,
    `${ALLOWED}.`,
    "https://example.org",
  ];
  for (const origin of evil) {
    assert.equal(await handshake(lines({ ...GOOD, Origin: origin })), 403, `upgrade from ${origin}`);
    assert.equal((await server.rest("GET", polling, { headers: { origin } })).status, 403, `polling from ${origin}`);
  }
  for (const origin of [ALLOWED, "https://other.example.org"]) {
    assert.equal(await handshake(lines({ ...GOOD, Origin: origin })), 101, `upgrade from ${origin}`);
    const { status, headers } = await server.rest("GET", polling, { headers: { origin } });
    assert.equal(status, 200, `polling from ${origin}`);
    assert.equal(headers.get("access-control-allow-origin"), origin);
  }
  assert.equal(await handshake(lines(GOOD)), 101, "no Origin is fine");
  const { headers } = await server.rest("GET", "/health", { headers: { origin: "https://evil.example.org" } });
  assert.equal(headers.get("access-control-allow-origin"), null);
});

test("without CORS_ORIGIN only pages of the server itself may connect", async () => {
  const plain = await startServer();
  try {
    const polling = "/socket.io/?EIO=4&transport=polling";
    assert.equal((await plain.rest("GET", polling, { headers: { origin: plain.url } })).status, 200);
    assert.equal((await plain.rest("GET", polling, { headers: { origin: ALLOWED } })).status, 403);
  } finally {
    await plain.stop();
  }
});

test("a bad WebSocket handshake is a 4xx, never a 101", async () => {
  const bad = {
    "no Upgrade": { ...GOOD, Upgrade: undefined },
    "another Upgrade": { ...GOOD, Upgrade: "h2c" },
    "no Connection": { ...GOOD, Connection: undefined },
    "Connection: close": { ...GOOD, Connection: "close" },
    "no version": { ...GOOD, "Sec-WebSocket-Version": undefined },
    "version 8": { ...GOOD, "Sec-WebSocket-Version": "8" },
    "version 14": { ...GOOD, "Sec-WebSocket-Version": "14" },
    "two versions": { ...GOOD, "Sec-WebSocket-Version": "13, 8" },
    "no key": { ...GOOD, "Sec-WebSocket-Key": undefined },
    "short key": { ...GOOD, "Sec-WebSocket-Key": "AAAA" },
    "key that is no base64": { ...GOOD, "Sec-WebSocket-Key": "!!!!!!!!!!!!!!!!!!!!!!==" },
    "no Host": { ...GOOD, Host: undefined },
  };
  const answers = Object.fromEntries(
    await Promise.all(Object.entries(bad).map(async ([what, fields]) => [what, await handshake(lines(fields))])),
  );
  answers["two keys"] = await handshake([...lines(GOOD), "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]);
  answers["HTTP/1.0"] = await handshake(lines(GOOD), { version: "1.0" });
  answers.POST = await handshake([...lines(GOOD), "Content-Length: 0"], { method: "POST" });
  const wrong = Object.entries(answers).filter(([, status]) => status < 400 || status > 499);
  assert.deepEqual(wrong, []);
});

test("nonsense in the Engine.IO query is a 4xx", async () => {
  const queries = [
    "transport=polling",
    "EIO=5&transport=polling",
    "EIO=__proto__&transport=polling",
    "EIO=4",
    "EIO=4&transport=tesla",
    "EIO=4&transport=polling&sid=unknown",
    `EIO=4&transport=polling&sid=${"x".repeat(5_000)}`,
  ];
  for (const query of queries) {
    const { status } = await server.rest("GET", `/socket.io/?${query}`);
    assert.ok(status >= 400 && status < 500, `${query.slice(0, 60)}: ${status}`);
  }
});

test("the browser client is served where Socket.IO servers serve it", async () => {
  for (const file of ["socket.io.js", "socket.io.min.js", "socket.io.esm.min.js"]) {
    const { status, headers, text } = await server.rest("GET", `/socket.io/${file}`);
    assert.equal(status, 200, file);
    assert.match(headers.get("content-type"), /javascript/);
    assert.match(text, /Socket\.IO/);
    assert.equal((await server.rest("GET", `/socket.io/${file}.map`)).status, 200, `${file}.map`);
  }
});

test("connections beyond MAX_CONNECTIONS get 503 before the upgrade", async () => {
  const small = await startServer({ MAX_CONNECTIONS: "2" });
  try {
    const sockets = [];
    for (let n = 0; n < 2; n++)
      sockets.push(await connect(small.url, { auth: { token: small.user().token }, transports: ["websocket"] }));
    const request = [`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1`, ...lines(GOOD), "", ""].join("\r\n");
    assert.equal(await httpStatus(small.port, request), 503);
    for (const socket of sockets) await expectAlive(socket);
    assert.equal((await small.rest("GET", "/health")).status, 200);
  } finally {
    hangUp();
    await small.stop();
  }
});
