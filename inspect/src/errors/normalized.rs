//! An error without what differs from event to event, so that what has one cause has one text.
//!
//! | taken out | left as |
//! |---|---|
//! | the row's own key, bucket, id, version, etag | `<key>`, `<bucket>`, `<id>` |
//! | UUIDs, long hexadecimal or mixed words | `<id>` |
//! | times of day and dates | `<time>` |
//! | numbers, also within a word | `<n>` |
//!
//! What tells causes apart stays: a number that follows a word such as `status`, `signal`, `code`, `errno` or `HTTP`, the three digits that a text
//! begins with (`503 Service Unavailable`), codes such as `ORA-00942`, and names such as `S3` and `UTF-8`.

use daybook_schema::Row;

/// After these words a number is a cause.
const NAMED_BY: [&str; 8] = [
    "status", "signal", "code", "errno", "error", "http", "exit", "sqlstate",
];

/// Names that have a number.
const NAMES: [&str; 12] = [
    "s3", "ec2", "sha1", "sha256", "md5", "utf8", "utf-8", "utf-16", "base64", "ipv4", "ipv6", "http2",
];

/// Words of so many characters or more that have digits among their letters are ids.
const LONG: usize = 12;

/// The row's last error; `None` when it has none.
pub fn of(row: &Row) -> Option<String> {
    let error = row.last_error.as_deref()?;
    let mut text = error.to_owned();
    if let Some(event) = row.event() {
        let key = event.key.as_str();
        // The longest first: the key may be a part of other names.
        let mut own = vec![
            (format!("s3://{}/{key}", event.bucket), "<key>"),
            (key.to_owned(), "<key>"),
            (event.bucket.as_str().to_owned(), "<bucket>"),
        ];
        // The last part of a key is what programs call the file.
        own.extend(key.rsplit_once('/').map(|(_, name)| (name.to_owned(), "<key>")));
        own.extend(event.version_id.clone().map(|version| (version, "<id>")));
        own.extend(event.etag.clone().map(|etag| (etag, "<id>")));
        own.push((row.id.to_string(), "<id>"));
        own.extend(event.subject().map(|subject| (subject.to_owned(), "<key>")));
        own.retain(|(name, _)| name.len() >= 3);
        own.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, placeholder) in own {
            text = text.replace(&name, placeholder);
        }
    }
    Some(normalized(&text))
}

/// The text without ids, numbers and times.
pub fn normalized(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if first == '<' {
            // A placeholder that is there already.
            let end = rest
                .find('>')
                .filter(|end| rest[1..*end].bytes().all(|b| b.is_ascii_lowercase()));
            if let Some(end) = end {
                out.push_str(&rest[..=end]);
                rest = &rest[end + 1..];
                continue;
            }
        }
        if !first.is_ascii_alphanumeric() {
            out.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let word = word(rest);
        rest = &rest[word.len()..];
        let is_named = NAMED_BY.contains(&before.as_str()) || out.is_empty();
        out.push_str(&of_word(word, is_named));
        before = word.to_ascii_lowercase();
    }
    out
}

/// The longest beginning that is one word: letters, digits, and what joins them.
fn word(text: &str) -> &str {
    let joins = |b: u8| matches!(b, b'-' | b'_' | b'.' | b':' | b'+');
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_alphanumeric() && !joins(b))
        .unwrap_or(text.len());
    text[..end].trim_end_matches(|c: char| !c.is_ascii_alphanumeric())
}

fn of_word(word: &str, is_named: bool) -> String {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_name = NAMES.iter().any(|name| word.eq_ignore_ascii_case(name));
    if digits == 0 || is_name || (is_named && word.len() <= 5) || is_code(word) {
        return word.to_owned();
    }
    if is_time(word) {
        return "<time>".to_owned();
    }
    let letters = word.bytes().filter(u8::is_ascii_alphabetic).count();
    let is_hexadecimal = word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let is_id = letters > 0 && (word.len() >= LONG || is_hexadecimal && word.len() >= 8);
    // A name that numbers are a part of, such as rows_20261129.parquet, is no id.
    if is_id && (is_hexadecimal || digits >= 4 && !word.contains(['.', ':', '_'])) {
        return "<id>".to_owned();
    }
    without_numbers(word)
}

/// Such as `ORA-00942`, `E0433`, `SQL42P01`: a few capitals, then a few digits.
fn is_code(word: &str) -> bool {
    let capitals = word.bytes().take_while(u8::is_ascii_uppercase).count();
    let digits = word[capitals..].strip_prefix('-').unwrap_or(&word[capitals..]);
    (1..=4).contains(&capitals)
        && (2..=5).contains(&digits.len())
        && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_time(word: &str) -> bool {
    let shape: String = word
        .bytes()
        .map(|b| if b.is_ascii_digit() { '9' } else { char::from(b) })
        .collect();
    ["9999-99-99", "99:99:99", "99:99"]
        .iter()
        .any(|form| match shape.strip_prefix(form) {
            Some(rest) => rest.is_empty() || rest.starts_with(['T', '.', 'Z', '+', ':']),
            None => false,
        })
}

/// `<n>` for each number, with its decimals.
fn without_numbers(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut in_number = false;
    for c in word.chars() {
        match (c.is_ascii_digit(), in_number) {
            (true, false) => out.push_str("<n>"),
            (true, true) => {}
            (false, _) => out.push(c),
        }
        in_number = c.is_ascii_digit();
    }
    out.replace("<n>.<n>", "<n>")
}

#[cfg(test)]
mod tests {
    use super::normalized;

    #[test]
    fn what_differs_is_taken_out_and_what_tells_causes_apart_stays() {
        for (error, expected) in [
            ("exit status 3: no such column", "exit status 3: no such column"),
            ("killed by signal 9", "killed by signal 9"),
            (
                "503 Service Unavailable: try again in 17 s",
                "503 Service Unavailable: try again in <n> s",
            ),
            ("HTTP 404 for item 12345", "HTTP 404 for item <n>"),
            ("timed out after 30.5 s", "timed out after <n> s"),
            (
                "ORA-00942: table or view does not exist",
                "ORA-00942: table or view does not exist",
            ),
            ("at 2026-11-29T21:04:12.841Z, line 7", "at <time>, line <n>"),
            (
                "21:04:12 lost connection to 10.0.3.17:5432",
                "<time> lost connection to <n>.<n>:<n>",
            ),
            (
                "job fd2efb70-8fcc-5040-8f04-80b6abd9a270 failed",
                "job <id> failed",
            ),
            (
                "request 4VNT8S5P9XQ2ZK1M (0x7ffe01ab)",
                "request <id> (<n>x<n>ffe<n>ab)",
            ),
            ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit <id>"),
            ("cannot open part-00017.parquet", "cannot open part-<n>.parquet"),
            ("is 7 of S3's Records UTF-8?", "is <n> of S3's Records UTF-8?"),
            ("<key> is <n> of 12", "<key> is <n> of <n>"),
            ("a < b, 한국어 12", "a < b, 한국어 <n>"),
            ("", ""),
        ] {
            assert_eq!(normalized(error), expected, "{error}");
        }
    }

    #[test]
    fn it_is_the_same_the_second_time() {
        for error in [
            "exit status 3: 17 of 9fceb02d0ae598e9 at 21:04",
            "<<12>> <n",
            "1 2 3",
            "-- 1.2.3.4",
        ] {
            let once = normalized(error);
            assert_eq!(normalized(&once), once, "{error}");
        }
    }
}
