//! A batch for people: its execution, and its events one by one.

use daybook_inspect::lookup::batch::{Batch, Member, MemberRow};
use daybook_inspect::wording::text;
use daybook_ledger::Lookup;
use daybook_schema::{BatchName, Timestamp};

use crate::commands::inspect::show::timeline;
use crate::ui::{escape, table};

/// For people. Of a folder, whose events workers run, there are no executions.
pub fn text(found: &Batch, is_local: bool, now: Timestamp) -> String {
    let name = BatchName {
        batch: found.id,
        alone: None,
    };
    let execution = match &found.execution {
        Some(lookup) => timeline::execution_text(name.into(), lookup, now),
        None if is_local => "none: workers run its events".to_owned(),
        None => "not asked: no state machine is named".to_owned(),
    };
    let names = match (&found.named, &found.execution) {
        (Some(named), _) => text::many(named.len() as u64, "event"),
        (None, Some(Lookup::Absent)) => "no events: there is no execution".to_owned(),
        (None, Some(Lookup::Found(_))) => "unknown: its input cannot be read".to_owned(),
        (None, Some(Lookup::Unknown(_)) | None) => "unknown".to_owned(),
    };
    let bearing = text::many(found.bearing() as u64, "claimed row");
    let mut text = format!(
        "Batch {}\n  execution   {execution}\n  names       {names}\n  now         {bearing} in it; all claimed rows were read\n",
        found.id
    );
    if found.unreadable > 0 {
        let rows = text::many(found.unreadable, "claimed row");
        text.push_str(&format!(
            "  unreadable  {rows} by this release; any may be in it\n"
        ));
    }
    if !found.members.is_empty() {
        let header = ["id", "named", "row", "object"];
        let cells = found.members.iter().map(|(id, member)| {
            let event = member.event.as_ref();
            vec![
                id.to_string(),
                named(found, member),
                row(member),
                event.map_or_else(|| "unknown".to_owned(), escape::event_uri),
            ]
        });
        text.push('\n');
        text.push_str(&table::table(
            &header,
            &[0, 1, 2],
            cells.collect(),
            table::terminal_width(),
        ));
    }
    text
}

fn named(found: &Batch, member: &Member) -> String {
    match (member.named, &found.named) {
        (Some(attempt), _) => format!("at attempt {attempt}"),
        (None, Some(_)) => "no".to_owned(),
        (None, None) if matches!(found.execution, Some(Lookup::Absent)) => "no".to_owned(),
        (None, None) => "unknown".to_owned(),
    }
}

/// What became of an event.
fn row(member: &Member) -> String {
    match &member.row {
        MemberRow::Bears(row) if row.alone => format!("{}, attempt {}, by itself", row.status, row.attempt),
        MemberRow::Bears(row) => format!("{}, attempt {}", row.status, row.attempt),
        MemberRow::Other(row) => format!("{}, attempt {}, not in it any more", row.status, row.attempt),
        MemberRow::Gone => "none: done or removed".to_owned(),
        MemberRow::Unknown => "unknown".to_owned(),
    }
}
