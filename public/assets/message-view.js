// One message as a list item. Everything that people wrote goes in as text, never as markup.

const ROLES = { admin: 'agent', customer: 'customer', bot: 'AI' };
/** How an answer's end is told; a complete message needs no word. */
const ENDINGS = { streaming: 'writing…', cancelled: 'stopped', failed: 'failed', interrupted: 'interrupted' };

function part(parent, tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  parent.append(element);
  return element;
}

export class MessageView {
  constructor(order) {
    /** Where it stands in the list: `seq`, or something behind every `seq`. */
    this.order = order;
    this.element = document.createElement('li');
    const meta = part(this.element, 'p', 'meta');
    this.sender = part(meta, 'strong', 'sender');
    this.role = part(meta, 'span', 'role');
    this.seq = part(meta, 'span', 'seq');
    this.time = part(meta, 'time', 'time');
    this.status = part(meta, 'span', 'status');
    this.text = part(this.element, 'p', 'text');
  }

  showSender(sender, mine) {
    const role = ROLES[sender.role] ?? sender.role;
    const name = sender.userName || role || 'Somebody';
    this.sender.textContent = mine ? `${name} (you)` : name;
    this.role.textContent = role && role !== name ? role : '';
    this.element.dataset.side = mine ? 'mine' : (sender.role ?? 'customer');
  }

  showMessage(message, mine) {
    this.showSender(message.sender, mine);
    this.seq.textContent = `#${message.seq}`;
    const at = new Date(message.timestamp);
    this.time.dateTime = message.timestamp;
    this.time.textContent = at.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
    this.time.title = at.toLocaleString();
    this.text.textContent = message.content;
    this.showStatus(ENDINGS[message.status] ?? (mine ? 'sent' : ''), message.status);
  }

  showStream(content, bot) {
    this.showSender(bot, false);
    this.text.textContent = content;
    this.showStatus(ENDINGS.streaming, 'streaming');
    // A screen reader hears the finished message once instead of every piece of it.
    this.element.setAttribute('aria-busy', 'true');
  }

  /** `buttons` are `[label, action]` pairs for a message that needs its writer. */
  showPending(item, sender, buttons) {
    this.showSender(sender, true);
    this.text.textContent = item.content;
    const words = { queued: 'waiting to be sent', sending: 'sending…', failed: `not sent: ${item.reason}` };
    this.showStatus(words[item.state], item.state);
    this.actions?.remove();
    if (item.state !== 'failed') return;
    this.actions = part(this.element, 'div', 'line');
    for (const [label, action] of buttons) {
      const button = part(this.actions, 'button', '');
      button.type = 'button';
      button.textContent = label;
      button.addEventListener('click', action);
    }
  }

  showStatus(text, state) {
    this.status.textContent = text;
    this.element.dataset.status = state;
  }
}
