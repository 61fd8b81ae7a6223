//! AI generations with their leases.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, integer, integer_null, text, text_null},
};

use crate::tools::{belongs_to_conversation, index};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(answers()).await?;
        manager.create_index(index("answers", &["conversation_id", "status"])).await?;
        manager.create_index(index("answers", &["status", "lease_until"])).await?;
        // Two workers that claim at the same moment: the database lets one of them through.
        let one_running = Index::create()
            .name("ux_answers_running")
            .table("answers")
            .col("conversation_id")
            .unique()
            .and_where(Expr::col("status").eq("running"))
            .take();
        manager.create_index(one_running).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("answers").take()).await
    }
}

fn answers() -> TableCreateStatement {
    Table::create()
        .table("answers")
        .col(text("id").primary_key())
        .col(text("conversation_id"))
        .col(text("message_id"))
        .col(text("question_id"))
        // Answers are given in the order of their questions.
        .col(big_integer("question_seq"))
        .col(text("persona"))
        .col(text("status"))
        .col(integer("attempt"))
        .col(text_null("owner"))
        .col(big_integer_null("lease_until"))
        .col(text("text"))
        .col(text_null("regenerates"))
        .col(text_null("error"))
        .col(text_null("model"))
        .col(integer_null("prompt_tokens"))
        .col(integer_null("completion_tokens"))
        .col(boolean("usage_estimated"))
        .col(big_integer("created_at"))
        .col(big_integer_null("started_at"))
        .col(big_integer_null("ended_at"))
        .foreign_key(&mut belongs_to_conversation("answers"))
        .take()
}
