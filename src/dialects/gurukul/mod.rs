//! The Gurukul chat's envelope: seed 001, contract section 9. Frames `{type, data, timestamp, messageId?}` on `/ws`.
//!
//! Timestamps of frames are milliseconds; a message's own is RFC 3339. The answer to a frame repeats its `messageId`.
//!
//! | client → server | becomes |
//! |---|---|
//! | `message {chatId, content, agentId?, messageId?}` | `PostMessage`; `data.messageId` makes sending idempotent |
//! | `typing {chatId, isTyping}` | `SetTyping` |
//! | `read_receipt {chatId, messageIds}` | `MarkRead` |
//! | `chat_update {action: "join", chatId, after?}`, `{action: "leave", chatId}` | `Join` with the latest 50 messages, or all behind `after`; `Leave` |
//! | `ping {timestamp}` | `Ping`, answered with `pong` and the same `data.timestamp` |
//!
//! | server → client | says |
//! |---|---|
//! | `message {chatId, message, messageId?}` | a message, to everybody who joined, the sender too; `metadata.history` marks the past |
//! | `typing {chatId, userId, agentId?, isTyping}` | other people, and the AI as `assistant` |
//! | `read_receipt {chatId, messageIds, userId, confirmed: true}` | how far somebody has read |
//! | `chat_update {chatId, updates}` | a new title or status; with `action` the answer to a join or leave, or `deleted` |
//! | `error {message, code, chatId?}` | `code` is a number as in HTTP |
//! | `batch {messages}` | with `?batch=1`: the frames of 100 ms, or up to a hundred when more come |
//!
//! A growing answer is not told: the protocol has whole messages only. An answer that ends without text is told by the
//! end of typing, and by an error when it failed.

mod decode;
mod encode;

/// Seed 001.
pub struct Gurukul;
