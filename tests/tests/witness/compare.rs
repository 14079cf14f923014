//! Whether two answers are the same.

use serde_json::Value as Json;

use super::seen::Seen;
use super::{Request, pages};

/// What is different, as one class of differences.
pub(super) fn differ(request: &Request, ours: &Seen, theirs: &Seen) -> Option<String> {
    if ours.outcome() != theirs.outcome() {
        return Some(format!("ours {}, theirs {}", ours.outcome(), theirs.outcome()));
    }
    if ours.members() != theirs.members() {
        return Some(format!(
            "ours {:?}, theirs {:?}",
            ours.members(),
            theirs.members()
        ));
    }
    let (ours, theirs) = (comparable(request, &ours.body), comparable(request, &theirs.body));
    (ours != theirs).then(|| format!("body: {}", place(&ours, &theirs, String::new())))
}

/// Where two bodies are different first.
fn place(ours: &Json, theirs: &Json, at: String) -> String {
    match (ours, theirs) {
        (Json::Object(ours), Json::Object(theirs)) => {
            for (name, value) in ours {
                match theirs.get(name) {
                    None => return format!("{at}.{name} only in ours"),
                    Some(other) if other != value => {
                        return place(value, other, format!("{at}.{}", general(name)));
                    }
                    Some(_) => {}
                }
            }
            let missing = theirs.keys().find(|name| !ours.contains_key(*name));
            missing.map_or(at.clone(), |name| format!("{at}.{name} only in theirs"))
        }
        (Json::Array(ours), Json::Array(theirs)) if ours.len() == theirs.len() => {
            let both = ours.iter().zip(theirs);
            let mut different = both.filter(|(ours, theirs)| ours != theirs);
            match different.next() {
                Some((ours, theirs)) => place(ours, theirs, format!("{at}[]")),
                None => at,
            }
        }
        (Json::Array(_), Json::Array(_)) => format!("{at} of another length"),
        _ => at,
    }
}

/// Tables' names do not make another class.
fn general(name: &str) -> &str {
    if name.starts_with("table") { "TABLE" } else { name }
}

/// The body without what may be different: the words of errors, times and ids, the order of sets' members (dynoxide has a hash's where AWS was
/// seen to have it) and that of a batch's items.
fn comparable(request: &Request, body: &Json) -> Json {
    let mut body = body.clone();
    strip(&mut body);
    if let Some(consumed) = body.get_mut("ConsumedCapacity") {
        sort(consumed);
    }
    if (pages::is_without_order(request) || request.operation == "ExecuteStatement")
        && let Some(items) = body.get_mut("Items")
    {
        sort(items);
    }
    if request.operation == "BatchGetItem"
        && let Some(tables) = body["Responses"].as_object_mut()
    {
        for items in tables.values_mut() {
            sort(items);
        }
    }
    body
}

/// Words, times and ids; and of a table's description what dynoxide has not, or has later.
const NOT_COMPARED: [&str; 12] = [
    "message",
    "Message",
    "CreationDateTime",
    "TableId",
    "TableArn",
    "IndexArn",
    "TableStatus",
    "IndexStatus",
    "DeletionProtectionEnabled",
    "TableThroughputModeSummary",
    "LastUpdateToPayPerRequestDateTime",
    "NextToken",
];

fn strip(json: &mut Json) {
    match json {
        Json::Object(members) => {
            for gone in NOT_COMPARED {
                members.remove(gone);
            }
            for (name, member) in members {
                if matches!(name.as_str(), "SS" | "NS" | "BS" | "AttributeDefinitions") {
                    sort(member);
                }
                strip(member);
            }
        }
        Json::Array(members) => members.iter_mut().for_each(strip),
        _ => {}
    }
}

fn sort(json: &mut Json) {
    if let Json::Array(members) = json {
        members.sort_by_cached_key(Json::to_string);
    }
}
