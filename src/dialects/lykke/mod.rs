//! The Lykke chatbot: seed 002, contract section 10. One WebSocket for one conversation, `/api/v1/conversations/{id}/ws`.
//!
//! | client → server | becomes |
//! |---|---|
//! | connecting, with `?history=N` or `?after_seq=N` | `Join`, answered with `connection_ack` |
//! | `user_message {content, message_id?}` | `PostMessage`; `message_id` makes sending idempotent |
//! | `typing {is_typing}` | `SetTyping` |
//!
//! | server → client | says |
//! |---|---|
//! | `connection_ack {conversation_id, user_id, bot_personality, last_seq}` | the client is in |
//! | `history {messages}` | with `?history=N`: the newest messages |
//! | `message_received {message}` | a person's message, the client's own too |
//! | `assistant_message {message}` | an AI answer, whole; without text only when somebody stopped it or the server died |
//! | `assistant_chunk {message_id, index, chunk}` | with `?stream=1`: a growing answer |
//! | `typing {conversation_id, user_id, user_name, is_typing}` | other people, and the AI as `assistant` |
//! | `error {code, message}` | `MESSAGE_ERROR`, `UNKNOWN_TYPE`, `INVALID_JSON`, `RATE_LIMITED`, `TOO_LARGE`, `CONFLICT`; before a close `UNAUTHENTICATED`, `NOT_FOUND` |
//!
//! When the conversation is deleted, `error` with `NOT_FOUND` is followed by a close.
//!
//! Messages are `{id, conversation_id, role, content, created_at, meta}`; `meta` has the `seq`, and the `status` of
//! an answer that is not complete.

mod decode;
mod encode;

/// Seed 002.
pub struct Lykke;
