// The few REST calls of the test page. Every failure becomes an Error with a text that can be shown.

const PATIENCE_MS = 15_000;

/** Credentials as headers: a token for agents, a session id for customers. */
function headersOf({ token, sessionId }) {
  if (token) return { Authorization: `Bearer ${token}` };
  return sessionId ? { 'X-Session-Id': sessionId } : {};
}

async function call(method, path, { body, credentials = {} } = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: { ...headersOf(credentials), ...(body ? { 'Content-Type': 'application/json' } : {}) },
      body: body ? JSON.stringify(body) : undefined,
      // The two panes are two people in one browser: a cookie would make them one.
      credentials: 'omit',
      cache: 'no-store',
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch {
    throw new Error('The server cannot be reached.');
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok) throw new Error(answer?.error?.message ?? `The server answered ${response.status}.`);
  return answer;
}

const conversationPath = (id) => `/api/conversations/${encodeURIComponent(id)}`;

export const startSession = (name) => call('POST', '/api/sessions', { body: name ? { name } : {} });
export const signIn = (email, password) => call('POST', '/v1/auth/sign-in', { body: { email, password } });
export const signOut = (credentials) => call('POST', '/v1/auth/sign-out', { credentials });
export const readConversation = (id, credentials) => call('GET', conversationPath(id), { credentials });

/** `step` is `assign`, `handback` or `resolve`. */
export const handle = (id, step, credentials) =>
  call('POST', `${conversationPath(id)}/${step}`, { body: {}, credentials });
