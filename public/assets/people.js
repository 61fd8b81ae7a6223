// Who is there and who is typing, as one line each.

/** The AI types and writes under this user id. */
const BOT = 'assistant';

function joined(names) {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}

export class People {
  /** `everybody`: show whoever the server tells of. An agent hears of all users, and wants this conversation's. */
  constructor({ typingLine, presenceLine, everybody }) {
    Object.assign(this, { typingLine, presenceLine, everybody });
    this.me = null;
    this.names = new Map();
    this.online = new Map();
    this.clear();
  }

  clear() {
    this.members = new Set();
    this.ownerId = null;
    this.bots = new Set([BOT]);
    this.online.clear();
    this.stopTyping();
    this.#showPresence();
  }

  get botTyping() {
    return Array.from(this.typists.keys()).some((id) => this.bots.has(id));
  }

  /** The AI as a sender; its name is known once it has typed or written. */
  get bot() {
    const id = Array.from(this.bots).find((each) => this.names.has(each));
    return { userName: this.names.get(id), role: 'bot' };
  }

  nameOf(userId) {
    return this.names.get(userId) ?? (userId === this.ownerId ? 'The customer' : 'An agent');
  }

  learn({ userId, userName, role }) {
    if (userName) this.names.set(userId, userName);
    if (role === 'bot') this.bots.add(userId);
    this.members.add(userId);
    this.#showPresence();
  }

  learnConversation({ ownerId, participants = [] }) {
    this.ownerId = ownerId;
    for (const id of participants) this.members.add(id);
    this.members.add(ownerId);
    this.#showPresence();
  }

  presence({ userId, status }) {
    this.online.set(userId, status === 'online');
    this.#showPresence();
  }

  /** The server tells anew who is there when we join. */
  forgetPresence() {
    this.online.clear();
    this.#showPresence();
  }

  typing({ userId, userName, isTyping }) {
    if (userName) this.names.set(userId, userName);
    if (isTyping) this.typists.set(userId, userName || this.nameOf(userId));
    else this.typists.delete(userId);
    this.#showTyping();
  }

  /** Typing is not repeated after a reconnect, so what was heard before it is worth nothing. */
  stopTyping() {
    this.typists = new Map();
    this.#showTyping();
  }

  #showTyping() {
    const names = Array.from(this.typists.values());
    const verb = names.length > 1 ? 'are' : 'is';
    this.typingLine.textContent = names.length > 0 ? `${joined(names)} ${verb} typing…` : '';
  }

  #showPresence() {
    const known = Array.from(this.online.keys()).filter(
      (id) => id !== this.me && !this.bots.has(id) && (this.everybody || this.members.has(id)),
    );
    const named = (online) => known.filter((id) => this.online.get(id) === online).map((id) => this.nameOf(id));
    const lines = [];
    if (named(true).length > 0) lines.push(`Online: ${named(true).join(', ')}`);
    if (named(false).length > 0) lines.push(`Offline: ${named(false).join(', ')}`);
    this.presenceLine.textContent = lines.join(' · ') || 'Nobody else has been seen here yet.';
  }
}
