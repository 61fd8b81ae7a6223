//! A row's fields as they stand in the file, and the listing that they make.

use super::amount::amount;
use crate::domain::{
    ids::ListingId,
    listing::{ListingStatus, NewListing, Price},
};

/// The texts of a row; an absent or empty field is none.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: [Option<String>; Field::ALL.len()],
}

/// What a row can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Title,
    Description,
    Category,
    Price,
    Status,
}

impl Field {
    pub(super) const ALL: [Self; 6] =
        [Self::Id, Self::Title, Self::Description, Self::Category, Self::Price, Self::Status];

    /// Its name in a header and as a key.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Title => "title",
            Self::Description => "description",
            Self::Category => "category",
            Self::Price => "price",
            Self::Status => "status",
        }
    }

    /// A listing cannot be without it.
    pub(super) const fn is_required(self) -> bool {
        matches!(self, Self::Title | Self::Category | Self::Price)
    }
}

impl Fields {
    pub(super) fn set(&mut self, field: Field, text: &str) {
        let text = text.trim();
        if let Some(value) = self.values.get_mut(field as usize) {
            *value = (!text.is_empty()).then(|| text.to_owned());
        }
    }

    fn take(&mut self, field: Field) -> Option<String> {
        self.values.get_mut(field as usize).and_then(Option::take)
    }

    fn required(&mut self, field: Field) -> Result<String, String> {
        self.take(field).ok_or_else(|| format!("{} is missing", field.name()))
    }

    /// The listing, or why there is none.
    pub(super) fn listing(mut self) -> Result<NewListing, String> {
        let id = self.take(Field::Id).map(|id| ListingId::parse(&id)).transpose().map_err(|error| error.to_string())?;
        let title = self.required(Field::Title)?;
        let category = self.required(Field::Category)?;
        let price = amount(&self.required(Field::Price)?)
            .ok_or("price is not an amount such as 25, 25.50, $25 or 1,200")
            .and_then(|amount| Price::parse(amount).map_err(|_| "price must be from 0 to 100000000"))?;
        let status = match self.take(Field::Status) {
            Some(word) => ListingStatus::parse(&word.to_lowercase()).map_err(|error| error.to_string())?,
            None => ListingStatus::default(),
        };
        let description = self.take(Field::Description);
        let new = NewListing { id, title, description, category, price, status };
        new.checked().map_err(|error| error.to_string())
    }
}
