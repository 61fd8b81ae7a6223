//! The database schema, one step per file, the same steps for SQLite and PostgreSQL.

#![expect(
    elided_lifetimes_in_paths,
    reason = "async_trait gives a written lifetime another meaning than the trait's hidden one, which is E0195"
)]

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::{MigrationTrait, async_trait};

mod m20261121_000001_users;
mod m20261121_000002_conversations;
mod m20261121_000003_messages;
mod m20261121_000004_answers;
mod m20261121_000005_audit;
mod m20261121_000006_listings;
mod m20261121_000007_search;
mod tools;

/// All steps, oldest first. A step that was released is never edited; a change is a new step.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_users::Migration),
            Box::new(m20261121_000002_conversations::Migration),
            Box::new(m20261121_000003_messages::Migration),
            Box::new(m20261121_000004_answers::Migration),
            Box::new(m20261121_000005_audit::Migration),
            Box::new(m20261121_000006_listings::Migration),
            Box::new(m20261121_000007_search::Migration),
        ]
    }
}
