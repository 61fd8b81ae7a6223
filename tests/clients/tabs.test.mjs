// Answers belong to the conversation, not to a connection: stopping from elsewhere, closing all tabs, joining in the middle.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { emitOk, expectEvent, hangUp, payloads, startServer, startUpstream, tabOf } from "./harness.mjs";

let upstream;
let server;
before(async () => {
  upstream = await startUpstream();
  server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms" });
});
afterEach(() => hangUp());
after(async () => {
  await server.stop();
  await upstream.stop();
});

/** Sends a question and gives the provider's side of it. */
async function question(tab, id, content = "Well?") {
  await emitOk(tab, "message:send", { conversationId: id, content });
  return upstream.call();
}

test("stopping from another tab closes the request to the provider within 500 ms", async () => {
  const { user, id, tab, join } = await tabOf(server);
  const { socket: other } = await join();
  const call = await question(tab, id);
  call.say("This will be ");
  await expectEvent(tab, "message:chunk");
  const before = Date.now();
  await emitOk(other, "message:stop", { conversationId: id });
  const took = (await call.closed()) - before;
  assert.ok(took <= 500, `closed after ${took} ms`);
  for (const socket of [tab, other]) {
    const { assistantMessage } = await expectEvent(socket, "message:complete");
    assert.equal(assistantMessage.status, "cancelled");
    assert.equal(assistantMessage.content, "This will be ");
    assert.equal(payloads(socket, "error").length, 0);
  }
  assert.equal((await server.messages(id, user))[1].status, "cancelled");
});

test("stopping before the first word leaves no row", async () => {
  const { user, id, tab } = await tabOf(server);
  const call = await question(tab, id);
  await emitOk(tab, "message:stop", { conversationId: id });
  await call.closed();
  const { assistantMessage } = await expectEvent(tab, "message:complete");
  assert.equal(assistantMessage.status, "cancelled");
  assert.equal(assistantMessage.content, "");
  assert.equal((await server.messages(id, user)).length, 1);
});

test("the owner stops over REST too", async () => {
  const { user, id, tab } = await tabOf(server);
  const call = await question(tab, id);
  call.say("Never ");
  await expectEvent(tab, "message:chunk");
  const { status } = await server.rest("POST", `/api/conversations/${id}/stop`, { as: user, body: {} });
  assert.ok(status >= 200 && status < 300, `status ${status}`);
  await call.closed();
  assert.equal((await expectEvent(tab, "message:complete")).assistantMessage.status, "cancelled");
});

test("closing all tabs does not stop an answer", async () => {
  const { id, tab, join } = await tabOf(server);
  const call = await question(tab, id);
  call.say("I go on ");
  await expectEvent(tab, "message:chunk");
  hangUp(tab);
  // A later connection that sees the answer run proves that the server has noticed the closed one meanwhile.
  const { socket: later, ack } = await join();
  assert.equal(ack.active[0].content, "I go on ");
  assert.ok(call.isOpen);
  call.say("alone.").finish();
  const { assistantMessage } = await expectEvent(later, "message:complete");
  assert.equal(assistantMessage.content, "I go on alone.");
});

for (const deltas of [false, true]) {
  test(`joining in the middle reproduces the answer byte for byte, with ${deltas ? "deltas" : "content"}`, async () => {
    const { id, tab, join } = await tabOf(server, deltas ? { deltas: true } : {});
    const pieces = Array.from(
      { length: 48 },
      (_, n) => ["né ", "🚀", "\n\n", "<b>", "e\u0301", `${n} `, "日本", '\\"'][n % 8],
    );
    const final = pieces.join("");
    const call = await question(tab, id);
    const joiners = [];
    let said = 0;
    let seen = 0;
    for (const [n, piece] of pieces.entries()) {
      call.say(piece);
      said += piece.length;
      // At random points the joiner races with the chunk, at others it comes when the chunk was told.
      if (Math.random() < 0.2) joiners.push(join());
      while (n % 3 === 2 && seen < said) {
        const chunk = await expectEvent(tab, "message:chunk");
        seen += chunk.chunk.length;
      }
      if (Math.random() < 0.2) joiners.push(join());
    }
    joiners.push(join());
    const joined = await Promise.all(joiners);
    call.finish();
    for (const { socket, ack } of [{ socket: tab, ack: {} }, ...joined]) {
      const { assistantMessage } = await expectEvent(socket, "message:complete");
      assert.equal(assistantMessage.content, final);
      const start = ack.active?.[0];
      let text = start?.content ?? "";
      let index = start?.index ?? -1;
      for (const chunk of payloads(socket, "message:chunk")) {
        assert.equal(chunk.index, index + 1, "no chunk is missing, none comes twice");
        index = chunk.index;
        if (deltas) {
          assert.equal(chunk.offset, text.length);
          assert.equal("content" in chunk, false);
        }
        text += chunk.chunk;
        if (!deltas) assert.equal(chunk.content, text);
      }
      assert.equal(text, final);
      if (start) assert.equal(start.messageId, assistantMessage.id);
    }
  });
}
