// Starts the real server for black-box tests: its own port, data and database, and a strict look at how it ended.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, randomBytes, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { within } from "./wait.mjs";

export * from "./checks.mjs";
export * from "./people.mjs";
export * from "./raw.mjs";
export * from "./raw-clients.mjs";
export * from "./sockets.mjs";
export * from "./upstream.mjs";
export * from "./wait.mjs";

const BINARY = process.env.SWITCHBOARD ?? fileURLToPath(new URL("../../target/debug/switchboard", import.meta.url));
const START_DEADLINE = 20_000;
const STOP_DEADLINE = 30_000;

/** Runs a program to its end: `{code, stdout, stderr}`. */
export async function run(program, args, { env = {}, cwd = tmpdir(), input = "" } = {}) {
  const child = spawn(program, args, { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env } });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  try {
    const [code] = await within(once(child, "close"), STOP_DEADLINE, `the end of ${program} ${args.join(" ")}`);
    return { code, stdout, stderr };
  } finally {
    child.kill("SIGKILL");
  }
}

/** Runs the server's own command line, by default with nothing configured but a data folder. */
export function switchboard(args, env = {}, options = {}) {
  return run(BINARY, args, { env, ...options });
}

export function temporaryFolder() {
  return mkdtemp(join(tmpdir(), "switchboard-"));
}

/** A fresh PostgreSQL database when the suite or the test wants one, else nothing: SQLite in the data folder. */
async function freshDatabase(kind = process.env.TEST_DATABASE) {
  if (kind !== "postgres") return { env: {}, drop: async () => {} };
  const admin = process.env.TEST_POSTGRES_URL;
  assert.ok(admin, "TEST_POSTGRES_URL is not set: run tests/run");
  const name = `clients_${randomUUID().replaceAll("-", "")}`;
  const psql = async (statement) => {
    const { code, stderr } = await run("psql", ["-qX", "-v", "ON_ERROR_STOP=1", "-d", admin, "-c", statement]);
    assert.equal(code, 0, stderr);
  };
  await psql(`create database ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { env: { DATABASE_URL: url.href }, drop: () => psql(`drop database if exists ${name} with (force)`) };
}

const base64url = (data) => Buffer.from(data).toString("base64url");

/** Signs a JWT by hand, so that tests can also make wrong ones. */
export function signToken(claims, secret, header = { alg: "HS256", typ: "JWT" }) {
  const body = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}

const nowSeconds = () => Math.floor(Date.now() / 1000);

class Server {
  #child;
  #log = "";
  #secrets = new Set();
  #database;
  #args;

  constructor(env, dataDir, database, args) {
    this.dataDir = dataDir;
    this.#database = database;
    this.#args = args;
    this.secret = "JWT_SECRET" in env ? env.JWT_SECRET : randomBytes(32).toString("hex");
    this.env = {
      PORT: "0",
      DATA_DIR: dataDir,
      JWT_SECRET: this.secret,
      MESSAGE_RATE_LIMIT: "1000000",
      RUST_LOG: "info,switchboard=debug",
      ...database.env,
      ...env,
    };
  }

  /** Everything that the server has printed so far. */
  logs() {
    return this.#log;
  }

  /** Notes a credential: it must not turn up in the log. */
  keepSecret(text) {
    this.#secrets.add(text);
    return text;
  }

  async start() {
    const child = spawn(BINARY, this.#args, {
      cwd: this.dataDir,
      env: { PATH: process.env.PATH, HOME: this.dataDir, ...this.env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    this.exited = once(child, "exit").then(([code, signal]) => ({ code, signal }));
    const listening = new Promise((resolve, reject) => {
      let printed = "";
      child.on("error", reject);
      child.stderr.setEncoding("utf8").on("data", (text) => (this.#log += text));
      child.stdout.setEncoding("utf8").on("data", (text) => {
        this.#log += text;
        printed += text;
        const port = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(printed)?.[1];
        if (port || printed.includes("worker is ready")) resolve(port);
      });
      this.exited.then(({ code }) => reject(new Error(`the server ended with ${code} at start:\n${this.#log}`)));
    });
    const port = await within(listening, START_DEADLINE, "the server says where it listens");
    // A worker listens nowhere.
    if (port) this.#listensOn(Number(port));
    return this;
  }

  #listensOn(port) {
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    // A restart must be found by clients that reconnect to the old address.
    this.env.PORT = String(port);
  }

  /** Another process on the same database, with the same settings: `serve`, `worker` … */
  async beside(...args) {
    const { PORT, DATA_DIR, ...env } = this.env;
    const other = new Server(env, await temporaryFolder(), { env: {}, drop: async () => {} }, args);
    other.#secrets = this.#secrets;
    return startOrClean(other);
  }

  /** A JWT of an application's user; `ttl` in seconds. */
  token({ sub = randomUUID(), name = "Somebody", role = "customer", ttl = 3600, ...more } = {}) {
    return this.keepSecret(signToken({ sub, name, role, exp: nowSeconds() + ttl, ...more }, this.secret));
  }

  /** A user with an id and a token. */
  user(role = "customer", name = role === "customer" ? "Anna" : "Bert") {
    const id = randomUUID();
    return { id, name, role, token: this.token({ sub: id, name, role }) };
  }

  /** A REST call: `{status, body, headers, text}`; `as` is a user with `token`, or a session with `sessionId`. */
  async rest(method, path, { as, body, headers = {} } = {}) {
    const credential = as?.token ? { authorization: `Bearer ${as.token}` } : as ? { "x-session-id": as.sessionId } : {};
    const content = body === undefined ? {} : { "content-type": "application/json" };
    const response = await fetch(this.url + path, {
      method,
      headers: { ...content, ...credential, ...headers },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json") && text !== "";
    return { status: response.status, headers: response.headers, text, body: json ? JSON.parse(text) : undefined };
  }

  /** The body of a REST call that must succeed. */
  async ok(method, path, options) {
    const { status, body, text } = await this.rest(method, path, options);
    assert.ok(status >= 200 && status < 300, `${method} ${path} answered ${status}: ${text}`);
    return body;
  }

  /** The answer to a REST call that must fail with that status and code. */
  async refused(status, code, method, path, options) {
    const answer = await this.rest(method, path, options);
    assert.equal(answer.status, status, `${method} ${path}: ${answer.text}`);
    assert.equal(answer.body?.error?.code, code, answer.text);
    assert.equal(typeof answer.body.error.message, "string");
    return answer;
  }

  /** A widget visitor: `{sessionId, userId, conversationId, expiresAt}`. */
  async session(fields = { name: "Vera" }) {
    const session = await this.ok("POST", "/api/sessions", { body: fields });
    this.keepSecret(session.sessionId);
    return session;
  }

  /** The id of a new conversation of `owner`. */
  async conversation(owner, fields = {}) {
    const { conversation } = await this.ok("POST", "/api/conversations", { as: owner, body: fields });
    return conversation.id;
  }

  /** A support conversation in which a person has taken over, so that no AI answers stand between the messages. */
  async quietConversation(owner, agent) {
    const id = await this.conversation(owner, { kind: "support" });
    await this.ok("POST", `/api/conversations/${id}/assign`, { as: agent, body: {} });
    return id;
  }

  /** The whole log of a conversation, read page by page. */
  async messages(id, as) {
    const all = [];
    for (;;) {
      const after = all.at(-1)?.seq ?? 0;
      const page = await this.ok("GET", `/api/conversations/${id}/messages?after=${after}&limit=200`, { as });
      all.push(...page.messages);
      if (!page.hasMore) return all;
    }
  }

  /** Asks the server to end without waiting for it. */
  terminate(signal = "SIGTERM") {
    this.#child.kill(signal);
  }

  async kill9() {
    this.terminate("SIGKILL");
    await within(this.exited, STOP_DEADLINE, "the killed server is gone");
  }

  /** SIGTERM, an orderly end, and nothing in the log that must not be there. */
  async shutDown() {
    this.terminate();
    const { code, signal } = await within(this.exited, STOP_DEADLINE, "the server ends after SIGTERM");
    assert.equal(code, 0, `the server ended with ${code ?? signal}:\n${this.#log.slice(-4000)}`);
    this.checkLog();
  }

  checkLog() {
    assert.doesNotMatch(this.#log, /panicked/);
    for (const secret of this.#secrets) assert.ok(!this.#log.includes(secret), "a credential stands in the log");
  }

  /** On the same data and address; after `kill9()`, or in place of it an orderly end. */
  async restart() {
    if (this.#isRunning) await this.shutDown();
    await this.start();
  }

  get #isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Ends the server if it runs and removes its data. */
  async stop() {
    try {
      if (this.#isRunning) await this.shutDown();
      else this.checkLog();
    } finally {
      await this.discard();
    }
  }

  /** Ends the process at once and removes its data. */
  async discard() {
    this.#child.kill("SIGKILL");
    await this.#database.drop();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}

/** Starts a server with `env` on top of the tests' defaults (`undefined` unsets one) and flags; end it with `stop()`. */
export async function startServer(env = {}, flags = [], { database } = {}) {
  const args = ["serve", ...flags];
  return startOrClean(new Server(env, await temporaryFolder(), await freshDatabase(database), args));
}

async function startOrClean(server) {
  try {
    return await server.start();
  } catch (failure) {
    await server.discard();
    throw failure;
  }
}
