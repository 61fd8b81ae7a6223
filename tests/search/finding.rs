//! The quality of the search: what people type, and the listings of the demo data that they must see, in this order.

use switchboard::domain::{
    ids::ListingId,
    listing::{ListingStatus, NewListing, Price},
    query::understand,
    search::Filters,
};

use crate::bench::{at, on_both, with_demo};

/// A query and the ids of all its results; those of long lists up to `…`.
const TABLE: &[(&str, &[&str])] = &[
    // Course codes, in every spelling.
    ("used textbook for cmpe202", &["cmpe-202-textbook", "cmpe-202-notes"]),
    ("CMPE 202", &["cmpe-202-textbook", "cmpe-202-notes"]),
    ("cmpe-202 textbook", &["cmpe-202-textbook", "cmpe-202-notes"]),
    ("cmpe 202 book cheap", &["cmpe-202-textbook", "cmpe-202-notes"]),
    ("cmpe999", &["cmpe-202-textbook", "cmpe-180-textbook", "cmpe-202-notes"]),
    ("bio101 textbook", &[]),
    ("iphone13", &["iphone-13", "iphone-13-case"]),
    ("16gb", &["macbook-pro-14", "thinkpad-t480"]),
    // Prices.
    ("MacBook under $500", &["macbook-air-2015", "macbook-air-m1"]),
    ("macbooks over 1000", &["macbook-pro-14"]),
    ("labtop between 200 and 500", &["thinkpad-t480"]),
    ("monitors under $100", &["lg-monitor-24"]),
    ("desks 50-100 dollars", &["ikea-desk"]),
    ("calculator for at most €20", &["casio-calculator"]),
    ("free couch", &["couch-free"]),
    ("macbook for less than 1.2k but at least $500", &["macbook-pro-14"]),
    ("anything under $10", &["cmpe-202-notes", "couch-free", "iphone-13-case", "spanish-workbook", "yoga-mat"]),
    ("macbook under 100", &[]),
    // Numbers that are no prices.
    ("iphone 13", &["iphone-13", "iphone-13-case"]),
    ("iphone 13 case", &["iphone-13-case", "iphone-13"]),
    ("27 inch monitor", &["dell-monitor-27", "lg-monitor-24"]),
    ("laptop for students under 300 with 16 gb", &["thinkpad-t480"]),
    // Slips.
    ("macbok", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("calclus", &["calculus-solutions", "calculus-stewart"]),
    ("headfones", &["sony-headphones"]),
    ("mechanical keybord", &["mech-keyboard"]),
    ("ukelele", &["ukulele"]),
    ("snowbord", &["snowboard"]),
    ("dumbell", &["dumbbells"]),
    ("ergonomic chiar", &["office-chair"]),
    ("textboks under 16", &["calculus-solutions", "cmpe-202-notes", "spanish-workbook"]),
    // Forms, accents, words written as one or two, beginnings and ends of words.
    ("macbooks", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("mac book pro", &["macbook-pro-14", "macbook-air-2015", "macbook-air-m1"]),
    ("batteries for a camera", &["canon-camera"]),
    ("espanol", &["spanish-workbook"]),
    ("CAFÉ machine", &["coffee-maker"]),
    ("women's jacket", &["winter-jacket", "rain-jacket"]),
    ("usbc", &["usb-c-hub"]),
    ("calc textbook", &["calculus-solutions", "calculus-stewart"]),
    ("econ", &["microeconomics"]),
    ("phone", &["iphone-13", "iphone-13-case"]),
    // Three letters, and two words as one.
    ("mac", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("car", &[]),
    ("cat", &[]),
    ("macbookpro", &["macbook-pro-14"]),
    ("econ1b", &["microeconomics"]),
    ("air pods", &["airpods-pro"]),
    ("snow board", &["snowboard"]),
    // Names with numbers.
    ("psyc 1", &["intro-psychology"]),
    ("iphone 14", &["iphone-13", "iphone-13-case"]),
    ("macbook 2015", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("ti84 plus", &["ti-84"]),
    ("xbox one", &[]),
    ("cmpe 202 lab manual", &["cmpe-202-textbook", "cmpe-202-notes"]),
    // What comes first.
    ("cheapest laptop", &["thinkpad-t480", "gaming-laptop"]),
    ("cheapest macbook", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("most expensive macbook", &["macbook-pro-14", "macbook-air-m1", "macbook-air-2015"]),
    ("bikes, price low to high", &["commuter-bike", "mountain-bike", "road-bike"]),
    ("cheapest", &["couch-free", "iphone-13-case", "spanish-workbook", "cmpe-202-notes", "yoga-mat", "…"]),
    // What is not wanted.
    ("laptop not macbook", &["gaming-laptop", "thinkpad-t480"]),
    ("bike no helmet", &["commuter-bike", "mountain-bike", "road-bike"]),
    (
        "anything but textbooks under 15",
        &["bike-helmet", "casio-calculator", "couch-free", "iphone-13-case", "yoga-mat"],
    ),
    ("textbooks except calculus over 40", &["organic-chemistry"]),
    // Doubled letters, and more slips.
    ("matres", &["mattress-twin"]),
    ("maccbok", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("texts books under 9", &["spanish-workbook"]),
    ("chemestry", &["organic-chemistry"]),
    ("alptop", &["gaming-laptop", "thinkpad-t480"]),
    // Amounts in words.
    ("mug under fifty", &[]),
    ("helmet for less than twenty bucks", &["bike-helmet"]),
    ("anything free", &["couch-free"]),
    // Categories.
    ("furniture under 50", &["bookshelf", "couch-free", "desk-lamp-led", "nightstand"]),
    ("musical instruments under 200", &["acoustic-guitar", "ukulele"]),
    ("kitchen stuff", &["air-fryer", "coffee-maker", "cookware-set", "microwave", "rice-cooker"]),
    ("something in clothing", &["rain-jacket", "running-shoes", "sjsu-hoodie", "winter-jacket"]),
    ("red bike", &["road-bike"]),
    ("bike for commuting", &["commuter-bike", "mountain-bike", "road-bike"]),
    ("football tickets", &["football-tickets"]),
    // Several words: what has more of them comes first, and what has only a common one does not come at all.
    ("bike helmet", &["bike-helmet"]),
    ("desk lamp", &["desk-lamp-led"]),
    ("gaming laptop", &["gaming-laptop"]),
    ("noise cancelling headphones", &["sony-headphones"]),
    ("calculus book", &["calculus-solutions", "calculus-stewart"]),
    ("waterproof jacket", &["rain-jacket", "winter-jacket"]),
    ("gift for my brother who plays guitar", &["acoustic-guitar"]),
    ("tent for two people", &["tent"]),
    // What is reserved or sold is not found.
    ("mini fridge", &[]),
    ("concert", &[]),
    ("physics", &[]),
    // Nothing fits.
    ("spaceship", &[]),
    ("unicorns", &[]),
    ("airplane tickets to mars", &[]),
    ("purple elephant", &[]),
    ("wifi router", &[]),
    ("xbox", &[]),
    ("boots", &[]),
    ("chess set", &[]),
    // Text that is meant to break something.
    ("'; DROP TABLE listings; --", &[]),
    ("\"macbook\" NEAR/2 * OR (", &["macbook-air-2015", "macbook-air-m1", "macbook-pro-14"]),
    ("NEAR(a b) AND NOT terms:*", &[]),
    ("ukulele\u{1F4DA} :* & | ! <-> \\", &["ukulele"]),
    ("%", &["acoustic-guitar", "air-fryer", "airpods-pro", "bike-helmet", "bike-lock", "…"]),
    ("_", &["acoustic-guitar", "air-fryer", "airpods-pro", "bike-helmet", "bike-lock", "…"]),
    ("something cheap", &["acoustic-guitar", "air-fryer", "airpods-pro", "bike-helmet", "bike-lock", "…"]),
];

#[tokio::test]
async fn queries_find_what_people_mean_in_the_same_order_on_both_databases() {
    with_demo(async |both| {
        let categories = both.ask(async |store| store.categories().await).await;
        let mut wrong = vec![];
        for (query, expected) in TABLE {
            let filters = understand(query, &categories);
            let found = both.ask(async |store| store.search_listings(&filters, 10).await).await;
            assert!(found.iter().all(|listing| listing.status == ListingStatus::Available));
            let found: Vec<&str> = found.iter().map(|listing| listing.id.as_str()).collect();
            let fits = match expected {
                [first @ .., "…"] => found.starts_with(first) && found.len() > first.len(),
                all => found == *all,
            };
            if !fits {
                wrong.push(format!("{query}: {found:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    })
    .await;
}

#[tokio::test]
async fn of_things_that_fit_alike_the_kind_that_was_named_comes_first() {
    with_demo(async |both| {
        let manual = NewListing { category: "Textbooks".to_owned(), ..listing("lab", "CMPE 202 Lab Manual", "Clean") };
        both.ask(async |store| store.create_listing(manual.clone(), at(9)).await).await;
        let categories = both.ask(async |store| store.categories().await).await;
        let filters = understand("used textbook for cmpe202", &categories);
        let found = both.ask(async |store| store.search_listings(&filters, 10).await).await;
        let ids: Vec<&str> = found.iter().map(|listing| listing.id.as_str()).collect();
        assert_eq!(ids, ["cmpe-202-textbook", "lab", "cmpe-202-notes"]);
    })
    .await;
}

#[tokio::test]
async fn the_cheapest_is_found_among_more_than_are_weighed() {
    on_both(async |both| {
        let new = |n: i64| NewListing { price: Price::from_cents(n), ..listing(&format!("t{n}"), "Table", "") };
        both.ask(async |store| store.import_listings((1..=300).map(new).collect(), at(0)).await).await;
        for (query, best) in [("cheapest table", "t1"), ("most expensive table", "t300"), ("cheapest", "t1")] {
            let found = both.ask(async |store| store.search_listings(&understand(query, &[]), 5).await).await;
            assert_eq!(found[0].id.as_str(), best, "{query}");
        }
    })
    .await;
}

#[tokio::test]
async fn any_text_is_safe_however_long() {
    with_demo(async |both| {
        let texts =
            ["\u{1F6B2}".repeat(500), "a ".repeat(250), "x1".repeat(250), "😀é字 ".repeat(100), "%'\"\\".repeat(125)];
        let words: String = ('a'..='z').map(|c| format!("{c}{c}{c}{c}{c}oo ")).collect();
        for text in texts.into_iter().chain([words]) {
            let without = vec![text.clone()];
            both.ask(async |store| {
                store.search_listings(&Filters { without: without.clone(), ..Filters::default() }, 1).await
            })
            .await;
            let asked = Filters { keywords: vec![text.clone()], ..Filters::default() };
            both.ask(async |store| store.search_listings(&asked, 10).await).await;
            both.ask(async |store| store.search_articles(&text, 10).await).await;
        }
        assert!(both.ask(async |store| store.has_listings().await).await, "nothing was lost");
    })
    .await;
}

fn listing(id: &str, title: &str, description: &str) -> NewListing {
    NewListing {
        id: Some(ListingId::parse(id).unwrap()),
        title: title.to_owned(),
        description: Some(description.to_owned()),
        category: "Things".to_owned(),
        price: Price::from_cents(100),
        status: ListingStatus::Available,
    }
}

fn keywords(words: &[&str]) -> Filters {
    Filters { keywords: words.iter().map(|word| (*word).to_owned()).collect(), ..Filters::default() }
}

#[tokio::test]
async fn a_rare_word_is_not_drowned_by_a_common_one() {
    on_both(async |both| {
        let mut new: Vec<NewListing> = (0..1500).map(|n| listing(&format!("c{n:04}"), "Used book", "A book")).collect();
        new.push(listing("rare", "Notes on thermodynamics", ""));
        new.push(listing("both", "Thermodynamics", "The book of the course"));
        both.ask(async |store| store.import_listings(new.clone(), at(0)).await).await;
        let found =
            both.ask(async |store| store.search_listings(&keywords(&["book", "thermodynamics"]), 10).await).await;
        let ids: Vec<&str> = found.iter().map(|listing| listing.id.as_str()).collect();
        assert_eq!(ids, ["both", "rare"]);
    })
    .await;
}

#[tokio::test]
async fn equal_results_come_newest_first_then_by_id() {
    on_both(async |both| {
        for (id, seconds) in [("b", 1), ("a", 1), ("c", 2)] {
            let new = listing(id, "Oak table", "");
            both.ask(async |store| store.create_listing(new.clone(), at(seconds)).await).await;
        }
        for filters in [keywords(&["table"]), Filters::default()] {
            let found = both.ask(async |store| store.search_listings(&filters, 10).await).await;
            assert_eq!(found.iter().map(|listing| listing.id.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
        }
        let two = both.ask(async |store| store.search_listings(&keywords(&["table"]), 2).await).await;
        assert_eq!(two.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_slip_in_a_listing_does_not_hide_what_the_word_means() {
    on_both(async |both| {
        let mut new: Vec<NewListing> = (0..10).map(|n| listing(&format!("m{n}"), "MacBook", "")).collect();
        new.push(listing("slip", "Macbok", ""));
        both.ask(async |store| store.import_listings(new.clone(), at(0)).await).await;
        let found = both.ask(async |store| store.search_listings(&keywords(&["macbok"]), 20).await).await;
        assert_eq!((found.len(), found[0].id.as_str()), (11, "slip"));
    })
    .await;
}
