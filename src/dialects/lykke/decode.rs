//! Lykke frames → commands.

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::super::raw::{Request, Tag, Wishes, object, text};
use crate::domain::{
    command::{Backlog, Command},
    conversation::Kind,
    error::Error,
    ids::{ClientMessageId, ConversationId},
    message::{Content, NewMessage},
};

#[derive(Deserialize)]
struct Send {
    content: String,
    #[serde(default)]
    message_id: Option<ClientMessageId>,
}

#[derive(Deserialize)]
struct Typing {
    is_typing: bool,
}

/// Reads the parameters of the address.
pub(super) fn open(
    parameter: &dyn Fn(&str) -> Option<String>,
    bound: Option<&ConversationId>,
) -> Result<Wishes, Error> {
    let conversation = bound.cloned().ok_or(Error::NotFound("conversation"))?;
    let history: Option<u32> = number(parameter, "history")?;
    // Whoever names a place in the log wants exactly what is behind it.
    let backlog = match number(parameter, "after_seq")? {
        Some(seq) => Backlog::After(seq),
        None => history.filter(|count| *count > 0).map_or(Backlog::None, Backlog::Latest),
    };
    let command = Command::Join { conversation, backlog, kind_if_new: Kind::Assistant };
    let chunks = parameter("stream").as_deref() == Some("1");
    Ok(Wishes { command: Some(command), chunks, ..Wishes::default() })
}

fn number<T: std::str::FromStr>(parameter: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Option<T>, Error> {
    let wrong = || Error::Invalid(format!("{name} must be a whole number").into());
    parameter(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
}

/// Reads one frame.
pub(super) fn decode(frame: &str, bound: Option<&ConversationId>) -> Request {
    Request { tag: Tag::default(), command: command(frame, bound) }
}

fn command(frame: &str, bound: Option<&ConversationId>) -> Result<Command, Error> {
    let fields = object(frame)?.ok_or_else(|| Error::invalid("expected an object with a type"))?;
    let conversation = bound.cloned().ok_or(Error::NotFound("conversation"))?;
    match text(&fields, "type") {
        Some("user_message") => {
            let Send { content, message_id } = read(fields)?;
            let new = NewMessage::new(conversation, Content::parse(content)?, Kind::Assistant);
            Ok(Command::PostMessage(NewMessage { client_message_id: message_id, ..new }))
        }
        Some("typing") => {
            let Typing { is_typing } = read(fields)?;
            Ok(Command::SetTyping { conversation, typing: is_typing })
        }
        other => Err(Error::UnknownEvent(other.unwrap_or_default().chars().take(64).collect())),
    }
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Error> {
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| Error::Invalid(format!("malformed message: {error}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_of_the_log_is_wanted() {
        let id = ConversationId::trusted("c");
        let wish = |pairs: &'static [(&'static str, &'static str)]| {
            let parameter =
                |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            open(&parameter, Some(&id))
        };
        let backlog = |pairs| match wish(pairs).unwrap().command {
            Some(Command::Join { backlog, .. }) => backlog,
            other => panic!("{other:?}"),
        };
        assert_eq!(backlog(&[]), Backlog::None);
        assert_eq!(backlog(&[("history", "20")]), Backlog::Latest(20));
        assert_eq!(backlog(&[("history", "20"), ("after_seq", "0")]), Backlog::After(0));
        assert!(wish(&[("history", "many")]).is_err());
        assert!(wish(&[("stream", "1")]).unwrap().chunks);
    }

    #[test]
    fn frames_are_read_or_refused() {
        let id = ConversationId::trusted("c");
        let heard = |frame| decode(frame, Some(&id)).command;
        assert!(matches!(heard(r#"{"type":"user_message","content":"Hi"}"#), Ok(Command::PostMessage(_))));
        assert!(matches!(heard(r#"{"type":"typing","is_typing":true}"#), Ok(Command::SetTyping { typing: true, .. })));
        assert!(matches!(heard(r#"{"type":"user_message"}"#), Err(Error::Invalid(_))));
        assert!(matches!(heard(r#"{"type":"user_message","content":" "}"#), Err(Error::Invalid(_))));
        assert!(matches!(heard("[]"), Err(Error::Invalid(_))));
        assert!(matches!(heard(r#"{"type":"ping"}"#), Err(Error::UnknownEvent(_))));
        assert!(matches!(heard("nonsense"), Err(Error::InvalidJson)));
    }
}
