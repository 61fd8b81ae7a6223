//! Sample listings and help articles of a campus marketplace, for trying the server out. They come with the binary and
//! enter the database the way everybody's do.

/// The articles by name, with their Markdown.
const ARTICLES: [(&str, &str); 8] = [
    ("account-and-password", include_str!("articles/account-and-password.md")),
    ("contacting-support", include_str!("articles/contacting-support.md")),
    ("meeting-safely", include_str!("articles/meeting-safely.md")),
    ("paying", include_str!("articles/paying.md")),
    ("reporting-a-listing", include_str!("articles/reporting-a-listing.md")),
    ("returns-and-refunds", include_str!("articles/returns-and-refunds.md")),
    ("selling-tips", include_str!("articles/selling-tips.md")),
    ("shipping-and-pickup", include_str!("articles/shipping-and-pickup.md")),
];

/// The sample listings as a file for the importer.
#[must_use]
pub const fn listings_csv() -> &'static str {
    include_str!("listings.csv")
}

/// The sample help articles: their ids and their Markdown.
pub fn articles() -> impl Iterator<Item = (&'static str, &'static str)> {
    ARTICLES.into_iter()
}
