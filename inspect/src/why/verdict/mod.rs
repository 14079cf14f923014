//! From what was observed to one answer. Pure: what is not known is said to be unknown, and never guessed.

mod due;
pub mod facts;
pub mod open;
pub mod unseen;

use crate::why::verdict::facts::{Observed, Verdict};
use crate::why::verdict::facts::{Seen, Situation};
use crate::wording::{text, time};
#[cfg(test)]
mod tests;

use daybook_schema::{Kind, Outcome, Receipt};

use crate::aws::s3::Head;

/// The answer.
pub fn verdict(seen: &Observed) -> Verdict {
    let is_open = |one: &&Seen| !one.is_done;
    if let Some(newest) = seen.open.iter().rev().find(is_open) {
        return open::verdict(seen, newest).also(others(seen)).also(earlier(seen));
    }
    if let Some(left) = seen.open.last() {
        let done = "A receipt says that it is done; only its row is still there.";
        let next = "Nothing: the next sweep deletes the row.";
        return Verdict::new(Situation::DoneRowLeft, done, next).of(left.row.id);
    }
    let newest = seen.receipts.known().and_then(|receipts| receipts.first());
    let verdict = match newest {
        None => unseen::verdict(seen, None),
        Some(receipt) if is_replaced(seen, receipt) => unseen::verdict(seen, Some(receipt)),
        Some(receipt) => return closed(seen, receipt),
    };
    let rows = (seen.unreadable_rows > 0).then(|| {
        let rows = text::many(seen.unreadable_rows, "row");
        format!("{rows} of the ledger cannot be read by this release and may be about it: `daybook list` shows why")
    });
    verdict.unless("rows", rows.as_deref())
}

/// Whether what is there now was uploaded after what the receipt is about.
fn is_replaced(seen: &Observed, receipt: &Receipt) -> bool {
    let Some(Head::There(now)) = seen.object.known() else {
        return false;
    };
    let is_later = match (now.last_modified, receipt.order_at) {
        (Some(modified), Some(done)) => modified > done,
        _ => false,
    };
    receipt.kind == Kind::Created && is_later && now.etag.is_some() && now.etag != receipt.etag
}

fn closed(seen: &Observed, receipt: &Receipt) -> Verdict {
    let when = time::at(receipt.completed_at, seen.now);
    let by = &receipt.by;
    let why = receipt.why.as_deref();
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let verdict = match receipt.outcome {
        Outcome::Succeeded => Verdict::new(
            Situation::Done,
            format!("Done at {when} by {by}, in attempt {}{why}.", receipt.attempt),
            "Nothing.",
        ),
        Outcome::Removed => Verdict::new(
            Situation::Removed,
            format!("It was not processed: {by} removed it at {when}{why}."),
            "Nothing, unless that was a mistake: `daybook replay` runs it after all.",
        ),
    };
    // What a general event is about stands above the answer.
    let is_told = receipt.is_of_object() && receipt.kind != Kind::Created;
    let kind = is_told.then(|| format!("The event was: {}.", receipt.kind.as_str()));
    verdict.of(receipt.event_id).also(kind)
}

/// Other open events of the same object.
fn others(seen: &Observed) -> Option<String> {
    let open = seen.open.iter().filter(|one| !one.is_done).count() as u64;
    (open > 1).then(|| format!("Of the same object, {} before it.", is_open_still(open - 1)))
}

fn is_open_still(events: u64) -> String {
    match events {
        1 => "1 more event is open from".to_owned(),
        n => format!("{n} more events are open from"),
    }
}

/// What was done before of an object that is open again.
fn earlier(seen: &Observed) -> Option<String> {
    let receipts = seen.receipts.known()?;
    let done = receipts.iter().find(|it| it.outcome == Outcome::Succeeded)?;
    // Of a general event, which is nobody's successor: it was replayed.
    let what = match done.is_of_object() {
        true => "An earlier event of the object was",
        false => "The event was",
    };
    Some(format!(
        "{what} done at {} by {}.",
        time::at(done.completed_at, seen.now),
        done.by
    ))
}
