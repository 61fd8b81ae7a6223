// The agent's side: an account or a token, and the conversation to look after.

import { signIn, signOut } from './api.js';
import { forget, recall, remember } from './memory.js';
import { Pane } from './pane.js';

const KEPT = 'agent';

/** Returns a function that offers a conversation; it is taken unless the agent has chosen another one. */
export function agent(root) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const { entry, token, join } = { entry: part('entry'), token: part('token-form'), join: part('join') };
  const field = join.elements.conversation;
  let offered = '';

  const pane = new Pane(root, {
    name: KEPT,
    desk: true,
    onMe: ({ userName, userId, role }) => {
      const hint = role === 'admin' ? '' : ' (a customer: this pane needs an agent)';
      part('who').textContent = `Signed in as ${userName || userId}${hint}`;
    },
    onRefused: (text) => showEntry(`${text}. Sign in again.`),
  });

  function showEntry(text) {
    forget(KEPT);
    for (const name of ['entry', 'token-entry']) part(name).hidden = false;
    part('identity').hidden = true;
    join.hidden = true;
    part('entry-note').textContent = text;
  }

  function enter(conversationId) {
    field.value = conversationId;
    pane.enter(conversationId);
    remember(KEPT, { token: pane.credentials.token, conversationId });
  }

  function resume({ token: credential, conversationId }, me) {
    for (const name of ['entry', 'token-entry']) part(name).hidden = true;
    part('identity').hidden = false;
    join.hidden = false;
    part('who').textContent = 'Signing in…';
    part('entry-note').textContent = '';
    remember(KEPT, { token: credential, conversationId });
    pane.open({ token: credential }, me);
    if (conversationId) enter(conversationId);
  }

  entry.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = entry.querySelector('button');
    button.disabled = true;
    try {
      const { token: credential, user } = await signIn(entry.elements.email.value, entry.elements.password.value);
      entry.reset();
      resume({ token: credential, conversationId: field.value.trim() }, user.id);
      (field.value ? pane.composer : field).focus();
    } catch (failure) {
      showEntry(failure.message);
    } finally {
      button.disabled = false;
    }
  });

  token.addEventListener('submit', (event) => {
    event.preventDefault();
    const credential = token.elements.token.value.trim();
    token.reset();
    if (credential === '') return;
    resume({ token: credential, conversationId: field.value.trim() });
    (field.value ? pane.composer : field).focus();
  });

  join.addEventListener('submit', (event) => {
    event.preventDefault();
    enter(field.value.trim());
    pane.composer.focus();
  });

  root.querySelector('[data-action="end"]').addEventListener('click', () => {
    // The connection ends here in any case; the server revokes the token when it can be reached.
    signOut(pane.credentials).catch((failure) => (part('entry-note').textContent = failure.message));
    pane.outbox.empty();
    pane.close();
    showEntry('');
    entry.elements.email.focus();
  });

  const kept = recall(KEPT);
  if (kept) {
    field.value = kept.conversationId ?? '';
    resume(kept);
  }

  return (conversationId) => {
    const current = field.value.trim();
    const free = current === '' || current === offered;
    offered = conversationId;
    if (!free || current === conversationId) return;
    field.value = conversationId;
    if (pane.connection) enter(conversationId);
  };
}
