// What is known of a conversation, as one line, and the steps by which an agent takes it, gives it back and closes it.

import { handle, readConversation } from './api.js';

const STEPS = ['assign', 'handback', 'resolve'];

export class Desk {
  /** `people` gives names; `where()` returns `{conversationId, credentials}`; `notice(text)` shows what went wrong. */
  constructor({ factsLine, group, people, where, notice }) {
    Object.assign(this, { factsLine, people, where, notice });
    for (const step of STEPS) {
      group.querySelector(`[data-action="${step}"]`).addEventListener('click', () => this.#handle(step));
    }
    this.clear();
  }

  clear() {
    this.conversation = null;
    this.factsLine.textContent = '';
  }

  async refresh() {
    const { conversationId, credentials } = this.where();
    await this.#attempt(() => readConversation(conversationId, credentials));
  }

  show(conversation) {
    if (conversation.id !== this.where().conversationId) return;
    // The answer to our question may be older than an event that overtook it.
    if (this.conversation && conversation.updatedAt < this.conversation.updatedAt) return;
    this.conversation = conversation;
    this.people.learnConversation(conversation);
    const facts = [`Conversation ${conversation.id}`, conversation.title, conversation.status, this.#handler()];
    if (conversation.waitingForAgent) facts.push('waiting for a person');
    this.factsLine.textContent = facts.filter(Boolean).join(' · ');
  }

  #handler() {
    const id = this.conversation.handledBy;
    if (id === 'bot') return 'answered by the AI';
    return `handled by ${id === this.people.me ? 'you' : this.people.nameOf(id)}`;
  }

  async #handle(step) {
    const { conversationId, credentials } = this.where();
    const done = await this.#attempt(() => handle(conversationId, step, credentials));
    if (done) this.notice('');
  }

  async #attempt(ask) {
    try {
      const { conversation } = await ask();
      this.show(conversation);
      return true;
    } catch (failure) {
      this.notice(failure.message);
      return false;
    }
  }
}
