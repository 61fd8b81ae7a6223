// One Socket.IO connection with a state that a person understands, a log of all frames, and requests that end.

import { io } from '/socket.io/socket.io.esm.min.js';

const ACK_PATIENCE_MS = 10_000;

/** No acknowledgement came: whether the server has done it is unknown, so the same request may be sent again. */
const LOST = { success: false, error: 'No answer from the server.', code: 'LOST' };

/** Failures that pass by themselves: the same request may succeed a moment later. Everything else needs a person. */
export const PASSING = new Set([LOST.code, 'RATE_LIMITED', 'UNAVAILABLE']);

export class Connection {
  /**
   * `credentials` is `{token}` or `{sessionId}`; `handlers` maps event names to functions;
   * `onState(state, detail)` hears `connecting`, `connected`, `reconnecting` and `disconnected`.
   */
  constructor({ credentials, handlers, onState, log }) {
    this.log = log;
    this.onState = onState;
    this.socket = io({
      auth: credentials,
      autoConnect: false,
      // Two panes must not share one transport.
      forceNew: true,
      reconnectionDelay: 500,
      reconnectionDelayMax: 5_000,
    });
    this.#listen(handlers);
    // The stock client overlooks this on localhost, and for every second connection of a page.
    this.browserOffline = () => this.connected && this.#close('the browser is offline');
    window.addEventListener('offline', this.browserOffline);
  }

  get connected() {
    return this.socket.connected;
  }

  goOnline() {
    this.onState('connecting');
    this.socket.connect();
  }

  goOffline() {
    this.socket.disconnect();
    // While it was only trying to connect there is no event for this.
    this.onState('disconnected', 'You are offline.');
  }

  /** Cuts the transport as a network fault would; the client then comes back by itself. */
  drop() {
    this.#close('transport closed by hand');
  }

  /** For good: nothing is heard from this connection any more. */
  end() {
    window.removeEventListener('offline', this.browserOffline);
    this.socket.off();
    this.socket.offAny();
    this.socket.disconnect();
  }

  /** Sends without waiting for an answer; what cannot be sent now is not worth sending later. */
  tell(name, payload) {
    if (this.connected) this.socket.emit(name, payload);
  }

  /** Resolves to the acknowledgement, or to a failure with the code `LOST`. Never rejects. */
  request(name, payload) {
    if (!this.connected) return Promise.resolve(LOST);
    return new Promise((resolve) => {
      this.socket.timeout(ACK_PATIENCE_MS).emit(name, payload, (failure, answer) => {
        if (failure) {
          this.log.note(`no ack for ${name}: ${failure.message}`);
          resolve(LOST);
        } else {
          this.log.received(`ack ${name}`, answer);
          resolve(answer ?? LOST);
        }
      });
    });
  }

  #close(why) {
    this.log.note(why);
    this.socket.io.engine.close();
  }

  #listen(handlers) {
    const { socket, log } = this;
    socket.onAny((name, ...args) => log.received(name, args.length > 1 ? args : args[0]));
    socket.onAnyOutgoing((name, ...args) => log.sent(name, args.length > 1 ? args : args[0]));
    socket.on('connect', () => {
      log.note(`connected over ${socket.io.engine.transport.name}`);
      socket.io.engine.once('upgrade', (transport) => log.note(`upgraded to ${transport.name}`));
      this.onState('connected');
    });
    socket.on('disconnect', (reason) => {
      log.note(`disconnected: ${reason}`);
      if (reason === 'io client disconnect') return;
      if (socket.active) this.onState('reconnecting');
      else this.onState('disconnected', 'The server ended the connection.');
    });
    socket.on('connect_error', (failure) => {
      log.note(`connect_error: ${failure.message}`);
      // Not active: the server has refused, and the client will not try again by itself.
      if (socket.active) this.onState('reconnecting');
      else this.onState('disconnected', failure.message, true);
    });
    socket.io.on('reconnect_attempt', (attempt) => log.note(`reconnect attempt ${attempt}`));
    for (const [name, handler] of Object.entries(handlers)) socket.on(name, handler);
  }
}
