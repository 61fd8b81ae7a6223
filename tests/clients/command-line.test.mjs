// The operator's side: exit statuses, the user commands, tokens and the generated secret.
import assert from "node:assert/strict";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { connect, expectEvent, hangUp, startServer, switchboard, temporaryFolder } from "./harness.mjs";

let folder;
before(async () => {
  folder = await temporaryFolder();
});
afterEach(() => hangUp());
after(() => rm(folder, { recursive: true, force: true }));

const cli = (...args) => switchboard(args, { DATA_DIR: folder });

/** One readable line on standard error and exit status 64. */
function assertUsage({ code, stderr }, what) {
  assert.equal(code, 64, `${what}: ${stderr}`);
  assert.ok(stderr.trim().length > 0, what);
  assert.doesNotMatch(stderr, /panicked|src\//, what);
}

test("bad usage ends with 64 and says why", async () => {
  for (const args of [
    ["nonsense"],
    ["serve", "--nonsense"],
    ["user"],
    ["user", "create"],
    ["token"],
    ["listings"],
    ["listings", "import"],
    ["listings", "import", "offers.csv", "--format", "xml"],
    ["articles"],
    ["articles", "import"],
    ["articles", "delete"],
    ["user", "create", "--email", "a@example.org", "--name", "A", "--role", "emperor"],
  ]) {
    assertUsage(await cli(...args), args.join(" "));
  }
});

test("bad configuration ends with 64 and one line", async () => {
  const wrong = {
    JWT_SECRET: "short",
    PORT: "70000",
    HOST: "not a host",
    DATABASE_URL: "mysql://localhost/x",
    AI_TIMEOUT: "soon",
    MESSAGE_RATE_LIMIT: "many",
    MAX_CONNECTIONS: "-1",
    AI_PROVIDER: "openai",
    JWT_PUBLIC_KEY_FILE: "/nonexistent/key.pem",
    CORS_ORIGIN: "not an origin",
    TRUSTED_PROXIES: "everybody",
  };
  for (const [name, value] of Object.entries(wrong)) {
    const ended = await switchboard(["serve"], { DATA_DIR: folder, PORT: "0", [name]: value });
    assertUsage(ended, name);
    assert.equal(ended.stderr.trim().split("\n").length, 1, `${name}: ${ended.stderr}`);
    if (name === "JWT_SECRET") assert.ok(!ended.stderr.includes('short"') && !ended.stderr.includes("=short"));
  }
});

test("a weak secret is accepted on demand", async () => {
  const { code, stdout } = await switchboard(["token", "--sub", "s", "--name", "N", "--role", "customer"], {
    DATA_DIR: folder,
    JWT_SECRET: "short",
    ALLOW_WEAK_SECRET: "1",
  });
  assert.equal(code, 0);
  assert.equal(stdout.trim().split(".").length, 3);
});

test("help and version end with 0", async () => {
  for (const args of [["--help"], ["serve", "--help"], ["--version"]])
    assert.equal((await cli(...args)).code, 0, args.join(" "));
});

test("migrate migrates, twice without harm", async () => {
  assert.equal((await cli("migrate")).code, 0);
  assert.equal((await cli("migrate")).code, 0);
});

test("users are created, listed, given a role and deleted", async () => {
  const made = await cli("user", "create", "--email", "bert@example.org", "--name", "Bert", "--role", "admin");
  assert.equal(made.code, 0, made.stderr);
  const again = await cli("user", "create", "--email", "bert@example.org", "--name", "Bert", "--role", "admin");
  assert.equal(again.code, 1, "the address is taken");
  assert.ok(again.stderr.trim().length > 0);
  const chosen = await cli(
    "user",
    "create",
    "--email",
    "anna@example.org",
    "--name",
    "Anna",
    "--role",
    "customer",
    "--password",
    "correct horse battery",
  );
  assert.equal(chosen.code, 0, chosen.stderr);
  assert.doesNotMatch(chosen.stdout + chosen.stderr, /correct horse/, "a given password is not printed");
  const list = await cli("user", "list");
  assert.equal(list.code, 0);
  assert.match(list.stdout, /bert@example\.org/);
  assert.match(list.stdout, /anna@example\.org/);
  assert.equal((await cli("user", "role", "anna@example.org", "admin")).code, 0);
  assert.match((await cli("user", "list")).stdout, /anna@example\.org.*admin|admin.*anna@example\.org/);
  assert.equal((await cli("user", "delete", "anna@example.org")).code, 0);
  assert.doesNotMatch((await cli("user", "list")).stdout, /anna@example\.org/);
  assert.equal((await cli("user", "delete", "anna@example.org")).code, 1);
  assert.equal((await cli("user", "role", "nobody@example.org", "admin")).code, 1);
});

test("a made password is printed once and works, and so does a token of the generated secret", async () => {
  const server = await startServer({ JWT_SECRET: undefined });
  try {
    const env = { ...server.env };
    const made = await switchboard(
      ["user", "create", "--email", "cora@example.org", "--name", "Cora", "--role", "admin"],
      env,
    );
    assert.equal(made.code, 0, made.stderr);
    const candidates = made.stdout.split(/\s+/).filter((word) => word.length >= 12 && !word.includes("@"));
    const answers = await Promise.all(
      candidates.map((password) =>
        server.rest("POST", "/v1/auth/sign-in", { body: { email: "cora@example.org", password } }),
      ),
    );
    const signedIn = answers.find(({ status }) => status === 200);
    assert.ok(signedIn, `no printed word is the password: ${made.stdout}`);
    assert.equal(signedIn.body.user.role, "admin");
    server.keepSecret(signedIn.body.token);

    const { code, stdout } = await switchboard(
      ["token", "--sub", "u-1", "--name", "Uma", "--role", "customer", "--ttl", "10m"],
      env,
    );
    assert.equal(code, 0);
    const token = server.keepSecret(stdout.trim());
    const socket = await connect(server.url, { auth: { token } });
    assert.deepEqual(await expectEvent(socket, "authenticated"), { userId: "u-1", userName: "Uma", role: "customer" });
    const { exp } = JSON.parse(Buffer.from(token.split(".")[1], "base64url"));
    assert.ok(Math.abs(exp - Date.now() / 1000 - 600) < 30);

    const files = await readdir(server.dataDir);
    const modes = await Promise.all(
      files.map(async (file) => [file, (await stat(join(server.dataDir, file))).mode & 0o777]),
    );
    const secret = modes.find(([file]) => /secret/.test(file));
    assert.ok(secret, `no file for the secret among ${files}`);
    assert.equal(secret[1], 0o600);
  } finally {
    hangUp();
    await server.stop();
  }
});

test("a port that is taken ends with one line that names it", async () => {
  const server = await startServer();
  try {
    const { code, stderr } = await switchboard(["serve"], { DATA_DIR: folder, PORT: String(server.port) });
    // The contract leaves open whether a taken port is bad configuration (64) or bad luck (1).
    assert.ok([1, 64].includes(code), `status ${code}`);
    assert.equal(stderr.trim().split("\n").length, 1, stderr);
    assert.match(stderr, new RegExp(`${server.port}`));
  } finally {
    await server.stop();
  }
});

test("a flag is checked like the variable of the same name", async () => {
  const { code, stderr } = await cli("serve", "--port", "nonsense");
  assertUsage({ code, stderr }, "--port nonsense");
});
