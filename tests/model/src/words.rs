//! What happens, in words: the ways to a failure are read by people.

use std::fmt;

use crate::protocol::Action;
use crate::steps::How;
use crate::world::{CancelAt, DispatchAt, InvokeAt, Message, Process, SettleAt};

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upload(event) => write!(f, "S3 puts object {event} and tells the intake queue"),
            Self::NotifyAgain(event) => write!(f, "the notification of {event} comes once more"),
            Self::Begin(process) | Self::BeginFarAhead(process) => write!(f, "{process} begins"),
            Self::Step(process, how) => {
                let ends = match how {
                    How::Answered => "",
                    How::AnswerLost => " (the answer is lost)",
                    How::Refused => " (refused, or not shown)",
                    How::Waits => " (the queue is deep)",
                };
                write!(f, "{process}{ends}")
            }
            Self::Die(process) => write!(f, "{process}: dies before it"),
            Self::Due(event) => write!(f, "due_at of {event} passes"),
            Self::NextWindow => write!(f, "the next window begins"),
            Self::NothingOwed => write!(f, "a sweep finds nothing stale"),
            Self::NothingDue => write!(f, "a tick finds nothing due"),
            Self::End(one, ok, events) => {
                let how = if *ok { "succeeds" } else { "fails" };
                write!(
                    f,
                    "execution {}-{} {how}; {events} status events",
                    one.event, one.attempt
                )
            }
            Self::Newer(event) => write!(f, "the row of {event} is a newer release's"),
            Self::Back(event) => write!(f, "the newer release leaves the row of {event} as this one would"),
            Self::Lose(message) => write!(f, "the queue loses {message}"),
            Self::Double(message) => write!(f, "the queue delivers {message} twice"),
            Self::Expire(object) => write!(f, "the receipt of object {object} expires"),
            Self::Person(verb, event) => write!(f, "a person: {verb:?} {event}"),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let delivery = if self.first { "" } else { ", a repeated delivery" };
        write!(f, "message {}-{}{delivery}", self.event, self.attempt)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dispatch = |at: &DispatchAt, verb: &str, back: &str| match at {
            DispatchAt::Plan => "looks at executions, receipts and queue".to_owned(),
            DispatchAt::Renew => "renews".to_owned(),
            DispatchAt::DeleteDone => "deletes what a receipt covers".to_owned(),
            DispatchAt::MoveLease => "moves the lease".to_owned(),
            DispatchAt::Grant(_) => "takes from the budget".to_owned(),
            DispatchAt::Note(_) => "notes a backlog".to_owned(),
            DispatchAt::TakeOff => "takes the note of a backlog off".to_owned(),
            DispatchAt::Claim => verb.to_owned(),
            DispatchAt::Send(attempt) => format!("sends attempt {attempt}"),
            DispatchAt::GiveBack => back.to_owned(),
        };
        let settle = |at: &SettleAt| match at {
            SettleAt::Receipt | SettleAt::ReceiptLast => "writes the receipt".to_owned(),
            SettleAt::Delete => "deletes the row".to_owned(),
            SettleAt::Read => "reads the row".to_owned(),
            SettleAt::Fail {
                park, max_attempts, ..
            } => {
                let how = if *park { "parks it" } else { "fails the attempt" };
                format!("{how}, max_attempts {max_attempts}")
            }
            SettleAt::Acknowledge => "acknowledges".to_owned(),
            SettleAt::Return => "leaves the message".to_owned(),
        };
        match self {
            Self::Ingest {
                event, window, at, ..
            } => write!(f, "ingest of {event}, window {window}: {at:?}"),
            Self::Schedule {
                window,
                event,
                view,
                at,
                ..
            } => {
                let what = dispatch(at, "claims", "releases");
                let stale = if *at == DispatchAt::Claim && !view.fresh {
                    ", due_at not as it is"
                } else {
                    ""
                };
                write!(f, "schedule of {event}, window {window}: {what}{stale}")
            }
            Self::Sweep {
                window, event, at, ..
            } => {
                write!(
                    f,
                    "sweep of {event}, window {window}: {}",
                    dispatch(at, "redelivers", "unsends")
                )
            }
            Self::Invoke { message, at } => match at {
                InvokeAt::Settle(at) => write!(f, "invoke, {message}: {}", settle(at)),
                at => write!(f, "invoke, {message}: {at:?}"),
            },
            Self::Complete { status, at } => {
                write!(
                    f,
                    "complete of {}-{}: {}",
                    status.event,
                    status.attempt,
                    settle(at)
                )
            }
            Self::Cancel { event, attempt, at } => {
                let what = match at {
                    CancelAt::Park => "parks the row",
                    CancelAt::Stop => "stops the execution",
                };
                write!(f, "cancel of {event}-{attempt}: {what}")
            }
            Self::Remove { event, receipt } => {
                let what = if *receipt {
                    "deletes the row"
                } else {
                    "writes the receipt"
                };
                write!(f, "removal of {event}: {what}")
            }
        }
    }
}
