// The message list: each message once, in `seq` order, then what the AI is writing, then what is not sent yet.

import { MessageView } from './message-view.js';

/** Behind every `seq`: running answers first, own unsent messages last. */
const STREAMS = 2 ** 50;
const UNSENT = 2 ** 51;

export class Timeline {
  /** `isMine(userId)`; `onView(seq)`: somebody has seen the list up to there; `onRetry(item)`, `onDiscard(item)`. */
  constructor(list, { isMine, onView, onRetry, onDiscard }) {
    this.list = list;
    Object.assign(this, { isMine, onRetry, onDiscard });
    this.observer = new IntersectionObserver((entries) => this.#seen(entries, onView));
    document.addEventListener('visibilitychange', () => this.#watchAgain());
    // Turning a phone breaks all lines anew, which would leave the newest message out of sight.
    this.following = true;
    list.addEventListener('scroll', () => (this.following = this.#atEnd()));
    new ResizeObserver(() => this.following && this.#scrollToEnd()).observe(list);
    this.clear();
  }

  clear() {
    this.views = [];
    /** By `seq`. */
    this.messages = new Map();
    /** By message id; `index` is the newest chunk in it. */
    this.streams = new Map();
    this.finished = new Set();
    /** By client message id. */
    this.unsent = new Map();
    this.unsentCount = 0;
    this.readSeq = 0;
    /** Up to here nothing is missing: the cursor of the next join. */
    this.cursor = 0;
    this.unseen = new Map();
    this.observer.disconnect();
    this.list.replaceChildren();
  }

  get streaming() {
    return this.streams.size > 0;
  }

  get hasQuestion() {
    return Array.from(this.messages.values()).some(({ message }) => message.sender.role !== 'bot');
  }

  /** A message of the log, live or caught up. False when it was here already. */
  add(message) {
    this.finished.add(message.id);
    this.#endStream(message.id);
    // An answer that ended without any text takes no place in the log.
    if (!Number.isInteger(message.seq) || this.messages.has(message.seq)) return false;

    const mine = this.isMine(message.sender.userId);
    const view = new MessageView(message.seq);
    view.showMessage(message, mine);
    this.messages.set(message.seq, { message, view });
    while (this.messages.has(this.cursor + 1)) this.cursor += 1;
    this.#insert(view);
    if (mine) this.#showRead(message, view);
    else this.#watch(view.element, message.seq);
    return true;
  }

  /** A piece of a running answer. Chunks do not name their writer, so `bot` is who the AI is known as here. */
  chunk({ messageId, index, content }, bot) {
    if (this.finished.has(messageId)) return;
    let stream = this.streams.get(messageId);
    // 0 is let through for an answer that another worker begins anew.
    if (stream && index !== 0 && index <= stream.index) return;
    if (!stream) {
      stream = { view: new MessageView(STREAMS) };
      this.streams.set(messageId, stream);
      stream.view.showStream(content, bot);
      this.#insert(stream.view);
    }
    stream.index = index;
    this.#keepingEnd(() => stream.view.showStream(content, bot));
  }

  /** After a join, `active` names all answers that are running; the others ended while we were away. */
  keepStreams(active, bot) {
    const running = new Set(active.map(({ messageId }) => messageId));
    for (const id of this.streams.keys()) if (!running.has(id)) this.#endStream(id);
    for (const snapshot of active) this.chunk(snapshot, bot);
  }

  showUnsent(item, sender) {
    let view = this.unsent.get(item.clientMessageId);
    const isNew = !view;
    if (isNew) {
      this.unsentCount += 1;
      view = new MessageView(UNSENT + this.unsentCount);
      this.unsent.set(item.clientMessageId, view);
    }
    const buttons = [
      ['Try again', () => this.onRetry(item)],
      ['Discard', () => this.onDiscard(item)],
    ];
    this.#keepingEnd(() => view.showPending(item, sender, buttons));
    if (isNew) {
      this.#insert(view);
      // One's own message is always shown, wherever one was reading.
      this.#scrollToEnd();
    }
  }

  removeUnsent(clientMessageId) {
    const view = this.unsent.get(clientMessageId);
    if (!view) return;
    this.unsent.delete(clientMessageId);
    this.#remove(view);
  }

  /** Somebody else has read this far. */
  readUpTo(seq) {
    this.readSeq = Math.max(this.readSeq, seq);
    for (const { message, view } of this.messages.values()) {
      if (this.isMine(message.sender.userId)) this.#showRead(message, view);
    }
  }

  #showRead(message, view) {
    if (message.seq <= this.readSeq) view.showStatus('read', message.status);
  }

  #endStream(id) {
    const stream = this.streams.get(id);
    if (!stream) return;
    this.streams.delete(id);
    this.#remove(stream.view);
  }

  #insert(view) {
    let place = this.views.length;
    while (place > 0 && this.views[place - 1].order > view.order) place -= 1;
    this.#keepingEnd(() => this.list.insertBefore(view.element, this.views[place]?.element ?? null));
    this.views.splice(place, 0, view);
  }

  #remove(view) {
    this.views = this.views.filter((each) => each !== view);
    this.#keepingEnd(() => view.element.remove());
  }

  /** Follows the newest message, unless somebody has scrolled up to read. */
  #keepingEnd(change) {
    const atEnd = this.#atEnd();
    change();
    if (atEnd) this.#scrollToEnd();
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    return scrollHeight - scrollTop - clientHeight < 48;
  }

  #scrollToEnd() {
    this.list.scrollTop = this.list.scrollHeight;
  }

  #watch(element, seq) {
    this.unseen.set(element, seq);
    this.observer.observe(element);
  }

  /** An observer speaks only of changes, so what was in view while the tab was hidden is asked about anew. */
  #watchAgain() {
    if (document.visibilityState !== 'visible') return;
    this.observer.disconnect();
    for (const element of this.unseen.keys()) this.observer.observe(element);
  }

  #seen(entries, onView) {
    if (document.visibilityState !== 'visible') return;
    let newest = 0;
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || !this.unseen.has(target)) continue;
      newest = Math.max(newest, this.unseen.get(target));
      this.unseen.delete(target);
      this.observer.unobserve(target);
    }
    if (newest > 0) onView(newest);
  }
}
