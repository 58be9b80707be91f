//! AWS's event stream framing: messages with headers and check sums, one after the other.
//!
//! `total length, headers length, crc of these two | headers | payload | crc of all before`, all
//! big-endian: <https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html>.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, checksum};

/// The content type of a body of messages.
pub const CONTENT_TYPE: &str = "application/vnd.amazon.eventstream";

const TEXT: u8 = 7;
const PRELUDE: usize = 12;
const SUM: usize = 4;

/// A message whose headers are texts, which are all that services' events use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

impl Message {
    /// An event of a model's stream. `content_type` is left out where the event has no payload.
    pub fn event(name: &str, content_type: Option<&str>, payload: impl Into<Bytes>) -> Message {
        let mut headers = vec![(":event-type".to_owned(), name.to_owned())];
        if let Some(content_type) = content_type {
            headers.push((":content-type".to_owned(), content_type.to_owned()));
        }
        headers.push((":message-type".to_owned(), "event".to_owned()));
        Message { headers, payload: payload.into() }
    }

    /// An error that the model names, which ends the stream.
    pub fn exception(name: &str, payload: impl Into<Bytes>) -> Message {
        let headers = [
            (":exception-type", name),
            (":content-type", "application/json"),
            (":message-type", "exception"),
        ];
        Message {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            payload: payload.into(),
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// The message as it is sent. Names over 255 bytes and values over 65,535 are cut.
    pub fn encode(&self) -> Bytes {
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let name = &name.as_bytes()[..name.len().min(usize::from(u8::MAX))];
            let value = &value.as_bytes()[..value.len().min(usize::from(u16::MAX))];
            headers.push(name.len() as u8);
            headers.extend_from_slice(name);
            headers.push(TEXT);
            headers.extend_from_slice(&(value.len() as u16).to_be_bytes());
            headers.extend_from_slice(value);
        }
        let total = PRELUDE + headers.len() + self.payload.len() + SUM;
        let mut out = Vec::with_capacity(total);
        out.extend_from_slice(&(total as u32).to_be_bytes());
        out.extend_from_slice(&(headers.len() as u32).to_be_bytes());
        out.extend_from_slice(&crc(&out).to_be_bytes());
        out.extend_from_slice(&headers);
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(&crc(&out).to_be_bytes());
        out.into()
    }

    /// The first message of `bytes` and what follows it; `None` where it is not whole or not sound.
    pub fn decode(bytes: &Bytes) -> Option<(Message, Bytes)> {
        let word = |at: usize| -> Option<u32> {
            Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
        };
        let (total, headers) = (word(0)? as usize, word(4)? as usize);
        let sound = total >= PRELUDE + headers + SUM
            && bytes.len() >= total
            && word(8)? == crc(&bytes[..8])
            && word(total - SUM)? == crc(&bytes[..total - SUM]);
        if !sound {
            return None;
        }
        let mut message = Message::default();
        let mut rest = &bytes[PRELUDE..PRELUDE + headers];
        while let Some((&len, after)) = rest.split_first() {
            let name = after.get(..usize::from(len))?;
            let after = &after[name.len()..];
            let size = usize::from(u16::from_be_bytes(after.get(1..3)?.try_into().ok()?));
            let value = after.get(3..3 + size).filter(|_| after[0] == TEXT)?;
            rest = &after[3 + size..];
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
            message.headers.push((text(name)?, text(value)?));
        }
        message.payload = bytes.slice(PRELUDE + headers..total - SUM);
        Some((message, bytes.slice(total..)))
    }
}

fn crc(bytes: &[u8]) -> u32 {
    // Only 32 bits of the answer are used by this algorithm.
    checksum(CrcAlgorithm::Crc32IsoHdlc, bytes) as u32
}

#[cfg(test)]
mod tests {
    use super::Message;
    use bytes::Bytes;

    /// From botocore's vectors, `RPC JSON Event Stream`.
    const VECTOR: &str = "AAAAfgAAAE/Fo93GDTptZXNzYWdlLXR5cGUHAAVldmVudAs6ZXZlbnQtdHlwZQcAEGluaXRpYWwt\
        cmVzcG9uc2UNOmNvbnRlbnQtdHlwZQcACXRleHQvanNvbnsiSW5pdGlhbFJlc3BvbnNlIjogInNv\
        bWV0ZXh0In32mCSD";

    #[test]
    fn a_known_message() {
        let bytes = Bytes::from(sereno_base::base64_decode(VECTOR).expect("base64"));
        let (message, rest) = Message::decode(&bytes).expect("a message");
        assert!(rest.is_empty());
        assert_eq!(message.header(":event-type"), Some("initial-response"));
        assert_eq!(&message.payload[..], br#"{"InitialResponse": "sometext"}"#);
        assert_eq!(message.encode(), bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 1;
            assert_eq!(Message::decode(&damaged.into()), None, "byte {at}");
        }
    }

    #[test]
    fn events_read_back() {
        let event = Message::event("PayloadChunk", Some("application/octet-stream"), "data");
        let (read, rest) = Message::decode(&event.encode()).expect("a message");
        assert_eq!((read, rest.len()), (event, 0));
    }
}
