//! Texts of strangers for a terminal.

use daybook_schema::ObjectEvent;

pub use daybook_inspect::wording::escape::escaped;

/// An object as a URI, for a terminal.
pub fn object_uri(bucket: &str, key: &str, version_id: Option<&str>) -> String {
    let version = version_id.map(|version| format!("?versionId={version}"));
    escaped(&format!("s3://{bucket}/{key}{}", version.unwrap_or_default()))
}

/// The object of an event as a URI, or what a general event is about, for a terminal.
pub fn event_uri(event: &ObjectEvent) -> String {
    if let Some(general) = &event.general {
        return escaped(&general.to_string());
    }
    object_uri(
        event.bucket.as_str(),
        event.key.as_str(),
        event.version_id.as_deref(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let hostile = "a\u{1b}[31mb\nc\r\u{202e}d\u{200b}e\u{7}f\\g\u{9b}h";
        assert_eq!(
            escaped(hostile),
            r"a\u{1b}[31mb\nc\r\u{202e}d\u{200b}e\u{7}f\\g\u{9b}h"
        );
        let harmless = "Größe 日本/it's \"it\" – ok.json";
        assert_eq!(escaped(harmless), harmless);
        assert_eq!(escaped("'"), "'");
        assert_eq!(escaped(""), "");
    }
}
