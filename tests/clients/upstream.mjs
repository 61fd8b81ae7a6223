// The AI behind the server: a third-party mock for plain answers, and a scripted one that a test drives word by word.
import { once } from "node:events";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { LLMock } from "@copilotkit/aimock";
import { within } from "./wait.mjs";

const FIXTURES = fileURLToPath(new URL("../fixtures/clients", import.meta.url));
const DEADLINE = 10_000;

const KEY = "test";

/** The environment that makes a server use an AI at `url`. */
function environment(url) {
  return { AI_PROVIDER: "openai", OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: KEY };
}

/** Starts the third-party server with this suite's fixtures: `{env, requests(), stop()}`. */
export async function startAimock() {
  const mock = new LLMock({ port: 0, logLevel: "silent" });
  mock.loadFixtureDir(FIXTURES);
  await mock.start();
  return { env: environment(mock.url), requests: () => mock.getRequests(), stop: () => mock.stop() };
}

/** One request of the server, held open until the test says how it goes on. */
class Call {
  #response;
  #closed;

  constructor(request, response, body) {
    this.body = JSON.parse(body);
    this.at = Date.now();
    this.#response = response;
    response.on("error", () => {});
    this.#closed = once(response, "close").then(() => Date.now());
  }

  /** What the person asked last. */
  get question() {
    return this.body.messages.findLast(({ role }) => role === "user")?.content;
  }

  #event(data) {
    if (!this.#response.headersSent) this.#response.writeHead(200, { "content-type": "text/event-stream" });
    this.#response.write(`data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`);
  }

  #choice(delta, finish = null) {
    const choices = [{ index: 0, delta, finish_reason: finish }];
    this.#event({ id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "scripted", choices });
  }

  /** Sends the next piece of the answer. */
  say(text) {
    this.#choice({ content: text });
    return this;
  }

  /** Calls tools, `[name, arguments]` each, and ends. */
  callTools(...calls) {
    calls.forEach(([name, input], index) => {
      const id = `call_${index}`;
      this.#choice({ tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] });
      this.#choice({ tool_calls: [{ index, function: { arguments: JSON.stringify(input) } }] });
    });
    this.finish("tool_calls");
  }

  /** Ends the answer as providers do. */
  finish(reason = "stop") {
    this.#choice({}, reason);
    const usage = { prompt_tokens: 7, completion_tokens: 5, total_tokens: 12 };
    this.#event({
      id: "chatcmpl-1",
      object: "chat.completion.chunk",
      created: 1,
      model: "scripted",
      choices: [],
      usage,
    });
    this.#event("[DONE]");
    this.#response.end();
  }

  /** Answers with an HTTP error. */
  refuse(status, headers = {}) {
    this.#response.writeHead(status, { "content-type": "application/json", ...headers });
    this.#response.end(JSON.stringify({ error: { message: "scripted refusal", type: "scripted", code: null } }));
  }

  /** Breaks the connection in the middle. */
  cut() {
    this.#response.destroy();
  }

  /** Sends a chunk that no parser takes, and ends. */
  garble() {
    this.#event('{"choices":[{"delta":{"content":"');
    this.#response.end();
  }

  /** When the server has let go of this request, in ms of the clock. */
  closed(deadline = DEADLINE) {
    return within(this.#closed, deadline, "the request to the AI is closed");
  }

  get isOpen() {
    return !this.#response.closed;
  }
}

/** Starts an OpenAI-compatible server that hands each request to the test: `await upstream.call()`. */
export async function startUpstream() {
  const calls = [];
  const unclaimed = [];
  const waiting = [];
  let answerer;
  const server = http.createServer(async (request, response) => {
    // A worker asks for the models at its start, to see whether its key is accepted.
    const isKnown = request.headers.authorization === `Bearer ${KEY}`;
    if (!isKnown || request.url.endsWith("/models")) {
      response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" }).end('{"data":[]}');
      return;
    }
    request.setEncoding("utf8");
    let body = "";
    for await (const text of request) body += text;
    const call = new Call(request, response, body);
    calls.push(call);
    const claim = answerer ?? waiting.shift();
    if (claim) claim(call);
    else unclaimed.push(call);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${server.address().port}`;
  return {
    url: `${url}/v1`,
    env: environment(url),
    calls,
    /** The next request that no test has taken yet. */
    async call(deadline = DEADLINE) {
      if (unclaimed.length > 0) return unclaimed.shift();
      let claim;
      const next = new Promise((resolve) => waiting.push((claim = resolve)));
      try {
        return await within(next, deadline, "a request to the AI");
      } finally {
        // A wait that was given up must not swallow the next test's request.
        if (waiting.includes(claim)) waiting.splice(waiting.indexOf(claim), 1);
      }
    },
    /** From now on `respond` gets every request, and `call` none. */
    answerAll(respond) {
      answerer = respond;
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
