// The list of frames below a pane: what went out, what came in, newest last.

const LINES_MAX = 500;
const TEXT_MAX = 2_000;
const ARROWS = { out: '→', in: '←', note: '·' };
const SPOKEN = { out: 'sent', in: 'received', note: 'note' };

function inText(payload) {
  if (payload === undefined) return '';
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  // A long answer repeats its whole text in every chunk; the log would grow with its square.
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}… (${text.length} characters)` : text;
}

export class EventLog {
  constructor(list, count) {
    this.list = list;
    this.count = count;
    this.total = 0;
  }

  sent(name, payload) {
    this.#add('out', name, payload);
  }

  received(name, payload) {
    this.#add('in', name, payload);
  }

  note(text) {
    this.#add('note', text);
  }

  clear() {
    this.list.replaceChildren();
    this.total = 0;
    this.#showCount();
  }

  #add(direction, name, payload) {
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 24;
    const line = document.createElement('li');
    line.dataset.direction = direction;

    const time = document.createElement('time');
    time.textContent = new Date().toISOString().slice(11, 23);
    const arrow = document.createElement('span');
    arrow.textContent = ARROWS[direction];
    arrow.title = SPOKEN[direction];
    const event = document.createElement('b');
    event.textContent = name;
    line.append(time, ' ', arrow, ' ', event, ' ', inText(payload));

    this.list.append(line);
    while (this.list.childElementCount > LINES_MAX) this.list.firstElementChild.remove();
    // Somebody who has scrolled up is reading.
    if (atEnd) this.list.scrollTop = this.list.scrollHeight;
    this.total += 1;
    this.#showCount();
  }

  #showCount() {
    const kept = this.list.childElementCount;
    this.count.textContent = this.total > kept ? `(last ${kept} of ${this.total})` : `(${kept})`;
  }
}
