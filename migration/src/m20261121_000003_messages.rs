//! The log itself, and how far everybody has read it.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, text, text_null},
};

use crate::tools::belongs_to_conversation;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(messages()).await?;
        let one_per_number =
            Index::create().name("ux_messages_seq").table("messages").col("conversation_id").col("seq").unique().take();
        manager.create_index(one_per_number).await?;
        let one_per_client_id = Index::create()
            .name("ux_messages_client_message_id")
            .table("messages")
            .col("conversation_id")
            .col("sender_id")
            .col("client_message_id")
            .unique()
            .take();
        manager.create_index(one_per_client_id).await?;
        manager.create_table(read_marks()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("read_marks").take()).await?;
        manager.drop_table(Table::drop().table("messages").take()).await
    }
}

fn messages() -> TableCreateStatement {
    Table::create()
        .table("messages")
        .col(text("id").primary_key())
        .col(text("conversation_id"))
        .col(big_integer("seq"))
        .col(text("role"))
        .col(text("sender_id"))
        .col(text("sender_name"))
        .col(text("sender_role"))
        .col(text_null("agent_id"))
        .col(text("content"))
        .col(text("status"))
        .col(text_null("client_message_id"))
        .col(text_null("in_reply_to"))
        .col(text("metadata"))
        .col(big_integer("created_at"))
        .foreign_key(&mut belongs_to_conversation("messages"))
        .take()
}

fn read_marks() -> TableCreateStatement {
    Table::create()
        .table("read_marks")
        .col(text("conversation_id"))
        .col(text("user_id"))
        .col(big_integer("up_to_seq"))
        .col(big_integer("updated_at"))
        .primary_key(Index::create().col("conversation_id").col("user_id"))
        .foreign_key(&mut belongs_to_conversation("read_marks"))
        .take()
}
