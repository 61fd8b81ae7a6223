//! The vocabulary counts every word as often as it is in what can be had, whatever is written at the same time.

use sea_orm::{ConnectionTrait, Database, Statement};
use switchboard::{
    domain::{
        ids::ListingId,
        listing::{ListingChange, ListingStatus, NewListing, Price},
        search::Filters,
    },
    store::{ListingFilter, Store},
};

use crate::bench::{at, on_both};

const WORDS: [&str; 8] = ["oak", "table", "tables", "CMPE 202", "lamp", "café", "t-shirt", "macbook"];
const STATUSES: [ListingStatus; 3] = [ListingStatus::Available, ListingStatus::Sold, ListingStatus::Available];

/// The same numbers at every run, for each seed others.
struct Dice(usize);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn word(&mut self) -> &'static str {
        WORDS[self.roll(WORDS.len())]
    }

    fn listing(&mut self) -> NewListing {
        NewListing {
            id: Some(ListingId::parse(&format!("n{}", self.roll(15))).unwrap()),
            title: format!("{} {}", self.word(), self.word()),
            description: (self.roll(2) == 0).then(|| self.word().to_owned()),
            category: self.word().to_owned(),
            price: Price::from_cents(100),
            status: STATUSES[self.roll(3)],
        }
    }
}

/// Imports, changes, deletions and searches in an order that nobody chose; some are refused.
async fn write_at_random(store: &Store, seed: usize) {
    let mut dice = Dice(seed);
    for _ in 0..25 {
        let id = ListingId::parse(&format!("n{}", dice.roll(15))).unwrap();
        match dice.roll(4) {
            0 => drop(store.delete_listing(&id).await),
            1 => {
                let NewListing { title, description, status, .. } = dice.listing();
                let description = Some(description);
                let change =
                    ListingChange { title: Some(title), description, status: Some(status), ..Default::default() };
                drop(store.change_listing(&id, change, at(1)).await);
            }
            2 => {
                let many = (0..dice.roll(20)).map(|_| dice.listing()).collect();
                store.import_listings(many, at(1)).await.unwrap();
            }
            _ => {
                let wanted = Filters { keywords: vec![dice.word().to_owned()], ..Filters::default() };
                let found = store.search_listings(&wanted, 50).await.unwrap();
                assert!(found.iter().all(|listing| listing.status == ListingStatus::Available));
            }
        }
    }
}

/// What the vocabulary of a database says.
async fn counted(url: &str) -> Vec<(String, i64)> {
    let db = Database::connect(url).await.unwrap();
    let text = "SELECT word || ' ' || stem || ' ' || size AS word, uses FROM search_words WHERE corpus = 'listings'";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await.unwrap();
    let mut counts: Vec<_> =
        rows.iter().map(|row| (row.try_get("", "word").unwrap(), row.try_get("", "uses").unwrap())).collect();
    db.close().await.unwrap();
    counts.sort();
    counts
}

#[tokio::test]
async fn words_are_counted_as_if_all_that_is_left_had_been_written_at_once() {
    on_both(async |written| {
        on_both(async |rebuilt| {
            for ((store, url), (fresh, fresh_url)) in written.each().into_iter().zip(rebuilt.each()) {
                futures_util::future::join_all((1..=6).map(|seed| write_at_random(store, seed))).await;
                let (left, _) = store.list_listings(&ListingFilter::default(), None, 200).await.unwrap();
                assert!(!left.is_empty());
                let again = left.into_iter().map(|listing| NewListing {
                    id: Some(listing.id),
                    title: listing.title,
                    description: listing.description,
                    category: listing.category,
                    price: listing.price,
                    status: listing.status,
                });
                fresh.import_listings(again.collect(), at(0)).await.unwrap();
                assert_eq!(counted(url).await, counted(fresh_url).await, "{url}");
            }
        })
        .await
    })
    .await;
}
