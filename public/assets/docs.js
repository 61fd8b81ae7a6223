// Reads both API documents and shows them as one reference that can be searched.
import { element, fields, phrase, prose, resolve, schemaId, shape } from './docs-schema.js';

const METHODS = ['get', 'post', 'patch', 'put', 'delete'];
const place = (id) => document.getElementById(id);

/** One thing to read about, closed until somebody opens it. */
function entry(id, head, ...content) {
  const body = element('div', { className: 'entry-body' }, content.flat());
  return element('details', { id, className: 'entry' }, element('summary', {}, head), body);
}

function section(id, title, description, entries) {
  return element('section', { id, className: 'group' }, element('h2', {}, title), prose(description, 'hint'), entries);
}

/* REST */

function whoMay(rest, operation) {
  const ways = operation.security ?? rest.document.security ?? [];
  if (ways.length === 0) return 'Open to everybody.';
  const schemes = rest.document.components.securitySchemes;
  const names = ways
    .flatMap((way) => Object.keys(way))
    .map((name) => {
      const scheme = schemes[name];
      if (scheme.type === 'http') return '`Authorization: Bearer`';
      return scheme.in === 'cookie' ? `the cookie \`${scheme.name}\`` : `the header \`${scheme.name}\``;
    });
  return `Needs one of: ${names.join(', ')}.`;
}

function parameters(rest, list) {
  if (list.length === 0) return undefined;
  const items = list
    .map((value) => resolve(rest, value))
    .map((parameter) =>
      element(
        'li',
        {},
        element('code', { className: 'name' }, parameter.name),
        ' ',
        element('span', { className: 'type' }, `in the ${parameter.in}, `, phrase(rest, parameter.schema)),
        parameter.required ? undefined : element('span', { className: 'optional' }, ' optional'),
        prose(parameter.description),
      ),
    );
  return element(
    'section',
    { className: 'shape' },
    element('h4', {}, 'Parameters'),
    element('ul', { className: 'fields' }, items),
  );
}

function requestBody(rest, body) {
  if (!body) return undefined;
  return shape(rest, 'Body', body.content['application/json'].schema, body.required ? '' : '(may be left out)');
}

function response(rest, status, value) {
  const { description, content = {} } = resolve(rest, value);
  const kinds = Object.entries(content).map(([type, { schema }]) =>
    element('div', {}, element('p', { className: 'type' }, `${type}: `, phrase(rest, schema)), fields(rest, schema)),
  );
  return element('li', {}, element('code', { className: 'name' }, status), ' ', prose(description), kinds);
}

function operationEntry(rest, path, method, operation, inPath) {
  const head = [
    element('code', { className: `method method-${method}` }, method.toUpperCase()),
    ' ',
    element('code', { className: 'path' }, path),
    element('span', { className: 'gist' }, operation.summary),
  ];
  const responses = Object.entries(operation.responses).map(([status, value]) => response(rest, status, value));
  return entry(
    `rest-${operation.operationId}`,
    head,
    prose(operation.description),
    prose(whoMay(rest, operation), 'hint'),
    parameters(rest, [...inPath, ...(operation.parameters ?? [])]),
    requestBody(rest, operation.requestBody),
    element(
      'section',
      { className: 'shape' },
      element('h4', {}, 'Answers'),
      element('ul', { className: 'fields' }, responses),
    ),
  );
}

function restSections(rest) {
  const { paths, tags } = rest.document;
  return tags.map(({ name, description }) => {
    const entries = Object.entries(paths).flatMap(([path, item]) =>
      METHODS.filter((method) => item[method]?.tags.includes(name)).map((method) =>
        operationEntry(rest, path, method, item[method], item.parameters ?? []),
      ),
    );
    return section(`rest-${name.toLowerCase()}`, `REST: ${name}`, description, entries);
  });
}

/* Socket.IO and WebSockets */

/** How a client sends a message of its own. */
function call(message, payload) {
  if (!message['x-ack']) return `send(${JSON.stringify(JSON.stringify(payload))})`;
  return `emit(${JSON.stringify(message.name)}, ${JSON.stringify(payload)}, (ack) => …)`;
}

function eventEntry(live, id, action, message) {
  const says = action === 'receive' ? 'client → server' : 'server → client';
  const head = [
    element('code', { className: `method method-${action}` }, says),
    ' ',
    element('code', { className: 'path' }, message.name),
    element('span', { className: 'gist' }, message.summary),
  ];
  const ack = message['x-ack'];
  const examples = (message.examples ?? []).map(({ payload }) =>
    element('pre', { tabIndex: 0 }, element('code', {}, call(message, payload))),
  );
  return entry(
    `live-${id}`,
    head,
    prose(message.description),
    examples,
    shape(live, 'Payload', message.payload),
    ack
      ? ack.oneOf.map((one, position) =>
          shape(live, position ? 'Acknowledgement of a failure' : 'Acknowledgement', one),
        )
      : undefined,
  );
}

function liveSections(live) {
  const { channels, operations } = live.document;
  return Object.entries(channels).map(([name, channel]) => {
    const own = Object.entries(operations).filter(
      ([
        ,
        {
          channel: { $ref },
        },
      ]) => $ref === `#/channels/${name}`,
    );
    const entries = own.map(([id, { action, messages }]) => eventEntry(live, id, action, resolve(live, messages[0])));
    const { title } = resolve(live, channel.servers[0]);
    return section(`live-${name}`, `${title}: ${channel.title}`, channel.description, entries);
  });
}

/* Both */

function schemaSection(source, title) {
  const entries = Object.entries(source.document.components.schemas).map(([name, schema]) =>
    entry(
      schemaId(source, name),
      [element('code', { className: 'path' }, name), element('span', { className: 'gist' }, phrase(source, schema))],
      prose(schema.description),
      fields(source, schema),
    ),
  );
  return section(`${source.prefix}-schemas`, title, '', entries);
}

function overview(source, title) {
  const { info, servers } = source.document;
  const more = Array.isArray(servers)
    ? []
    : Object.values(servers).map((server) => [
        prose(server.description),
        server['x-handshake-auth'] ? shape(source, 'Handshake', server['x-handshake-auth']) : undefined,
      ]);
  return section(`${source.prefix}-overview`, title, '', [
    element('div', { className: 'overview' }, prose(info.description), more.flat()),
  ]);
}

function contents(sections) {
  const items = sections.map((one) =>
    element('li', {}, element('a', { href: `#${one.id}` }, one.querySelector('h2').textContent)),
  );
  return element('ul', {}, items);
}

/** Opens the entry that the address names, also when it is hidden by a search. */
function openNamed() {
  const named = place(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.hidden || named.closest('[hidden]')) search('');
  if (named instanceof HTMLDetailsElement) named.open = true;
  named.scrollIntoView();
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (place('filter').value !== text) place('filter').value = text;
  let count = 0;
  for (const group of document.querySelectorAll('.group')) {
    const entries = [...group.querySelectorAll('.entry')];
    for (const one of entries) {
      const content = one.textContent.toLowerCase();
      one.hidden = !words.every((word) => content.includes(word));
      if (!one.hidden) count += 1;
    }
    group.hidden = words.length > 0 && entries.every((one) => one.hidden);
  }
  for (const link of place('contents').querySelectorAll('a')) {
    link.parentElement.hidden = place(link.hash.slice(1)).hidden;
  }
  place('found').textContent = words.length > 0 ? `${count} found` : '';
}

function setAll(open) {
  for (const one of document.querySelectorAll('.entry:not([hidden])')) one.open = open;
}

async function load(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(15_000) });
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}.`);
  return answer.json();
}

async function show() {
  const [openapi, asyncapi] = await Promise.all(['/openapi.json', '/asyncapi.json'].map(load));
  const rest = { document: openapi, prefix: 'rest' };
  const live = { document: asyncapi, prefix: 'live' };
  const sections = [
    overview(rest, 'REST'),
    ...restSections(rest),
    overview(live, 'Live'),
    ...liveSections(live),
    schemaSection(rest, 'Schemas of REST'),
    schemaSection(live, 'Schemas of what is live'),
  ];
  place('reference').replaceChildren(...sections);
  place('contents').replaceChildren(contents(sections));
  openNamed();
}

place('filter').addEventListener('input', (event) => search(event.target.value));
place('filter').form.addEventListener('submit', (event) => event.preventDefault());
place('expand').addEventListener('click', () => setAll(true));
place('collapse').addEventListener('click', () => setAll(false));
addEventListener('hashchange', openNamed);
show().catch((failure) => {
  place('loading').textContent = `The reference cannot be shown: ${failure.message}`;
  place('loading').className = 'notice';
});
