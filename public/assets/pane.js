// One client of the test page: a connection, a conversation and everything that is shown of them.

import { Composer } from './composer.js';
import { Connection, PASSING } from './connection.js';
import { Desk } from './desk.js';
import { EventLog } from './log.js';
import { Outbox } from './outbox.js';
import { People } from './people.js';
import { Timeline } from './timeline.js';

const REJOIN_MS = 2_000;
/** `connect_error` texts that mean: these credentials will not work again. */
const CREDENTIALS_OVER = new Set(['Authentication failed', 'Token expired']);

export class Pane {
  /** `onMe(user)` hears who the server says we are, `onRefused(text)` when it no longer lets us in. */
  constructor(root, { name, desk = false, onMe, onRefused }) {
    this.root = root;
    Object.assign(this, { onMe, onRefused });
    this.log = new EventLog(this.part('log'), this.part('log-count'));
    this.people = new People({
      typingLine: this.part('typing'),
      presenceLine: this.part('presence'),
      everybody: !desk,
    });
    this.timeline = new Timeline(this.part('messages'), {
      isMine: (userId) => userId === this.people.me,
      onView: (seq) => this.#view(seq),
      onRetry: (item) => this.outbox.retry(item),
      onDiscard: (item) => this.outbox.discard(item),
    });
    this.outbox = new Outbox({
      name: `${name}.outbox`,
      ready: (item) => this.joined && item.conversationId === this.conversationId,
      deliver: ({ conversationId, content, clientMessageId }) =>
        this.connection.request('send_message', { conversationId, content, clientMessageId }),
      onChange: (item) => this.#showUnsent(item),
      onDelivered: (item, ack) => this.#delivered(item, ack),
      onGone: (item) => this.timeline.removeUnsent(item.clientMessageId),
    });
    this.composer = new Composer(this.part('composer'), {
      onSend: (text) => {
        this.notice('');
        this.outbox.add(this.conversationId, text);
      },
      onTyping: (typing) => {
        if (this.joined) this.connection.tell(typing ? 'typing_start' : 'typing_stop', this.conversationId);
      },
    });
    this.desk = new Desk({
      factsLine: this.part('facts'),
      group: this.part('desk'),
      people: this.people,
      where: () => ({ conversationId: this.conversationId, credentials: this.credentials }),
      notice: (text) => this.notice(text),
    });
    this.part('desk').hidden = !desk;
    this.#buttons();
    this.#reset();
  }

  part(name) {
    return this.root.querySelector(`[data-part="${name}"]`);
  }

  action(name) {
    return this.root.querySelector(`[data-action="${name}"]`);
  }

  notice(text) {
    this.part('notice').textContent = text;
  }

  /** Connects as somebody. `me` is the user id when it is known already. */
  open(credentials, me = null) {
    this.close();
    this.credentials = credentials;
    this.people.me = me;
    this.me = null;
    this.connection = new Connection({
      credentials,
      log: this.log,
      handlers: this.#handlers(),
      onState: (state, detail, refused) => this.#state(state, detail, refused),
    });
    this.part('link').hidden = false;
    this.connection.goOnline();
  }

  close() {
    this.connection?.end();
    this.connection = null;
    this.part('link').hidden = true;
    this.#reset();
    this.#state('disconnected');
  }

  /** Shows this conversation, and joins it as soon as there is a connection. */
  enter(conversationId) {
    if (this.joined) this.connection.request('leave_conversation', this.conversationId);
    this.#reset();
    this.conversationId = conversationId;
    this.part('conversation').hidden = false;
    for (const item of this.outbox.waitingFor(conversationId)) this.#showUnsent(item);
    if (this.connection?.connected) this.#join();
  }

  #reset() {
    this.conversationId = null;
    this.joined = false;
    this.seen = 0;
    this.marked = 0;
    this.timeline.clear();
    this.people.clear();
    this.desk.clear();
    this.notice('');
    this.part('conversation').hidden = true;
    this.#refreshButtons();
  }

  #handlers() {
    const here = (act) => (data) => {
      if (data.conversationId !== this.conversationId) return;
      act(data);
      this.#refreshButtons();
    };
    return {
      authenticated: (user) => {
        this.people.me = user.userId;
        this.me = user;
        this.onMe(user);
      },
      message_received: here((message) => this.#message(message)),
      'message:chunk': here((chunk) => this.timeline.chunk(chunk, this.people.bot)),
      typing_indicator: here((data) => this.people.typing(data)),
      presence_update: (data) => this.people.presence(data),
      messages_read: here(({ userId, upToSeq }) => userId !== this.people.me && this.timeline.readUpTo(upToSeq)),
      conversation_updated: ({ conversation }) => this.desk.show(conversation),
      error: ({ message }) => this.notice(message),
    };
  }

  #state(state, detail = '', refused = false) {
    const badge = this.part('badge');
    badge.dataset.state = state;
    badge.textContent = state.replace(/^./, (first) => first.toUpperCase());
    this.action('toggle').textContent = state === 'disconnected' ? 'Go online' : 'Go offline';
    this.joined = false;
    this.people.stopTyping();
    this.notice(detail);
    this.#refreshButtons();
    if (state === 'connected') {
      this.people.forgetPresence();
      this.#join();
    }
    if (refused && CREDENTIALS_OVER.has(detail)) {
      // Going online again is no use; the sign-in form says why.
      this.part('link').hidden = true;
      this.onRefused(detail);
    }
  }

  /** Runs at every connect: the new connection is in no room, and we have missed what came meanwhile. */
  async #join() {
    const { connection, conversationId } = this;
    if (!conversationId) return;
    const ack = await connection.request('join_conversation', { conversationId, after: this.timeline.cursor });
    // Meanwhile the connection may have gone, or somebody has chosen another conversation.
    if (!this.#isCurrent(connection, conversationId)) return;
    if (!ack.success) {
      this.notice(ack.error);
      const again = () => this.#isCurrent(connection, conversationId) && !this.joined && this.#join();
      if (PASSING.has(ack.code)) setTimeout(again, ack.retryAfterMs ?? REJOIN_MS);
      return;
    }
    this.joined = true;
    // Whether the last mark arrived before the connection broke is unknown; marking twice is harmless.
    this.marked = 0;
    this.notice('');
    for (const message of ack.messages ?? []) this.#message(message);
    this.timeline.keepStreams(ack.active ?? [], this.people.bot);
    this.#refreshButtons();
    this.#markRead();
    this.outbox.flush();
    this.desk.refresh();
  }

  #isCurrent(connection, conversationId) {
    return connection === this.connection && conversationId === this.conversationId && connection.connected;
  }

  #message(message) {
    this.people.learn(message.sender);
    if (message.clientMessageId && message.sender.userId === this.people.me) {
      this.outbox.settle(message.clientMessageId);
      this.timeline.removeUnsent(message.clientMessageId);
    }
    this.timeline.add(message);
  }

  #delivered({ clientMessageId, conversationId, content }, { messageId, seq, timestamp }) {
    if (conversationId !== this.conversationId) return;
    const sender = this.#sender();
    const status = 'complete';
    this.#message({ id: messageId, seq, conversationId, content, sender, timestamp, status, clientMessageId });
  }

  #showUnsent(item) {
    if (item.conversationId === this.conversationId) this.timeline.showUnsent(item, this.#sender());
  }

  #sender() {
    return { userId: this.people.me, userName: this.me?.userName, role: this.me?.role };
  }

  #view(seq) {
    this.seen = Math.max(this.seen, seq);
    this.#markRead();
  }

  async #markRead() {
    if (!this.joined || this.seen <= this.marked) return;
    const { conversationId, seen } = this;
    this.marked = seen;
    await this.connection.request('mark_read', { conversationId, upToSeq: seen });
  }

  #buttons() {
    const actions = {
      toggle: () => (this.online ? this.connection?.goOffline() : this.connection?.goOnline()),
      drop: () => this.connection?.drop(),
      stop: () => this.connection.request('message:stop', { conversationId: this.conversationId }),
      regenerate: () => this.connection.request('message:regenerate', { conversationId: this.conversationId }),
      'clear-log': () => this.log.clear(),
    };
    for (const [name, act] of Object.entries(actions)) this.action(name).addEventListener('click', act);
  }

  get online() {
    return this.part('badge').dataset.state !== 'disconnected';
  }

  #refreshButtons() {
    const answering = this.timeline.streaming || this.people.botTyping;
    this.action('drop').disabled = this.part('badge').dataset.state !== 'connected';
    this.action('stop').disabled = !this.joined || !answering;
    this.action('regenerate').disabled = !this.joined || answering || !this.timeline.hasQuestion;
  }
}
