//! Requests as they are read and answers as they are written.

use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

use crate::dynamodb::error::{Code, Refusal};
use crate::dynamodb::value;

/// Whether a member is there that would change the answer, and is not served.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Unserved(Option<IgnoredAny>);

/// Refuses members that are not served, by their names.
pub(crate) fn refuse_unserved<const N: usize>(members: [(&str, &Unserved, &str); N]) -> Result<(), Refusal> {
    for (name, member, instead) in members {
        if member.0.is_some() {
            return Err(Refusal::validation(format!(
                "Daybook's embedded DynamoDB does not serve the parameter '{name}': {instead}"
            )));
        }
    }
    Ok(())
}

/// Reads a request.
pub(crate) fn request<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| unreadable(&error))
}

/// Writes an answer.
pub(crate) fn response(answer: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(answer).expect("an answer has only what JSON has")
}

/// A missing member or an invalid value is a validation error to DynamoDB, a wrong JSON type a serialization error.
fn unreadable(error: &serde_json::Error) -> Refusal {
    match value::refusal(error) {
        value::Refusal::Unreadable(message) => Refusal::new(Code::Serialization, message),
        value::Refusal::Invalid(invalid) => {
            let message = invalid.into_message();
            let field = (message.strip_prefix("missing field `")).and_then(|rest| rest.strip_suffix('`'));
            match field {
                Some(field) => missing(field),
                None => Refusal::validation(message),
            }
        }
    }
}

/// A member that a request must have.
pub(crate) fn missing(member: &str) -> Refusal {
    if member == "TableName" {
        return Refusal::validation(
            "The parameter 'TableName' is required but was not present in the request",
        );
    }
    invalid(&[format!(
        "Value null at '{}' failed to satisfy constraint: Member must not be null",
        lower_first(member)
    )])
}

/// What AWS says of members that break their constraints.
pub(crate) fn invalid(constraints: &[String]) -> Refusal {
    let plural = if constraints.len() == 1 { "" } else { "s" };
    Refusal::validation(format!(
        "{} validation error{plural} detected: {}",
        constraints.len(),
        constraints.join("; ")
    ))
}

/// Which of these the member is; the first where it is not there.
pub(crate) fn one_of<T: Copy>(member: &str, value: Option<&str>, values: &[(&str, T)]) -> Result<T, Refusal> {
    let Some(value) = value else {
        return Ok(values[0].1);
    };
    if let Some((_, found)) = values.iter().find(|(name, _)| *name == value) {
        return Ok(*found);
    }
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    Err(invalid(&[format!(
        "Value '{value}' at '{member}' failed to satisfy constraint: Member must satisfy enum value set: [{}]",
        names.join(", ")
    )]))
}

/// Whether it can be the name of a table or an index.
pub(crate) fn check_name(name: &str, member: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let fails = |what: &str| {
        invalid(&[format!(
            "Value '{name}' at '{member}' failed to satisfy constraint: Member must {what}"
        )])
    };
    if name.len() < 3 {
        return Err(fails("have length greater than or equal to 3"));
    }
    if name.len() > 255 {
        return Err(fails("have length less than or equal to 255"));
    }
    if !name.bytes().all(allowed) {
        return Err(fails("satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    }
    Ok(())
}

fn lower_first(member: &str) -> String {
    let mut letters = member.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}
