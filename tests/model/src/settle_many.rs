//! Settling many together, as a model of its own: receipts inserted in one request, those it did not write put one by one, and rows
//! deleted together once their own receipts are certainly stored (`ledger/src/complete.rs`). Two uploads of one object, and one of
//! another; all three have succeeded.

use std::fmt;

use clap::ValueEnum;
use stateright::{Model, Property};

use crate::world::take_one;

/// Object, and S3's order of its uploads, by event.
const EVENTS: [(usize, u8); 3] = [(0, 1), (0, 2), (1, 1)];

const ALL: Set = 0b111;

/// Events, as bits.
type Set = u8;

/// A rule that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum SettleDefect {
    /// A receipt of which it is unknown whether it is stored counts as stored.
    UnknownIsStored,
    /// A receipt of its object that is there already counts as the event's own.
    DuplicateIsStored,
    /// A receipt that is put by itself takes the place of any other.
    PutOverNewer,
    /// Rows are deleted as soon as the request has been answered, whatever it says of each.
    AnsweredIsStored,
    /// A request has a receipt of one object twice, which fails it as a whole.
    ObjectTwice,
    /// A report is acknowledged when its row's deletion was sent.
    SentIsDeleted,
}

/// A call that settles these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// Their receipts go into one request.
    insert: Set,
    /// And these are put, one by one.
    put: Set,
    /// Certainly stored, and their rows not deleted yet.
    stored: Set,
}

/// How a request fares, of one of its statements; the others are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fares {
    /// Certainly not applied.
    Refused,
    /// Applied, and nobody knows.
    Unanswered,
    /// Not applied, and nobody knows.
    Unheard,
}

/// All there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Books {
    /// The newest upload that a receipt says is done, by object.
    receipts: [Option<u8>; 2],
    rows: Set,
    /// Successes that were reported and not acknowledged.
    reports: Set,
    /// Sorted.
    calls: Vec<Call>,
    broken: bool,
}

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// A call begins for those reports.
    Begin(Set),
    /// One request for the receipts of different objects.
    Insert(Call, Option<(usize, Fares)>),
    /// One receipt by itself.
    Put(Call, usize, Option<Fares>),
    /// One request for the rows whose receipts are stored.
    Delete(Call, Option<(usize, Fares)>),
    /// The call ends, wherever it is.
    Dies(Call),
}

/// Settling many, and what is planted.
#[derive(Clone, Copy, Debug, Default)]
pub struct SettleMany {
    /// How many calls at once.
    pub calls: usize,
    /// What is planted.
    pub defect: Option<SettleDefect>,
}

impl SettleMany {
    /// Small enough for every test run.
    pub const SMALL: Self = Self {
        calls: 2,
        defect: None,
    };

    fn has(&self, defect: SettleDefect) -> bool {
        self.defect == Some(defect)
    }

    /// The first of each object goes into the request, the others by themselves.
    fn begin(&self, reports: Set) -> Call {
        let (mut insert, mut objects) = (0, 0);
        for event in each(reports) {
            let object = 1u8 << EVENTS[event].0;
            if objects & object == 0 || self.has(SettleDefect::ObjectTwice) {
                insert |= 1 << event;
            }
            objects |= object;
        }
        let put = reports & !insert;
        let stored = 0;
        Call { insert, put, stored }
    }

    fn insert(&self, books: &mut Books, mut call: Call, other: Option<(usize, Fares)>) -> Call {
        let mut objects = 0u8;
        let twice = each(call.insert).any(|event| {
            let object = 1 << EVENTS[event].0;
            let before = objects;
            objects |= object;
            before & object != 0
        });
        if twice {
            // Refused as a whole, as often as it is sent.
            return Call { insert: 0, ..call };
        }
        for event in each(call.insert) {
            let this: Set = 1 << event;
            let (object, upload) = EVENTS[event];
            let fares = other.filter(|(of, _)| *of == event).map(|(_, fares)| fares);
            let is_free = books.receipts[object].is_none();
            if is_free && !matches!(fares, Some(Fares::Refused | Fares::Unheard)) {
                books.receipts[object] = Some(upload);
            }
            let stored = match fares {
                None => is_free || self.has(SettleDefect::DuplicateIsStored),
                Some(Fares::Refused) => false,
                Some(_) => self.has(SettleDefect::UnknownIsStored),
            };
            let certain = fares.is_none() || fares == Some(Fares::Refused);
            match stored || self.has(SettleDefect::AnsweredIsStored) {
                true => call.stored |= this,
                // What is unknown ends here: the report comes again.
                false if certain => call.put |= this,
                false => {}
            }
        }
        call.insert = 0;
        call
    }

    fn put(&self, books: &mut Books, mut call: Call, event: usize, fares: Option<Fares>) -> Call {
        let (object, upload) = EVENTS[event];
        let stored = &mut books.receipts[object];
        if !matches!(fares, Some(Fares::Refused | Fares::Unheard)) {
            let before = *stored;
            if before < Some(upload) || self.has(SettleDefect::PutOverNewer) {
                *stored = Some(upload);
            }
            books.broken |= *stored < before;
        }
        call.put &= !(1 << event);
        let unknown = matches!(fares, Some(Fares::Unanswered | Fares::Unheard));
        if fares.is_none() || unknown && self.has(SettleDefect::UnknownIsStored) {
            call.stored |= 1 << event;
        }
        call
    }

    fn delete(&self, books: &mut Books, mut call: Call, other: Option<(usize, Fares)>) -> Call {
        for event in each(call.stored) {
            let this: Set = 1 << event;
            let fares = other.filter(|(of, _)| *of == event).map(|(_, fares)| fares);
            if !matches!(fares, Some(Fares::Refused | Fares::Unheard)) {
                books.rows &= !this;
            }
            if fares.is_none() || self.has(SettleDefect::SentIsDeleted) {
                books.reports &= !this;
            }
        }
        call.stored = 0;
        call
    }

    fn after(&self, books: &Books, act: Act) -> Option<Books> {
        let mut next = books.clone();
        let call = match act {
            Act::Begin(reports) => {
                (reports & !next.reports == 0 && next.calls.len() < self.calls).then_some(())?;
                self.begin(reports)
            }
            Act::Insert(call, _) | Act::Put(call, ..) | Act::Delete(call, _) | Act::Dies(call) => {
                take_one(&mut next.calls, &call).then_some(())?;
                match act {
                    Act::Insert(_, other) => self.insert(&mut next, call, other),
                    Act::Put(_, event, fares) => self.put(&mut next, call, event, fares),
                    Act::Delete(_, other) => self.delete(&mut next, call, other),
                    _ => Call::default(),
                }
            }
        };
        if call != Call::default() {
            next.calls.push(call);
        }
        next.calls.sort_unstable();
        Some(next)
    }

    /// Whether everything that is reported ends when nothing more goes wrong, and the reports come again.
    fn drains(&self, books: &Books) -> bool {
        let mut books = books.clone();
        books.calls.clear();
        for _ in 0..4 {
            let reports = books.reports;
            let mut acts = Vec::new();
            books = self.after(&books, Act::Begin(reports)).unwrap_or(books);
            while let Some(call) = books.calls.first().copied() {
                acts.clear();
                self.steps(call, &mut acts);
                books = self.after(&books, acts[0]).unwrap_or(books);
            }
        }
        books.rows == 0 && books.reports == 0
    }

    /// What a call may do next, as if nothing went wrong first.
    fn steps(&self, call: Call, acts: &mut Vec<Act>) {
        let fares = [Fares::Refused, Fares::Unanswered, Fares::Unheard];
        if call.insert != 0 {
            acts.push(Act::Insert(call, None));
            for event in each(call.insert) {
                acts.extend(fares.map(|fares| Act::Insert(call, Some((event, fares)))));
            }
            return;
        }
        for event in each(call.put) {
            acts.push(Act::Put(call, event, None));
            acts.extend(fares.map(|fares| Act::Put(call, event, Some(fares))));
        }
        if call.stored != 0 {
            acts.push(Act::Delete(call, None));
            for event in each(call.stored) {
                acts.extend(fares.map(|fares| Act::Delete(call, Some((event, fares)))));
            }
        }
    }
}

impl Model for SettleMany {
    type State = Books;
    type Action = Act;

    fn init_states(&self) -> Vec<Books> {
        vec![Books {
            receipts: [None; 2],
            rows: ALL,
            reports: ALL,
            calls: Vec::new(),
            broken: false,
        }]
    }

    fn actions(&self, books: &Books, acts: &mut Vec<Act>) {
        acts.extend((1..=ALL).map(Act::Begin));
        let mut calls = books.calls.clone();
        calls.dedup();
        for call in calls {
            self.steps(call, acts);
            acts.push(Act::Dies(call));
        }
    }

    fn next_state(&self, books: &Books, act: Act) -> Option<Books> {
        self.after(books, act).filter(|next| next != books)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is gone has left a receipt", |_, books: &Books| {
                each(ALL & !books.rows).all(|event| {
                    let (object, upload) = EVENTS[event];
                    books.receipts[object] >= Some(upload)
                })
            }),
            Property::always("receipts get no older", |_, books: &Books| !books.broken),
            Property::always("what is acknowledged is gone", |_, books: &Books| {
                books.rows & !books.reports == 0
            }),
            Property::always(
                "everything drains when faults stop",
                |model: &SettleMany, books: &Books| !books.calls.is_empty() || model.drains(books),
            ),
            Property::sometimes("a row goes before another one's receipt", |_, books: &Books| {
                books.calls.iter().any(|call| call.put != 0) && books.rows != ALL
            }),
            Property::sometimes(
                "a newer receipt takes an older one's place",
                |_, books: &Books| books.rows & 1 == 0 && books.receipts[0] == Some(2),
            ),
        ]
    }
}

/// The events of a set.
fn each(set: Set) -> impl Iterator<Item = usize> {
    (0..EVENTS.len()).filter(move |event| set & (1 << event) != 0)
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(reports) => write!(f, "a call begins for {:?}", each(*reports).collect::<Vec<_>>()),
            Self::Insert(call, other) => write!(
                f,
                "inserts {:?}, {other:?}",
                each(call.insert).collect::<Vec<_>>()
            ),
            Self::Put(_, event, fares) => write!(f, "puts {event}, {fares:?}"),
            Self::Delete(call, other) => write!(
                f,
                "deletes {:?}, {other:?}",
                each(call.stored).collect::<Vec<_>>()
            ),
            Self::Dies(_) => write!(f, "a call ends"),
        }
    }
}
