//! Answers about objects of which no event is open, and none is known to be done.

use std::time::Duration;

use daybook_schema::Receipt;

use crate::aws::notifications::{Coverage, Notifications};
use crate::aws::s3::{Head, ObjectNow};
use crate::aws::trouble::Trouble;
use crate::why::verdict::facts::{Fact, Observed, Situation, Verdict};
use crate::wording::time;

/// A notification that is younger may still be on its way; as in the audit.
const GRACE: Duration = Duration::from_secs(15 * 60);

const AUDIT: &str = "`daybook audit` finds everything that was missed, and --repair records it.";

/// The answer. `before` is the receipt of an upload before the one that is there now.
pub fn verdict(seen: &Observed, before: Option<&Receipt>) -> Verdict {
    if !seen.unreadable.is_empty() {
        return Verdict::new(
            Situation::Unreadable,
            format!("No event of it is known, but {}.", seen.unreadable.join("; ")),
            "`daybook list --status parked` shows what cannot be read; `daybook show ID` has the payload.",
        )
        .unless("receipts", seen.receipts.why_not());
    }
    if let Some(why) = seen.receipts.why_not() {
        let says = "It is not open: it is done, or was never seen. Without receipts nobody can tell.";
        let next = match seen.key {
            None => {
                "--scan-receipts looks through all receipts; its object, s3://bucket/key, is looked up at once."
            }
            Some(_) => "--receipts-table (DAYBOOK_RECEIPTS_TABLE) names the receipts, where they are kept.",
        };
        return Verdict::new(Situation::NotOpen, says, next).unless("receipts", Some(why));
    }
    let Some(key) = seen.key.as_deref() else {
        return Verdict::new(
            Situation::NotOpen,
            "No event of that id is open, and no receipt of it was found: it was never seen, it is done and its receipt has \
             expired, or a newer event of its object is done.",
            "Ask for its object, s3://bucket/key: receipts are kept by object.",
        );
    };
    let earlier = before.map(|receipt| {
        format!(
            "An earlier upload was done at {} by {}, and what is there now came later.",
            time::at(receipt.completed_at, seen.now),
            receipt.by
        )
    });
    let verdict = match (&seen.object, before) {
        (Fact::Known(Head::Gone), _) => gone(seen),
        (Fact::Known(Head::There(now)), _) => by_coverage(seen, key, Some(now)),
        (object, _) => by_coverage(seen, key, None).unless("object", object.why_not()),
    };
    verdict.also(earlier)
}

fn gone(seen: &Observed) -> Verdict {
    let keep = kept(seen);
    if let Fact::Unknown(cause) = &seen.notifications
        && Trouble::of(cause) == Trouble::NoBucket
    {
        return Verdict::new(
            Situation::NeverThere,
            format!("There is no such bucket, and no event of the object is known{keep}."),
            "Check the bucket's name, the region, and which S3 is asked (--s3-endpoint).",
        );
    }
    Verdict::new(
        Situation::NeverThere,
        format!("There is no such object, and no event of it is known{keep}."),
        "Check bucket, key and version: keys are case-sensitive, and here they are not encoded.",
    )
}

fn kept(seen: &Observed) -> String {
    let keep = seen.keep.map(time::span);
    keep.map_or_else(String::new, |keep| format!(" (receipts are kept for {keep})"))
}

fn by_coverage(seen: &Observed, key: &str, now: Option<&ObjectNow>) -> Verdict {
    let notifications = match &seen.notifications {
        Fact::Known(notifications) => notifications,
        unknown => {
            let says = format!("No event of it is known here{}.", there(seen, now));
            return match now.and_then(|now| young(seen, now)) {
                Some(verdict) => verdict,
                None => Verdict::new(Situation::NeverSeen, says, AUDIT),
            }
            .unless("notifications", unknown.why_not());
        }
    };
    let events = events(seen, now);
    let asked = events.join(", ");
    match notifications.coverage(key, &events, seen.intake.as_deref()) {
        Coverage::None => Verdict::new(
            Situation::NotCovered,
            format!(
                "Never seen{}: the bucket's notifications do not cover it ({asked}). {}",
                there(seen, now),
                what_there_is(notifications, seen.intake.as_deref())
            ),
            format!("`daybook attach` adds a notification that covers it. {AUDIT}"),
        ),
        Coverage::Partly(missing) => Verdict::new(
            Situation::PartlyCovered,
            format!(
                "Never seen{}: the bucket's notifications cover some ways of uploading it, but not {}.",
                there(seen, now),
                missing.join(", ")
            ),
            format!(
                "Make the notification cover s3:ObjectCreated:* (`daybook attach` adds one that does). {AUDIT}"
            ),
        ),
        Coverage::Whole(by) => covered(seen, now).also(Some(through(seen, &by))),
    }
}

/// Which events would have told of the object: by its etag, if it is there.
fn events(seen: &Observed, now: Option<&ObjectNow>) -> Vec<String> {
    let created = |name: &str| format!("s3:ObjectCreated:{name}");
    match (&seen.event, now) {
        (Some(event), _) => vec![event.clone()],
        (None, Some(now)) if now.came_in_parts() => vec![created("CompleteMultipartUpload")],
        (None, Some(now)) if now.etag.is_some() => ["Put", "Post", "Copy"].map(created).to_vec(),
        (None, _) => vec![created("*")],
    }
}

/// `, though it is there since …`.
fn there(seen: &Observed, now: Option<&ObjectNow>) -> String {
    let at = now.and_then(|now| now.last_modified);
    at.map_or_else(String::new, |at| {
        format!(", though it is there since {}", time::at(at, seen.now))
    })
}

fn what_there_is(notifications: &Notifications, intake: Option<&str>) -> String {
    let asked = intake.map_or_else(String::new, |arn| format!(" to {arn}"));
    match notifications.entries.as_slice() {
        [] => "It has none.".to_owned(),
        entries => {
            let told: Vec<String> = entries.iter().map(ToString::to_string).collect();
            format!("None of these does{asked}: {}.", told.join("; "))
        }
    }
}

/// By which way it would have come.
fn through(seen: &Observed, by: &[String]) -> String {
    let names = by.join(", ");
    match (by, &seen.intake) {
        ([only], _) if only == "EventBridge" => {
            "The bucket sends EventBridge all events; whether a rule forwards them to Daybook cannot be seen from here.".to_owned()
        }
        (_, Some(_)) => format!("Covered by {names}."),
        (_, None) => format!(
            "Covered by {names}; whether that leads to this deployment is not known unless --intake-queue-url names its \
             queue."
        ),
    }
}

/// It is so new that it may be seen yet.
fn young(seen: &Observed, now: &ObjectNow) -> Option<Verdict> {
    let modified = now.last_modified.filter(|at| at.plus(GRACE) > seen.now)?;
    Some(Verdict::new(
        Situation::OnItsWay,
        format!(
            "Not seen yet: it was uploaded at {}, and its notification may be on its way.",
            time::at(modified, seen.now)
        ),
        "Wait: S3 usually takes seconds, sometimes minutes. If messages pile up in the intake queue, ingest does not run: `daybook doctor` checks.",
    ))
}

/// The notifications cover it, as they are now.
fn covered(seen: &Observed, now: Option<&ObjectNow>) -> Verdict {
    if let Some(young) = now.and_then(|now| young(seen, now)) {
        return young;
    }
    let Some(modified) = now.and_then(|now| now.last_modified) else {
        return Verdict::new(
            Situation::Missed,
            "Never seen, though the bucket's notifications cover it.",
            AUDIT,
        );
    };
    let at = time::at(modified, seen.now);
    let installed = seen.control.known().and_then(|control| control.installed_at);
    if let Some(installed) = installed.filter(|installed| modified < *installed) {
        return Verdict::new(
            Situation::BeforeLedger,
            format!(
                "Never seen: it was uploaded at {at}, before this ledger was first used at {}.",
                time::at(installed, seen.now)
            ),
            "`daybook audit --backfill` records what was there before.",
        );
    }
    if seen.keep.is_some_and(|keep| modified.plus(keep) < seen.now) {
        return Verdict::new(
            Situation::MaybeExpired,
            format!(
                "It is not open. It was uploaded at {at}, longer ago than receipts are kept: it is done, or was never seen, \
                 and nobody can tell."
            ),
            "Look at what its target wrote; `daybook replay` runs it again.",
        );
    }
    Verdict::new(
        Situation::Missed,
        format!("Never seen, though it is there since {at} and the bucket's notifications cover it as they are now."),
        format!("They may have been set up later, or the message is stuck in the intake queue or its dead letters. {AUDIT}"),
    )
    .without("ledger's first use", seen.control.why_not())
}
