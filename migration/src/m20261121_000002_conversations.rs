//! Conversations, who takes part in them, and the widget sessions that belong to them.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, boolean, text},
};

use crate::tools::{belongs_to_conversation, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(conversations()).await?;
        manager.create_index(index("conversations", &["owner_id", "updated_at"])).await?;
        manager.create_index(index("conversations", &["updated_at"])).await?;
        manager.create_table(participants()).await?;
        manager.create_index(index("participants", &["user_id"])).await?;
        manager.create_table(sessions()).await?;
        manager.create_index(index("sessions", &["user_id"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["sessions", "participants", "conversations"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

fn conversations() -> TableCreateStatement {
    Table::create()
        .table("conversations")
        .col(text("id").primary_key())
        .col(text("kind"))
        .col(text("title"))
        .col(text("agent_id"))
        .col(text("status"))
        .col(text("handled_by"))
        .col(boolean("waiting_for_agent"))
        .col(text("owner_id"))
        // The counter that numbers the messages.
        .col(big_integer("last_seq"))
        // The message that last changed status or handler; tells a post what it did without reading first.
        .col(big_integer("changed_seq").default(0))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        .take()
}

fn participants() -> TableCreateStatement {
    Table::create()
        .table("participants")
        .col(text("conversation_id"))
        .col(text("user_id"))
        .col(big_integer("joined_at"))
        .primary_key(Index::create().col("conversation_id").col("user_id"))
        .foreign_key(&mut belongs_to_conversation("participants"))
        .take()
}

fn sessions() -> TableCreateStatement {
    Table::create()
        .table("sessions")
        .col(text("id_hash").primary_key())
        .col(text("user_id"))
        .col(text("conversation_id"))
        .col(text("metadata"))
        .col(big_integer("created_at"))
        .col(big_integer("expires_at"))
        .foreign_key(&mut belongs_to_conversation("sessions"))
        .take()
}
