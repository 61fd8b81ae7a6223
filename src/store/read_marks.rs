//! How far people have read. Whoever calls has checked access.

use sea_orm::{ColumnTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect};

use super::{
    Store,
    entities::message,
    messages::{IDS_PER_QUERY, log_of},
    rows,
    sql::statement,
};
use crate::domain::{
    Timestamp,
    command::ReadMark,
    error::Error,
    ids::{ConversationId, MessageId, UserId},
};

/// Of a longer stretch only so many messages are named.
const NAMED_MAX: u64 = 100;

/// Where a read mark is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Everything up to here is read.
    pub up_to_seq: u64,
    /// The messages that were named, or the newest ones of the stretch that is newly read; in order.
    pub messages: Vec<MessageId>,
}

#[derive(FromQueryResult)]
struct Mark {
    up_to_seq: i64,
}

impl Store {
    /// Moves a person's read mark forward and says where it is now; none when it did not move. It never goes beyond
    /// the newest message, and ids of other conversations count for nothing.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn mark_read(
        &self,
        id: &ConversationId,
        user: &UserId,
        mark: &ReadMark,
        at: Timestamp,
    ) -> Result<Option<Moved>, Error> {
        let named = match mark {
            ReadMark::UpTo(_) => vec![],
            ReadMark::Messages(ids) => self.numbered(id, ids).await?,
        };
        let up_to = match mark {
            ReadMark::UpTo(seq) => *seq,
            ReadMark::Messages(_) => named.last().map_or(0, |(seq, _)| seq.unsigned_abs()),
        };
        if up_to == 0 {
            return Ok(None);
        }
        let before = self.read_mark(id, user).await?;
        let up_to = rows::column(up_to);
        let write = self.write();
        let text = "INSERT INTO read_marks (conversation_id, user_id, up_to_seq, updated_at) \
                    SELECT id, ?, CASE WHEN last_seq < ? THEN last_seq ELSE ? END, ? \
                    FROM conversations WHERE id = ? AND last_seq > 0 \
                    ON CONFLICT (conversation_id, user_id) DO UPDATE \
                    SET up_to_seq = excluded.up_to_seq, updated_at = excluded.updated_at \
                    WHERE read_marks.up_to_seq < excluded.up_to_seq RETURNING up_to_seq";
        let values =
            vec![user.as_str().into(), up_to.into(), up_to.into(), at.timestamp_millis().into(), id.as_str().into()];
        let moved = Mark::find_by_statement(statement(write.get_database_backend(), text, values)).one(write).await?;
        let Some(Mark { up_to_seq }) = moved else { return Ok(None) };
        let messages = match mark {
            ReadMark::Messages(_) => named.into_iter().map(|(_, id)| MessageId::trusted(&id)).collect(),
            ReadMark::UpTo(_) => self.between(id, before, up_to_seq).await?,
        };
        Ok(Some(Moved { up_to_seq: up_to_seq.unsigned_abs(), messages }))
    }

    async fn read_mark(&self, id: &ConversationId, user: &UserId) -> Result<i64, Error> {
        let text = "SELECT up_to_seq FROM read_marks WHERE conversation_id = ? AND user_id = ?";
        let values = vec![id.as_str().into(), user.as_str().into()];
        let read = self.read();
        let mark = Mark::find_by_statement(statement(read.get_database_backend(), text, values)).one(read).await?;
        Ok(mark.map_or(0, |mark| mark.up_to_seq))
    }

    /// The newest messages of a stretch, in order.
    async fn between(&self, id: &ConversationId, after: i64, up_to: i64) -> Result<Vec<MessageId>, Error> {
        let mut ids: Vec<String> = log_of(id)
            .select_only()
            .column(message::Column::Id)
            .filter(message::Column::Seq.gt(after))
            .filter(message::Column::Seq.lte(up_to))
            .order_by_desc(message::Column::Seq)
            .limit(NAMED_MAX)
            .into_tuple()
            .all(self.read())
            .await?;
        ids.reverse();
        Ok(ids.iter().map(|id| MessageId::trusted(id)).collect())
    }

    /// Those of these messages that are in the conversation, with their `seq`, in order.
    async fn numbered(&self, id: &ConversationId, ids: &[MessageId]) -> Result<Vec<(i64, String)>, Error> {
        let mut found = vec![];
        for some in ids.chunks(IDS_PER_QUERY) {
            let rows: Vec<(i64, String)> = log_of(id)
                .select_only()
                .columns([message::Column::Seq, message::Column::Id])
                .filter(message::Column::Id.is_in(some.iter().map(MessageId::as_str)))
                .into_tuple()
                .all(self.read())
                .await?;
            found.extend(rows);
        }
        found.sort_unstable();
        Ok(found)
    }
}
