// One way to talk and listen for the clients of four protocols, so that a test can put them into one conversation.
import { asUser } from "./people.mjs";
import { envelope, gurukul, lykke } from "./raw-clients.mjs";
import { emitAck, emitOk, heard, payloads } from "./sockets.mjs";
import { within } from "./wait.mjs";

const DEADLINE = 10_000;
const NOWHERE = "a-conversation-nobody-has";

/**
 * A client in a conversation. `say(content, clientMessageId)` gives the id of the stored message, `type(on)` types,
 * `typed()` is who began and ended to type, `until(condition)` looks whenever something has come.
 */
class Voice {
  constructor(client, conversation, user) {
    Object.assign(this, { client, conversation, user });
  }

  /** What the client knows, in the order in which it was told: `{id, content}`. */
  log() {
    return this.known().map(({ id, content }) => ({ id, content }));
  }
}

class RawVoice extends Voice {
  until(condition, what) {
    return this.client.until(condition, what, DEADLINE);
  }

  alive() {
    return this.client.alive();
  }
}

class GurukulVoice extends RawVoice {
  static async open(server, user, id, after) {
    const client = await gurukul(server, user);
    await client.join(id, after === undefined ? {} : { after });
    return new GurukulVoice(client, id, user);
  }

  async say(content, messageId) {
    const { data } = await this.client.ask("message", { chatId: this.conversation, content, messageId });
    return data.message.id;
  }

  known() {
    return this.client.messages();
  }

  type(isTyping) {
    this.client.send(envelope("typing", { chatId: this.conversation, userId: this.user.id, isTyping }));
  }

  typed() {
    return this.client.heard("typing").map(({ data }) => [data.userId, data.isTyping]);
  }
}

class LykkeVoice extends RawVoice {
  static async open(server, user, id, after) {
    const query = after === undefined ? {} : { after_seq: `${after}` };
    return new LykkeVoice(await lykke(server, user, id, { query }), id, user);
  }

  async say(content, messageId) {
    this.client.say(content, messageId);
    return (await this.client.received(content)).id;
  }

  known() {
    const told = new Set(["message_received", "assistant_message"]);
    return this.client.frames.filter(({ type }) => told.has(type)).map(({ message }) => message);
  }

  type(is_typing) {
    this.client.send({ type: "typing", is_typing });
  }

  typed() {
    return this.client.heard("typing").map(({ user_id, is_typing }) => [user_id, is_typing]);
  }
}

class SocketVoice extends Voice {
  async until(condition, what) {
    let look;
    const met = new Promise((resolve) => {
      look = () => condition() && resolve();
      this.client.onAny(look);
      look();
    });
    await within(met, DEADLINE, what).finally(() => this.client.offAny(look));
  }

  async alive() {
    await emitOk(this.client, this.constructor.LEAVE, NOWHERE);
  }

  type(on) {
    return emitOk(this.client, this.constructor.TYPING[on ? 0 : 1], this.conversation);
  }
}

class AiChatVoice extends SocketVoice {
  static LEAVE = "leave:conversation";
  static TYPING = ["typing:start", "typing:stop"];

  static async open(server, user, id, after) {
    const client = await asUser(server, user);
    await emitOk(client, "join:conversation", after === undefined ? id : { conversationId: id, after });
    return new AiChatVoice(client, id, user);
  }

  async say(content, clientMessageId) {
    const ack = await emitAck(this.client, "message:send", {
      conversationId: this.conversation,
      content,
      clientMessageId,
    });
    return ack.userMessage?.id;
  }

  /** One's own messages are told by their acknowledgements, what was there before by the join's. */
  known() {
    const tell = {
      "ack:join:conversation": ({ messages = [] }) => messages,
      "ack:message:send": ({ userMessage }) => [userMessage],
      "message:new": ({ message }) => [message],
      "message:complete": ({ assistantMessage }) => [assistantMessage],
    };
    return heard(this.client).flatMap(({ name, data }) => tell[name]?.(data) ?? []);
  }

  typed() {
    return heard(this.client, "typing:start", "typing:stop", "ai:typing:start", "ai:typing:stop").map(
      ({ name, data }) => [name.startsWith("ai:") ? "assistant" : data.userId, name.endsWith("start")],
    );
  }
}

class SupportDeskVoice extends SocketVoice {
  static LEAVE = "leave_conversation";
  static TYPING = ["typing_start", "typing_stop"];

  static async open(server, user, id, after) {
    const client = await asUser(server, user);
    const ack = await emitOk(client, "join_conversation", after === undefined ? id : { conversationId: id, after });
    return Object.assign(new SupportDeskVoice(client, id, user), { before: ack.messages ?? [] });
  }

  async say(content, clientMessageId) {
    const message = { conversationId: this.conversation, content, clientMessageId };
    return (await emitAck(this.client, "send_message", message)).messageId;
  }

  known() {
    return [...this.before, ...payloads(this.client, "message_received")];
  }

  typed() {
    return payloads(this.client, "typing_indicator").map(({ userId, isTyping }) => [userId, isTyping]);
  }
}

/** By the number of the seed. */
const VOICES = { "001": GurukulVoice, "002": LykkeVoice, "003": AiChatVoice, "004": SupportDeskVoice };

/** A client of each protocol, all of one person and all in the conversation: `{seed: voice}`. */
export async function voicesOf(server, user, id, after) {
  const opened = Object.entries(VOICES).map(async ([seed, voice]) => [seed, await voice.open(server, user, id, after)]);
  return Object.fromEntries(await Promise.all(opened));
}
