//! Batches of which AWS does a part.

use serde_json::{Value, json};

/// The list of a batch request.
fn list_of(operation: &str) -> &'static str {
    match operation {
        "SendMessageBatch" => "Entries",
        _ => "Statements",
    }
}

/// How many entries or statements a batch request has.
pub(super) fn size(operation: &str, body: &Value) -> usize {
    body[list_of(operation)].as_array().map_or(0, Vec::len)
}

/// The request without what is at these positions; `None` when nothing is left.
pub(super) fn without(operation: &str, body: &Value, positions: &[usize]) -> Option<Value> {
    let list = list_of(operation);
    let all = body[list].as_array()?;
    let kept: Vec<Value> = all
        .iter()
        .enumerate()
        .filter(|(position, _)| !positions.contains(position))
        .map(|(_, one)| one.clone())
        .collect();
    let mut body = body.clone();
    body[list] = Value::Array(kept.clone());
    (!kept.is_empty()).then_some(body)
}

/// The answer to the whole request when `answer` is the one to what was done, and these positions failed with that code.
/// With `done`, the answer is to all of it, and only lies about them.
pub(super) fn failing(
    operation: &str,
    body: &Value,
    answer: Value,
    positions: &[usize],
    code: &str,
    done: bool,
) -> Value {
    let count = size(operation, body);
    let mut answer = answer;
    if operation == "SendMessageBatch" {
        let id = |position: &usize| body["Entries"][*position]["Id"].clone();
        let failed: Vec<Value> = positions
            .iter()
            .map(|position| json!({"Id": id(position), "SenderFault": false, "Code": code, "Message": "try again"}))
            .collect();
        let successful: Vec<Value> = answer["Successful"].as_array().cloned().unwrap_or_default();
        let lied_about: Vec<Value> = positions.iter().map(id).collect();
        answer["Successful"] = successful
            .into_iter()
            .filter(|entry| !lied_about.contains(&entry["Id"]))
            .collect();
        answer["Failed"] = Value::Array(failed);
        return answer;
    }
    let mut responses = answer["Responses"]
        .as_array()
        .cloned()
        .unwrap_or_default()
        .into_iter();
    let error = json!({"Error": {"Code": code, "Message": "try again"}});
    let all = (0..count).map(|position| {
        let fails = positions.contains(&position);
        let response = if fails && !done { None } else { responses.next() };
        match fails {
            true => error.clone(),
            false => response.unwrap_or_default(),
        }
    });
    answer["Responses"] = Value::Array(all.collect());
    answer
}

/// A BatchGetItem of one table, taken apart: what is asked for all the same, and what stays unprocessed.
pub(super) fn unprocessed(body: &Value, positions: &[usize]) -> Option<(Option<Value>, Value)> {
    let (table, wanted) = body["RequestItems"].as_object()?.iter().next()?;
    let keys = wanted["Keys"].as_array()?;
    let part = |left: bool| -> Vec<Value> {
        let of = |(position, _): &(usize, &Value)| positions.contains(position) == left;
        keys.iter()
            .enumerate()
            .filter(of)
            .map(|(_, key)| key.clone())
            .collect()
    };
    let asking = |keys: Vec<Value>| {
        let mut wanted = wanted.clone();
        wanted["Keys"] = Value::Array(keys);
        json!({table: wanted})
    };
    let kept = part(false);
    let rest = (!kept.is_empty()).then(|| {
        let mut body = body.clone();
        body["RequestItems"] = asking(kept);
        body
    });
    Some((rest, asking(part(true))))
}
