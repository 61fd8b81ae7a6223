// The people of the tests' stories, already connected and in a conversation.
import { connect, emitOk } from "./sockets.mjs";

/** A connected socket of a user with a `token` or of a session. */
export function asUser(server, { token, sessionId }, { auth, ...more } = {}) {
  return connect(server.url, { auth: { ...(token ? { token } : { sessionId }), ...auth }, ...more });
}

/** A visitor and an agent who have both joined the visitor's conversation; the agent handles it unless `bot`. */
export async function meeting(server, { bot = false } = {}) {
  const session = await server.session();
  const agent = server.user("admin");
  const id = session.conversationId;
  if (!bot) await server.ok("POST", `/api/conversations/${id}/assign`, { as: agent, body: {} });
  const visitorSocket = await asUser(server, session);
  const agentSocket = await asUser(server, agent);
  await emitOk(visitorSocket, "join_conversation", id);
  await emitOk(agentSocket, "join_conversation", id);
  return { session, agent, id, visitorSocket, agentSocket };
}

/** A customer with one tab that has joined a new conversation with the AI; `join()` opens another, with the join's ack. */
export async function tabOf(server, auth = {}) {
  const user = server.user();
  const id = await server.conversation(user);
  const join = async () => {
    const socket = await asUser(server, user, { auth });
    return { socket, ack: await emitOk(socket, "join:conversation", id) };
  };
  const { socket: tab } = await join();
  return { user, id, tab, join };
}
