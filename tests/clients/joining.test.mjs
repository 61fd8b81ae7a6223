// Joining amid traffic, and again and again: each connection hears each message once and in order.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { asUser, emitAck, emitOk, expectEvent, hangUp, startServer } from "./harness.mjs";

let server;
before(async () => {
  server = await startServer({ MESSAGE_RATE_LIMIT: "100000" });
});
afterEach(() => hangUp());
after(() => server.stop());

/** A conversation of two, a joined listener with the `seq`s that it hears from now on, and somebody who writes. */
async function room() {
  const [owner, agent] = [server.user(), server.user("admin")];
  const id = await server.quietConversation(owner, agent);
  const listener = await asUser(server, owner);
  const { lastSeq } = await emitOk(listener, "join_conversation", id);
  const seqs = [];
  listener.on("message_received", ({ seq }) => seqs.push(seq));
  const heardAll = async (count) => {
    const last = lastSeq + count;
    if (!seqs.includes(last)) await expectEvent(listener, "message_received", ({ seq }) => seq === last);
    assert.deepEqual(seqs, Array.from({ length: count }, (_, i) => lastSeq + 1 + i));
  };
  return { id, agent, listener, writer: await asUser(server, agent), heardAll };
}

test("a live listener misses nothing while others join by joining and by sending", async () => {
  const { id, agent, writer, heardAll } = await room();
  const rounds = 40;
  for (let round = 0; round < rounds; round++) {
    // Fresh connections join at the moment at which others send.
    const joiner = await asUser(server, agent);
    const sender = await asUser(server, agent);
    await Promise.all([
      emitOk(writer, "send_message", { conversationId: id, content: `${round} a` }),
      emitOk(joiner, "join_conversation", id),
      emitOk(sender, "send_message", { conversationId: id, content: `${round} b` }),
    ]);
    joiner.close();
    sender.close();
  }
  await heardAll(2 * rounds);
});

test("joining again without a cursor neither doubles nor disorders what is live", async () => {
  const { id, listener, writer, heardAll } = await room();
  const count = 60;
  const sends = Array.from({ length: count }, (_, n) =>
    emitOk(writer, "send_message", { conversationId: id, content: `${n}` }),
  );
  const joins = Array.from({ length: 20 }, () => emitAck(listener, "join_conversation", id));
  await Promise.all([...sends, ...joins]);
  await heardAll(count);
});
