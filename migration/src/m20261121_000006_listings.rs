//! What can be found: listings and help articles, and what was searched for.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, boolean, integer, text, text_null},
};

use crate::tools::index;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(listings()).await?;
        manager.create_index(index("listings", &["status", "category"])).await?;
        manager.create_index(index("listings", &["created_at", "id"])).await?;
        manager.create_table(articles()).await?;
        manager.create_table(passages()).await?;
        manager.create_index(index("passages", &["article_id"])).await?;
        manager.create_table(searches()).await?;
        manager.create_index(index("searches", &["at"])).await?;
        manager.create_index(index("searches", &["user_id", "at"])).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["searches", "passages", "articles", "listings"] {
            manager.drop_table(Table::drop().table(table).take()).await?;
        }
        Ok(())
    }
}

fn listings() -> TableCreateStatement {
    Table::create()
        .table("listings")
        // Full-text indices want a number for each row.
        .col(big_integer("number").primary_key().auto_increment())
        .col(text("id").unique_key())
        .col(text("title"))
        .col(text_null("description"))
        .col(text("category"))
        .col(big_integer("price_cents"))
        .col(text("status"))
        .col(big_integer("created_at"))
        .col(big_integer("updated_at"))
        // What it is found by: the words of title and category, and those of the description, as stems.
        .col(text("terms"))
        .col(text("more_terms"))
        .take()
}

fn articles() -> TableCreateStatement {
    Table::create()
        .table("articles")
        .col(text("id").primary_key())
        .col(text("title"))
        .col(big_integer("updated_at"))
        .take()
}

/// Articles are found by their parts, so that an answer can quote the one that fits.
fn passages() -> TableCreateStatement {
    Table::create()
        .table("passages")
        .col(big_integer("number").primary_key().auto_increment())
        .col(text("article_id"))
        .col(text("title"))
        .col(text_null("heading"))
        .col(text("body"))
        .col(text("terms"))
        .col(text("more_terms"))
        .foreign_key(
            ForeignKey::create()
                .name("fk_passages_article")
                .from("passages", "article_id")
                .to("articles", "id")
                .on_delete(ForeignKeyAction::Cascade),
        )
        .take()
}

fn searches() -> TableCreateStatement {
    Table::create()
        .table("searches")
        .col(text("id").primary_key())
        .col(text("user_id"))
        // Lower case, single spaces, so that the same search counts as one.
        .col(text("query"))
        // JSON: what was understood, and the ids of what was found; the same person's next search may lean on them.
        .col(text("filters"))
        .col(text("results"))
        .col(integer("result_count"))
        .col(boolean("degraded"))
        .col(big_integer("at"))
        .take()
}
