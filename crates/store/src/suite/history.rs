//! Random transactions, recorded, and proven to be serialisable in an order that agrees with real
//! time.
//!
//! Every write is recognisable, and keys are never removed, so a history gives for each key the
//! order of its versions, and for each read the version that it saw. From these come the edges
//! of a graph: a version's writer → its readers, a version's readers → the next version's writer,
//! writer → next writer; and who had ended → who began later. The history is strictly
//! serialisable exactly if the graph has no cycle (Adya, "Weak Consistency", 1999; ranges are
//! reads of every key they could have shown, there or not).

use super::{Random, key};
use crate::{Batch, Check, Mutation, Range, Read, Result, Store, StoreError, Version, Write};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::task::yield_now;

type Shared = Arc<dyn Store>;

const KEYS: u64 = 12;
const TASKS: u64 = 6;
const ROUNDS: u64 = 120;

/// One that has committed.
#[derive(Clone, Debug, Default)]
struct Done {
    began: u64,
    ended: u64,
    /// The version of each key that was read; 0 for one that was not there.
    reads: BTreeMap<u64, Version>,
    writes: Vec<u64>,
    /// Of the commit, where there were writes.
    version: Version,
}

fn sort(key: u64) -> Vec<u8> {
    format!("{key:02}").into_bytes()
}

/// What the tests read is what the value says its writer was: versions cannot be mixed up.
fn seen(found: Option<(Version, Bytes)>) -> Version {
    found.map_or(0, |(version, _)| version)
}

async fn read_some(
    from: &(impl Read + ?Sized),
    random: &mut Random,
    done: &mut Done,
) -> Result<()> {
    if random.chance(3) {
        let (low, high) = (random.below(KEYS), random.below(KEYS));
        let (low, high) = (low.min(high), low.max(high));
        let mut range = Range::all(b"p".to_vec())
            .from(Bound::Included(sort(low)))
            .to(Bound::Included(sort(high)))
            .reverse(random.chance(2));
        if random.chance(2) {
            range = range.limit(1 + random.below(4) as usize);
        }
        let answer = from.range(&range).await?;
        let looked_at = range.seen(&answer);
        for number in (low..=high).filter(|number| looked_at.contains(&sort(*number))) {
            let found = answer.iter().find(|entry| entry.sort == sort(number));
            done.reads.insert(number, found.map_or(0, |entry| entry.version));
        }
    } else {
        let number = random.below(KEYS);
        done.reads.insert(number, seen(from.get(&key(sort(number))).await?));
    }
    Ok(())
}

async fn transaction(store: &Shared, random: &mut Random, done: &mut Done) -> Result<Version> {
    let mut txn = store.begin().await?;
    for _ in 0..1 + random.below(3) {
        read_some(&txn, random, done).await?;
        if random.chance(2) {
            yield_now().await;
        }
    }
    for _ in 0..random.below(3) {
        let number = random.below(KEYS);
        if !done.writes.contains(&number) {
            done.writes.push(number);
            txn.put(key(sort(number)), vec![0; random.below(20) as usize]);
        }
    }
    txn.commit().await
}

async fn batch(store: &Shared, random: &mut Random, done: &mut Done) -> Result<Version> {
    let number = random.below(KEYS);
    done.writes.push(number);
    let mut batch = Batch::new().with(Mutation::Put(key(sort(number)), Vec::new()));
    if random.chance(2) {
        let guard = random.below(KEYS);
        let version = seen(store.get(&key(sort(guard))).await?);
        done.reads.insert(guard, version);
        let check = if version == 0 { Check::Absent } else { Check::At(version) };
        batch = batch.check(key(sort(guard)), check);
        yield_now().await;
    }
    store.commit(batch).await
}

async fn one(store: &Shared, random: &mut Random, clock: &AtomicU64) -> Option<Done> {
    let mut done = Done { began: clock.fetch_add(1, Ordering::SeqCst), ..Done::default() };
    let committed = match random.below(4) {
        0 => batch(store, random, &mut done).await,
        1 => read_some(&**store, random, &mut done).await.map(|()| 0),
        _ => transaction(store, random, &mut done).await,
    };
    done.ended = clock.fetch_add(1, Ordering::SeqCst);
    match committed {
        Ok(version) => {
            done.version = version;
            Some(done)
        }
        Err(StoreError::Conflict) => None,
        Err(error) => panic!("{error}"),
    }
}

pub async fn random_transactions_are_serialisable(store: Shared) {
    let mut random = Random::new("random_transactions_are_serialisable");
    let clock = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (store, mut random, clock) = (store.clone(), random.fork(), clock.clone());
            tokio::spawn(async move {
                let mut history = Vec::new();
                for _ in 0..ROUNDS {
                    history.extend(one(&store, &mut random, &clock).await);
                }
                history
            })
        })
        .collect();
    let mut history = Vec::new();
    for task in tasks {
        history.extend(task.await.expect("no panic"));
    }
    assert!(history.len() as u64 > TASKS * ROUNDS / 10, "nearly everything conflicts");
    prove(&history);
}

/// Panics with the transactions of a cycle, if there is one.
fn prove(history: &[Done]) {
    // Each key's writers by version; nobody wrote version 0.
    let mut writers: BTreeMap<u64, BTreeMap<Version, usize>> = BTreeMap::new();
    for (index, done) in history.iter().enumerate() {
        for number in &done.writes {
            let twice = writers.entry(*number).or_default().insert(done.version, index);
            assert_eq!(twice, None, "two commits of version {}", done.version);
        }
    }
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); history.len()];
    for versions in writers.values() {
        for (one, two) in versions.values().zip(versions.values().skip(1)) {
            after[*one].push(*two);
        }
    }
    for (index, done) in history.iter().enumerate() {
        for (number, version) in &done.reads {
            let Some(versions) = writers.get(number) else { continue };
            if *version > 0 {
                let writer = versions.get(version);
                after[*writer.expect("what was read was written by a commit")].push(index);
            }
            let next = versions.range((Bound::Excluded(*version), Bound::Unbounded)).next();
            if let Some((_, writer)) = next {
                after[index].push(*writer);
            }
        }
        let later = history.iter().enumerate().filter(|(_, other)| done.ended < other.began);
        after[index].extend(later.map(|(other, _)| other));
        after[index].retain(|other| *other != index);
    }
    if let Some(cycle) = cycle(&after) {
        let cycle: Vec<&Done> = cycle.into_iter().map(|index| &history[index]).collect();
        panic!("not serialisable: {cycle:#?}");
    }
}

/// Some cycle of a graph; by depth-first search without recursion.
fn cycle(after: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut left = vec![false; after.len()];
    let mut on_path = vec![false; after.len()];
    for root in 0..after.len() {
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.pop() {
            if left[node] {
                continue;
            }
            on_path[node] = true;
            let Some(child) = after[node].get(next).copied() else {
                (left[node], on_path[node]) = (true, false);
                continue;
            };
            path.push((node, next + 1));
            if on_path[child] {
                let start = path.iter().position(|(other, _)| *other == child)?;
                return Some(path[start..].iter().map(|(other, _)| *other).collect());
            }
            if !left[child] {
                path.push((child, 0));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(
        began: u64,
        ended: u64,
        reads: &[(u64, Version)],
        writes: &[u64],
        version: Version,
    ) -> Done {
        let reads = reads.iter().copied().collect();
        Done { began, ended, reads, writes: writes.to_vec(), version }
    }

    #[test]
    fn serial_histories_pass() {
        prove(&[
            done(0, 1, &[], &[1], 1),
            done(2, 3, &[(1, 1)], &[2], 2),
            done(4, 5, &[(1, 1), (2, 2)], &[], 0),
            // Overlaps the writers and saw the state before them.
            done(0, 9, &[(1, 0), (2, 0)], &[], 0),
        ]);
    }

    #[test]
    #[should_panic(expected = "not serialisable")]
    fn a_write_skew_is_found() {
        prove(&[
            done(0, 1, &[], &[1, 2], 1),
            done(2, 5, &[(1, 1), (2, 1)], &[1], 2),
            done(3, 6, &[(1, 1), (2, 1)], &[2], 3),
        ]);
    }

    #[test]
    #[should_panic(expected = "not serialisable")]
    fn a_stale_read_is_found() {
        prove(&[done(0, 1, &[], &[1], 1), done(2, 3, &[(1, 0)], &[], 0)]);
    }

    #[test]
    #[should_panic(expected = "not serialisable")]
    fn a_torn_read_is_found() {
        prove(&[done(0, 5, &[], &[1, 2], 1), done(1, 6, &[(1, 1), (2, 0)], &[], 0)]);
    }
}
