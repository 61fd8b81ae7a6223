//! Rewrites a provider's event stream so that only readable events reach async-openai, which otherwise puts
//! what it cannot read, message text included, into the log.

use std::io;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::chunk::Chunk;

/// Far more than an answer of the greatest length needs; a provider beyond it is broken or hostile.
const MAX_BODY: usize = 64 << 20;
/// The longest line that is waited for.
const MAX_LINE: usize = 1 << 20;
/// What an unreadable event becomes: an in-band error, which fails the answer.
const UNREADABLE: &[u8] = br#"{"error":{"code":"unreadable_event"}}"#;

/// The same events, one `data:` line each; comments and other fields are left out.
pub(super) fn guard<S>(body: S) -> impl Stream<Item = io::Result<Bytes>> + Send
where
    S: Stream<Item = reqwest::Result<Bytes>> + Send + Unpin,
{
    let guard = Guard { body, line: Vec::new(), seen: 0, ended: false };
    stream::unfold(guard, |mut guard| async move {
        let item = guard.next().await?;
        Some((item, guard))
    })
}

struct Guard<S> {
    body: S,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    seen: usize,
    ended: bool,
}

impl<S: Stream<Item = reqwest::Result<Bytes>> + Unpin> Guard<S> {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        while !self.ended {
            let events = match self.body.next().await {
                Some(Ok(bytes)) => self.take(&bytes),
                Some(Err(error)) => Err(io::Error::other(error.without_url())),
                None => {
                    self.ended = true;
                    // A server that forgets the last line break has still said everything.
                    Ok(events(&std::mem::take(&mut self.line)))
                }
            };
            match events {
                Ok(events) if events.is_empty() => {}
                Ok(events) => return Some(Ok(Bytes::from(events))),
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.seen = self.seen.saturating_add(bytes.len());
        let Some(last) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            self.line.extend_from_slice(bytes);
            return self.check_size().map(|()| Vec::new());
        };
        let (whole, rest) = bytes.split_at(last);
        self.line.extend_from_slice(whole);
        let lines = std::mem::replace(&mut self.line, rest.to_vec());
        self.check_size().map(|()| events(&lines))
    }

    fn check_size(&self) -> io::Result<()> {
        if self.seen > MAX_BODY || self.line.len() > MAX_LINE {
            return Err(io::Error::other("the answer is too large"));
        }
        Ok(())
    }
}

/// The data lines among `lines`, each as an event of its own.
fn events(lines: &[u8]) -> Vec<u8> {
    let mut events = Vec::with_capacity(lines.len());
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else {
            continue;
        };
        if data.is_empty() {
            continue;
        }
        let readable = data == b"[DONE]" || (!data.contains(&b'\r') && serde_json::from_slice::<Chunk>(data).is_ok());
        events.extend_from_slice(b"data: ");
        events.extend_from_slice(if readable { data } else { UNREADABLE });
        events.extend_from_slice(b"\n\n");
    }
    events
}
