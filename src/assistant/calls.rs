//! Puts a model's calls together from the fragments in which they are streamed.

use serde_json::Value;

use super::tools::{Call, Tool};

/// A model that calls more at once is told nothing about the rest.
const CALLS_MAX: usize = 4;
/// The longest arguments of one call, in bytes; longer ones cannot be read.
const ARGUMENTS_MAX: usize = 16 << 10;
/// The longest id of a call that is repeated to its provider, in bytes.
const ID_MAX: usize = 256;

/// Calls that are being streamed.
#[derive(Default)]
pub(super) struct Calls(Vec<Draft>);

#[derive(Default)]
struct Draft {
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

impl Calls {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a fragment. Servers differ: some give no index, some the same index to every call, some no id, and some
    /// send the arguments as an object.
    pub(super) fn add(&mut self, fragment: &Value) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (index, id) = (fragment.get("index").and_then(Value::as_u64), text(fragment.get("id")));
        let function = fragment.get("function");
        let name = text(function.and_then(|function| function.get("name")));
        let continues = |draft: &Draft| {
            let is_same = index.is_none() || draft.index.is_none() || index == draft.index;
            is_same && (id.is_empty() || draft.id.is_empty() || id == draft.id)
        };
        // Without a name of its own a fragment can only belong to a call that is there.
        let may_continue = index.is_some() || !id.is_empty() || name.is_empty();
        let known = self.0.iter().rposition(continues).filter(|_| may_continue);
        if known.is_none() {
            if self.0.len() == CALLS_MAX {
                return;
            }
            self.0.push(Draft { index, ..Draft::default() });
        }
        let draft = match known {
            Some(position) => self.0.get_mut(position),
            None => self.0.last_mut(),
        };
        let Some(draft) = draft else { return };
        if draft.id.is_empty() {
            draft.id = id;
        }
        if draft.name.is_empty() {
            draft.name = name;
        }
        match function.and_then(|function| function.get("arguments")) {
            Some(Value::String(piece)) if draft.arguments.len() + piece.len() <= ARGUMENTS_MAX => {
                draft.arguments.push_str(piece);
            }
            // What is too long must not look whole.
            Some(Value::String(_)) => draft.arguments = "too long".to_owned(),
            Some(object @ Value::Object(_)) => {
                draft.arguments = object.to_string();
                if draft.arguments.len() > ARGUMENTS_MAX {
                    draft.arguments = "too long".to_owned();
                }
            }
            _ => {}
        }
    }

    /// The calls, in the order in which they began.
    pub(super) fn finish(&mut self, offered: &[Tool]) -> Vec<Call> {
        let drafts = std::mem::take(&mut self.0);
        let read = |draft: Draft| {
            let has_id = (1..=ID_MAX).contains(&draft.id.len());
            let id = if has_id { draft.id } else { format!("call_{}", uuid::Uuid::new_v4().simple()) };
            Call::read(id, draft.name, &draft.arguments, offered)
        };
        drafts.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::assistant::tools::Wanted;

    /// The queries of the calls that these fragments make.
    fn queries(fragments: &[Value]) -> Vec<String> {
        let mut calls = Calls::default();
        for fragment in fragments {
            calls.add(fragment);
        }
        let queries = calls.finish(&[Tool::SearchArticles]).into_iter().map(|call| match call.wanted {
            Wanted::Articles(query) => query,
            other => format!("{other:?}"),
        });
        queries.collect()
    }

    fn piece(index: Option<u64>, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
        json!({ "index": index, "id": id, "function": { "name": name, "arguments": arguments } })
    }

    #[test]
    fn fragments_of_many_servers_are_put_together() {
        let name = Some("search_articles");
        let whole = |query: &str| json!({ "query": query }).to_string();
        let openai = [
            piece(Some(0), Some("a"), name, ""),
            piece(Some(0), None, None, "{\"query\":"),
            piece(Some(1), Some("b"), name, "{\"query\":"),
            piece(Some(0), None, None, "\"one\"}"),
            piece(Some(1), None, None, "\"two\"}"),
        ];
        assert_eq!(queries(&openai), ["one", "two"]);
        let same_index =
            [piece(Some(0), Some("a"), name, &whole("one")), piece(Some(0), Some("b"), name, &whole("two"))];
        assert_eq!(queries(&same_index), ["one", "two"]);
        let no_index = [piece(None, Some("a"), name, &whole("one")), piece(None, Some("b"), name, &whole("two"))];
        assert_eq!(queries(&no_index), ["one", "two"]);
        let nothing = [piece(None, None, name, "{\"query\":"), piece(None, None, None, "\"one\"}")];
        assert_eq!(queries(&nothing), ["one"]);
        let bare = [piece(None, None, name, &whole("one")), piece(None, None, name, &whole("two"))];
        assert_eq!(queries(&bare), ["one", "two"]);
        let object = json!({ "function": { "name": "search_articles", "arguments": { "query": "one" } } });
        assert_eq!(queries(&[object]), ["one"]);
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: Vec<_> =
            (0..50).map(|n| piece(Some(n), None, Some("search_articles"), "{\"query\":\"x\"}")).collect();
        assert_eq!(queries(&many).len(), CALLS_MAX);
        let long: Vec<_> =
            (0..50).map(|_| piece(Some(0), Some("a"), Some("search_articles"), &" ".repeat(1000))).collect();
        assert!(queries(&long)[0].contains("not a JSON object"));
        let object = json!({ "query": "x", "more": "y".repeat(ARGUMENTS_MAX) });
        let object = json!({ "function": { "name": "search_articles", "arguments": object } });
        assert!(queries(&[object])[0].contains("not a JSON object"));
        let mut calls = Calls::default();
        calls.add(&piece(None, Some(&"i".repeat(1000)), Some("search_articles"), "{}"));
        assert!(calls.finish(&[Tool::SearchArticles])[0].id.len() <= ID_MAX);
    }
}
