// Servers and workers as processes of their own, on one PostgreSQL and one Redis.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { asUser, emitOk, startServer } from "./harness.mjs";

export const NO_WORKER = ["--no-worker"];
export const SERVE = ["serve", ...NO_WORKER];
export const shared = () => ({ REDIS_URL: process.env.TEST_REDIS_URL, REDIS_PREFIX: `clients-${randomUUID()}` });

/** A server without a worker, on PostgreSQL. */
export function startWeb(env) {
  return startServer({ ...shared(), CHUNK_WINDOW: "5ms", ...env }, NO_WORKER, { database: "postgres" });
}

/** A user with one tab on each of these servers, all in one conversation with the AI. */
export async function tabsOn(servers) {
  const user = servers[0].user();
  const id = await servers[0].conversation(user);
  const tabs = [];
  for (const server of servers) {
    const tab = await asUser(server, user);
    await emitOk(tab, "join:conversation", id);
    tabs.push(tab);
  }
  return { user, id, tabs };
}

/** What the AI makes of a search for lamps. */
export const LAMPS = JSON.stringify({ category: null, keywords: ["lamp"], minPrice: null, maxPrice: null });

/** Puts a lamp among the listings. */
export function offerLamp(server) {
  const lamp = { title: "Desk Lamp", category: "Furniture", price: 15 };
  return server.ok("POST", "/v1/listings", { as: server.user("admin"), body: lamp });
}

export function assertLamp(frame) {
  assert.equal(frame.type, "agent.response", JSON.stringify(frame));
  assert.deepEqual([frame.payload.results[0]?.title, frame.payload.degraded], ["Desk Lamp", undefined]);
}

/** A Redis of one test's own: `{url, kill()}`. */
export async function startRedis() {
  const free = net.createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const { port } = free.address();
  free.close();
  const settings = ["--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no"];
  const child = spawn("redis-server", settings, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  for await (const line of createInterface(child.stdout)) {
    if (line.includes("Ready to accept connections")) break;
  }
  const kill = () => child.kill("SIGKILL") && exited;
  return { url: `redis://127.0.0.1:${port}`, kill };
}
