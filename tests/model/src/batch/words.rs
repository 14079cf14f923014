//! What happens to batches, in words.

use std::fmt;

use super::{Act, At, Message, Name, Process, each};

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch(batch) => write!(f, "b-{batch}"),
            Self::Alone(batch, event) => write!(f, "b-{batch}-{event}"),
            Self::Single(event, attempt) => write!(f, "{event}-{attempt}"),
        }
    }
}

fn events(set: u8) -> String {
    let events: Vec<String> = each(set).map(|event| event.to_string()).collect();
    events.join(", ")
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = if self.first { "" } else { ", a repeated delivery" };
        write!(
            f,
            "message {} with {}{delivery}",
            self.name,
            events(self.rows.events)
        )
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let does = |at: &At| match at {
            At::Look => "reads the rows".to_owned(),
            At::Start(rows) => format!("starts with {}", events(*rows)),
            At::Occupy(_) => "takes the name".to_owned(),
            At::Describe(..) => "reads the execution".to_owned(),
            At::Write(writes) => format!("writes {writes:?}"),
        };
        match self {
            Self::Schedule { batch, rows, .. } => {
                write!(f, "the scheduler with batch {batch} of {}", events(rows.events))
            }
            Self::Late { batch, event, .. } => write!(f, "a claim of {event} for batch {batch}"),
            Self::Invoke(message, at) => write!(f, "the invoker with {message}: {}", does(at)),
            Self::Complete(name, at) => write!(f, "complete of {name}: {}", does(at)),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(rows, other, _) => match other {
                None => write!(f, "a claim call for {}", events(*rows)),
                Some((event, how)) => write!(f, "a claim call for {}, {event}: {how:?}", events(*rows)),
            },
            Self::Send(process, name) => write!(f, "{process} sends {name}"),
            Self::Surplus(process, event) => write!(f, "{process} releases {event}"),
            Self::Arrives(process) => write!(f, "{process} arrives"),
            Self::Step(process) => write!(f, "{process}"),
            Self::Blind(process) => write!(f, "{process} (and cannot)"),
            Self::Dies(process) => write!(f, "{process}: dies before it"),
            Self::Receive(message) => write!(f, "an invoker receives {message}"),
            Self::Told(name) => write!(f, "complete is told of {name}"),
            Self::Double(message) => write!(f, "the queue has {message} twice"),
            Self::Redeliver(rows) => write!(f, "the sweep sends {} again", events(*rows)),
            Self::SeenRunning(event) => write!(f, "the sweep sees the execution of {event} run"),
            Self::Ends(one, end) => write!(f, "execution {} ends: {end:?}", one.name),
            Self::Again(event) => write!(f, "{event} is recorded again"),
            Self::Release(event) => write!(f, "a person releases {event}"),
            Self::Fail(event) => write!(f, "a person calls {event} failed"),
            Self::Remove(event) => write!(f, "a person removes {event}"),
            Self::Redrive(event) => write!(f, "a person redrives {event}"),
        }
    }
}
