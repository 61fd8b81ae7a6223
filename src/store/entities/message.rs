//! A row of `messages`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "messages")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub conversation_id: String,
    pub seq: i64,
    pub role: String,
    pub sender_id: String,
    pub sender_name: String,
    pub sender_role: String,
    pub agent_id: Option<String>,
    pub content: String,
    pub status: String,
    pub client_message_id: Option<String>,
    pub in_reply_to: Option<String>,
    pub metadata: String,
    pub created_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
