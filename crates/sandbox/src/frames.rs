//! Frames between the server and our bootstraps; `runtimes/README.md` has the table of kinds.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};

/// A response is at most 6 MB; a runtime that sends more is cut off here, before it fills our memory.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ready,
    StartFailed,
    Result,
    Error,
    Log,
    Printed,
    StreamStart,
    StreamChunk,
    StreamEnd,
}

pub struct Frame {
    pub kind: Kind,
    /// Empty when `too_long`.
    pub body: Bytes,
    /// Its length, when that was more than is kept.
    pub too_long: Option<usize>,
}

pub struct FrameReader {
    pipe: Receiver,
    buffer: BytesMut,
    /// Bytes of an oversized frame still to be thrown away, and what to answer then.
    skipping: Option<(Kind, usize, usize)>,
}

impl FrameReader {
    pub fn new(pipe: Receiver) -> FrameReader {
        FrameReader { pipe, buffer: BytesMut::with_capacity(4096), skipping: None }
    }

    /// The next frame; `None` when the other end is closed. Can be cancelled without loss.
    pub async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.pipe.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        if let Some((kind, length, left)) = &mut self.skipping {
            let now = (*left).min(self.buffer.len());
            self.buffer.advance(now);
            *left -= now;
            if *left > 0 {
                return Ok(None);
            }
            let frame = Frame { kind: *kind, body: Bytes::new(), too_long: Some(*length) };
            self.skipping = None;
            return Ok(Some(frame));
        }
        if self.buffer.len() < 5 {
            self.buffer.reserve(4096);
            return Ok(None);
        }
        let counted =
            u32::from_le_bytes([self.buffer[0], self.buffer[1], self.buffer[2], self.buffer[3]])
                as usize;
        let kind = kind_of(self.buffer[4])?;
        if counted == 0 {
            return Err(io::Error::other("the runtime sent an empty frame"));
        }
        if counted > FRAME_BYTES_MAX {
            self.buffer.advance(5);
            self.skipping = Some((kind, counted - 1, counted - 1));
            return self.take();
        }
        let end = 4 + counted;
        if self.buffer.len() < end {
            self.buffer.reserve(end - self.buffer.len());
            return Ok(None);
        }
        let mut frame = self.buffer.split_to(end);
        frame.advance(5);
        Ok(Some(Frame { kind, body: frame.freeze(), too_long: None }))
    }
}

fn kind_of(byte: u8) -> io::Result<Kind> {
    Ok(match byte {
        b'R' => Kind::Ready,
        b'F' => Kind::StartFailed,
        b'O' => Kind::Result,
        b'E' => Kind::Error,
        b'L' => Kind::Log,
        b'T' => Kind::Printed,
        b'S' => Kind::StreamStart,
        b'C' => Kind::StreamChunk,
        b'X' => Kind::StreamEnd,
        other => return Err(io::Error::other(format!("the runtime sent a frame of kind {other}"))),
    })
}

/// The first frame a runtime gets.
pub async fn send_settings(pipe: &mut Sender, settings: &[u8]) -> io::Result<()> {
    let mut head = BytesMut::with_capacity(5 + settings.len());
    head.put_u32_le(1 + settings.len() as u32);
    head.put_u8(b'I');
    head.put_slice(settings);
    pipe.write_all(&head).await
}

pub async fn send_invocation(pipe: &mut Sender, header: &[u8], payload: &[u8]) -> io::Result<()> {
    let counted = 1 + 4 + header.len() + payload.len();
    let mut head = BytesMut::with_capacity(9 + header.len() + payload.len().min(4096));
    head.put_u32_le(counted as u32);
    head.put_u8(b'V');
    head.put_u32_le(header.len() as u32);
    head.put_slice(header);
    if payload.len() <= 4096 {
        // One write, one wake-up of the reader.
        head.put_slice(payload);
        return pipe.write_all(&head).await;
    }
    pipe.write_all(&head).await?;
    pipe.write_all(payload).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> (FrameReader, Sender) {
        let (ours, theirs) = tokio::net::unix::pipe::pipe().unwrap();
        (FrameReader::new(theirs), ours)
    }

    #[tokio::test]
    async fn frames_arrive_whole_however_they_are_cut() {
        let (mut reader, mut pipe) = reader();
        let mut bytes = vec![];
        for body in ["one", "", "three"] {
            bytes.extend_from_slice(&(1 + body.len() as u32).to_le_bytes());
            bytes.push(b'T');
            bytes.extend_from_slice(body.as_bytes());
        }
        let writer = tokio::spawn(async move {
            for byte in bytes {
                pipe.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let mut bodies = vec![];
        while let Some(frame) = reader.next().await.unwrap() {
            assert_eq!(frame.kind, Kind::Printed);
            bodies.push(frame.body);
        }
        writer.await.unwrap();
        assert_eq!(bodies, ["one", "", "three"]);
    }

    #[tokio::test]
    async fn a_frame_too_long_is_told_not_kept() {
        let (mut reader, mut pipe) = reader();
        let length = FRAME_BYTES_MAX + 10;
        let writer = tokio::spawn(async move {
            pipe.write_all(&(1 + length as u32).to_le_bytes()).await.unwrap();
            pipe.write_all(b"O").await.unwrap();
            pipe.write_all(&vec![b'x'; length]).await.unwrap();
            pipe.write_all(&[1, 0, 0, 0, b'R']).await.unwrap();
        });
        let frame = reader.next().await.unwrap().unwrap();
        assert_eq!((frame.kind, frame.too_long), (Kind::Result, Some(length)));
        assert_eq!(reader.next().await.unwrap().unwrap().kind, Kind::Ready);
        writer.await.unwrap();
    }

    #[tokio::test]
    async fn nonsense_is_an_error() {
        let (mut reader, mut pipe) = reader();
        pipe.write_all(&[1, 0, 0, 0, b'?']).await.unwrap();
        assert!(reader.next().await.is_err());
    }
}
