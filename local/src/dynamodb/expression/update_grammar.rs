//! The grammar of updates.

use winnow::prelude::*;
use winnow::token::any;

use crate::dynamodb::expression::failure::{Failure, Parsed};
use crate::dynamodb::expression::grammar::{self, begins_path, list, next_is_sign, sign};
use crate::dynamodb::expression::token::Tokens;
use crate::dynamodb::expression::update::{Assigned, Update};
use crate::dynamodb::expression::written::{Term, WrittenPath};

type Written = Assigned<WrittenPath, Term>;

/// One or more clauses, each at most once.
pub(crate) fn update(tokens: &mut Tokens<'_>) -> Parsed<Update<WrittenPath, Term>> {
    let mut update = Update::new();
    let mut seen: Vec<String> = Vec::new();
    while let Some(token) = tokens.first() {
        let clauses = ["SET", "REMOVE", "ADD", "DELETE"];
        let Some(clause) = clauses.into_iter().find(|clause| token.is_word(clause)) else {
            return Err(Failure::at(tokens));
        };
        if seen.iter().any(|seen| seen == clause) {
            return Err(Failure::because(format!(
                "The \"{clause}\" section can only be used once in an update expression;"
            )));
        }
        seen.push(clause.to_owned());
        any.void().parse_next(tokens)?;
        match clause {
            "SET" => update.set = list(assignment)(tokens)?,
            "REMOVE" => update.remove = list(grammar::path)(tokens)?,
            "ADD" => update.add = list(path_and_value)(tokens)?,
            _ => update.delete = list(path_and_value)(tokens)?,
        }
    }
    match seen.is_empty() {
        true => Err(Failure::at(tokens)),
        false => Ok(update),
    }
}

fn path_and_value(tokens: &mut Tokens<'_>) -> Parsed<(WrittenPath, Term)> {
    Ok((grammar::path(tokens)?, grammar::term(tokens)?))
}

/// `path = value`.
pub(crate) fn assignment(tokens: &mut Tokens<'_>) -> Parsed<(WrittenPath, Written)> {
    let path = grammar::path(tokens)?;
    sign("=").parse_next(tokens)?;
    Ok((path, assigned(tokens)?))
}

/// An operand, or a sum or difference of two.
fn assigned(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let left = operand(tokens)?;
    let together = match (next_is_sign(tokens, "+"), next_is_sign(tokens, "-")) {
        (true, _) => Assigned::Plus,
        (_, true) => Assigned::Minus,
        _ => return Ok(left),
    };
    any.void().parse_next(tokens)?;
    Ok(together(Box::new(left), Box::new(operand(tokens)?)))
}

fn operand(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    if next_is_sign(tokens, "(") {
        sign("(").parse_next(tokens)?;
        let inner = assigned(tokens)?;
        sign(")").parse_next(tokens)?;
        return Ok(inner);
    }
    match grammar::function_name(tokens) {
        Some(name) => function(&name, tokens),
        None if begins_path(tokens) => grammar::path(tokens).map(Assigned::Path),
        None => grammar::term(tokens).map(Assigned::Value),
    }
}

fn function(name: &str, tokens: &mut Tokens<'_>) -> Parsed<Written> {
    match name {
        "if_not_exists" | "list_append" => {}
        "attribute_exists"
        | "attribute_not_exists"
        | "attribute_type"
        | "begins_with"
        | "contains"
        | "size" => {
            return Err(Failure::because(format!(
                "The function is not allowed in an update expression; function: {name}"
            )));
        }
        _ => {
            return Err(Failure::because(format!(
                "Invalid function name; function: {name}"
            )));
        }
    }
    any.void().parse_next(tokens)?;
    sign("(").parse_next(tokens)?;
    let mut operands = list(operand)(tokens)?;
    sign(")").parse_next(tokens)?;
    let (Some(second), Some(first), true) = (operands.pop(), operands.pop(), operands.is_empty()) else {
        return Err(Failure::because(format!(
            "Incorrect number of operands for operator or function; operator or function: {name}"
        )));
    };
    match (name, first) {
        ("list_append", first) => Ok(Assigned::ListAppend(Box::new(first), Box::new(second))),
        (_, Assigned::Path(path)) => Ok(Assigned::IfNotExists(path, Box::new(second))),
        _ => Err(Failure::because(format!(
            "Operator or function requires a document path; operator or function: {name}"
        ))),
    }
}
