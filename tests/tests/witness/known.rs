//! Where the engine and dynoxide differ and are to: `docs/emulators.md` has the same list, with AWS's pages.

use serde_json::Value as Json;

use super::Request;
use super::seen::Seen;

/// Why the answers to this request may differ.
pub(super) fn reason(request: &Request, ours: &Seen, theirs: &Seen) -> Option<&'static str> {
    let refused_for = |words: &str| text(&ours.body).contains(words);
    // The order of types is that of texts, numbers and bytes; AWS refuses others, and dynoxide does so in key conditions and PartiQL.
    if refused_for("Incorrect operand type for operator or function; operator or function: ") {
        return Some("an operand without an order is refused");
    }
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html (Select)
    if matches!(request.operation, "Query" | "Scan") && refused_for("does not project") {
        return Some("an index has only what is projected into it");
    }
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html (ReturnValues)
    if request.operation == "UpdateItem"
        && ours.code == theirs.code
        && ours.body.get("Attributes").is_none()
        && request.body["ReturnValues"]
            .as_str()
            .is_some_and(|asked| asked.ends_with("_OLD"))
    {
        return Some("an item that was not there has no old attributes");
    }
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Get.html (ProjectionExpression)
    if request.operation == "TransactGetItems"
        && ours.code.is_none()
        && theirs.code.is_none()
        && request.body.to_string().contains("ProjectionExpression")
    {
        return Some("a projection has only what it names");
    }
    // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Update.html (UpdateExpression)
    if refused_for("This attribute is part of the key") {
        return Some("an update of the key is refused, in a transaction too, and whatever the condition");
    }
    if refused_for("The first operand must be distinct from the remaining operands") {
        return Some("an operand is not compared with itself");
    }
    // https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html
    let names = [
        "unused in expressions",
        "can only be specified when using expressions",
        "is not defined",
    ];
    if names.into_iter().any(refused_for) {
        return Some("names and values are those of the expressions, whatever the operation and the items");
    }
    of_members(request, ours, theirs).or_else(|| two_faults(request, ours, theirs))
}

/// Of members of batches and transactions.
fn of_members(request: &Request, ours: &Seen, theirs: &Seen) -> Option<&'static str> {
    let members = || ours.members().into_iter().zip(theirs.members());
    let is_invalid = |code: &str| code == "ValidationError";
    match request.operation {
        // https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html
        "BatchExecuteStatement" if ours.code.is_none() && theirs.code.is_none() => {
            let keyed = "must specify the primary key in the where clause";
            let told = |seen: &Seen, nth: usize| text(&seen.body["Responses"][nth]).contains(keyed);
            let mut different = members()
                .enumerate()
                .filter(|(_, (ours, theirs))| ours != theirs)
                .peekable();
            if different.peek().is_some() {
                let all = different.all(|(nth, (ours, _))| ours == "-" && told(theirs, nth));
                return all.then_some("a SELECT in a batch names the whole key, and may ask for more");
            }
            let differs = |name: &str| ours.body[name] != theirs.body[name];
            (members().any(|(ours, _)| is_invalid(ours)) && differs("ConsumedCapacity"))
                .then_some("a statement that is invalid consumes nothing")
        }
        "BatchExecuteStatement" if text(&theirs.body).contains("item keys contains duplicates") => {
            Some("an invalid statement is on no item")
        }
        "BatchExecuteStatement"
            if ours.code.is_some() && theirs.members().iter().any(|code| is_invalid(code)) =>
        {
            Some("a parameter that is not a value fails the whole batch")
        }
        "TransactWriteItems" if ours.code.is_some() && theirs.code.is_some() => {
            let told = |words: &str| text(&theirs.body).contains(words);
            if [
                "empty string value",
                "Input collection",
                "multiple operations on one item",
            ]
            .into_iter()
            .any(told)
            {
                return Some(
                    "the request is refused for one of its members, or the transaction with a reason for each",
                );
            }
            let mut different = members().filter(|(ours, theirs)| ours != theirs).peekable();
            different.peek()?;
            let all = different.all(|(ours, theirs)| is_invalid(ours) || is_invalid(theirs));
            all.then_some("a transaction is refused for several reasons, an invalid member among them")
        }
        _ => None,
    }
}

/// Both refuse, and each names another fault, where the request has two and AWS says nothing of their order.
fn two_faults(request: &Request, ours: &Seen, theirs: &Seen) -> Option<&'static str> {
    let is_missing = request.body.to_string().contains("table-missing");
    let faults = [
        "ValidationException",
        "ResourceNotFoundException",
        "TransactionCanceledException",
    ];
    let refused = |seen: &Seen| seen.code.as_deref().is_some_and(|code| faults.contains(&code));
    let both = (refused(ours) && refused(theirs)) || request.operation == "BatchExecuteStatement";
    (is_missing && both).then_some("the table is missing, and something else is wrong")
}

/// All words of an answer.
fn text(body: &Json) -> String {
    body.to_string()
}
