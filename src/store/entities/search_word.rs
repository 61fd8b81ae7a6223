//! A row of `search_words`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "search_words")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub corpus: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub word: String,
    pub stem: String,
    pub initial: String,
    pub size: i32,
    pub ending: String,
    pub uses: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
