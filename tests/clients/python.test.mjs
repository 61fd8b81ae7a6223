// Seed 002's Python program, on the `websockets` package, talks to the server as it is printed.
import assert from "node:assert/strict";
import { access } from "node:fs/promises";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run, startServer, startUpstream } from "./harness.mjs";

const path = (name) => fileURLToPath(new URL(`python/${name}`, import.meta.url));
const PYTHON = path(".venv/bin/python");

let upstream;
let server;
before(async () => {
  await access(PYTHON).catch(() => assert.fail("the Python environment is missing: tests/run makes it"));
  upstream = await startUpstream();
  server = await startServer(upstream.env);
});
after(async () => {
  await server?.stop();
  await upstream?.stop();
});

test("the program prints who it is connected as, and the assistant's answer", async () => {
  const user = server.user();
  const id = await server.conversation(user, { agentId: "tutor" });
  const program = run(PYTHON, ["-W", "ignore", path("chatbot_client.py"), `127.0.0.1:${server.port}`, id, user.token]);
  const call = await upstream.call();
  assert.equal(call.question, "Hello bot!");
  call.say("Hello! ").say("How can I help you?").finish();
  const { code, stdout, stderr } = await program;
  assert.equal(code, 0, stderr);
  const [, answer] = await server.messages(id, user);
  assert.match(stdout, /^Connected: \{'type': 'connection_ack'/);
  assert.ok(stdout.includes(`'user_id': '${user.id}'`));
  assert.ok(stdout.includes("\nAssistant: Hello! How can I help you?\n"), stdout);
  assert.ok(stdout.includes(`Message ID: ${answer.id}\n`), stdout);
});
