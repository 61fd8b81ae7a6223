// Messages on their way: kept in order, one in flight, sent again under the same id until the server has said yes or no.

import { PASSING } from './connection.js';
import { newId, recall, remember, forget } from './memory.js';

const PAUSE_MS = 2_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Outbox {
  #running = false;

  /**
   * `deliver(item)` resolves to an acknowledgement; `ready(item)` says whether it can go now; `onChange(item)` shows
   * a new state; `onDelivered(item, ack)` and `onGone(item)` end it. `name` is where it is kept across reloads.
   */
  constructor({ name, deliver, ready, onChange, onDelivered, onGone }) {
    Object.assign(this, { name, deliver, ready, onChange, onDelivered, onGone });
    // What was in flight when the page went away may or may not be stored; the id makes asking again harmless.
    const state = (item) => (item.state === 'failed' ? 'failed' : 'queued');
    this.items = (recall(name) ?? []).map((item) => ({ ...item, state: state(item) }));
  }

  add(conversationId, content) {
    const item = { clientMessageId: newId(), conversationId, content, state: 'queued' };
    this.items.push(item);
    this.#changed(item);
    this.flush();
  }

  waitingFor(conversationId) {
    return this.items.filter((item) => item.conversationId === conversationId);
  }

  /** The log shows that this one is stored. True when it was waiting here. */
  settle(clientMessageId) {
    const item = this.items.find((each) => each.clientMessageId === clientMessageId);
    if (item) this.#remove(item);
    return item !== undefined;
  }

  retry(item) {
    // That id belongs to another text on the server, so the message needs a new one.
    if (item.code === 'CONFLICT') {
      this.discard(item);
      this.add(item.conversationId, item.content);
      return;
    }
    item.state = 'queued';
    this.#changed(item);
    this.flush();
  }

  discard(item) {
    this.#remove(item);
    this.onGone(item);
  }

  empty() {
    this.items = [];
    forget(this.name);
  }

  /** Sends what can be sent, oldest first. Safe to call at any time. */
  async flush() {
    if (this.#running) return;
    this.#running = true;
    for (let item = this.#next(); item; item = this.#next()) {
      item.state = 'sending';
      this.#changed(item);
      await this.#send(item);
    }
    this.#running = false;
  }

  #next() {
    return this.items.find((item) => item.state === 'queued' && this.ready(item));
  }

  async #send(item) {
    const ack = await this.deliver(item);
    // Its echo may have come before its acknowledgement.
    if (!this.items.includes(item)) return;
    if (ack.success) {
      this.#remove(item);
      this.onDelivered(item, ack);
    } else if (PASSING.has(ack.code)) {
      item.state = 'queued';
      this.#changed(item);
      if (this.ready(item)) await pause(ack.retryAfterMs ?? PAUSE_MS);
    } else {
      Object.assign(item, { state: 'failed', code: ack.code, reason: ack.error ?? 'refused' });
      this.#changed(item);
    }
  }

  #remove(item) {
    this.items = this.items.filter((each) => each !== item);
    this.#keep();
  }

  #changed(item) {
    this.#keep();
    this.onChange(item);
  }

  #keep() {
    if (this.items.length > 0) remember(this.name, this.items);
    else forget(this.name);
  }
}
