//! A frame: one thing to say, encoded once and shared by all who hear it.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

/// Room for the longest header of an unmasked WebSocket frame.
const HEADER_MAX: usize = 10;

/// FIN and opcode 1: a whole text message in one frame (RFC 6455 section 5.2).
const FIN_TEXT: u8 = 0x81;

/// One message in its final bytes. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Frame {
    kind: Kind,
    /// The whole unmasked WebSocket text frame.
    wire: Bytes,
    /// Where the JSON value stands in `wire`.
    json: Bytes,
}

/// How a transport that does not take ready WebSocket frames says the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A Socket.IO event.
    Event(&'static str),
    /// The acknowledgement of the client's event with this number.
    Ack(i64),
    /// Bare JSON; only WebSockets carry it.
    Text,
}

impl Frame {
    /// A Socket.IO event for namespace `/`: Engine.IO `4`, Socket.IO `2`, then `["name",body]`.
    pub fn event(name: &'static str, body: &impl Serialize) -> Self {
        let mut prefix = Vec::with_capacity(name.len() + 6);
        prefix.extend_from_slice(b"42[\"");
        prefix.extend_from_slice(name.as_bytes());
        prefix.extend_from_slice(b"\",");
        Self::build(Kind::Event(name), &prefix, body, b"]")
    }

    /// A Socket.IO acknowledgement: Engine.IO `4`, Socket.IO `3`, the number, then `[body]`.
    pub fn ack(id: i64, body: &impl Serialize) -> Self {
        Self::build(Kind::Ack(id), format!("43{id}[").as_bytes(), body, b"]")
    }

    /// A message that is JSON and nothing else.
    pub fn text(body: &impl Serialize) -> Self {
        Self::build(Kind::Text, b"", body, b"")
    }

    /// Writes header, prefix, JSON and what closes it into one buffer.
    fn build(kind: Kind, prefix: &[u8], body: &impl Serialize, suffix: &[u8]) -> Self {
        let mut buffer = vec![0; HEADER_MAX];
        buffer.extend_from_slice(prefix);
        let json_start = buffer.len();
        if serde_json::to_writer(&mut buffer, body).is_err() {
            // Our own view structs have string keys only, so this cannot happen; `null` keeps the frame well-formed.
            buffer.truncate(json_start);
            buffer.extend_from_slice(b"null");
        }
        let json_end = buffer.len();
        buffer.extend_from_slice(suffix);
        let start = write_header(&mut buffer);
        let whole = Bytes::from(buffer);
        Self { kind, wire: whole.slice(start..), json: whole.slice(json_start..json_end) }
    }

    /// The bytes for a WebSocket.
    #[must_use]
    pub const fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// Event, acknowledgement or bare text.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The event's name; empty for all else.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.kind {
            Kind::Event(name) => name,
            Kind::Ack(_) | Kind::Text => "",
        }
    }

    /// The JSON value alone, for transports that wrap it themselves.
    #[must_use]
    pub fn json(&self) -> Option<&RawValue> {
        serde_json::from_slice(&self.json).ok()
    }
}

/// Puts the WebSocket header right in front of the payload, inside the room kept for it, and returns where it begins.
fn write_header(buffer: &mut [u8]) -> usize {
    let length = buffer.len() - HEADER_MAX;
    let mut header = Vec::with_capacity(HEADER_MAX);
    header.push(FIN_TEXT);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => header.push(short),
        (_, Ok(medium)) => {
            header.push(126);
            header.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let start = HEADER_MAX - header.len();
    if let Some(room) = buffer.get_mut(start..HEADER_MAX) {
        room.copy_from_slice(&header);
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_shortest_header_for_their_length() {
        for (text, header) in [(10, 2), (200, 4), (70_000, 10)] {
            let frame = Frame::event("e", &"x".repeat(text));
            let payload = 4 + 1 + 2 + text + 2 + 1;
            assert_eq!(frame.wire().len(), header + payload, "{text}");
            assert_eq!(frame.wire()[0], FIN_TEXT);
            assert!(frame.wire().ends_with(b"\"]"));
        }
    }

    #[test]
    fn the_json_of_a_frame_is_its_body() {
        assert_eq!(Frame::event("e", &serde_json::json!({"a": 1})).json().unwrap().get(), r#"{"a":1}"#);
        let text = Frame::text(&serde_json::json!({"a": 1}));
        assert_eq!((&text.wire()[2..], text.json().unwrap().get()), (&br#"{"a":1}"#[..], r#"{"a":1}"#));
        let ack = Frame::ack(7, &true);
        assert_eq!(&ack.wire()[2..], b"437[true]");
        assert_eq!(ack.json().unwrap().get(), "true");
    }
}
