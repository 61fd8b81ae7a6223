//! What a search has found, as a sentence.

use crate::domain::listing::Listing;

/// The longest quotation of a query or a title, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// Something that would have fitted without one of the limits.
pub(super) enum Nearest {
    /// Cheaper or dearer.
    AtAnotherPrice(Listing),
    /// Another kind of thing.
    InAnotherCategory(Listing),
}

/// Says what was found; `more` when there is more than `results`.
pub(super) fn sentence(query: &str, results: &[Listing], more: bool, nearest: Option<&Nearest>) -> String {
    let query = quoted(query);
    match results {
        [] => nothing(&query, nearest),
        [only] if !more => format!("I found 1 item for '{query}': {}.", named(only)),
        [first, second] if !more => {
            format!("I found 2 items for '{query}': {} and {}.", named(first), named(second))
        }
        [first, rest @ ..] => {
            let count = match results.len() {
                1 => "more than 1 item".to_owned(),
                count if more => format!("more than {count} items"),
                count => format!("{count} items"),
            };
            let best = match rest.first() {
                Some(second) => format!("matches are {} and {}", named(first), named(second)),
                None => format!("match is {}", named(first)),
            };
            format!("I found {count} for '{query}'. The best {best}.")
        }
    }
}

fn nothing(query: &str, nearest: Option<&Nearest>) -> String {
    let hint = match nearest {
        Some(Nearest::AtAnotherPrice(listing)) => format!("At another price there is {}.", named(listing)),
        Some(Nearest::InAnotherCategory(listing)) => {
            format!("In {} there is {}.", quoted(&listing.category), named(listing))
        }
        None => "Try other words, or fewer.".to_owned(),
    };
    format!("I found nothing for '{query}'. {hint}")
}

fn named(listing: &Listing) -> String {
    match listing.price.cents() {
        0 => format!("{} for free", quoted(&listing.title)),
        _ => format!("{} for {}", quoted(&listing.title), listing.price),
    }
}

/// On one line, and not too long.
fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= QUOTED_CHARS_MAX {
        return line;
    }
    let start: String = line.chars().take(QUOTED_CHARS_MAX).collect();
    format!("{}…", start.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Timestamp,
        ids::ListingId,
        listing::{ListingStatus, Price},
    };

    fn listing(title: &str, cents: i64) -> Listing {
        Listing {
            id: ListingId::generate(),
            title: title.into(),
            description: None,
            category: "Textbooks".into(),
            price: Price::from_cents(cents),
            status: ListingStatus::Available,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_best_ones_are_named_with_their_prices() {
        let found = [listing("CMPE 202 Textbook", 2500), listing("Design Patterns", 1950), listing("Atlas", 500)];
        let say = |count: usize, more| sentence("used  textbook\nfor cmpe202", &found[..count], more, None);
        assert_eq!(say(1, false), "I found 1 item for 'used textbook for cmpe202': CMPE 202 Textbook for 25.");
        assert_eq!(
            say(2, false),
            "I found 2 items for 'used textbook for cmpe202': CMPE 202 Textbook for 25 and Design Patterns for 19.50."
        );
        let best = "The best matches are CMPE 202 Textbook for 25 and Design Patterns for 19.50.";
        assert_eq!(say(3, false), format!("I found 3 items for 'used textbook for cmpe202'. {best}"));
        assert_eq!(
            say(1, true),
            "I found more than 1 item for 'used textbook for cmpe202'. The best match is CMPE 202 Textbook for 25."
        );
        assert_eq!(say(3, true), format!("I found more than 3 items for 'used textbook for cmpe202'. {best}"));
    }

    #[test]
    fn when_nothing_fits_it_says_what_nearly_does() {
        let say = |nearest: Option<Nearest>| sentence("atlas under 4", &[], false, nearest.as_ref());
        let given = Nearest::InAnotherCategory(listing("Atlas", 0));
        assert!(say(Some(given)).ends_with("In Textbooks there is Atlas for free."));
        assert_eq!(say(None), "I found nothing for 'atlas under 4'. Try other words, or fewer.");
        let dearer = Nearest::AtAnotherPrice(listing("Atlas", 500));
        assert_eq!(say(Some(dearer)), "I found nothing for 'atlas under 4'. At another price there is Atlas for 5.");
        let elsewhere = Nearest::InAnotherCategory(listing("Atlas", 300));
        assert_eq!(say(Some(elsewhere)), "I found nothing for 'atlas under 4'. In Textbooks there is Atlas for 3.");
    }

    #[test]
    fn long_queries_are_cut() {
        let said = sentence(&"é".repeat(500), &[], false, None);
        assert!(said.contains(&format!("'{}…'", "é".repeat(80))), "{said}");
    }
}
