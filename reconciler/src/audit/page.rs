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
