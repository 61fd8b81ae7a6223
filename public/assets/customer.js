// The customer's side: a widget session that survives a reload of this tab.

import { startSession } from './api.js';
import { forget, recall, remember } from './memory.js';
import { Pane } from './pane.js';

const KEPT = 'customer';

/** `onConversation(id)` hears which conversation the customer is in. */
export function customer(root, onConversation) {
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const form = part('entry');
  const pane = new Pane(root, {
    name: KEPT,
    onMe: ({ userName, userId }) => (part('who').textContent = `Signed in as ${userName || userId}`),
    onRefused: (text) => showEntry(`${text}. This session is over; start a new one.`),
  });

  function showEntry(text) {
    form.hidden = false;
    part('identity').hidden = true;
    part('entry-note').textContent = text;
  }

  function resume({ sessionId, userId, conversationId }) {
    form.hidden = true;
    part('identity').hidden = false;
    part('who').textContent = 'Signing in…';
    part('entry-note').textContent = '';
    pane.open({ sessionId }, userId);
    pane.enter(conversationId);
    onConversation(conversationId);
  }

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const button = form.querySelector('button');
    button.disabled = true;
    try {
      const session = await startSession(form.elements.name.value.trim());
      // What an older session had not sent belongs to a conversation that is left behind.
      pane.outbox.empty();
      remember(KEPT, session);
      resume(session);
      pane.composer.focus();
    } catch (failure) {
      showEntry(failure.message);
    } finally {
      button.disabled = false;
    }
  });

  root.querySelector('[data-action="end"]').addEventListener('click', () => {
    forget(KEPT);
    pane.outbox.empty();
    pane.close();
    showEntry('');
    form.elements.name.focus();
  });

  const kept = recall(KEPT);
  if (kept) resume(kept);
}
