// Replays a transcript: what a client sends and what it must hear, as data. What a seed prints stands there literally;
// `$name` is bound where it is first heard and the same from then on; `<kind>` stands for any value of a kind; an object
// may have more fields than are named; a list that ends with "..." may be longer.
import assert from "node:assert/strict";
import { isTime } from "./checks.mjs";

const MINUTE = 60_000;

const KINDS = {
  "<any>": () => true,
  "<string>": (value) => typeof value === "string",
  "<text>": (value) => typeof value === "string" && value !== "",
  "<object>": (value) => typeof value === "object" && value !== null,
  "<time>": isTime,
  "<now>": (value) => Number.isInteger(value) && Math.abs(Date.now() - value) < MINUTE,
};

/** Fails unless `value` fits `pattern`; binds names in `bound`. */
export function match(pattern, value, bound, place = "frame") {
  if (typeof pattern === "string" && pattern.startsWith("$")) {
    const name = pattern.slice(1);
    if (name in bound) assert.equal(value, bound[name], `${place} is ${pattern}`);
    else assert.ok(typeof value === "string" && value !== "", `${place} must be an id: ${JSON.stringify(value)}`);
    bound[name] = value;
  } else if (typeof pattern === "string" && pattern in KINDS) {
    assert.ok(KINDS[pattern](value), `${place} must be ${pattern}: ${JSON.stringify(value)}`);
  } else if (Array.isArray(pattern)) {
    assert.ok(Array.isArray(value), `${place} must be a list: ${JSON.stringify(value)}`);
    const isOpen = pattern.at(-1) === "...";
    const wanted = isOpen ? pattern.slice(0, -1) : pattern;
    assert.ok(isOpen ? value.length >= wanted.length : value.length === wanted.length, `${place} has ${value.length}`);
    wanted.forEach((one, index) => match(one, value[index], bound, `${place}[${index}]`));
  } else if (typeof pattern === "object" && pattern !== null) {
    assert.ok(typeof value === "object" && value !== null, `${place} must be an object: ${JSON.stringify(value)}`);
    for (const [key, one] of Object.entries(pattern)) {
      assert.ok(key in value, `${place} has no ${key}: ${JSON.stringify(value)}`);
      match(one, value[key], bound, `${place}.${key}`);
    }
  } else {
    assert.equal(value, pattern, place);
  }
}

/** The value with each bound `$name` in its texts replaced. */
export function fill(value, bound) {
  if (typeof value === "string") return value.replaceAll(/\$(\w+)/g, (whole, name) => bound[name] ?? whole);
  if (Array.isArray(value)) return value.map((one) => fill(one, bound));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fill(one, bound)]));
}

/** The next frame in order, whatever it is, apart from types that may come in between. */
async function nextInOrder(client, besides) {
  return client.next(({ type }) => !besides.includes(type));
}

/** One REST call of a transcript, `METHOD path`; with `ai` one that waits for the AI, which says that. */
async function callRest(step, { server, upstream, people, bound }) {
  const [method, path] = fill(step.rest, bound).split(" ");
  for (let time = 0; time < (step.times ?? 1); time++) {
    const called = server.ok(method, path, { as: people[step.as ?? "user"], body: fill(step.body, bound) });
    if (step.ai !== undefined) (await upstream.call()).say(step.ai).finish();
    await called;
  }
}

/** Plays all steps on one connection. */
export async function replay(steps, stage) {
  const { client, upstream, bound, besides = [] } = stage;
  for (const step of steps) {
    if ("send" in step) client.send(fill(step.send, bound));
    else if ("sendText" in step) client.send(step.sendText);
    else if ("expect" in step) match(step.expect, await nextInOrder(client, besides), bound);
    else if ("rest" in step) await callRest(step, stage);
    else if ("ai" in step) (await upstream.call()).say(step.ai).finish();
    else if ("aiRefuses" in step) (await upstream.call()).refuse(step.aiRefuses);
    else if ("close" in step) {
      match(step.close, await client.end(), bound, "close");
      assert.deepEqual(client.unheard(), [], "nothing else was said before the close");
    } else assert.fail(`no such step: ${JSON.stringify(step)}`);
  }
}
