//! Help articles and their passages, which is what is found and quoted.

use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, SelectExt,
    sea_query::OnConflict,
};

use super::{
    Store,
    entities::{article, passage},
    rows,
    search::vocabulary::{Changes, Corpus, Indexed},
};
use crate::domain::{
    Timestamp,
    article::{Article, ArticleText, Section},
    error::Error,
    ids::ArticleId,
};

/// How many passages one statement writes.
const PASSAGES_PER_STATEMENT: usize = 500;

impl Store {
    /// Writes a help article, over the one that has this id.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad id, and as [`ArticleText::parse`].
    pub async fn put_article(&self, id: &str, markdown: &str, at: Timestamp) -> Result<Article, Error> {
        let id = ArticleId::parse(id)?;
        let text = ArticleText::parse(markdown)?;
        let row = article::ActiveModel {
            id: Set(id.to_string()),
            title: Set(text.title.clone()),
            updated_at: Set(at.timestamp_millis()),
        };
        let replace = OnConflict::column(article::Column::Id)
            .update_columns([article::Column::Title, article::Column::UpdatedAt])
            .to_owned();
        let transaction = self.begin_indexed().await?;
        article::Entity::insert(row).on_conflict(replace).exec_without_returning(&transaction).await?;
        let mut changes = Changes::new(Corpus::Passages);
        take_passages(&transaction, &id, &mut changes).await?;
        for sections in text.sections.chunks(PASSAGES_PER_STATEMENT) {
            let rows = sections.iter().map(|section| {
                let indexed = indexed(&text.title, section.heading.as_deref(), &section.text);
                changes.add(&indexed);
                passage_row(&id, &text.title, section, &indexed)
            });
            passage::Entity::insert_many(rows).exec_without_returning(&transaction).await?;
        }
        changes.save(&transaction).await?;
        transaction.commit().await?;
        Ok(Article { id, title: text.title, updated_at: rows::stored(at) })
    }

    /// All help articles, by id.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn articles(&self) -> Result<Vec<Article>, Error> {
        let found = article::Entity::find().order_by_asc(article::Column::Id).all(self.read()).await?;
        let articles = found.into_iter().map(|row| {
            Ok(Article { id: ArticleId::trusted(&row.id), title: row.title, updated_at: rows::time(row.updated_at)? })
        });
        Ok(articles.collect::<Result<_, DbErr>>()?)
    }

    /// Takes a help article away.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn delete_article(&self, id: &ArticleId) -> Result<(), Error> {
        let transaction = self.begin_indexed().await?;
        let mut changes = Changes::new(Corpus::Passages);
        take_passages(&transaction, id, &mut changes).await?;
        changes.save(&transaction).await?;
        let done = article::Entity::delete_by_id(id.as_str()).exec(&transaction).await?;
        if done.rows_affected == 0 {
            return Err(Error::NotFound("article"));
        }
        Ok(transaction.commit().await?)
    }

    /// True when there is a help article.
    ///
    /// # Errors
    /// Only when the database fails.
    pub async fn has_articles(&self) -> Result<bool, Error> {
        Ok(article::Entity::find().exists(self.read()).await?)
    }
}

/// Removes an article's passages from their table and, in `changes`, from the vocabulary.
async fn take_passages(db: &impl ConnectionTrait, id: &ArticleId, changes: &mut Changes) -> Result<(), DbErr> {
    let is_its = passage::Column::ArticleId.eq(id.as_str());
    for row in passage::Entity::find().filter(is_its.clone()).all(db).await? {
        changes.remove(&indexed(&row.title, row.heading.as_deref(), &row.body));
    }
    passage::Entity::delete_many().filter(is_its).exec(db).await?;
    Ok(())
}

fn indexed(title: &str, heading: Option<&str>, body: &str) -> Indexed {
    Indexed::of(&[title, heading.unwrap_or_default()], body)
}

fn passage_row(id: &ArticleId, title: &str, section: &Section, indexed: &Indexed) -> passage::ActiveModel {
    passage::ActiveModel {
        number: NotSet,
        article_id: Set(id.to_string()),
        title: Set(title.to_owned()),
        heading: Set(section.heading.clone()),
        body: Set(section.text.clone()),
        terms: Set(indexed.terms()),
        more_terms: Set(indexed.more_terms()),
    }
}
