// Reads API documents: finds what references name, and checks values against the schemas in them.
import assert from "node:assert/strict";
import Ajv2020 from "ajv/dist/2020.js";
import { isTime } from "./checks.mjs";

/** Visits every value of a document: `visit(value, path)`. */
export function walk(value, visit, path = "#") {
  visit(value, path);
  if (typeof value !== "object" || value === null) return;
  for (const [key, inner] of Object.entries(value)) {
    walk(inner, visit, `${path}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  }
}

/** What a JSON pointer such as `#/components/schemas/Message` names, or nothing. */
export function at(document, pointer) {
  const steps = pointer.slice(2).split("/");
  return steps.reduce((value, step) => value?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], document);
}

/** What a value stands for when it is a reference, else the value itself. */
export const follow = (document, value) => (value?.$ref ? follow(document, at(document, value.$ref)) : value);

/** The document with every object closed, so that a field which is sent but not described is found. */
function closed(document) {
  const copy = structuredClone(document);
  walk(copy, (value) => {
    if (value?.type === "object" && value.properties) value.additionalProperties ??= false;
  });
  return copy;
}

/** Makes `check(document, schema, value, what)`, which fails when the value does not fit. */
export function checker(documents) {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true });
  ajv.addFormat("date-time", { type: "string", validate: isTime });
  for (const format of ["email", "password"]) ajv.addFormat(format, true);
  // A document is not a schema, but the schemas in it are found by their place.
  ajv.addVocabulary([...new Set(Object.values(documents).flatMap(Object.keys))]);
  for (const name of Object.keys(documents)) ajv.addSchema(closed(documents[name]), name);
  const compiled = new Map();
  return (name, pointer, value, what) => {
    const place = `${name}${pointer}`;
    if (!compiled.has(place)) compiled.set(place, ajv.compile({ $ref: place }));
    const fits = compiled.get(place);
    assert.ok(fits(value), `${what} does not fit ${place}:\n${ajv.errorsText(fits.errors)}\n${JSON.stringify(value)}`);
  };
}
