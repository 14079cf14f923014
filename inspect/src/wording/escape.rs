//! Texts of strangers, shown so that nothing in them is hidden or obeyed.

/// A text that a stranger chose, such as an object's key, for a terminal: what a terminal would obey, hide or reorder (control
/// characters, escape sequences, newlines, direction overrides, invisible characters) and backslashes are written as
/// escapes, as in Rust's literals. The rest stays as it is.
pub fn escaped(text: &str) -> String {
    // Quotes mean nothing here, and escape_debug would escape them.
    text.split_inclusive(['"', '\''])
        .flat_map(|part| {
            let quote = part.chars().next_back().filter(|c| matches!(c, '"' | '\''));
            let plain = &part[..part.len() - quote.map_or(0, char::len_utf8)];
            plain.escape_debug().chain(quote)
        })
        .collect()
}
