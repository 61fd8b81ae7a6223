//! The full-text indices over listings and passages, and the vocabulary that knows which words they have.
//!
//! What is indexed are words that the server has cut and stemmed already, parted by spaces, so neither database may
//! change them again: FTS5's plainest tokenizer, PostgreSQL's `simple` configuration.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, text},
    sea_orm::DbBackend,
};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const INDEXED: [&str; 2] = ["listings", "passages"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(search_words()).await?;
        for columns in [["corpus", "stem"].as_slice(), &["corpus", "initial", "size"], &["corpus", "ending"]] {
            manager.create_index(crate::tools::index("search_words", columns)).await?;
        }
        for table in INDEXED {
            let statements = match manager.get_database_backend() {
                DbBackend::Sqlite => sqlite_index(table),
                _ => postgres_index(table),
            };
            manager.get_connection().execute_unprepared(&statements).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in INDEXED {
            let statements = match manager.get_database_backend() {
                DbBackend::Sqlite => format!(
                    "DROP TRIGGER {table}_inserted; DROP TRIGGER {table}_updated; DROP TRIGGER {table}_deleted; \
                     DROP TABLE {table}_index;"
                ),
                _ => format!("ALTER TABLE {table} DROP COLUMN search;"),
            };
            manager.get_connection().execute_unprepared(&statements).await?;
        }
        manager.drop_table(Table::drop().table("search_words").take()).await
    }
}

/// Every word that can be found, and how many rows have it: rare words say more, and a word that nothing has may be a
/// slip of one that something has.
fn search_words() -> TableCreateStatement {
    Table::create()
        .table("search_words")
        .col(text("corpus"))
        .col(text("word"))
        .col(text("stem"))
        // First letter and number of letters: where to look for what a slip was meant to be.
        .col(text("initial"))
        .col(integer("size"))
        // Its last five letters: where to look for words that end with it.
        .col(text("ending"))
        .col(big_integer("uses"))
        .primary_key(Index::create().col("corpus").col("word"))
        .take()
}

fn sqlite_index(table: &str) -> String {
    let add =
        format!("INSERT INTO {table}_index (rowid, terms, more_terms) VALUES (new.number, new.terms, new.more_terms);");
    let remove = format!(
        "INSERT INTO {table}_index ({table}_index, rowid, terms, more_terms) \
         VALUES ('delete', old.number, old.terms, old.more_terms);"
    );
    format!(
        "CREATE VIRTUAL TABLE {table}_index USING fts5(terms, more_terms, content = '{table}', \
         content_rowid = 'number', tokenize = 'ascii', detail = 'column'); \
         CREATE TRIGGER {table}_inserted AFTER INSERT ON {table} BEGIN {add} END; \
         CREATE TRIGGER {table}_updated AFTER UPDATE OF terms, more_terms ON {table} BEGIN {remove} {add} END; \
         CREATE TRIGGER {table}_deleted AFTER DELETE ON {table} BEGIN {remove} END;"
    )
}

fn postgres_index(table: &str) -> String {
    format!(
        "ALTER TABLE {table} ADD COLUMN search tsvector GENERATED ALWAYS AS (\
         setweight(to_tsvector('simple', terms), 'A') || setweight(to_tsvector('simple', more_terms), 'D')) STORED; \
         CREATE INDEX ix_{table}_search ON {table} USING gin (search);"
    )
}
