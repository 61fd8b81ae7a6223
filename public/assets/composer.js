// The input of a pane: Enter sends, and the others are told while somebody types.

/** The server ends a typing sign by itself after 3 s, so it is renewed before that. */
const RENEW_MS = 2_000;
const IDLE_MS = 2_500;

export class Composer {
  /** `onSend(text)`; `onTyping(true | false)`. */
  constructor(form, { onSend, onTyping }) {
    this.form = form;
    this.input = form.elements.content;
    this.onTyping = onTyping;
    this.toldAt = null;
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#send(onSend);
    });
    this.input.addEventListener('keydown', (event) => {
      // While an input method composes a character, Enter belongs to it.
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      form.requestSubmit();
    });
    this.input.addEventListener('input', () => this.#typed());
    this.input.addEventListener('blur', () => this.#stopped());
  }

  focus() {
    this.input.focus();
  }

  #send(onSend) {
    const text = this.input.value;
    if (text.trim() === '') return;
    this.input.value = '';
    this.#stopped();
    onSend(text);
  }

  #typed() {
    clearTimeout(this.idle);
    if (this.input.value === '') {
      this.#stopped();
      return;
    }
    this.idle = setTimeout(() => this.#stopped(), IDLE_MS);
    const now = performance.now();
    if (this.toldAt !== null && now - this.toldAt < RENEW_MS) return;
    this.toldAt = now;
    this.onTyping(true);
  }

  #stopped() {
    clearTimeout(this.idle);
    if (this.toldAt === null) return;
    this.toldAt = null;
    this.onTyping(false);
  }
}
