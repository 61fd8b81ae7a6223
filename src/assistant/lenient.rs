//! Reading JSON that a model wrote: numbers as words, other spellings, nulls in every guise.

use serde_json::Value;

use crate::domain::listing::Price;

/// The JSON object in a model's text: bare, in a code fence, or between sentences.
pub(super) fn object(text: &str) -> Option<Value> {
    let text = text.get(text.find('{')?..=text.rfind('}')?)?;
    serde_json::from_str::<Value>(text).ok().filter(Value::is_object)
}

/// The first of these fields that is there and says something.
pub(super) fn field<'a>(object: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().find_map(|name| object.get(name).filter(|value| says_something(value)))
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => {
            let text = text.trim().to_lowercase();
            !["", "null", "none", "any", "all", "n/a", "undefined"].contains(&text.as_str())
        }
        _ => true,
    }
}

/// A price as a number, or as text such as `$1,200.50`; one that cannot be is none.
pub(super) fn price(value: &Value) -> Option<Price> {
    let amount = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let digits: String = text.chars().filter(|c| c.is_ascii_digit() || ".-".contains(*c)).collect();
            digits.parse().ok()
        }
        _ => None,
    };
    Price::parse(amount?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_found_between_other_text() {
        let object = |text| super::object(text).map(|value| value.to_string());
        assert_eq!(object("{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(object("Sure!\n```json\n{\"a\": {\"b\": 2}}\n```\nDone.").as_deref(), Some("{\"a\":{\"b\":2}}"));
        for nonsense in ["", "no", "}{", "[1]", "{\"a\":", "{a}"] {
            assert!(object(nonsense).is_none(), "{nonsense:?}");
        }
    }

    #[test]
    fn prices_are_read_from_numbers_and_words() {
        let cents = |value| price(&value).map(Price::cents);
        assert_eq!(cents(json!(500)), Some(50_000));
        assert_eq!(cents(json!("$1,200.50")), Some(120_050));
        assert_eq!(cents(json!("20 EUR")), Some(2_000));
        for nothing in [json!(-5), json!("cheap"), json!(1e300), json!([5]), json!("1.2.3"), json!(null)] {
            assert_eq!(price(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn words_for_nothing_are_nothing() {
        let given = json!({ "a": null, "b": " None ", "c": "x", "d": 0 });
        assert_eq!(field(&given, &["a", "b", "c"]), Some(&json!("x")));
        assert_eq!(field(&given, &["a", "missing"]), None);
        assert_eq!(field(&given, &["d"]), Some(&json!(0)));
    }
}
