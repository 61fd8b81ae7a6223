// One conversation, watched at the same time by clients of seeds 001 to 004: each hears everything once, in its own words.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { assertGapless, emitOk, expectEvent, hangUp, hangUpRaw, startServer, startUpstream } from "./harness.mjs";
import { voicesOf } from "./voices.mjs";

let upstream;
let server;
let owner;
let agent;
before(async () => {
  upstream = await startUpstream();
  server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms" });
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => {
  hangUp();
  hangUpRaw();
});
after(async () => {
  await server.stop();
  await upstream.stop();
});

/** The log of a conversation as the database has it: `{id, content}`. */
async function stored(id) {
  const log = await server.messages(id, owner);
  assertGapless(
    log.map(({ seq }) => seq),
    log.length,
  );
  return log.map((message) => ({ id: message.id, content: message.content }));
}

/** Clients of both people: `[what, voice]`. */
async function everybody(id) {
  const people = { owner: await voicesOf(server, owner, id), agent: await voicesOf(server, agent, id) };
  return Object.entries(people).flatMap(([who, voices]) =>
    Object.entries(voices).map(([seed, voice]) => [`the ${who}'s client of seed ${seed}`, voice]),
  );
}

const heardAll = (voice, count, what) =>
  voice.until(() => voice.log().length >= count, `${what} has ${count} messages`);

test("each client speaks in turn and is answered: all hear the same messages once, in the same order", async () => {
  const id = await server.conversation(owner);
  const voices = await everybody(id);
  const said = [];
  for (const [what, voice] of voices) {
    const content = `Question of ${what}`;
    said.push({ id: await voice.say(content), content });
    const call = await upstream.call();
    assert.equal(call.question, content);
    call.say("Answer to ").say(what).finish();
    for (const [other, listener] of voices) {
      await heardAll(listener, said.length + 1, other);
      await listener.until(() => listener.typed().at(-1)?.[1] === false, `${other} hears that the AI has finished`);
    }
    const answer = voice.log().at(-1);
    assert.equal(answer.content, `Answer to ${what}`);
    said.push(answer);
  }
  assert.deepEqual(await stored(id), said);
  const turn = [
    ["assistant", true],
    ["assistant", false],
  ];
  for (const [what, voice] of voices) {
    await voice.alive();
    assert.deepEqual(voice.log(), said, what);
    assert.deepEqual(voice.typed(), voices.map(() => turn).flat(), `typing as ${what} hears it`);
  }
});

test("all clients speak at once: all hear the same messages once, in the same order", async () => {
  const id = await server.quietConversation(owner, agent);
  const voices = await everybody(id);
  const said = voices.flatMap(([what, voice]) => Array.from({ length: 25 }, (_, n) => voice.say(`${n} of ${what}`)));
  const ids = await Promise.all(said);
  const log = await stored(id);
  assert.deepEqual([...ids].sort(), log.map((message) => message.id).sort());
  for (const [what, voice] of voices) {
    await heardAll(voice, 200, what);
    await voice.alive();
    // Seed 003's own messages are told by acknowledgements, which have no place among the others' messages.
    const known = voice.log();
    const order = what.endsWith("003") ? known.toSorted((a, b) => a.id.localeCompare(b.id)) : known;
    const wanted = what.endsWith("003") ? log.toSorted((a, b) => a.id.localeCompare(b.id)) : log;
    assert.deepEqual(order, wanted, what);
  }
});

test("one client message id is one message, whatever protocol it comes by", async () => {
  const id = await server.quietConversation(owner, agent);
  const voices = Object.values(await voicesOf(server, owner, id));
  const listener = (await voicesOf(server, agent, id))["001"];
  const sent = { content: "Only once", clientMessageId: "m-1" };
  const { message } = await server.ok("POST", `/api/conversations/${id}/messages`, { as: owner, body: sent });
  for (const voice of voices) assert.equal(await voice.say("Only once", "m-1"), message.id);
  assert.deepEqual(await stored(id), [{ id: message.id, content: "Only once" }]);
  await listener.alive();
  assert.deepEqual(listener.log(), [{ id: message.id, content: "Only once" }]);
});

test("whoever comes back with the last number they heard gets exactly the rest, in every protocol", async () => {
  const id = await server.quietConversation(owner, agent);
  for (let n = 1; n <= 30; n++) {
    await server.ok("POST", `/api/conversations/${id}/messages`, { as: agent, body: { content: `message ${n}` } });
  }
  const rest = (await stored(id)).slice(20);
  for (const [seed, voice] of Object.entries(await voicesOf(server, owner, id, 20))) {
    await heardAll(voice, rest.length, `seed ${seed}`);
    await voice.alive();
    assert.deepEqual(voice.log(), rest, `seed ${seed}`);
  }
});

test("typing crosses from every protocol to every other, and never to one's own clients", async () => {
  const id = await server.quietConversation(owner, agent);
  const [writers, readers] = [await voicesOf(server, owner, id), await voicesOf(server, agent, id)];
  const wanted = [];
  for (const [from, writer] of Object.entries(writers)) {
    for (const isTyping of [true, false]) {
      wanted.push([owner.id, isTyping]);
      await writer.type(isTyping);
      for (const [to, reader] of Object.entries(readers)) {
        await reader.until(() => reader.typed().length >= wanted.length, `typing of seed ${from} at seed ${to}`);
        assert.deepEqual(reader.typed(), wanted, `from seed ${from} to seed ${to}`);
      }
    }
  }
  for (const [seed, writer] of Object.entries(writers)) {
    await writer.alive();
    assert.deepEqual(writer.typed(), [], `seed ${seed}'s client hears its own person`);
  }
});

test("reading crosses between the protocols that have a word for it", async () => {
  const id = await server.quietConversation(owner, agent);
  const [mine, theirs] = [await voicesOf(server, owner, id), await voicesOf(server, agent, id)];
  const ids = [];
  for (let n = 1; n <= 4; n++) ids.push(await theirs["004"].say(`message ${n}`));
  const receipt = { chatId: id, messageIds: ids.slice(0, 2), userId: owner.id };
  assert.equal((await mine["001"].client.ask("read_receipt", receipt)).data.confirmed, true);
  for (const { client } of [mine["004"], theirs["004"]]) {
    const read = await expectEvent(client, "messages_read");
    assert.deepEqual(read, { conversationId: id, userId: owner.id, upToSeq: 2 });
  }
  await emitOk(theirs["004"].client, "mark_read", { conversationId: id, upToSeq: 4 });
  const { client } = mine["001"];
  const { data } = await client.next((frame) => frame.type === "read_receipt" && frame.data.userId === agent.id);
  assert.deepEqual([data.chatId, data.confirmed], [id, true]);
  assert.ok(data.messageIds.includes(ids[3]), "the newest message that was read is named");
  assert.ok(data.messageIds.every((one) => ids.includes(one)));
});
