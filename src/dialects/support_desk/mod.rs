//! The support desk's vocabulary: seed 004, contract section 7. Words with an underscore, over Socket.IO.
//!
//! | client → server | becomes |
//! |---|---|
//! | `authenticate {token?, sessionId?}` | [`Command::Authenticate`](crate::domain::command::Command) |
//! | `join_conversation` id or `{conversationId, after?}`, `leave_conversation` id | `Join`, `Leave` |
//! | `send_message {conversationId, content, clientMessageId?}` | `PostMessage` |
//! | `typing_start`, `typing_stop` id | `SetTyping` |
//! | `mark_read {conversationId, upToSeq}` | `MarkRead` |
//!
//! | server → client | says |
//! |---|---|
//! | `joined_conversation`, `left_conversation {conversationId}` | the answer to a join or leave |
//! | `message_received` | any message of the log, the sender's own and the AI's too |
//! | `message:chunk` | a growing AI answer |
//! | `typing_indicator {conversationId, userId, userName, isTyping}` | people and the AI |
//! | `presence_update {userId, status, timestamp}` | `online` or `offline` |
//! | `messages_read {conversationId, userId, upToSeq}` | how far somebody has read |
//! | `conversation_updated {conversation}` | title, status or handler changed |

mod decode;
mod encode;

/// Seed 004.
pub struct SupportDesk;
