//! Listings come, change and go, and the search follows.

use switchboard::{
    domain::{
        error::Error,
        ids::{ListingId, UserId},
        listing::{Listing, ListingChange, ListingStatus, NewListing, Price},
        search::{Filters, RecordedSearch},
    },
    store::ListingFilter,
};

use crate::bench::{Both, at, on_both};

fn new(id: &str, title: &str) -> NewListing {
    NewListing {
        id: Some(ListingId::parse(id).unwrap()),
        title: title.to_owned(),
        description: Some("Solid oak".to_owned()),
        category: "Furniture".to_owned(),
        price: Price::from_cents(1050),
        status: ListingStatus::Available,
    }
}

fn id(text: &str) -> ListingId {
    ListingId::parse(text).unwrap()
}

fn ids(listings: &[Listing]) -> Vec<&str> {
    listings.iter().map(|listing| listing.id.as_str()).collect()
}

/// The ids that a word finds.
async fn found(both: &Both, word: &str) -> Vec<String> {
    let wanted = Filters { keywords: vec![word.to_owned()], ..Filters::default() };
    let found = both.ask(async |store| store.search_listings(&wanted, 10).await).await;
    ids(&found).into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_listing_is_offered_changed_and_taken_away() {
    on_both(async |both| {
        assert!(!both.ask(async |store| store.has_listings().await).await);
        let made = both.ask(async |store| store.create_listing(new("t1", " Round table "), at(1)).await).await;
        assert_eq!((made.title.as_str(), made.created_at), ("Round table", at(1)));
        assert_eq!(both.ask(async |store| store.listing(&id("t1")).await).await, made);
        for store in [&both.sqlite, &both.postgres] {
            let taken = store.create_listing(new("t1", "Other"), at(2)).await;
            assert!(matches!(taken, Err(Error::Conflict("listing id is already taken"))));
            assert!(matches!(store.create_listing(new("t2", " "), at(2)).await, Err(Error::Invalid(_))));
            assert!(matches!(store.listing(&id("t2")).await, Err(Error::NotFound("listing"))));
            let change = ListingChange { title: Some("x".repeat(201)), ..ListingChange::default() };
            assert!(matches!(store.change_listing(&id("t1"), change, at(2)).await, Err(Error::Invalid(_))));
            let nothing = ListingChange::default();
            assert!(matches!(store.change_listing(&id("t2"), nothing, at(2)).await, Err(Error::NotFound("listing"))));
            assert!(matches!(store.delete_listing(&id("t2")).await, Err(Error::NotFound("listing"))));
        }
        let change =
            ListingChange { title: Some("Square bench".to_owned()), description: Some(None), ..Default::default() };
        let changed = both.ask(async |store| store.change_listing(&id("t1"), change.clone(), at(3)).await).await;
        let expected = Listing { title: "Square bench".to_owned(), description: None, updated_at: at(3), ..made };
        assert_eq!(changed, expected);
        assert_eq!(both.ask(async |store| store.listing(&id("t1")).await).await, expected);
        assert_eq!(found(&both, "bench").await, ["t1"]);
        assert!(found(&both, "table").await.is_empty() && found(&both, "oak").await.is_empty());
        both.ask(async |store| store.delete_listing(&id("t1")).await).await;
        assert!(found(&both, "bench").await.is_empty());
        assert!(!both.ask(async |store| store.has_listings().await).await);
    })
    .await;
}

#[tokio::test]
async fn only_what_can_be_had_is_found_and_named() {
    on_both(async |both| {
        both.ask(async |store| store.create_listing(new("t1", "Round table"), at(1)).await).await;
        let status = |status| ListingChange { status: Some(status), ..ListingChange::default() };
        for gone in [ListingStatus::Reserved, ListingStatus::Sold, ListingStatus::Hidden] {
            both.ask(async |store| store.change_listing(&id("t1"), status(gone), at(2)).await).await;
            assert!(found(&both, "table").await.is_empty() && found(&both, "tabel").await.is_empty());
            assert!(both.ask(async |store| store.categories().await).await.is_empty());
            assert!(!both.ask(async |store| store.has_listings().await).await);
            both.ask(async |store| store.change_listing(&id("t1"), status(ListingStatus::Available), at(3)).await)
                .await;
            assert_eq!(found(&both, "tabel").await, ["t1"]);
            assert_eq!(both.ask(async |store| store.categories().await).await, ["Furniture"]);
        }
    })
    .await;
}

#[tokio::test]
async fn an_import_replaces_what_it_knows_and_the_last_line_wins() {
    on_both(async |both| {
        both.ask(async |store| store.create_listing(new("t1", "Round table"), at(1)).await).await;
        let mut many: Vec<NewListing> = (0..1200).map(|n| new(&format!("n{n:04}"), "Shelf")).collect();
        many.push(new("t1", "Wobbly stool"));
        many.push(new("t1", "Sturdy stool"));
        assert_eq!(both.ask(async |store| store.import_listings(many.clone(), at(5)).await).await, 1202);
        let replaced = both.ask(async |store| store.listing(&id("t1")).await).await;
        assert_eq!((replaced.title.as_str(), replaced.created_at, replaced.updated_at), ("Sturdy stool", at(1), at(5)));
        assert_eq!(found(&both, "stool").await, ["t1"]);
        assert!(found(&both, "table").await.is_empty() && found(&both, "wobbly").await.is_empty());
        let bad = vec![new("fine", "Fine"), new("bad", "")];
        for store in [&both.sqlite, &both.postgres] {
            assert!(matches!(store.import_listings(bad.clone(), at(6)).await, Err(Error::Invalid(_))));
            assert!(store.listing(&id("fine")).await.is_err(), "nothing was written");
            let nameless = NewListing { id: None, ..new("x", "Lamp") };
            assert_eq!(store.import_listings(vec![nameless.clone(), nameless], at(7)).await.unwrap(), 2);
        }
        assert_eq!(both.ask(async |store| store.import_listings(vec![], at(8)).await).await, 0);
    })
    .await;
}

#[tokio::test]
async fn lists_are_paged_newest_first() {
    on_both(async |both| {
        for n in 0..5 {
            let status = if n == 3 { ListingStatus::Sold } else { ListingStatus::Available };
            let listing = NewListing { status, ..new(&format!("t{n}"), "Table") };
            both.ask(async |store| store.create_listing(listing.clone(), at(n / 2)).await).await;
        }
        let available =
            ListingFilter { status: Some(ListingStatus::Available), category: Some("Furniture".to_owned()) };
        let (mut seen, mut cursor) = (vec![], None);
        loop {
            let page = both.ask(async |store| store.list_listings(&available, cursor.as_deref(), 2).await).await;
            seen.extend(page.0);
            cursor = page.1;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(ids(&seen), ["t4", "t2", "t1", "t0"]);
        let all = both.ask(async |store| store.list_listings(&ListingFilter::default(), None, 999).await).await;
        assert_eq!((all.0.len(), all.1), (5, None));
        let other = ListingFilter { category: Some("Bikes".to_owned()), ..ListingFilter::default() };
        assert!(both.ask(async |store| store.list_listings(&other, None, 9).await).await.0.is_empty());
        for store in [&both.sqlite, &both.postgres] {
            let bad = store.list_listings(&available, Some("!"), 2).await;
            assert!(matches!(bad, Err(Error::Invalid(_))));
        }
    })
    .await;
}

#[tokio::test]
async fn many_write_at_once_and_the_search_still_counts_right() {
    on_both(async |both| {
        for store in [&both.sqlite, &both.postgres] {
            let writes = (0..20).map(|n| async move {
                let name = format!("t{n}");
                store.create_listing(new(&name, "Round table"), at(n)).await.unwrap();
                let change = ListingChange { title: Some("Square table".to_owned()), ..ListingChange::default() };
                store.change_listing(&id(&name), change, at(n)).await.unwrap();
                if n % 2 == 0 {
                    store.delete_listing(&id(&name)).await.unwrap();
                }
            });
            futures_util::future::join_all(writes).await;
        }
        assert_eq!(found(&both, "table").await.len(), 10);
        for n in (1..20).step_by(2) {
            both.ask(async |store| store.delete_listing(&id(&format!("t{n}"))).await).await;
        }
        // A word that is still counted would be found to be meant.
        assert!(found(&both, "tabel").await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn searches_are_remembered_for_ninety_days() {
    on_both(async |both| {
        let user = UserId::trusted("carla");
        let filters = Filters { max_price: Some(Price::from_cents(5)), ..Filters::default() };
        for (query, result_count, seconds) in
            [("Red  Bike", 2, 0), ("red bike", 5, 10), ("desk", 0, 20), ("lamp", 1, 30)]
        {
            let search = RecordedSearch { user: &user, query, filters: &filters, result_count, degraded: false };
            both.ask(async |store| store.record_search(search, at(seconds)).await).await;
        }
        let popular = both.ask(async |store| store.popular_searches(at(0), 2).await).await;
        let lines: Vec<_> =
            popular.iter().map(|line| (line.query.as_str(), line.count, line.average_results, line.last_at)).collect();
        assert_eq!(lines, [("red bike", 2, 3.5, at(10)), ("lamp", 1, 1.0, at(30))]);
        let later = at(90 * 24 * 3600 + 15);
        both.ask(async |store| store.purge_expired(later).await).await;
        let left = both.ask(async |store| store.popular_searches(at(0), 9).await).await;
        assert_eq!(left.iter().map(|line| line.query.as_str()).collect::<Vec<_>>(), ["lamp", "desk"]);
    })
    .await;
}
