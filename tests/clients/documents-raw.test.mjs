// The document of the live protocols is true for bare WebSockets too: what real sessions say and hear fits it, and nothing in it is missing from them.
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { checker } from "./documents.mjs";
import { campusHub, envelope, gurukul, hangUpRaw, lykke, openRaw, startServer, startUpstream } from "./harness.mjs";

let upstream;
let server;
let live;
let check;
let owner;
let agent;
before(async () => {
  upstream = await startUpstream();
  server = await startServer({ ...upstream.env, CHUNK_WINDOW: "5ms" });
  live = await server.ok("GET", "/asyncapi.json");
  check = checker({ live });
  [owner, agent] = [server.user(), server.user("admin")];
});
afterEach(() => hangUpRaw());
after(async () => {
  await server.stop();
  await upstream.stop();
});

/** The documented types of a protocol's frames in one direction. */
function types(protocol, direction) {
  const prefix = `${protocol}.${direction}.`;
  const keys = Object.keys(live.components.messages).filter((key) => key.startsWith(prefix));
  return keys.map((key) => key.slice(prefix.length)).sort();
}

function fits(protocol, direction, frame) {
  const key = `${protocol}.${direction}.${frame.type}`;
  assert.ok(live.components.messages[key], `${key} is not documented: ${JSON.stringify(frame)}`);
  check("live", `#/components/messages/${key}/payload`, frame, key);
  return frame.type;
}

/** Checks all that clients have heard, and that it was everything which the document has. */
function heardAll(protocol, ...clients) {
  const frames = clients.flatMap((client) => client.frames);
  const inside = frames.filter(({ type }) => type === "batch").flatMap(({ data }) => data.messages);
  const told = [...frames, ...inside].map((frame) => fits(protocol, "server", frame));
  assert.deepEqual([...new Set(told)].sort(), types(protocol, "server"));
}

/** Records what a client sends, which must be what the document has, and everything of it. */
function watch(protocol, client) {
  const said = new Set();
  const { send } = client;
  client.send = (frame) => {
    if (typeof frame !== "string") said.add(fits(protocol, "client", frame));
    return send.call(client, frame);
  };
  return () => assert.deepEqual([...said].sort(), types(protocol, "client"));
}

test("a Gurukul session fits the document and has every frame of it", async () => {
  const chatId = await server.conversation(owner, { title: "Well-being", agentId: "therapist" });
  const [client, batched, colleague] = [
    await gurukul(server, owner),
    await gurukul(server, owner, { query: { batch: "1" } }),
    await gurukul(server, agent),
  ];
  const saidAll = watch("gurukul", client);
  batched.send(envelope("chat_update", { action: "join", chatId }));
  await client.join(chatId, { after: 0 });
  await client.ask("message", { chatId, content: "Hello?", agentId: "therapist", messageId: "m1" });
  (await upstream.call()).say("Hello.").finish();
  const { message } = await client.message("Hello.");
  await client.ask("read_receipt", { chatId, messageIds: [message.id], userId: owner.id });
  await client.ask("message", { chatId, content: "Again?" });
  (await upstream.call()).refuse(401);
  await client.next(({ type, data }) => type === "error" && data.code === 503, 15_000);
  await colleague.join(chatId);
  client.send(envelope("typing", { chatId, userId: owner.id, agentId: "therapist", isTyping: true }));
  await colleague.next("typing");
  await client.ask("ping", { timestamp: 1 });
  client.send("nonsense");
  await client.next("error");
  await client.ask("message", { chatId, content: "Something else", messageId: "m1" });
  await server.ok("PATCH", `/api/conversations/${chatId}`, { as: owner, body: { title: "Feeling well" } });
  await colleague.next(({ data }) => data.updates?.title === "Feeling well");
  await client.ask("chat_update", { action: "leave", chatId });
  await server.ok("DELETE", `/api/conversations/${chatId}`, { as: owner });
  await colleague.next(({ data }) => data.action === "deleted");
  await batched.until(() => JSON.stringify(batched.frames).includes('"deleted"'), "the end of the chat in a batch");
  heardAll("gurukul", client, batched, colleague);
  saidAll();
});

test("a Lykke session fits the document and has every frame of it", async () => {
  const id = await server.conversation(owner);
  const client = await lykke(server, owner, id, { query: { stream: "1" } });
  const saidAll = watch("lykke", client);
  const colleague = await lykke(server, agent, id);
  client.say("Tell me", "m1");
  const call = await upstream.call();
  call.say("Once ");
  await client.next("assistant_chunk");
  call.say("upon a time.").finish();
  await client.answer();
  client.send({ type: "typing", is_typing: true });
  await colleague.next(({ type, user_id }) => type === "typing" && user_id === owner.id);
  client.send("nonsense");
  await client.refused("INVALID_JSON");
  const late = await lykke(server, owner, id, { query: { history: "10" } });
  await late.next("history");
  const refused = await openRaw(server, "/api/v1/conversations/nobody-has-this/ws", { as: owner });
  await refused.end();
  heardAll("lykke", client, colleague, late, refused);
  saidAll();
});

test("a CampusHub session fits the document and has every frame of it", async () => {
  const desk = { title: "Oak desk", description: "Solid", category: "Furniture", price: 80 };
  await server.ok("POST", "/v1/listings", { as: agent, body: desk });
  const client = await campusHub(server, owner);
  const saidAll = watch("campusHub", client);
  for (const respond of [
    (call) => call.refuse(400),
    (call) => call.say('{"keywords":["desk"],"maxPrice":100}').finish(),
  ]) {
    upstream.answerAll(respond);
    await client.search(`an oak desk below $${90 + client.frames.length}`);
  }
  client.send("nonsense");
  await client.next("error");
  heardAll("campusHub", client);
  saidAll();
});
