//! What is understood of a query, by rules alone.

use switchboard::domain::{listing::Price, query::understand, search::Filters};

/// The categories of the demo data.
pub(crate) fn categories() -> Vec<String> {
    let names = [
        "Bikes",
        "Clothing",
        "Electronics",
        "Furniture",
        "Home & Kitchen",
        "Musical Instruments",
        "Sports & Outdoors",
        "Textbooks",
        "Tickets",
    ];
    names.map(str::to_owned).to_vec()
}

/// Filters in one line: `Category: key words -unwanted, 20..50, Cheapest`, where what is absent is left out.
pub(crate) fn said(filters: &Filters) -> String {
    let price = |price: Option<Price>| price.map(|price| price.to_string()).unwrap_or_default();
    let category = filters.category.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
    let prices = match (filters.min_price, filters.max_price) {
        (None, None) => String::new(),
        (min, max) => format!(", {}..{}", price(min), price(max)),
    };
    let without: String = filters.without.iter().map(|word| format!(" -{word}")).collect();
    let first = filters.first.map(|first| format!(", {first:?}")).unwrap_or_default();
    format!("{category}{}{without}{prices}{first}", filters.keywords.join(" "))
}

const TABLE: &[(&str, &str)] = &[
    // The highest price.
    ("MacBook under $500", "macbook, ..500"),
    ("desk below 500", "desk, ..500"),
    ("chair for less than €20", "chair, ..20"),
    ("lamp cheaper than 15.50", "lamp, ..15.50"),
    ("couch max 300", "couch, ..300"),
    ("couch, max. price: 300", "couch, ..300"),
    ("my budget is $300 for a laptop", "laptop, ..300"),
    ("laptop up to 1,200", "laptop, ..1200"),
    ("laptop under 1.5k", "laptop, ..1500"),
    ("laptop no more than $1,200.50", "laptop, ..1200.50"),
    ("desk <= 80", "desk, ..80"),
    ("desk $80 or less", "desk, ..80"),
    ("desk 80 usd max", "desk, ..80"),
    ("desk $80", "desk, ..80"),
    ("desk for 80 bucks", "desk, ..80"),
    ("desk, USD 80", "desk, ..80"),
    ("free sofa", "sofa, ..0"),
    ("sofa for free", "sofa, ..0"),
    // The lowest.
    ("guitar over 100", "guitar, 100.."),
    ("guitar at least 50 dollars", "guitar, 50.."),
    ("guitar > $50", "guitar, 50.."),
    ("guitar $50 and up", "guitar, 50.."),
    ("guitar $50+", "guitar, 50.."),
    ("guitar not less than 50", "guitar, 50.."),
    // Both.
    ("between 20 and 40", ", 20..40"),
    ("lamp between $40 and $20", "lamp, 20..40"),
    ("20-40 $", ", 20..40"),
    ("lamp $20–$40", "lamp, 20..40"),
    ("lamp 20 to 40 dollars", "lamp, 20..40"),
    ("lamp from 20 to 40", "lamp, 20..40"),
    ("lamp over 20 and under 40", "lamp, 20..40"),
    ("lamp under 20 over 40", "lamp, 20..40"),
    ("lamp around $50", "lamp, 40..60"),
    ("lamp under 100, no, under 50", "lamp, ..50"),
    ("lamp less than fifty", "lamp, ..50"),
    ("lamp under a hundred dollars", "lamp, ..100"),
    ("lamp under twenty-five", "lamp, ..25"),
    ("laptop over two hundred", "laptop, 200.."),
    ("lamp from ten to forty", "lamp, 10..40"),
    ("I need a free sofa", "sofa, ..0"),
    ("hundred years of solitude", "hundred years solitude"),
    // What comes first.
    ("cheapest laptop", "laptop, Cheapest"),
    ("lowest price laptop under 500", "laptop, ..500, Cheapest"),
    ("the most expensive bike", "Bikes: , Dearest"),
    ("textbooks, cheapest first", "Textbooks: , Cheapest"),
    ("bikes sorted by price", "Bikes: , Cheapest"),
    ("latest textbooks", "Textbooks: , Newest"),
    // What is not wanted.
    ("laptop not macbook", "laptop -macbook"),
    ("not a macbook laptop", "laptop -macbook"),
    ("anything but textbooks", " -textbooks"),
    ("desk without the drawers, no scratches", "desk -drawers -scratches"),
    ("desk for no more than 50", "desk, ..50"),
    ("no man's sky", "mans sky"),
    // No prices.
    ("cheap iphone 13", "iphone 13"),
    ("cmpe 202", "cmpe 202"),
    ("27 inch monitor", "27 inch monitor"),
    ("monitor under 27 inches", "monitor 27 inches"),
    ("monitor between 24 and 27 inch", "monitor 24 27 inch"),
    ("laptop with more than 16gb", "laptop 16gb"),
    ("tent less than 2 years old", "tent 2 years old"),
    ("macbook 2019-2021", "macbook 2019 2021"),
    ("lamp 20-40", "lamp 20 40"),
    ("4k monitor", "4k monitor"),
    ("desk with free delivery", "desk free delivery"),
    ("under armour hoodie", "armour hoodie"),
    ("laptop under 99999999999", "laptop 99999999999"),
    // Categories.
    ("textbooks", "Textbooks: "),
    ("used textbook for cmpe202", "Textbooks: cmpe202"),
    ("textboks under 30", "Textbooks: , ..30"),
    ("electonics", "Electronics: "),
    ("headphones in Electronics", "Electronics: headphones"),
    ("kitchen", "Home & Kitchen: "),
    ("home and kitchen under 20", "Home & Kitchen: , ..20"),
    ("outdoor things", "Sports & Outdoors: "),
    ("clothes", "Clothing: "),
    ("red bike", "Bikes: red"),
    ("bike helmet", "bike helmet"),
    ("kitchen table", "kitchen table"),
    ("boots", "boots"),
    // Words.
    ("I'm looking for a good, cheap pair of running shoes please", "running shoes"),
    ("Do you have any Café-style COFFEE machines?", "cafe style coffee machines"),
    ("women's jacket", "womens jacket"),
    ("desk desk DESK", "desk"),
    ("something cheap", ""),
    ("?!", ""),
    ("\u{1F4DA}", ""),
];

#[test]
fn queries_are_understood_by_rules() {
    let mut wrong = vec![];
    for (query, expected) in TABLE {
        let said = said(&understand(query, &categories()));
        if said != *expected {
            wrong.push(format!("{query}: {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_that_can_be_typed_does_harm() {
    let pieces =
        ["$", "1", ",", ".", "-", "under", "between", "and", "k", "\u{1F4DA}", "é", "<", "free", "2024", "for", " "];
    let mut state = 7_usize;
    for length in 0..2000 {
        let query: String = (0..length % 40)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                pieces[(state >> 33) % pieces.len()]
            })
            .collect();
        let filters = understand(&query, &categories());
        assert!(filters.keywords.len() <= 16);
        assert!(filters.min_price.is_none() || filters.max_price.is_none() || filters.min_price <= filters.max_price);
    }
    assert_eq!(understand(&"word1 ".repeat(5000), &[]).keywords, ["word1"]);
}
