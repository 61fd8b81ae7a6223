// What the README says to paste is pasted: the terminal sessions line by line, the programs as they are.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile, rm, writeFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import WebSocket from "ws";
import { run, startServer } from "./harness.mjs";
import { within } from "./wait.mjs";

const DEADLINE = 10_000;
const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
const blocks = (language) => [...readme.matchAll(new RegExp("```" + language + "\n(.*?)```", "gs"))].map(([, text]) => text);

let server;
let token;
before(async () => {
  server = await startServer({}, ["--demo"]);
  token = server.token({ sub: "ada", name: "Ada" });
});
after(() => server.stop());

const here = (text) => text.replaceAll("http://127.0.0.1:3000", server.url).replaceAll("ws://127.0.0.1:3000", server.url.replace("http", "ws"));

/** `…` in a printed line stands for anything. */
function pattern(line) {
  const literal = line.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}${line.endsWith("…") ? "" : "$"}`, "s");
}

test("every terminal session goes as printed", async () => {
  const sessions = blocks("console");
  assert.ok(sessions.length >= 3, "a session for each raw protocol");
  for (const session of sessions) {
    const [command, ...lines] = session.trim().split("\n");
    const url = /wscat -c "([^"]+)"/.exec(command)?.[1];
    assert.ok(url, command);
    const ws = new WebSocket(here(url).replace("$TOKEN", token));
    const heard = [];
    let wake = () => {};
    ws.on("message", (data) => {
      heard.push(data.toString());
      wake();
    });
    await within(once(ws, "open"), DEADLINE, url);
    for (const line of lines) {
      const text = line.slice(2);
      if (line.startsWith("> ")) {
        ws.send(text);
        continue;
      }
      assert.ok(line.startsWith("< "), line);
      const fits = pattern(text);
      const come = async () => {
        for (;;) {
          // Frames that the README leaves out may stand between; what it prints comes in its order.
          while (heard.length > 0) if (fits.test(heard.shift())) return;
          await new Promise((resolve) => (wake = resolve));
        }
      };
      await within(come(), DEADLINE, text);
    }
    ws.close();
    await within(once(ws, "close"), DEADLINE, "the end of the session");
  }
});

test("every program runs as printed", async () => {
  const programs = blocks("js");
  assert.ok(programs.length >= 2, "a program for each Socket.IO vocabulary");
  for (const [number, program] of programs.entries()) {
    // Beside the packages of the tests, so that its imports are found.
    const file = new URL(`./readme-program-${process.pid}-${number}.mjs`, import.meta.url);
    await writeFile(file, here(program));
    try {
      const { code, stdout, stderr } = await run(process.execPath, [file.pathname], { env: { TOKEN: token } });
      assert.equal(code, 0, stderr);
      assert.match(stdout, /true/, "acknowledged");
      assert.match(stdout, /complete|Assistant/, "answered");
    } finally {
      await rm(file, { force: true });
    }
  }
});
