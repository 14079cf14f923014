//! Maps in memory. Changes run one at a time, on their callers' threads.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};

use crate::store::error::StoreError;
use crate::store::maps::{Change, Look, Map, Range, Visit};

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store in memory.
#[derive(Default)]
pub(super) struct Memory(Mutex<Maps>);

#[derive(Default)]
struct Maps {
    rows: [Rows; Map::ALL.len()],
    /// Set when a change failed or panicked half way: nothing is answered any more.
    failed: Option<StoreError>,
}

impl Memory {
    pub(super) fn look<T>(
        &self,
        look: impl FnOnce(&dyn Look) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        look(&*self.maps()?)
    }

    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut dyn Change) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut maps = self.maps()?;
        change(&mut *maps).inspect_err(|error| maps.failed = Some(error.clone()))
    }

    fn maps(&self) -> Result<MutexGuard<'_, Maps>, StoreError> {
        let maps = self
            .0
            .lock()
            .map_err(|_| StoreError::new("a request panicked while it changed the tables in memory"))?;
        match &maps.failed {
            Some(error) => Err(error.clone()),
            None => Ok(maps),
        }
    }
}

impl Look for Maps {
    fn get(&self, map: Map, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.rows[map as usize].get(key).cloned())
    }

    fn visit(
        &self,
        map: Map,
        range: Range<'_>,
        backwards: bool,
        visit: &mut Visit<'_>,
    ) -> Result<(), StoreError> {
        if is_empty(range) {
            return Ok(());
        }
        let mut rows = self.rows[map as usize].range::<[u8], _>(range);
        let mut next = || if backwards { rows.next_back() } else { rows.next() };
        while let Some((key, value)) = next() {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl Change for Maps {
    fn put(&mut self, map: Map, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let rows = &mut self.rows[map as usize];
        match rows.get_mut(key) {
            Some(there) => {
                there.clear();
                there.extend_from_slice(value);
            }
            None => drop(rows.insert(key.to_vec(), value.to_vec())),
        }
        Ok(())
    }

    fn remove(&mut self, map: Map, key: &[u8]) -> Result<(), StoreError> {
        self.rows[map as usize].remove(key);
        Ok(())
    }
}

/// Whether no key can be in it; a `BTreeMap` panics where it ends before it begins.
pub(super) fn is_empty((from, to): Range<'_>) -> bool {
    match (from, to) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;

    fn keys(memory: &Memory, range: Range<'_>, backwards: bool) -> Vec<u8> {
        let mut keys = Vec::new();
        let looked = memory.look(|look| {
            look.visit(Map::Items, range, backwards, &mut |key, _| {
                keys.push(key[0]);
                ControlFlow::Continue(())
            })
        });
        looked.expect("it answers");
        keys
    }

    #[test]
    fn ranges_go_both_ways_and_may_be_empty() {
        let memory = Memory::default();
        memory
            .change(|change| (1..=5).try_for_each(|n| change.put(Map::Items, &[n], b"value")))
            .expect("it changes");
        let (two, four) = (&[2][..], &[4][..]);
        let all = (Bound::Unbounded, Bound::Unbounded);
        assert_eq!(keys(&memory, all, true), [5, 4, 3, 2, 1]);
        assert_eq!(
            keys(&memory, (Bound::Excluded(two), Bound::Included(four)), false),
            [3, 4]
        );
        for empty in [
            (Bound::Included(four), Bound::Included(two)),
            (Bound::Excluded(two), Bound::Excluded(two)),
        ] {
            assert!(keys(&memory, empty, false).is_empty());
        }
    }
}
