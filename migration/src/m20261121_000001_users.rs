//! People and the tokens that were taken back from them. Times are milliseconds since 1970 in every table.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, text, text_null},
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let users = Table::create()
            .table("users")
            .col(text("id").primary_key())
            // Lowercase; NULL for people without one and for deleted accounts, so that the address is free again.
            .col(text_null("email").unique_key())
            .col(text("name"))
            .col(text("role"))
            .col(text_null("password_hash"))
            .col(boolean("managed"))
            .col(big_integer("created_at"))
            .col(big_integer_null("deleted_at"))
            .take();
        manager.create_table(users).await?;

        let revoked_tokens = Table::create()
            .table("revoked_tokens")
            .col(text("token_hash").primary_key())
            .col(big_integer("expires_at"))
            .take();
        manager.create_table(revoked_tokens).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("revoked_tokens").take()).await?;
        manager.drop_table(Table::drop().table("users").take()).await
    }
}
