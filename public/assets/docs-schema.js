// Shows JSON schemas: each as a short phrase, objects with a list of their fields.

/** Makes an element. `properties` are set on it, `children` are nodes or texts; what is missing is left out. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.flat().filter((child) => child !== undefined && child !== null && child !== ''));
  return made;
}

/** A paragraph in which `words` between backticks stand as code. */
export function prose(text, className = '') {
  if (!text) return undefined;
  const parts = text.split('`').map((part, position) => (position % 2 ? element('code', {}, part) : part));
  return element('p', { className }, parts);
}

/** What a `$ref` within the document points to; anything else is given back. */
export function resolve(source, value) {
  let found = value;
  while (found?.$ref) {
    const steps = found.$ref.slice(2).split('/');
    found = steps.reduce((place, step) => place?.[step.replaceAll('~1', '/').replaceAll('~0', '~')], source.document);
  }
  return found ?? {};
}

/** The anchor of a named schema; `source` is `{document, prefix}`. */
export const schemaId = (source, name) => `${source.prefix}-schema-${name}`;

function link(source, reference) {
  const name = reference.split('/').at(-1);
  return element('a', { href: `#${schemaId(source, name)}` }, name);
}

/** Puts ` or ` between phrases. */
function either(phrases) {
  return phrases.flatMap((phrase, position) => (position ? [' or ', ...phrase] : phrase));
}

function limits({ minimum, maximum, minLength, maxLength, maxItems, pattern, default: usual }) {
  const between = (low, high, unit) => {
    if (low === undefined && high === undefined) return undefined;
    if (high === undefined) return `${low} or more${unit}`;
    return low === undefined ? `at most ${high}${unit}` : `${low}–${high}${unit}`;
  };
  return [
    between(minimum, maximum, ''),
    between(minLength, maxLength, ' characters'),
    between(undefined, maxItems, ' items'),
    pattern && `matches ${pattern}`,
    usual !== undefined && `${JSON.stringify(usual)} when absent`,
  ].filter(Boolean);
}

/** What kind of value a schema allows, in a few words, as nodes and texts. */
export function phrase(source, schema) {
  if (schema.$ref) return [link(source, schema.$ref)];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return either(choices.map((choice) => phrase(source, choice)));
  if (schema.const !== undefined) return [JSON.stringify(schema.const)];
  if (schema.enum) return either(schema.enum.map((word) => [JSON.stringify(word)]));
  if (schema.type === 'array') return ['list of ', ...phrase(source, schema.items ?? {})];
  if (!schema.type) return ['anything'];
  const kind = [schema.type].flat().join(' or ');
  const details = [schema.format, ...limits(schema)].filter(Boolean);
  return [details.length > 0 ? `${kind}, ${details.join(', ')}` : kind];
}

function field(source, name, schema, isRequired) {
  return element(
    'li',
    {},
    element('code', { className: 'name' }, name),
    ' ',
    element('span', { className: 'type' }, phrase(source, schema)),
    isRequired ? undefined : element('span', { className: 'optional' }, ' optional'),
    prose(schema.description),
    fields(source, schema),
  );
}

/** The fields of every object that a schema spells out in place; named schemas are linked, not repeated. */
export function fields(source, schema) {
  const inner = schema.oneOf ?? schema.anyOf ?? (schema.items ? [schema.items] : []);
  if (schema.$ref) return undefined;
  if (!schema.properties) return inner.map((one) => fields(source, one)).flat();
  const required = new Set(schema.required);
  const entries = Object.entries(schema.properties);
  return element(
    'ul',
    { className: 'fields' },
    entries.map(([name, value]) => field(source, name, value, required.has(name))),
  );
}

/** A schema under a small heading: its phrase, what it means, and the fields that it or its name stands for. */
export function shape(source, title, schema, note) {
  const meaning = resolve(source, schema);
  return element(
    'section',
    { className: 'shape' },
    element('h4', {}, title),
    element('p', { className: 'type' }, phrase(source, schema), note ? ` ${note}` : undefined),
    prose(meaning.description),
    fields(source, meaning),
  );
}
