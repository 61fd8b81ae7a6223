//! What the assistant can look up or set going while it answers: the offers, its calls, and what came of them.

use serde_json::{Value, json};

use super::lenient;
use crate::domain::{
    listing::Listing,
    search::{Filters, Passage, checked_query},
};

/// The most of a listing's description and of a passage that a model is shown, in characters.
const DESCRIPTION_CHARS: usize = 300;
const PASSAGE_CHARS: usize = 1200;

/// Something that the model may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// Finds listings.
    SearchListings,
    /// Finds passages of help articles.
    SearchArticles,
    /// Asks a person of the support team to answer.
    CallPerson,
}

/// What a call wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Listings that fit.
    Listings {
        /// What for, in words; may be empty when the filters say something.
        query: String,
        /// What the model set apart from the words: category and prices. It has no keywords.
        filters: Filters,
    },
    /// Passages of help articles that fit these words.
    Articles(String),
    /// A person of the support team.
    Person,
    /// The call cannot be read, for this reason.
    Unreadable(&'static str),
}

/// A call that the model made.
#[derive(Clone, PartialEq, Eq)]
pub struct Call {
    /// What it wants.
    pub wanted: Wanted,
    /// The provider's id for it, repeated with the result.
    pub(super) id: String,
    /// The name that it called.
    pub(super) name: String,
    /// The arguments as JSON, to show the model its own call; always an object.
    pub(super) arguments: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The listings that fit, best first.
    Listings(Vec<Listing>),
    /// The passages that fit, best first.
    Articles(Vec<Passage>),
    /// The support team has been told.
    PersonCalled,
    /// Nothing could be looked up.
    Failed,
}

impl Tool {
    const ALL: [Self; 3] = [Self::SearchListings, Self::SearchArticles, Self::CallPerson];

    const fn name(self) -> &'static str {
        match self {
            Self::SearchListings => "search_listings",
            Self::SearchArticles => "search_articles",
            Self::CallPerson => "call_person",
        }
    }

    /// The offer, as the Chat Completions API spells it.
    pub(super) fn definition(self) -> Value {
        let (description, parameters) = match self {
            Self::SearchListings => (
                "Searches what is offered right now. Prices are in the shop's currency.",
                json!({
                    "query": { "type": "string", "description": "What to look for, in a few words." },
                    "category": { "type": "string", "description": "Only this category." },
                    "min_price": { "type": "number", "description": "Not below this." },
                    "max_price": { "type": "number", "description": "Not above this." },
                }),
            ),
            Self::SearchArticles => (
                "Searches the help articles: policies, how things are done, contact.",
                json!({ "query": { "type": "string", "description": "The question, in a few words." } }),
            ),
            Self::CallPerson => (
                "Tells the support team that this customer waits for a person. Call it when the customer asks for a \
                 person, or when you cannot help.",
                json!({}),
            ),
        };
        let required: &[&str] = if self == Self::CallPerson { &[] } else { &["query"] };
        let parameters = json!({
            "type": "object", "properties": parameters, "required": required, "additionalProperties": false,
        });
        json!({
            "type": "function",
            "function": { "name": self.name(), "description": description, "parameters": parameters },
        })
    }
}

impl Call {
    /// Reads a call of the model, which may be any nonsense.
    pub(super) fn read(id: String, name: String, arguments: &str, offered: &[Tool]) -> Self {
        let tool = Tool::ALL.into_iter().find(|tool| tool.name() == name && offered.contains(tool));
        let object = match arguments.trim() {
            "" => Some(json!({})),
            text => serde_json::from_str(text).ok().filter(Value::is_object),
        };
        // Providers refuse to be shown arguments that are not JSON, also when the model wrote them itself.
        let arguments = object.as_ref().map_or_else(|| "{}".to_owned(), Value::to_string);
        // They refuse odd names, too, which the model may have made up.
        let name = if tool.is_some() { name } else { "unknown".to_owned() };
        let wanted = match (tool, object) {
            (None, _) => Wanted::Unreadable("there is no such tool"),
            (Some(Tool::CallPerson), _) => Wanted::Person,
            (_, None) => Wanted::Unreadable("the arguments are not a JSON object"),
            (Some(tool), Some(object)) => searched(tool, &object),
        };
        Self { wanted, id, name, arguments }
    }

    /// A call that this server makes itself, with these words as they are.
    pub(super) fn own(tool: Tool, query: &str) -> Self {
        let query = query.to_owned();
        let wanted = match tool {
            Tool::SearchListings => Wanted::Listings { query, filters: Filters::default() },
            Tool::SearchArticles => Wanted::Articles(query),
            Tool::CallPerson => Wanted::Person,
        };
        Self { wanted, id: String::new(), name: tool.name().to_owned(), arguments: "{}".to_owned() }
    }
}

fn searched(tool: Tool, arguments: &Value) -> Wanted {
    // A search for "any" thing is one for all the same; only a category of that name is none.
    let query = arguments.get("query").and_then(Value::as_str).unwrap_or_default().trim();
    let category = lenient::field(arguments, &["category"]).and_then(Value::as_str);
    let price = |names: &[&str]| lenient::field(arguments, names).and_then(lenient::price);
    let filters = Filters {
        category: category.map(str::to_owned),
        min_price: price(&["min_price", "minPrice"]),
        max_price: price(&["max_price", "maxPrice"]),
        ..Filters::default()
    };
    match (tool, checked_query(query)) {
        (Tool::SearchArticles, Ok(query)) => Wanted::Articles(query),
        (_, Ok(query)) => Wanted::Listings { query, filters },
        (Tool::SearchListings, Err(_)) if query.is_empty() && filters != Filters::default() => {
            Wanted::Listings { query: String::new(), filters }
        }
        _ => Wanted::Unreadable("query must have 1 to 500 characters"),
    }
}

impl Found {
    /// What the model is told, as JSON.
    pub(super) fn told(&self, call: &Call) -> String {
        let told = match (self, &call.wanted) {
            (Self::Listings(listings), _) => json!({ "listings": listings.iter().map(listing).collect::<Vec<_>>() }),
            (Self::Articles(passages), _) => json!({ "passages": passages.iter().map(passage).collect::<Vec<_>>() }),
            (Self::PersonCalled, _) => json!({ "result": "The team has been told. Somebody will answer here." }),
            (Self::Failed, Wanted::Unreadable(why)) => json!({ "error": why }),
            (Self::Failed, _) => json!({ "error": "this cannot be done right now" }),
        };
        told.to_string()
    }
}

fn listing(listing: &Listing) -> Value {
    json!({
        "title": listing.title,
        "category": listing.category,
        "price": listing.price,
        "description": listing.description.as_deref().map(|text| cut(text, DESCRIPTION_CHARS)),
    })
}

fn passage(passage: &Passage) -> Value {
    json!({ "article": passage.title, "heading": passage.heading, "text": cut(&passage.text, PASSAGE_CHARS) })
}

/// The first `limit` characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.char_indices().nth(limit).and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::listing::Price;

    fn wanted(name: &str, arguments: &str) -> Wanted {
        Call::read("1".into(), name.into(), arguments, &[Tool::SearchListings, Tool::SearchArticles]).wanted
    }

    #[test]
    fn calls_are_read_leniently() {
        let filters = Filters { max_price: Price::parse(500.0).ok(), ..Filters::default() };
        let expected = Wanted::Listings { query: "macbook".into(), filters: filters.clone() };
        assert_eq!(wanted("search_listings", r#"{"query":" macbook ","maxPrice":"$500","category":null}"#), expected);
        let expected = Wanted::Listings { query: String::new(), filters };
        assert_eq!(wanted("search_listings", r#"{"max_price":500}"#), expected);
        assert_eq!(wanted("search_articles", r#"{"query":"returns"}"#), Wanted::Articles("returns".into()));
    }

    #[test]
    fn nonsense_becomes_a_reason_for_the_model() {
        let long = format!("{{\"query\":\"{}\"}}", "x".repeat(501));
        for (name, arguments, why) in [
            ("drop_tables", "{}", "no such tool"),
            ("call_person", "{}", "no such tool"),
            ("search_articles", "{\"query\":", "not a JSON object"),
            ("search_articles", "[]", "not a JSON object"),
            ("search_articles", "{\"query\":7}", "1 to 500"),
            ("search_listings", "", "1 to 500"),
            ("search_listings", &long, "1 to 500"),
        ] {
            let call = Call::read("1".into(), name.into(), arguments, &[Tool::SearchListings, Tool::SearchArticles]);
            assert!(matches!(call.wanted, Wanted::Unreadable(_)), "{name} {arguments}");
            assert!(Found::Failed.told(&call).contains(why), "{name} {arguments}");
            assert!(call.arguments.starts_with('{'));
        }
    }
}
