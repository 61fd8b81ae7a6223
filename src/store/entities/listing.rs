//! A row of `listings`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "listings")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub number: i64,
    #[sea_orm(unique)]
    pub id: String,
    pub title: String,
    pub description: Option<String>,
    pub category: String,
    pub price_cents: i64,
    pub status: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub terms: String,
    pub more_terms: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
