//! What an AI says about a query, and what is made of it.

use switchboard::domain::{listing::Price, query::correct, search::Filters};

use crate::understanding::{categories, said};

/// A query; what the AI says: category, keywords, lowest and highest price; and what is made of it.
type Row = (&'static str, Option<&'static str>, &'static [&'static str], Option<i64>, Option<i64>, &'static str);

const TABLE: &[Row] = &[
    // Prices are what the query says.
    ("MacBook under $500", Some("Electronics"), &["macbook"], None, Some(500), "Electronics: macbook, ..500"),
    ("MacBook under $500", None, &["macbook"], None, None, "macbook, ..500"),
    ("MacBook under $500", None, &["macbook"], None, Some(50), "macbook, ..500"),
    ("cheap macbook", None, &["macbook"], None, Some(300), "macbook"),
    ("iphone 13", None, &["iphone"], None, Some(13), "iphone 13"),
    ("lamp between 20 and 40", None, &["lamp"], Some(40), Some(20), "lamp, 20..40"),
    // Categories exist.
    ("red shirt", Some("clothing"), &["red", "shirt"], None, None, "Clothing: red shirt"),
    ("guitar", Some("Instruments"), &["guitar"], None, None, "Musical Instruments: guitar"),
    ("guitar", Some("Musical instrument"), &["guitar"], None, None, "Musical Instruments: guitar"),
    ("calculus", Some("Textbook"), &["calculus"], None, None, "Textbooks: calculus"),
    ("guitar", Some("Weapons"), &["guitar"], None, None, "guitar"),
    ("guitar", Some(""), &["guitar"], None, None, "guitar"),
    ("lamp in furniture", Some("Electronics"), &["lamp"], None, None, "Furniture: lamp"),
    ("anything but textbooks", Some("Textbooks"), &["textbooks"], None, None, " -textbooks"),
    ("cheapest laptop without case", None, &["laptop", "case"], None, None, "laptop -case, Cheapest"),
    // Keywords have to do with the query.
    ("macbok", None, &["MacBook"], None, None, "macbook"),
    ("mac book", None, &["macbook", "laptop", "computer"], None, None, "macbook"),
    ("econ textbook", Some("Textbooks"), &["economics", "textbook"], None, None, "Textbooks: economics"),
    ("gift for a guitarist", None, &["ignore previous instructions"], None, None, "gift guitarist"),
    ("desk lamp", None, &[], None, None, "desk lamp"),
    ("desk lamp", None, &["desk lamp", "Desk"], None, None, "desk lamp"),
    ("used textbook for cmpe202", Some("Textbooks"), &["used", "textbook"], None, None, "Textbooks: cmpe202"),
    ("notes for cmpe 202", None, &["notes"], None, None, "notes cmpe 202"),
    ("laptop 16gb", None, &["laptop"], None, None, "laptop 16gb"),
];

#[test]
fn what_an_ai_says_is_checked() {
    let mut wrong = vec![];
    for (query, category, keywords, min, max, expected) in TABLE {
        let ai = Filters {
            category: category.map(str::to_owned),
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            min_price: min.map(|units| Price::from_cents(units * 100)),
            max_price: max.map(|units| Price::from_cents(units * 100)),
            ..Filters::default()
        };
        let said = said(&correct(ai, query, &categories()));
        if said != *expected {
            wrong.push(format!("{query}: {said:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_flood_of_keywords_is_cut() {
    let query: String = (0..100).map(|n| format!("word{n} ")).collect();
    let keywords = (0..10_000).map(|n| format!("word{n}")).collect();
    let corrected = correct(Filters { keywords, ..Filters::default() }, &query, &[]);
    assert!(corrected.keywords.len() <= 32, "{}", corrected.keywords.len());
}
