//! What the three batch operations share.

use serde::Serialize;

use super::error::{SqsError, SqsErrorCode};
use super::limits::MAX_ENTRIES;

/// A batch's answer: 200 even when every entry failed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchResponse<Entry> {
    successful: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<FailedEntry>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct FailedEntry {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Done {
    pub(super) id: String,
}

/// Refuses the whole batch for what no single entry is to blame.
pub(super) fn check<'a>(ids: impl Iterator<Item = &'a str>, entry: &str) -> Result<(), SqsError> {
    let mut ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        let message = format!("There should be at least one {entry} in the request.");
        return Err(SqsError::new(SqsErrorCode::EmptyBatchRequest, message));
    }
    if ids.len() > MAX_ENTRIES {
        let message = format!(
            "Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.",
            ids.len()
        );
        return Err(SqsError::new(SqsErrorCode::TooManyEntriesInBatchRequest, message));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if ids
        .iter()
        .any(|id| id.is_empty() || id.len() > 80 || !id.bytes().all(plain))
    {
        let message = "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at \
                       most 80 letters long.";
        return Err(SqsError::new(SqsErrorCode::InvalidBatchEntryId, message));
    }
    ids.sort_unstable();
    match ids.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let message = format!("Id {} repeated.", pair[0]);
            Err(SqsError::new(SqsErrorCode::BatchEntryIdsNotDistinct, message))
        }
        None => Ok(()),
    }
}

/// Does the entries one by one; each ends for itself.
pub(super) fn each<Entry, Success>(
    entries: Vec<(String, Entry)>,
    mut operation: impl FnMut(&str, Entry) -> Result<Success, SqsError>,
) -> BatchResponse<Success> {
    let mut response = BatchResponse {
        successful: Vec::new(),
        failed: Vec::new(),
    };
    for (id, entry) in entries {
        match operation(&id, entry) {
            Ok(success) => response.successful.push(success),
            Err(error) => response.failed.push(FailedEntry {
                id,
                sender_fault: true,
                code: error.code.query_code(),
                message: error.message,
            }),
        }
    }
    response
}
