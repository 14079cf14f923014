//! What becomes of the parts of a payload that cannot be read: each is kept by itself, and very many are kept together.

use serde_json::value::RawValue;

use super::fault::Fault;

/// So many parts of one payload are kept one by one. Beyond it nobody looks at each, and a megabyte could become 300,000 rows.
const ALONE: usize = 1000;

/// The bytes of parts that are kept together, unless one is larger by itself: with its other attributes they fit into a row of
/// 400 KB.
const TOGETHER: usize = 256 * 1024;

/// A record, many of them, or a whole payload, that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What came, in a form that [`read`](super::read) takes again once the cause is mended: `{"Records":[…]}` around a
    /// record, with the record byte for byte as it came, or around many, or else the innermost payload itself.
    pub raw: String,
    /// Why it could not be read, for people. It names fields, limits and lengths, never a value (keys can be
    /// personal data), except for the topic and URL of an SNS confirmation.
    pub why: String,
}

/// What goes around a value that could not be read, so that `read` takes it again.
#[derive(Clone, Copy)]
pub(super) enum Wrap {
    Nothing,
    Records,
}

/// A part that cannot be read.
pub(super) struct Part {
    /// As it came.
    pub text: String,
    pub wrap: Wrap,
    pub fault: Fault,
}

/// The parts of one payload that cannot be read, in its order. Of very many only their text is held.
#[derive(Default)]
pub(super) struct Parts {
    alone: Vec<Part>,
    together: Option<Together>,
}

impl Parts {
    pub(super) fn push(&mut self, part: Part) {
        if let Some(together) = &mut self.together {
            return together.push(part);
        }
        self.alone.push(part);
        if self.alone.len() > ALONE {
            let together = self.together.insert(Together::default());
            self.alone.drain(..).for_each(|part| together.push(part));
        }
    }

    /// As they are to be kept.
    pub(super) fn kept(self) -> Vec<Unreadable> {
        match self.together {
            Some(together) => together.kept(),
            None => self.alone.into_iter().map(Part::alone).collect(),
        }
    }
}

/// Parts in groups.
#[derive(Default)]
struct Together {
    full: Vec<Unreadable>,
    last: Option<Group>,
}

struct Group {
    first: Part,
    records: String,
    count: usize,
}

impl Together {
    fn push(&mut self, part: Part) {
        let record = part.record();
        if let Some(group) = &mut self.last
            && group.records.len() + record.len() <= TOGETHER
        {
            group.records.push(',');
            group.records.push_str(&record);
            group.count += 1;
            return;
        }
        let begun = Group {
            first: part,
            records: record,
            count: 1,
        };
        self.full.extend(self.last.replace(begun).map(Group::kept));
    }

    fn kept(mut self) -> Vec<Unreadable> {
        self.full.extend(self.last.map(Group::kept));
        self.full
    }
}

impl Group {
    fn kept(self) -> Unreadable {
        let (count, records) = (self.count, self.records);
        match count {
            1 => self.first.alone(),
            _ => Unreadable {
                raw: format!("{{\"Records\":[{records}]}}"),
                why: format!(
                    "{count} parts of one payload cannot be read and are kept together; the first: {}",
                    self.first.fault
                ),
            },
        }
    }
}

impl Part {
    fn alone(self) -> Unreadable {
        Unreadable {
            raw: match self.wrap {
                Wrap::Nothing => self.text,
                Wrap::Records => format!("{{\"Records\":[{}]}}", self.text),
            },
            why: self.fault.to_string(),
        }
    }

    /// Its form in a list of records: as it came, or, where that is not JSON, as a message of SQS.
    fn record(&self) -> String {
        match serde_json::from_str::<&RawValue>(&self.text) {
            Ok(_) => self.text.clone(),
            Err(_) => {
                let body = serde_json::Value::from(self.text.as_str());
                format!("{{\"eventSource\":\"aws:sqs\",\"body\":{body}}}")
            }
        }
    }
}
