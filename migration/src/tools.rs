//! What several steps need: a foreign key to the conversation, so that deleting one takes everything in it along.

use sea_orm_migration::prelude::*;

/// Rows of `table` go when their conversation goes.
pub(crate) fn belongs_to_conversation(table: &'static str) -> ForeignKeyCreateStatement {
    ForeignKey::create()
        .name(format!("fk_{table}_conversation"))
        .from(table, "conversation_id")
        .to("conversations", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// An index named after what it covers.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(format!("ix_{table}_{}", columns.join("_"))).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}
