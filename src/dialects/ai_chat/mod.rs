//! The AI chat's vocabulary: seed 003, contract section 8. Words with a colon, over Socket.IO.
//!
//! | client → server | becomes |
//! |---|---|
//! | `join:conversation`, `leave:conversation` id or `{conversationId, after?}` | `Join`, `Leave` |
//! | `conversation:create {id?, title?, agentId?, kind?}` | `CreateConversation` |
//! | `conversation:update {conversationId, title?}`, `conversation:delete` id or `{conversationId}` | `UpdateConversation`, `DeleteConversation` |
//! | `message:send {conversationId, content, clientMessageId?}` | `PostMessage` |
//! | `typing:start`, `typing:stop` id or `{conversationId}` | `SetTyping` |
//! | `ping` anything | `Ping`, answered with `pong {timestamp}` |
//!
//! | server → client | says |
//! |---|---|
//! | `ai:typing:start`, `ai:typing:stop {conversationId}` | the AI works on an answer |
//! | `message:chunk` | a growing answer |
//! | `message:complete {conversationId, userMessage, assistantMessage}` | once for each answer, however it ended |
//! | `message:new {conversationId, message}` | a message of other people or tabs |
//! | `conversation:create`, `:update`, `:delete` | to the user's other connections |
//! | `typing:start`, `typing:stop {conversationId, userId, userName}` | other people |
//!
//! One answer is told in this order: acknowledgement, `ai:typing:start`, chunks, `ai:typing:stop`, `message:complete`.

mod decode;
mod encode;

/// Seed 003.
pub struct AiChat;
