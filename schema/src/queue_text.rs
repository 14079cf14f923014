//! Texts that every queue takes.

use serde::Serialize;

/// JSON that every queue takes: SQS refuses a message with U+FFFE or U+FFFF in it (SendMessage, SQS API Reference), and an
/// object's key may have them. Control characters are escaped by JSON itself.
pub(crate) fn queue_safe_json(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("texts, numbers and options always serialise");
    match json.contains(['\u{fffe}', '\u{ffff}']) {
        // They can only stand inside of a string, where an escape means the same.
        true => json.replace('\u{fffe}', "\\uFFFE").replace('\u{ffff}', "\\uFFFF"),
        false => json,
    }
}
