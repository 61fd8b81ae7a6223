//! Follow-ups: what a query means after another one.

use chrono::DateTime;
use switchboard::domain::{
    ids::ListingId,
    listing::{Listing, ListingStatus, Price},
    query::{refine, understand},
};

use crate::understanding::{categories, said};

/// A query, the price of its best result, what is asked next, and what that means; none when it stands on its own.
const TABLE: &[(&str, Option<i64>, &str, Option<&str>)] = &[
    ("macbook", Some(500), "cheaper ones", Some("macbook, ..499.99")),
    ("macbook", Some(500), "anything cheaper than that?", Some("macbook, ..499.99")),
    ("macbook", Some(500), "do you have something less expensive", Some("macbook, ..499.99")),
    ("macbook", Some(500), "cheaper macbooks", Some("macbook, ..499.99")),
    ("macbook under 700", None, "cheaper", Some("macbook, ..699.99")),
    ("macbook between 400 and 700", Some(400), "cheaper", Some("macbook, ..399.99")),
    ("sofa for free", Some(0), "cheaper", Some("sofa, ..0")),
    ("macbook", None, "cheaper ones", Some("macbook")),
    ("macbook", Some(500), "more expensive", Some("macbook, 500.01..")),
    ("macbook under 400", Some(400), "pricier ones please", Some("macbook, 400.01..")),
    ("macbook", Some(500), "newer", Some("macbook, Newest")),
    ("macbook", Some(500), "the cheapest one", Some("macbook, Cheapest")),
    ("macbook", Some(500), "most expensive", Some("macbook, Dearest")),
    ("cheapest macbook", Some(500), "under 700", Some("macbook, ..700, Cheapest")),
    ("laptop", Some(500), "not apple", Some("laptop -apple")),
    ("laptop without apple", Some(500), "without lenovo", Some("laptop -apple -lenovo")),
    ("laptop", Some(500), "cheapest guitars", None),
    ("monitor", Some(70), "only in Electronics", Some("Electronics: monitor")),
    ("monitor", Some(70), "in furniture", Some("Furniture: monitor")),
    ("monitor", Some(70), "cheaper ones in furniture", Some("Furniture: monitor, ..69.99")),
    ("monitor under 100", Some(70), "under 50 instead", Some("monitor, ..50")),
    ("monitor under 100", Some(70), "under 50", Some("monitor, ..50")),
    ("monitor under 100", Some(70), "and over 20", Some("monitor, 20..")),
    ("monitor under 100", Some(70), "any price", Some("monitor")),
    ("jacket", Some(25), "what about red ones", Some("jacket red")),
    ("blue jacket", Some(25), "what about red ones", Some("jacket red")),
    ("jacket", Some(25), "with a hood", Some("jacket hood")),
    ("jacket", Some(25), "only waterproof", Some("jacket waterproof")),
    ("jacket", Some(25), "the same in blue under 40", Some("jacket blue, ..40")),
    ("jacket under 40", Some(25), "what about shoes", Some("shoes, ..40")),
    ("jacket under 40", Some(25), "shoes instead", Some("shoes, ..40")),
    ("jacket under 40", Some(25), "show me more", Some("jacket, ..40")),
    ("jacket", Some(25), "cheaper ones in red", Some("jacket red, ..24.99")),
    ("jacket", Some(25), "the black one", Some("jacket black")),
    ("blue jacket under 40", Some(25), "what about desks under 80", Some("desks, ..80")),
    ("jacket under 40", Some(25), "what about textbooks", Some("Textbooks: , ..40")),
    ("jacket under 40", Some(25), "textbooks instead", Some("Textbooks: , ..40")),
    ("jacket under 40", Some(25), "in Textbooks instead", Some("Textbooks: jacket, ..40")),
    // These stand on their own.
    ("macbook", Some(500), "a desk that fits in a dorm", None),
    ("macbook", Some(500), "just looking for a desk", None),
    ("macbook", Some(500), "one bedroom apartment", None),
    ("macbook", Some(500), "newest iphone", None),
    ("macbook", Some(500), "macbook", None),
    ("macbook", Some(500), "red bike", None),
    ("macbook", Some(500), "bike helmet under 20", None),
    ("macbook", Some(500), "cheaper guitars", None),
    ("macbook", Some(500), "textbooks", None),
    ("macbook", Some(500), "furniture under 50", None),
    ("macbook", Some(500), "used textbook for cmpe202", None),
    ("macbook", Some(500), "iphone 13", None),
    ("macbook", Some(500), "hello", None),
];

fn result(units: i64) -> Listing {
    let at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
    Listing {
        id: ListingId::trusted("one"),
        title: "One".to_owned(),
        description: None,
        category: "Electronics".to_owned(),
        price: Price::from_cents(units * 100),
        status: ListingStatus::Available,
        created_at: at,
        updated_at: at,
    }
}

#[test]
fn follow_ups_are_told_from_new_queries() {
    let mut wrong = vec![];
    for (first, best, next, expected) in TABLE {
        let previous = understand(first, &categories());
        let results: Vec<Listing> = best.iter().map(|units| result(*units)).collect();
        let refined = refine(&previous, &results, next, &categories()).map(|filters| said(&filters));
        if refined.as_deref() != *expected {
            wrong.push(format!("{first} / {next}: {refined:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
