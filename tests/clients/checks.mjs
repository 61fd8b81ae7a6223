// Assertions that many tests share.
import assert from "node:assert/strict";

/** Numbers of messages, which must be exactly 1, 2, 3 … `count`. */
export function assertGapless(seqs, count, who = "somebody") {
  assert.equal(seqs.length, count, `${who} has ${seqs.length} of ${count} messages`);
  const wrong = seqs.findIndex((seq, position) => seq !== position + 1);
  assert.equal(wrong, -1, `${who} has seq ${seqs[wrong]} at place ${wrong + 1}`);
}

/** True for a point in time as the server writes it in messages and conversations. */
export function isTime(text) {
  return typeof text === "string" && !Number.isNaN(Date.parse(text));
}
