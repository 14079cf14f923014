//! What all grammars are made of: signs, keywords, paths, values.

use winnow::prelude::*;
use winnow::token::any;

use crate::dynamodb::expression::failure::{Failure, Parsed};
use crate::dynamodb::expression::reserved::is_reserved;
use crate::dynamodb::expression::token::{Kind, Token, Tokens};
use crate::dynamodb::expression::written::{Term, WrittenPath, WrittenStep};
use crate::dynamodb::value::Number;

/// What is a keyword of the grammars, and never a name.
const KEYWORDS: [&str; 9] = [
    "AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE",
];

pub(crate) fn sign<'t>(sign: &'static str) -> impl Parser<Tokens<'t>, (), Failure> {
    any.verify(move |token: &&'t Token<'t>| token.is_sign(sign))
        .void()
}

pub(crate) fn keyword<'t>(word: &'static str) -> impl Parser<Tokens<'t>, (), Failure> {
    any.verify(move |token: &&'t Token<'t>| token.is_word(word))
        .void()
}

pub(crate) fn next_is_sign(tokens: &Tokens<'_>, sign: &str) -> bool {
    tokens.first().is_some_and(|token| token.is_sign(sign))
}

pub(crate) fn next_is_word(tokens: &Tokens<'_>, word: &str) -> bool {
    tokens.first().is_some_and(|token| token.is_word(word))
}

/// One or more, with commas between them. A comma asks for one more: that is where it fails then.
pub(crate) fn list<'t, T>(
    mut element: impl FnMut(&mut Tokens<'t>) -> Parsed<T>,
) -> impl FnMut(&mut Tokens<'t>) -> Parsed<Vec<T>> {
    move |tokens: &mut Tokens<'t>| {
        let mut elements = vec![element(tokens)?];
        while next_is_sign(tokens, ",") {
            sign(",").parse_next(tokens)?;
            elements.push(element(tokens)?);
        }
        Ok(elements)
    }
}

/// The name before a parenthesis, if that comes next.
pub(crate) fn function_name(tokens: &Tokens<'_>) -> Option<String> {
    match (tokens.first().map(|token| &token.kind), tokens.get(1)) {
        (Some(Kind::Word(name)), Some(next)) if next.is_sign("(") && !is_keyword(name) => {
            Some((*name).to_owned())
        }
        _ => None,
    }
}

fn is_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

/// Whether what comes next can only be a path.
pub(crate) fn begins_path(tokens: &Tokens<'_>) -> bool {
    matches!(
        tokens.first().map(|token| &token.kind),
        Some(Kind::Word(_) | Kind::Alias(_) | Kind::Quoted(_))
    )
}

/// A document path: `a.#b[0]`.
pub(crate) fn path(tokens: &mut Tokens<'_>) -> Parsed<WrittenPath> {
    let mut steps = vec![name(tokens)?];
    loop {
        if next_is_sign(tokens, ".") {
            sign(".").parse_next(tokens)?;
            steps.push(name(tokens)?);
        } else if next_is_sign(tokens, "[") {
            sign("[").parse_next(tokens)?;
            steps.push(index(tokens)?);
            sign("]").parse_next(tokens)?;
        } else {
            return Ok(WrittenPath(steps));
        }
    }
}

fn name(tokens: &mut Tokens<'_>) -> Parsed<WrittenStep> {
    if let Some(Kind::Word(word)) = tokens.first().map(|token| &token.kind)
        && !is_keyword(word)
        && is_reserved(word)
    {
        return Err(Failure::because(format!(
            "Attribute name is a reserved keyword; reserved keyword: {word}"
        )));
    }
    any.verify_map(|token: &Token<'_>| match &token.kind {
        Kind::Word(word) if !is_keyword(word) => Some(WrittenStep::Name((*word).to_owned())),
        Kind::Alias(name) => Some(WrittenStep::Alias((*name).to_owned())),
        Kind::Quoted(name) => Some(WrittenStep::Name(name.clone())),
        _ => None,
    })
    .parse_next(tokens)
}

fn index(tokens: &mut Tokens<'_>) -> Parsed<WrittenStep> {
    let token = any
        .verify(|token: &&Token<'_>| {
            matches!(token.kind, Kind::Number(_) | Kind::Numeral(_) | Kind::Literal(_))
        })
        .parse_next(tokens)?;
    let digits = match &token.kind {
        Kind::Number(digits) | Kind::Numeral(digits) => digits,
        Kind::Literal(name) => return Ok(WrittenStep::Name(name.clone())),
        _ => return Err(Failure::at(tokens)),
    };
    let out_of_range = |_| {
        Failure::because(format!(
            "List index is not within the allowable range; index: [{digits}]"
        ))
    };
    digits.parse().map(WrittenStep::Index).map_err(out_of_range)
}

/// A value: a reference, or what PartiQL has in its place.
pub(crate) fn term(tokens: &mut Tokens<'_>) -> Parsed<Term> {
    let Some(first) = tokens.first() else {
        return Err(Failure::at(tokens));
    };
    let term = match &first.kind {
        Kind::Reference(name) => Term::Reference((*name).to_owned()),
        Kind::Parameter(nth) => Term::Parameter(*nth),
        Kind::Literal(text) => Term::Text(text.clone()),
        Kind::Numeral(digits) => number(digits)?,
        Kind::Constant(word) if word.eq_ignore_ascii_case("null") => Term::Null,
        Kind::Constant(word) => Term::Bool(word.eq_ignore_ascii_case("true")),
        Kind::ListOpen | Kind::Sign("{" | "<<") => return nested(tokens),
        Kind::Sign("-") => {
            if let Some(Kind::Numeral(digits)) = tokens.get(1).map(|token| &token.kind) {
                let term = number(&format!("-{digits}"))?;
                (any, any).void().parse_next(tokens)?;
                return Ok(term);
            }
            return Err(Failure::at(tokens));
        }
        _ => return Err(Failure::at(tokens)),
    };
    any.void().parse_next(tokens)?;
    Ok(term)
}

fn number(digits: &str) -> Parsed<Term> {
    let number = Number::parse(digits).map_err(|error| Failure::because(error.to_string()))?;
    Ok(Term::Number(number))
}

/// PartiQL's lists, maps and sets.
fn nested(tokens: &mut Tokens<'_>) -> Parsed<Term> {
    let open = any.parse_next(tokens)?;
    let close = match open.kind {
        Kind::Sign("{") => "}",
        Kind::Sign("<<") => ">>",
        _ => "]",
    };
    let empty = next_is_sign(tokens, close);
    let term = match close {
        "}" if empty => Term::Map(Vec::new()),
        "}" => Term::Map(list(entry)(tokens)?),
        ">>" => Term::Set(if empty { Vec::new() } else { list(term)(tokens)? }),
        _ => Term::List(if empty { Vec::new() } else { list(term)(tokens)? }),
    };
    sign(close).parse_next(tokens)?;
    Ok(term)
}

/// `'name': value`, the name in either quotes.
pub(crate) fn entry(tokens: &mut Tokens<'_>) -> Parsed<(String, Term)> {
    let name = any
        .verify_map(|token: &Token<'_>| match &token.kind {
            Kind::Literal(name) | Kind::Quoted(name) => Some(name.clone()),
            _ => None,
        })
        .parse_next(tokens)?;
    sign(":").parse_next(tokens)?;
    Ok((name, term(tokens)?))
}
