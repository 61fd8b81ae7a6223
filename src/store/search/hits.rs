//! The statement's part that each database says in its own way: the rows that have any of some words, with a weight.
//!
//! A row gets the weight of each word that it has, and twice as much again when the word stands in its title.

use sea_orm::{DbBackend, Value};

use super::{concepts::Concept, vocabulary::Corpus};
use crate::domain::words as domain;

/// What a word in the title adds to what it weighs anywhere.
const TITLE_FACTOR: i64 = 2;

/// Rows with any of some words.
pub(super) struct Hits {
    /// A table expression: the columns of the corpus' table, and `weight`.
    pub(super) table: String,
    /// The values of its placeholders.
    pub(super) values: Vec<Value>,
}

impl Hits {
    /// None when no row can have any of the words.
    pub(super) fn of(backend: DbBackend, corpus: Corpus, concepts: &[Concept]) -> Option<Self> {
        let known: Vec<&Concept> = concepts.iter().filter(|concept| !concept.forms.is_empty()).collect();
        if known.is_empty() {
            return None;
        }
        Some(match backend {
            DbBackend::Postgres => postgres(corpus.table(), &known),
            _ => sqlite(corpus.table(), &known),
        })
    }
}

/// Words in the language of the index, with the same thing said of each. They are letters and digits only, so they need
/// no escape.
fn any_of(concept: &Concept, [or, and]: [&str; 2], spelled: impl Fn(&str) -> String) -> String {
    let forms = concept.forms.iter().map(|form| match &form.also {
        Some(also) => format!("({}{and}{})", spelled(&form.stem), spelled(also)),
        None => spelled(&form.stem),
    });
    forms.collect::<Vec<_>>().join(or)
}

/// A condition that drops the rows whose title or category says a word; none without any.
pub(super) fn without(backend: DbBackend, table: &str, words: &[String]) -> Option<(String, Value)> {
    let stems: Vec<String> =
        words.iter().flat_map(|word| domain::words(word)).map(|word| domain::stem(&word)).collect();
    if stems.is_empty() {
        return None;
    }
    Some(match backend {
        DbBackend::Postgres => {
            let any = stems.iter().map(|stem| format!("{stem}:A")).collect::<Vec<_>>().join(" | ");
            ("NOT search @@ to_tsquery('simple', ?)".to_owned(), any.into())
        }
        _ => {
            let any = stems.iter().map(|stem| format!("\"{stem}\"")).collect::<Vec<_>>().join(" OR ");
            let holders = format!("SELECT rowid FROM {table}_index WHERE {table}_index MATCH ?");
            (format!("number NOT IN ({holders})"), format!("terms : ({any})").into())
        }
    })
}

/// FTS5 looks up each word for itself, and the weights are summed.
fn sqlite(table: &str, concepts: &[&Concept]) -> Hits {
    let mut values: Vec<Value> = vec![];
    let part = format!("SELECT rowid AS number, ? AS weight FROM {table}_index WHERE {table}_index MATCH ?");
    for concept in concepts {
        let words = any_of(concept, [" OR ", " AND "], |stem| format!("\"{stem}\""));
        values.extend([concept.weight.into(), words.clone().into()]);
        values.extend([(concept.weight * TITLE_FACTOR).into(), format!("terms : ({words})").into()]);
    }
    let parts = vec![part; 2 * concepts.len()].join(" UNION ALL ");
    let table = format!(
        "(SELECT {table}.*, hits.weight FROM (SELECT number, SUM(weight) AS weight FROM ({parts}) GROUP BY number) AS hits \
         JOIN {table} ON {table}.number = hits.number) AS found"
    );
    Hits { table, values }
}

/// PostgreSQL looks up all words at once and then weighs each row that it has at hand.
fn postgres(table: &str, concepts: &[&Concept]) -> Hits {
    let any =
        concepts.iter().map(|concept| any_of(concept, [" | ", " & "], str::to_owned)).collect::<Vec<_>>().join(" | ");
    let mut wanted = vec!["to_tsquery('simple', ?) AS any_word".to_owned()];
    let mut asked: Vec<Value> = vec![any.into()];
    let mut weights = vec![];
    let mut weighed: Vec<Value> = vec![];
    for (position, concept) in concepts.iter().enumerate() {
        let spellings = [
            (concept.weight, any_of(concept, [" | ", " & "], str::to_owned)),
            (concept.weight * TITLE_FACTOR, any_of(concept, [" | ", " & "], |stem| format!("{stem}:A"))),
        ];
        for (place, (weight, words)) in ["anywhere", "in_title"].into_iter().zip(spellings) {
            wanted.push(format!("to_tsquery('simple', ?) AS {place}_{position}"));
            asked.push(words.into());
            weights.push(format!("CASE WHEN search @@ {place}_{position} THEN CAST(? AS bigint) ELSE 0 END"));
            weighed.push(weight.into());
        }
    }
    // OFFSET 0 keeps the planner from reading the words anew for each row.
    let table = format!(
        "(SELECT {table}.*, {} AS weight FROM (SELECT {} OFFSET 0) AS wanted JOIN {table} ON search @@ any_word) AS found",
        weights.join(" + "),
        wanted.join(", ")
    );
    weighed.extend(asked);
    Hits { table, values: weighed }
}
