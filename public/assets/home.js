// Shows what /health says on the start page, and keeps it fresh while somebody looks.

const REFRESH_MS = 5_000;
const PATIENCE_MS = 4_000;
const WORDS = { ok: 'Healthy', healthy: 'Healthy', draining: 'Shutting down' };

const place = (id) => document.getElementById(id);

/** A part of the report may be a plain word or an object that says more; both are shown as one short text. */
function inWords(value) {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'object') return String(value);
  return [value.provider ?? value.kind, value.model, value.status].filter(Boolean).join(' · ') || '–';
}

function duration(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const days = Math.floor(seconds / 86_400);
  const hours = Math.floor((seconds % 86_400) / 3_600);
  const minutes = Math.floor((seconds % 3_600) / 60);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${Math.floor(seconds)} s`;
}

function badge(state, text) {
  place('health').dataset.state = state;
  // Only a change is written, so that a screen reader is not told the same thing every five seconds.
  if (place('health').textContent !== text) place('health').textContent = text;
}

function show(report, answeredOk) {
  const status = report.status ?? 'unknown';
  badge(answeredOk ? 'connected' : 'reconnecting', WORDS[status] ?? status);
  place('version').textContent = inWords(report.version);
  place('uptime').textContent = duration(report.uptime);
  place('database').textContent = inWords(report.database);
  place('redis').textContent = inWords(report.redis);
  place('ai').textContent = inWords(report.ai);
  place('connections').textContent = inWords(report.websocket?.connections);
  place('health-note').textContent = '';
}

async function refresh() {
  try {
    const answer = await fetch('/health', { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
    // 503 is an answer too: the server is draining or has lost its database, and says which.
    show(await answer.json(), answer.ok);
  } catch {
    badge('disconnected', 'Not reachable');
    place('health-note').textContent = 'The figures are from the last answer. Trying again every few seconds.';
  }
}

async function keepFresh() {
  if (document.visibilityState === 'visible') await refresh();
  setTimeout(keepFresh, REFRESH_MS);
}

keepFresh();
