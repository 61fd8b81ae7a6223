// The one REST call that asks the AI and waits or streams: sockets hear everything it does.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import { asUser, emitOk, expectEvent, hangUp, startServer, startUpstream } from "./harness.mjs";

let upstream;
let server;
before(async () => {
  upstream = await startUpstream();
  server = await startServer(upstream.env);
});
afterEach(() => hangUp());
after(async () => {
  await server.stop();
  await upstream.stop();
});

test("one call asks the AI and waits for its answer, and sockets hear everything", async () => {
  const anna = server.user();
  const tab = await asUser(server, anna);
  const asked = server.ok("POST", "/api/coze/chat", { as: anna, body: { message: "Hello?" } });
  const created = await expectEvent(tab, "conversation:create");
  assert.equal(created.kind, "assistant");
  await emitOk(tab, "join:conversation", created.id);
  (await upstream.call()).say("Hello!").finish();
  const answer = await asked;
  assert.equal(answer.success, true);
  assert.equal(answer.conversationId, created.id);
  assert.equal(answer.userMessage.content, "Hello?");
  assert.match(JSON.stringify(answer.reply), /Hello!/);
  await expectEvent(tab, "message:complete", (data) => data.assistantMessage.content === "Hello!");

  const again = server.ok("POST", "/api/coze/chat", {
    as: anna,
    body: { message: "Once more", conversationId: created.id },
  });
  (await upstream.call()).say("Sure.").finish();
  assert.equal((await again).conversationId, created.id);
  await server.refused(400, "INVALID", "POST", "/api/coze/chat", { as: anna, body: { message: "" } });
  await server.refused(404, "NOT_FOUND", "POST", "/api/coze/chat", {
    as: anna,
    body: { message: "x", conversationId: randomUUID() },
  });
});

test("the same call streams to those who accept an event stream", async () => {
  const anna = server.user();
  const response = fetch(`${server.url}/api/coze/chat`, {
    method: "POST",
    headers: { authorization: `Bearer ${anna.token}`, "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ message: "Stream, please" }),
    signal: AbortSignal.timeout(10_000),
  });
  const call = await upstream.call();
  for (const word of ["One ", "two ", "three."]) call.say(word);
  call.finish();
  const streamed = await response;
  assert.match(streamed.headers.get("content-type"), /text\/event-stream/);
  const events = (await streamed.text())
    .split("\n\n")
    .filter((block) => block.includes("event:"))
    .map((block) => ({
      name: /^event: ?(.*)$/m.exec(block)[1],
      data: JSON.parse(/^data: ?(.*)$/m.exec(block)[1]),
    }));
  const chunks = events.filter(({ name }) => name === "message:chunk");
  assert.equal(chunks.map(({ data }) => data.chunk).join(""), "One two three.");
  assert.equal(events.at(-1).name, "done");
  assert.equal(events.at(-1).data.success, true);
  assert.match(JSON.stringify(events.at(-1).data.reply), /One two three\./);
});

test("a call ends when its conversation is deleted in the middle of the answer", async () => {
  const anna = server.user();
  const tab = await asUser(server, anna);
  const asked = fetch(`${server.url}/api/coze/chat`, {
    method: "POST",
    headers: { authorization: `Bearer ${anna.token}`, "content-type": "application/json" },
    body: JSON.stringify({ message: "A long story" }),
    signal: AbortSignal.timeout(10_000),
  });
  const { id } = await expectEvent(tab, "conversation:create");
  await emitOk(tab, "join:conversation", id);
  (await upstream.call()).say("Once upon ");
  await expectEvent(tab, "message:chunk");
  await emitOk(tab, "conversation:delete", id);
  const answer = await asked;
  assert.equal(answer.status, 503);
  assert.equal((await answer.json()).success, false);
});

test("a caller who hangs up has sent its message all the same, and sockets hear it", async () => {
  const anna = server.user();
  const id = await server.conversation(anna);
  const tab = await asUser(server, anna);
  await emitOk(tab, "join:conversation", id);
  const hungUp = new AbortController();
  const gone = fetch(`${server.url}/api/coze/chat`, {
    method: "POST",
    headers: { authorization: `Bearer ${anna.token}`, "content-type": "application/json" },
    body: JSON.stringify({ message: "Hello and goodbye", conversationId: id }),
    signal: hungUp.signal,
  }).catch((error) => error.name);
  const call = await upstream.call();
  hungUp.abort();
  assert.equal(await gone, "AbortError");
  call.say("Still here.").finish();
  await expectEvent(tab, "message:new", ({ message }) => message.content === "Hello and goodbye");
  await expectEvent(tab, "message:complete", (data) => data.assistantMessage.content === "Still here.");
});
