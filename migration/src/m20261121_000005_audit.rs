//! Who did what with whose authority.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, text},
};

use crate::tools::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let audit = Table::create()
            .table("audit")
            .col(text("id").primary_key())
            .col(big_integer("at"))
            .col(text("actor"))
            .col(text("action"))
            .col(text("object"))
            .col(text("detail"))
            .take();
        manager.create_table(audit).await?;
        manager.create_index(index("audit", &["at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("audit").take()).await
    }
}
