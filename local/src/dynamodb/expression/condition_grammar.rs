//! The grammar of conditions: OR binds weaker than AND, that weaker than NOT.

use winnow::prelude::*;
use winnow::stream::Stream;
use winnow::token::any;

use crate::dynamodb::expression::condition::{Comparator, Condition, Operand};
use crate::dynamodb::expression::failure::{Failure, Parsed};
use crate::dynamodb::expression::grammar::{self, keyword, list, next_is_sign, next_is_word, sign};
use crate::dynamodb::expression::token::{Kind, Tokens};
use crate::dynamodb::expression::written::{Term, WrittenPath};

type Written = Condition<WrittenPath, Term>;
type WrittenOperand = Operand<WrittenPath, Term>;

/// How many operands IN may have behind it.
const MAX_IN: usize = 100;

pub(crate) fn condition(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let mut any = vec![all(tokens)?];
    while next_is_word(tokens, "OR") {
        keyword("OR").parse_next(tokens)?;
        any.push(all(tokens)?);
    }
    Ok(only_or(any, Condition::Or))
}

fn all(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let mut all = vec![negated(tokens)?];
    while next_is_word(tokens, "AND") {
        keyword("AND").parse_next(tokens)?;
        all.push(negated(tokens)?);
    }
    Ok(only_or(all, Condition::And))
}

fn only_or(mut conditions: Vec<Written>, several: fn(Vec<Written>) -> Written) -> Written {
    match conditions.len() {
        1 => conditions.remove(0),
        _ => several(conditions),
    }
}

/// A row of NOTs is no recursion: it can be as long as the expression.
fn negated(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let mut negations = 0;
    while next_is_word(tokens, "NOT") {
        keyword("NOT").parse_next(tokens)?;
        negations += 1;
    }
    let condition = single(tokens)?;
    match negations % 2 {
        0 => Ok(condition),
        _ => Ok(Condition::Not(Box::new(condition))),
    }
}

fn single(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    if next_is_sign(tokens, "(") {
        sign("(").parse_next(tokens)?;
        let inner = condition(tokens)?;
        sign(")").parse_next(tokens)?;
        return Ok(inner);
    }
    match grammar::function_name(tokens) {
        Some(name) if name != "size" => function(&name, tokens),
        _ => comparison(tokens),
    }
}

fn function(name: &str, tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let needed = match name {
        "attribute_exists" | "attribute_not_exists" => 1,
        "attribute_type" | "begins_with" | "contains" => 2,
        _ => {
            return Err(Failure::because(format!(
                "Invalid function name; function: {name}"
            )));
        }
    };
    any.parse_next(tokens)?;
    sign("(").parse_next(tokens)?;
    let mut operands = list(operand)(tokens)?;
    sign(")").parse_next(tokens)?;
    if operands.len() != needed {
        return Err(Failure::because(format!(
            "Incorrect number of operands for operator or function; operator or function: {name}, number of operands: {}",
            operands.len()
        )));
    }
    let first = operands.remove(0);
    let Some(second) = operands.pop() else {
        let path = path_of(name, first)?;
        return Ok(match name {
            "attribute_exists" => Condition::Exists(path),
            _ => Condition::NotExists(path),
        });
    };
    Ok(match name {
        "attribute_type" => Condition::HasType(path_of(name, first)?, second),
        "begins_with" => Condition::BeginsWith(first, second),
        _ => Condition::Contains(first, second),
    })
}

fn path_of(function: &str, operand: WrittenOperand) -> Parsed<WrittenPath> {
    match operand {
        Operand::Path(path) => Ok(path),
        _ => Err(Failure::because(format!(
            "Operator or function requires a document path; operator or function: {function}"
        ))),
    }
}

fn comparison(tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let left = operand(tokens)?;
    let start = tokens.checkpoint();
    let word = any.parse_next(tokens)?;
    if let Kind::Sign(sign) = word.kind
        && let Some(comparator) = Comparator::of(sign)
    {
        return Ok(Condition::Compare(left, comparator, operand(tokens)?));
    }
    if word.is_word("BETWEEN") {
        let low = operand(tokens)?;
        keyword("AND").parse_next(tokens)?;
        return Ok(Condition::Between(left, low, operand(tokens)?));
    }
    if word.is_word("IN") {
        return among(left, tokens);
    }
    if matches!(word.kind, Kind::Is(_))
        && let Operand::Path(path) = left
    {
        return is(path, tokens);
    }
    tokens.reset(&start);
    Err(Failure::at(tokens))
}

fn among(left: WrittenOperand, tokens: &mut Tokens<'_>) -> Parsed<Written> {
    // PartiQL takes a list as well.
    let is_list = matches!(tokens.first(), Some(token) if token.kind == Kind::ListOpen);
    let close = if is_list { "]" } else { ")" };
    match is_list {
        true => any.void().parse_next(tokens)?,
        false => sign("(").parse_next(tokens)?,
    }
    let among = list(operand)(tokens)?;
    sign(close).parse_next(tokens)?;
    match among.len() {
        ..=MAX_IN => Ok(Condition::In(left, among)),
        operands => Err(Failure::because(format!(
            "The IN operator is provided with too many operands; number of operands: {operands}"
        ))),
    }
}

/// PartiQL's `IS MISSING` and `IS NULL`, and their opposites.
fn is(path: WrittenPath, tokens: &mut Tokens<'_>) -> Parsed<Written> {
    let not = next_is_word(tokens, "NOT");
    if not {
        keyword("NOT").parse_next(tokens)?;
    }
    let null = matches!(tokens.first(), Some(token) if matches!(token.kind, Kind::Constant(word) if word.eq_ignore_ascii_case("NULL")));
    match null {
        true => any.void().parse_next(tokens)?,
        false => keyword("MISSING").parse_next(tokens)?,
    }
    Ok(match (null, not) {
        (false, false) => Condition::NotExists(path),
        (false, true) => Condition::Exists(path),
        (true, _) => {
            let is = Condition::HasType(path, Operand::Value(Term::Text("NULL".to_owned())));
            if not { Condition::Not(Box::new(is)) } else { is }
        }
    })
}

fn operand(tokens: &mut Tokens<'_>) -> Parsed<WrittenOperand> {
    match grammar::function_name(tokens) {
        Some(name) if name == "size" => {
            any.parse_next(tokens)?;
            sign("(").parse_next(tokens)?;
            let path = operand_of_size(tokens)?;
            sign(")").parse_next(tokens)?;
            return Ok(Operand::Size(path));
        }
        Some(name) => {
            return Err(Failure::because(match is_condition(&name) {
                true => format!(
                    "The function is not allowed to be used this way in an expression; function: {name}"
                ),
                false => format!("Invalid function name; function: {name}"),
            }));
        }
        None => {}
    }
    match grammar::begins_path(tokens) {
        true => grammar::path(tokens).map(Operand::Path),
        false => grammar::term(tokens).map(Operand::Value),
    }
}

fn is_condition(name: &str) -> bool {
    matches!(
        name,
        "attribute_exists" | "attribute_not_exists" | "attribute_type" | "begins_with" | "contains"
    )
}

fn operand_of_size(tokens: &mut Tokens<'_>) -> Parsed<WrittenPath> {
    let first = tokens.first().map(|token| &token.kind);
    match matches!(first, Some(Kind::Reference(_) | Kind::Parameter(_))) {
        true => Err(Failure::because(
            "Operator or function requires a document path; operator or function: size",
        )),
        false => grammar::path(tokens),
    }
}
