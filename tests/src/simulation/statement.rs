//! Requests that write, read back from the wire: which item, what it became, under which condition.

use std::collections::BTreeMap;

use serde_json::Value;

/// Attributes as plain text, whatever their type.
pub(crate) type Attributes = BTreeMap<String, String>;

/// A PartiQL statement that writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    Insert {
        table: String,
        item: Attributes,
    },
    Update {
        id: String,
        set: Attributes,
        when: Attributes,
    },
    Delete(String),
}

impl Statement {
    /// Reads a statement of a BatchExecuteStatement; `None` for one that is none of Daybook's.
    pub(crate) fn read(statement: &Value) -> Option<Self> {
        let text = statement["Statement"].as_str()?;
        let parameters: Vec<String> = statement["Parameters"].as_array()?.iter().map(plain).collect();
        if text.starts_with("INSERT") {
            let names = text.split_once(" VALUE {")?.1.split(", ");
            let name = |part: &str| part.split('\'').nth(1).unwrap_or_default().to_owned();
            return Some(Self::Insert {
                table: text.split('"').nth(1)?.to_owned(),
                item: names.map(name).zip(parameters).collect(),
            });
        }
        let (head, condition) = text.split_once(" WHERE ")?;
        let (head, removed) = match head.split_once(" REMOVE ") {
            Some((head, removed)) => (head, Some(removed.trim_matches('"').to_owned())),
            None => (head, None),
        };
        let condition = condition.split(" RETURNING ").next()?;
        let mut values = parameters.into_iter();
        let mut set = Attributes::new();
        for part in head.split(" SET ").skip(1) {
            let (name, to) = part.split_once(" = ")?;
            let value = match to == "?" {
                true => values.next()?,
                false => to.to_owned(),
            };
            set.insert(name.trim_matches('"').to_owned(), value);
        }
        set.extend(removed.map(|name| (name, String::new())));
        let mut when = Attributes::new();
        for part in condition.split(" AND ") {
            // Of a row of version 1, which has no version, and of one that nobody has touched.
            if let Some(name) = part.strip_suffix(" IS MISSING") {
                when.insert(name.trim_matches('"').to_owned(), "missing".into());
                continue;
            }
            // The one condition that is no equality is a version up to that one.
            let (name, _) = part.split_once(" = ").or_else(|| part.split_once(" <= "))?;
            when.insert(name.trim_matches('"').to_owned(), values.next()?);
        }
        let id = when.get("id")?.clone();
        match head.starts_with("DELETE") {
            true => Some(Self::Delete(id)),
            false => Some(Self::Update { id, set, when }),
        }
    }
}

/// An item as plain text.
pub(crate) fn attributes(item: &Value) -> Attributes {
    let fields = item.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), plain(value))).collect()
}

/// `{"S": "a"}` → `a`.
pub(crate) fn plain(value: &Value) -> String {
    match value.as_object().and_then(|typed| typed.values().next()) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
