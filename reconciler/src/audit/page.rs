//! One page of an audit: what of it is judged, and what is counted and told of it.

use super::classify::Class;
use super::entry::{Entry, ListedObject, Marker, Page};
use super::report::{Batch, Checkpoint, Finding};
use super::settings::AuditSettings;

/// What is to be done about a page.
pub(super) struct Work<'a> {
    page: &'a Page,
    /// How many of its entries are within the limit.
    pub(super) taken: usize,
    /// All objects among those.
    pub(super) listed: Vec<&'a ListedObject>,
    /// The objects among those that are to be judged.
    pub(super) objects: Vec<&'a ListedObject>,
    /// Whether the limit ends the audit here.
    pub(super) is_cut: bool,
    /// Where the audit stands after it; none at the end of the listing.
    pub(super) marker: Option<Marker>,
    tells_done: bool,
}

impl<'a> Work<'a> {
    pub(super) fn of(page: &'a Page, settings: &AuditSettings, room: Option<u64>, by_version: bool) -> Self {
        let mut work = Self {
            page,
            taken: 0,
            listed: Vec::with_capacity(page.entries.len()),
            objects: Vec::with_capacity(page.entries.len()),
            is_cut: false,
            marker: page.next.clone(),
            tells_done: settings.tells_done,
        };
        for entry in &page.entries {
            work.taken += 1;
            let Entry::Object(object) = entry else {
                continue;
            };
            work.listed.push(object);
            if settings.is_within(object.last_modified) {
                work.objects.push(object);
            }
            if room.is_some_and(|room| work.objects.len() as u64 >= room) {
                work.cut(object, by_version);
                break;
            }
        }
        work
    }

    fn cut(&mut self, last: &ListedObject, by_version: bool) {
        if self.taken < self.page.entries.len() {
            self.marker = Some(self.page.behind(self.taken - 1, last, by_version));
        }
        self.is_cut = self.marker.is_some();
    }
}

impl Checkpoint {
    /// Counts a page that was judged, and gives what is to be told of it.
    pub(super) fn add(&mut self, work: &Work<'_>, classes: &[Class], gone: Vec<Finding>) -> Batch {
        let mut judged = work.objects.iter().zip(classes).peekable();
        let mut batch = Batch {
            findings: Vec::new(),
            objects: classes.len() as u64,
        };
        for entry in &work.page.entries[..work.taken] {
            let object = match entry {
                Entry::Unreadable(entry) => {
                    self.unreadable += 1;
                    batch.findings.push(Finding::Unreadable(entry.clone()));
                    continue;
                }
                Entry::Object(object) => object,
            };
            let Some((_, class)) = judged.next_if(|(judged, _)| std::ptr::eq(**judged, object)) else {
                self.outside += 1;
                continue;
            };
            self.tally.count(class, object.size);
            self.statement.count(object, class);
            if work.tells_done || *class != Class::Done {
                let (object, class) = (object.clone(), class.clone());
                batch.findings.push(Finding::Object { object, class });
            }
        }
        self.gone += gone.len() as u64;
        batch.findings.extend(gone);
        batch
    }
}

#[cfg(test)]
mod tests {
    use daybook_schema::Timestamp;

    use super::super::completeness::{Statement, Tally};
    use super::super::entry::{KeyMarker, RowMarker, UnreadableEntry};
    use super::super::settings::Scope;
    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-11-21T00:00:{second:02}Z").parse().unwrap()
    }

    fn object(key: &str, second: u32) -> Entry {
        Entry::Object(ListedObject {
            key: key.parse().unwrap(),
            version_id: None,
            etag: None,
            size: Some(1),
            last_modified: at(second),
            is_latest: true,
        })
    }

    fn unreadable() -> Entry {
        Entry::Unreadable(UnreadableEntry {
            key: "%ff".into(),
            cause: "its key is no UTF-8".into(),
        })
    }

    fn key(key: &str, version_id: Option<&str>) -> Marker {
        Marker::Key(KeyMarker {
            key: key.into(),
            version_id: version_id.map(str::to_owned),
        })
    }

    fn row(row: u64) -> RowMarker {
        RowMarker { file: 0, row }
    }

    /// Four entries, of which one is no object and one is of before the audit's time; a page of an inventory skips rows.
    fn page(next: Option<Marker>, rows: Vec<RowMarker>) -> Page {
        Page {
            entries: vec![object("a", 1), unreadable(), object("b", 0), object("c", 1)],
            listed_at: None,
            next,
            rows,
        }
    }

    fn settings() -> AuditSettings {
        AuditSettings {
            since: Some(at(1)),
            ..AuditSettings::new(Scope {
                source: Default::default(),
                bucket: "data".parse().unwrap(),
                prefix: String::new(),
            })
        }
    }

    #[test]
    fn a_limit_ends_an_audit_behind_the_last_object_that_it_takes() {
        let next = || Some(key("z", None));
        for (room, taken, is_cut, marker) in [
            (None, 4, false, next()),
            (Some(3), 4, false, next()),
            (Some(2), 4, true, next()),
            (Some(1), 1, true, Some(key("a", None))),
        ] {
            let page = page(next(), Vec::new());
            let work = Work::of(&page, &settings(), room, false);
            assert_eq!((work.taken, work.is_cut), (taken, is_cut), "{room:?}");
            assert_eq!(work.marker, marker, "{room:?}");
        }
        let page = page(next(), Vec::new());
        let by_version = Work::of(&page, &settings(), Some(1), true);
        assert_eq!(by_version.marker, Some(key("a", Some("null"))));
    }

    #[test]
    fn an_audit_that_takes_the_last_object_of_all_is_not_cut() {
        let page = page(None, Vec::new());
        for (room, is_cut, marker) in [
            (Some(3), false, None),
            (Some(2), false, None),
            (Some(1), true, Some(key("a", None))),
        ] {
            let work = Work::of(&page, &settings(), room, false);
            assert_eq!((work.is_cut, work.marker), (is_cut, marker), "{room:?}");
        }
    }

    #[test]
    fn the_place_in_an_inventory_is_behind_the_row_of_the_last_entry() {
        let rows: Vec<RowMarker> = [3, 5, 8, 9].map(row).into();
        let page = page(Some(Marker::Row(row(20))), rows);
        let cut = Work::of(&page, &settings(), Some(1), false);
        assert_eq!(cut.marker, Some(Marker::Row(row(3))));
        let whole = Work::of(&page, &settings(), Some(2), false);
        assert_eq!(whole.marker, Some(Marker::Row(row(20))));
        let mut all = settings();
        all.since = None;
        let two = Work::of(&page, &all, Some(2), false);
        assert_eq!(two.marker, Some(Marker::Row(row(8))));
    }

    #[test]
    fn each_entry_of_a_page_is_counted_once() {
        let settings = settings();
        let mut checkpoint = Checkpoint {
            scope: settings.scope.clone(),
            since: settings.since,
            until: None,
            inventory: None,
            marker: None,
            is_complete: false,
            tally: Tally::default(),
            statement: Statement::new(0, 10),
            gone: 0,
            unreadable: 0,
            outside: 0,
        };
        let page = page(None, Vec::new());
        let work = Work::of(&page, &settings, None, false);
        for pages in 1..=2 {
            let batch = checkpoint.add(&work, &[Class::Missing, Class::Done], Vec::new());
            assert_eq!((batch.objects, batch.findings.len()), (2, 2));
            assert!(
                matches!(&batch.findings[0], Finding::Object { object, .. } if object.key.as_str() == "a")
            );
            assert!(matches!(&batch.findings[1], Finding::Unreadable(_)));
            assert_eq!((checkpoint.unreadable, checkpoint.outside), (pages, pages));
            let tally = checkpoint.tally;
            assert_eq!(
                (tally.objects, tally.missing, tally.done),
                (2 * pages, pages, pages)
            );
        }
    }
}
