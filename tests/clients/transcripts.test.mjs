// Every frame that seeds 000, 001 and 002 print is sent to a real server as printed, and answered as printed.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, describe, test } from "node:test";
import { dialRaw, hangUpRaw, startServer, startUpstream } from "./harness.mjs";
import { fill, replay } from "./transcripts.mjs";

const read = async (name) => JSON.parse(await readFile(new URL(`transcripts/${name}.json`, import.meta.url), "utf8"));

for (const name of ["campus-hub", "gurukul", "lykke"]) {
  const file = await read(name);
  describe(`seed ${file.seed}`, () => {
    let upstream;
    let server;
    let people;
    before(async () => {
      upstream = await startUpstream();
      // Searches are answered from their words alone: what the AI adds to them is the listing tests' matter.
      server = await startServer(file.listings ? { AI_PROVIDER: "offline" } : upstream.env);
      people = {
        user: { id: file.user, token: server.token({ sub: file.user, name: "Anna" }) },
        agent: server.user("admin"),
      };
      for (const listing of file.listings ?? []) {
        await server.ok("POST", "/v1/listings", { as: people.agent, body: listing });
      }
    });
    afterEach(() => hangUpRaw());
    after(async () => {
      await server.stop();
      await upstream.stop();
    });

    for (const transcript of file.transcripts) {
      test(transcript.name, async () => {
        const wanted = transcript.conversation ?? file.conversation;
        const bound = {};
        if (wanted) bound.conversation = await server.conversation(people.user, wanted);
        try {
          const path = fill(transcript.path ?? file.path, bound);
          const { token = people.user.token } = transcript;
          const client = dialRaw(server, path, { query: { ...transcript.query, ...(token !== null && { token }) } });
          if (transcript.steps.some((step) => "send" in step)) await client.opened();
          const stage = { client, server, upstream, people, bound, besides: file.besides };
          await replay(transcript.steps, stage);
          assert.equal(upstream.calls.filter(({ isOpen }) => isOpen).length, 0, "the AI is asked what nobody answers");
        } finally {
          // The next transcript brings the same id, as the seed prints it.
          if (wanted) await server.ok("DELETE", `/api/conversations/${bound.conversation}`, { as: people.user });
        }
      });
    }
  });
}
