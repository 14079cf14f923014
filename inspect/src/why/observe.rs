//! Looking: the ledger first, then the queue and S3 as far as they have to do with it.

use daybook_ledger::{Cause, Control, Count, Ledger, LedgerError, RowFilter};
use daybook_schema::{EventId, ObjectEvent, Row, SourceName, Status, Subject, Timestamp};

use crate::aws::notifications::Notifications;
use crate::aws::queues;
use crate::aws::s3::{Head, S3};
use crate::limits;
use crate::limits::observe::Rows;
use crate::lookup::history;
use crate::lookup::history::{Found, Open};
use crate::object_ref::Wanted;
use crate::parts::Parts;
use crate::rate::Rate;
use crate::why::verdict::facts::{Fact, Observed, Seen};

/// Rows before one are counted up to about so many per shard.
const ENOUGH: u32 = 1000;

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// An event or an object.
    pub what: &'a Wanted,
    /// The S3 that holds the object, as it is called at ingest: by default the deployment's for receipts, and any for open rows.
    pub source: Option<&'a SourceName>,
    /// Whether all receipts are read for the receipt of an id without a row.
    pub scan_receipts: bool,
    /// N, as the environment says.
    pub per_window: Option<u32>,
    /// N and its window, as the deployment says.
    pub rate: Rate,
    /// The event that should have sent a notification; any upload by default.
    pub event: Option<&'a str>,
    /// The S3 to ask, or why none is asked.
    pub s3: Result<S3, String>,
    /// The queue that notifications arrive on, if it is named: who asks for it, and its URL.
    pub intake: Option<(aws_sdk_sqs::Client, String)>,
}

/// The object that S3 is asked about.
struct Object {
    bucket: String,
    key: String,
    version_id: Option<String>,
}

/// Observes all that the answer may need.
///
/// # Errors
/// When the ledger does not answer.
pub async fn observe(parts: &Parts<'_>, question: &Question<'_>) -> Result<Observed, LedgerError> {
    let ledger = parts.ledger;
    let mut found = match question.what {
        Wanted::Id(id) => history::event(parts, *id, question.scan_receipts).await?,
        Wanted::Object(object) => history::object(parts, object, question.source).await?,
    };
    let object = object(question.what, &found);
    let (head, notifications) = in_s3(&question.s3, object.as_ref()).await;
    if let (Wanted::Object(asked), Fact::Known(Head::There(now))) = (question.what, &head)
        && let Some(version) = &now.version_id
        && found.receipts.is_empty()
    {
        // In a bucket with versions a receipt is found by the version, which S3 has just told.
        let source = question.source.unwrap_or(&parts.source);
        let asked = asked.at_version(version);
        found.look_up(ledger, asked.object_ids(Some(source))).await;
    }
    let mut unreadable = unreadable(&found);
    if let (Some(object), true) = (&object, found.open.is_empty() && found.receipts.is_empty()) {
        unreadable.extend(naming(ledger, object).await);
    }
    let open = open(&found);
    let newest = open.iter().rev().find(|one| !one.is_done).map(|one| &one.row);
    let intake = match &question.intake {
        Some((sqs, url)) => queue_arn(sqs, url).await,
        None => None,
    };
    let now = ledger.clock().now();
    let control = ledger.control().await;
    let limits = limits(parts, question, newest, control.as_ref().ok(), now).await;
    Ok(Observed {
        now,
        subject: subject(question.what, object.as_ref(), general(&found)),
        key: object.map(|object| object.key),
        ahead: ahead(ledger, newest).await,
        depth: depth(parts, newest).await,
        control: match control {
            Ok(control) => Fact::Known(control),
            Err(error) => Fact::Unknown(error.into()),
        },
        receipts: receipts(parts, question, &mut found),
        open,
        unreadable,
        unreadable_rows: found.unreadable,
        limits,
        up: parts.up(),
        object: head,
        notifications,
        intake,
        event: question.event.map(str::to_owned),
        keep: ledger.receipts_kept_for(),
    })
}

/// What was asked for, in words.
fn subject(wanted: &Wanted, object: Option<&Object>, general: Option<String>) -> String {
    match (wanted, object) {
        (Wanted::Object(object), _) => object.to_string(),
        (Wanted::Id(_), Some(it)) => {
            let version = it.version_id.as_ref();
            let version = version.map_or_else(String::new, |version| format!("?versionId={version}"));
            format!("s3://{}/{}{version}", it.bucket, it.key)
        }
        (Wanted::Id(id), None) => general.unwrap_or_else(|| format!("event {id}")),
    }
}

/// What a general event is about, that an id was asked of.
fn general(found: &Found) -> Option<String> {
    let mut rows = found.open.iter().filter_map(|open| match open {
        Open::Row { row, .. } => row.cloud_event().map(ToString::to_string),
        Open::Unreadable { .. } => None,
    });
    let done = || found.receipts.iter().find_map(|receipt| receipt.general_event());
    rows.next().or_else(done)
}

/// The object as it is now, and whom its bucket notifies.
async fn in_s3(s3: &Result<S3, String>, object: Option<&Object>) -> (Fact<Head>, Fact<Notifications>) {
    let not_asked = |why: &str| (Fact::NotAsked(why.to_owned()), Fact::NotAsked(why.to_owned()));
    let (s3, object) = match (s3, object) {
        (Ok(s3), Some(object)) => (s3, object),
        (Err(why), _) => return not_asked(why),
        (_, None) => return not_asked("no object is known"),
    };
    let version_id = object.version_id.as_deref();
    let head = s3.head(&object.bucket, &object.key, version_id).await;
    let notifications = s3.notifications(&object.bucket).await;
    let notifications = notifications.map(|configuration| Notifications::of(&configuration));
    (known(head), known(notifications))
}

fn known<T>(answer: Result<T, Cause>) -> Fact<T> {
    match answer {
        Ok(value) => Fact::Known(value),
        Err(why) => Fact::Unknown(why),
    }
}

fn open(found: &Found) -> Vec<Seen> {
    let seen = found.open.iter().filter_map(|open| match open {
        Open::Row {
            row,
            execution,
            done_by_receipt,
        } => Some(Seen {
            row: (**row).clone(),
            execution: execution.clone(),
            is_done: *done_by_receipt,
        }),
        Open::Unreadable { .. } => None,
    });
    seen.collect()
}

/// The object that was asked for, or that the event which was asked for is about.
fn object(wanted: &Wanted, found: &Found) -> Option<Object> {
    if let Wanted::Object(object) = wanted {
        let (key, version_id) = object.parts.clone().unwrap_or((object.whole.clone(), None));
        return Some(Object {
            bucket: object.bucket.clone(),
            key,
            version_id,
        });
    }
    let of_event = |event: &ObjectEvent| Object {
        bucket: event.bucket.to_string(),
        key: event.key.to_string(),
        version_id: event.version_id.clone(),
    };
    let mut events = found.open.iter().filter_map(|open| match open {
        Open::Row { row, .. } => row.object_event(),
        Open::Unreadable { .. } => None,
    });
    let receipt = found.receipts.first().filter(|receipt| receipt.is_of_object());
    let of_receipt = receipt.map(|receipt| Object {
        bucket: receipt.bucket.to_string(),
        key: receipt.key.to_string(),
        version_id: receipt.version_id.clone(),
    });
    events.next_back().map(of_event).or(of_receipt)
}

fn receipts(
    parts: &Parts<'_>,
    question: &Question<'_>,
    found: &mut Found,
) -> Fact<Vec<daybook_schema::Receipt>> {
    let nothing = found.receipts.is_empty() && found.open.is_empty();
    if parts.ledger.receipts_kept_for().is_none() {
        return Fact::NotAsked("receipts are off".to_owned());
    }
    if let Some(why) = &found.unknown_receipts {
        return Fact::Unknown(why.clone());
    }
    if matches!(question.what, Wanted::Id(_)) && nothing && !question.scan_receipts && !parts.is_local() {
        return Fact::NotAsked(
            "they are kept by object, and the object of this id is not known: --scan-receipts looks through all".to_owned(),
        );
    }
    let mut receipts = std::mem::take(&mut found.receipts);
    receipts.sort_by_key(|receipt| std::cmp::Reverse(receipt.completed_at));
    Fact::Known(receipts)
}

/// What may keep that row from being sent, if it is due. A count that fails is not known.
async fn limits(
    parts: &Parts<'_>,
    question: &Question<'_>,
    newest: Option<&Row>,
    control: Option<&Control>,
    now: Timestamp,
) -> limits::Observed {
    let is_due = newest.is_some_and(|row| row.status == Status::Pending && row.due_at <= now);
    let given = Rate {
        per_window: question.per_window,
        window: None,
    };
    let rate = Rate::of(control, given, question.rate);
    let (claimed, due_since) = match is_due {
        true => {
            let (claimed, due_since) = tokio::join!(
                limits::observe::claimed(parts.ledger),
                limits::observe::due_since(parts, now)
            );
            (claimed.ok(), due_since)
        }
        false => (None, None),
    };
    let rows = Rows {
        due: Some(Count {
            rows: u64::from(is_due),
            exact: true,
        }),
        due_since,
        claimed,
    };
    limits::Observed::of(parts.folder, control, rate, rows, now)
}

/// How many pending rows are due before this one, itself included.
async fn ahead(ledger: &Ledger, newest: Option<&Row>) -> Fact<Count> {
    match newest {
        Some(row) if row.status == Status::Pending => {
            let counted = ledger
                .count(Status::Pending, Some(row.due_at), Some(ENOUGH))
                .await;
            known(counted.map_err(Cause::from))
        }
        _ => Fact::NotAsked("the row is not pending".to_owned()),
    }
}

async fn depth(parts: &Parts<'_>, newest: Option<&Row>) -> Fact<u64> {
    match (parts.queue, newest) {
        (Some(queue), Some(row)) if row.status == Status::Claimed => {
            known(queue.depth().await.map_err(Cause::from))
        }
        (None, _) => Fact::NotAsked("no dispatch queue is named".to_owned()),
        _ => Fact::NotAsked("the row is not on the queue".to_owned()),
    }
}

/// The queue's ARN as SQS says; without it every queue counts.
async fn queue_arn(sqs: &aws_sdk_sqs::Client, url: &str) -> Option<String> {
    let arn = queues::arn_of(sqs, url).await;
    arn.inspect_err(|error| tracing::warn!(queue.url = url, %error, "the intake queue's ARN is unknown"))
        .ok()
}

fn unreadable(found: &Found) -> Vec<String> {
    let of_event = found.open.iter().filter_map(|open| match open {
        Open::Unreadable { id, why } => Some(format!(
            "its row cannot be read by this release ({}: {})",
            id, why
        )),
        Open::Row { .. } => None,
    });
    of_event.collect()
}

/// Parked payloads that name the object.
async fn naming(ledger: &Ledger, object: &Object) -> Vec<String> {
    let mut naming: Vec<EventId> = Vec::new();
    let only_raw = RowFilter {
        only_raw: true,
        ..RowFilter::default()
    };
    let mut pages = ledger.open_rows_matching(&only_raw);
    // A page that fails was read without a failure a moment ago, for the rows of the object.
    while let Ok(Some(page)) = pages.next().await {
        for row in page.into_iter().flatten() {
            if let Subject::Raw { payload, .. } = &row.subject
                && names(payload, object)
            {
                naming.push(row.id);
            }
        }
    }
    naming
        .iter()
        .map(|id| format!("parked notification {id}, which cannot be read, names it"))
        .collect()
}

/// Whether a text has bucket and key in it, plain or encoded as forms are or as JSON is.
fn names(payload: &str, object: &Object) -> bool {
    let form: String = form_urlencoded::byte_serialize(object.key.as_bytes()).collect();
    let json = serde_json::Value::from(object.key.as_str()).to_string();
    let with_slashes = form.replace("%2F", "/");
    payload.contains(&object.bucket)
        && [&object.key, &form, &with_slashes, json.trim_matches('"')]
            .iter()
            .any(|spelling: &&str| payload.contains(*spelling))
}
