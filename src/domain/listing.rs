//! A listing: something that is offered, and that the search finds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Timestamp, error::Error, ids::ListingId};

/// The longest title and category, in characters.
const NAME_CHARS_MAX: usize = 200;

/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 8000;

/// An amount in units of the shop's currency, exact to the hundredth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(i64);

impl Price {
    /// The highest amount: a hundred million.
    const MAX: f64 = 100_000_000.0;

    /// Rounds to the hundredth.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is negative, not a number, or above a hundred million.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
    pub fn parse(amount: f64) -> Result<Self, Error> {
        if !amount.is_finite() || !(0.0..=Self::MAX).contains(&amount) {
            return Err(Error::invalid("price must be a number from 0 to 100000000"));
        }
        Ok(Self((amount * 100.0).round() as i64))
    }

    /// An amount that this server stored.
    #[must_use]
    pub const fn from_cents(cents: i64) -> Self {
        Self(cents)
    }

    /// Hundredths.
    #[must_use]
    pub const fn cents(self) -> i64 {
        self.0
    }
}

/// `25` or `25.50`, as people write amounts.
impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, cents) = (self.0 / 100, self.0 % 100);
        if cents == 0 { write!(f, "{units}") } else { write!(f, "{units}.{cents:02}") }
    }
}

/// A JSON number, whole where it can be.
impl Serialize for Price {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 {
            return serializer.serialize_i64(self.0 / 100);
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        serializer.serialize_f64(self.0 as f64 / 100.0)
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount = f64::deserialize(deserializer)?;
        Self::parse(amount).map_err(serde::de::Error::custom)
    }
}

/// Whether a listing can be had. Searches find what is available only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListingStatus {
    /// It can be had.
    #[default]
    Available,
    /// Somebody has it on hold.
    Reserved,
    /// It is gone.
    Sold,
    /// Not shown for now.
    Hidden,
}

impl ListingStatus {
    /// The word of the wire and the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Reserved => "reserved",
            Self::Sold => "sold",
            Self::Hidden => "hidden",
        }
    }

    /// Reads such a word.
    ///
    /// # Errors
    /// [`Error::Invalid`] that lists the words there are.
    pub fn parse(word: &str) -> Result<Self, Error> {
        [Self::Available, Self::Reserved, Self::Sold, Self::Hidden]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or_else(|| Error::invalid("status must be available, reserved, sold or hidden"))
    }
}

/// Something that is offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listing {
    /// Its id.
    pub id: ListingId,
    /// What it is.
    pub title: String,
    /// More about it.
    pub description: Option<String>,
    /// The kind of thing.
    pub category: String,
    /// What it costs.
    pub price: Price,
    /// Whether it can be had.
    pub status: ListingStatus,
    /// When it was first offered.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A listing that is to be offered, or to replace the one with the same id.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewListing {
    /// The application's own id; made here when absent.
    #[serde(default)]
    pub id: Option<ListingId>,
    /// What it is.
    pub title: String,
    /// More about it.
    #[serde(default)]
    pub description: Option<String>,
    /// The kind of thing.
    pub category: String,
    /// What it costs.
    pub price: Price,
    /// Whether it can be had.
    #[serde(default)]
    pub status: ListingStatus,
}

impl NewListing {
    /// Trims the texts and checks their lengths.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the field.
    pub fn checked(mut self) -> Result<Self, Error> {
        // `/v1/listings/search` is another thing already.
        if self.id.as_ref().is_some_and(|id| id.as_str() == "search") {
            return Err(Error::invalid("id must not be 'search'"));
        }
        self.title = checked_name(&self.title, "title")?;
        self.category = checked_name(&self.category, "category")?;
        self.description = checked_description(self.description)?;
        Ok(self)
    }
}

/// What is to be different about a listing; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListingChange {
    /// What it is.
    pub title: Option<String>,
    /// More about it; `Some(None)`, on the wire `null`, takes the description away.
    #[serde(deserialize_with = "present")]
    pub description: Option<Option<String>>,
    /// The kind of thing.
    pub category: Option<String>,
    /// What it costs.
    pub price: Option<Price>,
    /// Whether it can be had.
    pub status: Option<ListingStatus>,
}

impl ListingChange {
    /// Trims the texts and checks their lengths.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the field.
    pub fn checked(mut self) -> Result<Self, Error> {
        self.title = self.title.map(|title| checked_name(&title, "title")).transpose()?;
        self.category = self.category.map(|category| checked_name(&category, "category")).transpose()?;
        self.description = self.description.map(checked_description).transpose()?;
        Ok(self)
    }
}

/// Tells a field that is `null` from one that is absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Trims a title or category.
///
/// # Errors
/// [`Error::Invalid`] when nothing is left, or too much.
pub fn checked_name(text: &str, field: &str) -> Result<String, Error> {
    let text = text.trim();
    let is_fitting = !text.is_empty() && text.chars().count() <= NAME_CHARS_MAX && !text.chars().any(char::is_control);
    if is_fitting {
        return Ok(text.to_owned());
    }
    Err(Error::Invalid(format!("{field} must have 1 to {NAME_CHARS_MAX} characters and no control characters").into()))
}

/// Trims a description; an empty one is none.
///
/// # Errors
/// [`Error::Invalid`] when it is too long or has a NUL, which PostgreSQL cannot store.
pub fn checked_description(text: Option<String>) -> Result<Option<String>, Error> {
    let Some(text) = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > DESCRIPTION_CHARS_MAX || text.contains('\0') {
        let why = format!("description must have at most {DESCRIPTION_CHARS_MAX} characters and no NUL");
        return Err(Error::Invalid(why.into()));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_could_not_be_reached_is_refused() {
        let new = |id| NewListing {
            id: Some(ListingId::trusted(id)),
            title: "Desk".into(),
            description: None,
            category: "Furniture".into(),
            price: Price::from_cents(0),
            status: ListingStatus::default(),
        };
        assert!(new("search").checked().is_err());
        assert!(new("searches").checked().is_ok());
    }

    #[test]
    fn prices_are_exact_and_written_as_people_do() {
        let price = Price::parse(19.99).unwrap();
        assert_eq!((price.cents(), price.to_string()), (1999, "19.99".into()));
        assert_eq!(serde_json::to_string(&price).unwrap(), "19.99");
        assert_eq!(serde_json::to_string(&Price::parse(25.0).unwrap()).unwrap(), "25");
        assert_eq!(Price::parse(7.5).unwrap().to_string(), "7.50");
        for bad in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(Price::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_change_tells_null_from_absent() {
        let change = |json| serde_json::from_str::<ListingChange>(json).unwrap().checked().unwrap();
        assert_eq!(change(r#"{"title":" Desk "}"#).title.as_deref(), Some("Desk"));
        assert_eq!(change(r#"{"title":"Desk"}"#).description, None);
        assert_eq!(change(r#"{"description":null}"#).description, Some(None));
        assert_eq!(change(r#"{"description":"Oak"}"#).description, Some(Some("Oak".to_owned())));
        assert!(ListingChange { category: Some(" ".to_owned()), ..Default::default() }.checked().is_err());
    }
}
