//! The vocabulary: which words can be found, in how many rows each, and what a misspelt one was meant to be.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::{
    domain::words::{self, Word},
    store::{Store, entities::search_word, sql::statement},
};

/// How many words one statement writes.
const WORDS_PER_STATEMENT: usize = 1000;

/// How many words of the vocabulary one look at the neighbourhood of a word may bring.
const NEIGHBOURS_MAX: u64 = 20_000;

/// Shorter endings fit too many words; the column `ending` has so many letters.
pub(super) const ENDING_CHARS_MIN: usize = 5;

/// How many letters longer a word may be than its stem, as far as slips are concerned.
const ENDING_CHARS: i32 = 2;

/// Serialises those who write what is indexed, over all replicas; any number that nobody else uses will do.
const INDEX_LOCK: &str = "SELECT pg_advisory_xact_lock(7310863213)";

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Corpus {
    Listings,
    Passages,
}

impl Corpus {
    /// The table.
    pub(in crate::store) const fn table(self) -> &'static str {
        match self {
            Self::Listings => "listings",
            Self::Passages => "passages",
        }
    }
}

/// What a row is found by.
pub(in crate::store) struct Indexed {
    strong: BTreeSet<Word>,
    weak: BTreeSet<Word>,
}

impl Indexed {
    /// A row with texts that say what it is, and one that says more.
    pub(in crate::store) fn of(strong: &[&str], weak: &str) -> Self {
        Self {
            strong: strong.iter().flat_map(|text| words::indexed(text)).collect(),
            weak: words::indexed(weak).into_iter().collect(),
        }
    }

    /// The column `terms`.
    pub(in crate::store) fn terms(&self) -> String {
        stems(&self.strong)
    }

    /// The column `more_terms`.
    pub(in crate::store) fn more_terms(&self) -> String {
        stems(&self.weak)
    }
}

fn stems(words: &BTreeSet<Word>) -> String {
    let stems: BTreeSet<&str> = words.iter().map(|word| word.stem.as_str()).collect();
    stems.into_iter().collect::<Vec<_>>().join(" ")
}

/// How many rows more or fewer have each word.
pub(in crate::store) struct Changes {
    corpus: Corpus,
    /// Sorted, so that statements that meet lock rows in the same order.
    counts: BTreeMap<Word, i64>,
}

impl Changes {
    pub(in crate::store) const fn new(corpus: Corpus) -> Self {
        Self { corpus, counts: BTreeMap::new() }
    }

    /// A row comes.
    pub(in crate::store) fn add(&mut self, row: &Indexed) {
        self.count(row, 1);
    }

    /// A row goes.
    pub(in crate::store) fn remove(&mut self, row: &Indexed) {
        self.count(row, -1);
    }

    fn count(&mut self, row: &Indexed, by: i64) {
        for word in row.strong.union(&row.weak) {
            *self.counts.entry(word.clone()).or_default() += by;
        }
    }

    /// Writes them, in the transaction that writes the rows.
    pub(in crate::store) async fn save(mut self, db: &impl ConnectionTrait) -> Result<(), DbErr> {
        self.counts.retain(|_, by| *by != 0);
        let counts: Vec<(Word, i64)> = self.counts.into_iter().collect();
        for some in counts.chunks(WORDS_PER_STATEMENT) {
            db.execute_raw(self.corpus.counting(db.get_database_backend(), some)).await?;
            let fewer = some.iter().filter(|(_, by)| *by < 0).map(|(word, _)| word.text.as_str());
            search_word::Entity::delete_many()
                .filter(search_word::Column::Corpus.eq(self.corpus.table()))
                .filter(search_word::Column::Word.is_in(fewer))
                .filter(search_word::Column::Uses.lte(0))
                .exec(db)
                .await?;
        }
        Ok(())
    }
}

impl Corpus {
    fn counting(self, backend: DbBackend, counts: &[(Word, i64)]) -> sea_orm::Statement {
        let rows = vec!["(?, ?, ?, ?, ?, ?, ?)"; counts.len()].join(", ");
        let text = format!(
            "INSERT INTO search_words (corpus, word, stem, initial, size, ending, uses) VALUES {rows} \
             ON CONFLICT (corpus, word) DO UPDATE SET uses = search_words.uses + excluded.uses"
        );
        let values = counts.iter().flat_map(|(word, by)| {
            [
                self.table().into(),
                word.text.as_str().into(),
                word.stem.as_str().into(),
                word.text.chars().take(1).collect::<String>().into(),
                size(&word.text).into(),
                ending(&word.text).into(),
                (*by).into(),
            ]
        });
        statement(backend, &text, values.collect())
    }

    /// Which of these stems there are, and how often each.
    pub(super) async fn known(
        self,
        db: &impl ConnectionTrait,
        stems: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, i64>, DbErr> {
        let found: Vec<(String, i64)> = search_word::Entity::find()
            .select_only()
            .column(search_word::Column::Stem)
            .column(search_word::Column::Uses)
            .filter(search_word::Column::Corpus.eq(self.table()))
            .filter(search_word::Column::Stem.is_in(stems))
            .into_tuple()
            .all(db)
            .await?;
        let mut known = BTreeMap::new();
        for (stem, uses) in found {
            *known.entry(stem).or_default() += uses;
        }
        Ok(known)
    }

    /// The words that begin as this one does, or are about as long: among them is what a misspelt or shortened one was
    /// meant to be.
    pub(super) async fn neighbours(self, db: &impl ConnectionTrait, word: &str) -> Result<Vec<(Word, i64)>, DbErr> {
        let initials = word.chars().take(2).map(String::from);
        let letters = size(word);
        let slips = i32::try_from(words::slips_allowed(word.chars().count())).unwrap_or_default();
        let similar = search_word::Column::Size.between(letters - slips, letters + slips + ENDING_CHARS);
        let longer = search_word::Column::Word.starts_with(word);
        let near = Condition::all()
            .add(search_word::Column::Initial.is_in(initials))
            .add(Condition::any().add(similar).add(longer));
        self.words(db, near, NEIGHBOURS_MAX).await
    }

    /// The most used words that begin like this.
    pub(super) async fn beginning_with(
        self,
        db: &impl ConnectionTrait,
        start: &str,
        limit: usize,
    ) -> Result<Vec<(Word, i64)>, DbErr> {
        let initial = start.chars().take(1).collect::<String>();
        let begins = Condition::all()
            .add(search_word::Column::Initial.eq(initial))
            .add(search_word::Column::Word.starts_with(start));
        self.words(db, begins, limit as u64).await
    }

    /// The most used words that end as this one does, which has [`ENDING_CHARS_MIN`] letters at least.
    pub(super) async fn ending_with(
        self,
        db: &impl ConnectionTrait,
        word: &Word,
        limit: usize,
    ) -> Result<Vec<(Word, i64)>, DbErr> {
        let mut ends = Condition::any();
        for text in [&word.text, &word.stem] {
            if text.chars().count() >= ENDING_CHARS_MIN {
                let has_ending = search_word::Column::Ending.eq(ending(text));
                ends = ends.add(Condition::all().add(has_ending).add(search_word::Column::Word.ends_with(text)));
            }
        }
        self.words(db, ends, limit as u64).await
    }

    async fn words(self, db: &impl ConnectionTrait, wanted: Condition, limit: u64) -> Result<Vec<(Word, i64)>, DbErr> {
        let found: Vec<(String, String, i64)> = search_word::Entity::find()
            .select_only()
            .column(search_word::Column::Word)
            .column(search_word::Column::Stem)
            .column(search_word::Column::Uses)
            .filter(search_word::Column::Corpus.eq(self.table()))
            .filter(wanted)
            .order_by_desc(search_word::Column::Uses)
            .order_by_asc(search_word::Column::Word)
            .limit(limit)
            .into_tuple()
            .all(db)
            .await?;
        Ok(found.into_iter().map(|(text, stem, uses)| (Word { text, stem }, uses)).collect())
    }
}

fn ending(word: &str) -> String {
    let before = word.chars().count().saturating_sub(ENDING_CHARS_MIN);
    word.chars().skip(before).collect()
}

fn size(word: &str) -> i32 {
    i32::try_from(word.chars().count()).unwrap_or(i32::MAX)
}

impl Store {
    /// Begins a transaction that writes what is indexed. Only one at a time, also among replicas, because the
    /// vocabulary is counted by the difference to what was there before.
    pub(in crate::store) async fn begin_indexed(&self) -> Result<DatabaseTransaction, DbErr> {
        let transaction = self.begin().await?;
        if transaction.get_database_backend() == DbBackend::Postgres {
            transaction.execute_unprepared(INDEX_LOCK).await?;
        }
        Ok(transaction)
    }
}
