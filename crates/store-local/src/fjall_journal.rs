//! Cutting a torn end off fjall's journal.
//!
//! A machine that loses power in the midst of a sync may have kept any pages of the last group:
//! its end marker, say, and not its middle. fjall 3.1 then refuses to open ("checksum mismatch")
//! or trusts a length that is none, although nothing acknowledged is missing: a group is answered
//! after its sync, and none is written before the one before it is synced. So before fjall opens,
//! this looks for the last whole batch and cuts what is behind it; unless whole batches lie
//! behind the damage, which is then no torn end but a damaged file.
//!
//! A batch of fjall 3 without compression, all numbers little endian:
//! `1 count:u32 seqno:u64`, then `count` times `2 kind:u8 0 keyspace:u64 key:u16 value:u32
//! stored:u32 <key> <value>` or `4 keyspace:u64`, then `3 xxh3-of-the-items:u64 "FJL" 3`.

use crate::directory::unavailable;
use rustix::fs::SeekFrom;
use sereno_store::{Result, StoreError};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// Leaves whole batches only. `relaxed`: commits were not synced one by one, so whole
/// batches behind the damage are no proof against it; they are younger and go too.
pub fn cut_torn_end(folder: &Path, relaxed: bool) -> Result<()> {
    let Some(path) = newest(folder).map_err(|error| unavailable("cannot list", folder, &error))?
    else {
        return Ok(());
    };
    let journal = content(&path).map_err(|error| unavailable("cannot read", &path, &error))?;
    let mut whole = 0;
    while let Some(end) = batch_end(&journal, whole) {
        whole = end;
    }
    if journal[whole..].iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    let later = (whole + 1..journal.len()).find(|at| batch_end(&journal, *at).is_some());
    if let (Some(later), false) = (later, relaxed) {
        return Err(StoreError::Corrupt(format!(
            "{} is damaged at byte {whole}, and commits lie behind it (from byte {later}): restore a backup; \
             if the server ran with relaxed durability when the machine stopped, open it so once to keep what is before the damage",
            path.display()
        )));
    }
    let cut = || {
        let file = File::options().write(true).open(&path)?;
        file.set_len(whole as u64)?;
        file.sync_all()
    };
    cut().map_err(|error| unavailable("cannot cut", &path, &error))?;
    Ok(())
}

/// The journal that was written last; older ones were synced when they were left.
fn newest(folder: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut newest = None;
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".jnl"));
        if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
            newest = newest.max(Some((number, path)));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// The file without the zeros that were reserved behind its end: 64 MiB of them at first.
fn content(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut end = 0;
    // Data behind a hole counts: a page before it may have been lost.
    while let Ok(data) = rustix::fs::seek(&file, SeekFrom::Data(end)) {
        end = rustix::fs::seek(&file, SeekFrom::Hole(data))?;
    }
    file.rewind()?;
    let mut content = Vec::with_capacity(usize::try_from(end).unwrap_or(0));
    file.take(end).read_to_end(&mut content)?;
    Ok(content)
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let digits: &[u8; N] = bytes.get(at..)?.first_chunk()?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(digits);
    usize::try_from(u64::from_le_bytes(wide)).ok()
}

/// Where the batch that starts at `at` ends, if it is whole.
fn batch_end(journal: &[u8], at: usize) -> Option<usize> {
    if *journal.get(at)? != 1 {
        return None;
    }
    let count = number::<4>(journal, at + 1)?;
    let items = at + 13;
    let mut end = items;
    for _ in 0..count {
        let length = match *journal.get(end)? {
            2 => 21 + number::<2>(journal, end + 11)? + number::<4>(journal, end + 17)?,
            4 => 9,
            _ => return None,
        };
        end = end.checked_add(length).filter(|end| *end <= journal.len())?;
    }
    let checksum = xxh3_64(journal.get(items..end)?).to_le_bytes();
    let marker = journal.get(end..end + 13)?;
    let is_whole = marker[0] == 3 && marker[1..9] == checksum && marker[9..] == *b"FJL\x03";
    is_whole.then_some(end + 13)
}
