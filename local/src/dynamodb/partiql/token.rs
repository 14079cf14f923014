//! The words of a statement.

use winnow::ascii::digit1;
use winnow::combinator::{alt, delimited, opt, preceded, repeat};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::stream::LocatingSlice;
use winnow::token::{any, none_of, one_of};

use crate::dynamodb::expression::token::{self, Kind, Token};

type Text<'s> = LocatingSlice<&'s str>;
type Read<T> = Result<T, ContextError>;

/// What is no attribute's name unless it is quoted.
const KEYWORDS: [&str; 23] = [
    "SELECT",
    "FROM",
    "WHERE",
    "INSERT",
    "INTO",
    "VALUE",
    "UPDATE",
    "SET",
    "REMOVE",
    "DELETE",
    "RETURNING",
    "AND",
    "OR",
    "NOT",
    "BETWEEN",
    "IN",
    "MISSING",
    "ORDER",
    "BY",
    "ASC",
    "DESC",
    "ADD",
    "EXISTS",
];

/// What is a keyword behind RETURNING only.
const OF_RETURNING: [&str; 4] = ["ALL", "MODIFIED", "OLD", "NEW"];

/// In any case in a statement; the grammars know them in this one.
const FUNCTIONS: [&str; 10] = [
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "contains",
    "size",
    "if_not_exists",
    "list_append",
    "set_add",
    "set_delete",
];

/// The words of a statement, each with what it is there: keyword, function, name or value.
pub(super) fn words(source: &str) -> Vec<Token<'_>> {
    let mut tokens = token::split(source, statement_word);
    let mut parameters = 0;
    let mut returning = false;
    for at in 0..tokens.len() {
        let called = tokens.get(at + 1).is_some_and(|next| next.is_sign("("));
        let named = at > 0 && (matches!(tokens[at - 1].kind, Kind::Quoted(_)) || tokens[at - 1].is_sign("]"));
        let kind = &mut tokens[at].kind;
        match kind {
            Kind::Parameter(nth) => {
                *nth = parameters;
                parameters += 1;
            }
            Kind::Sign("[") if !named => *kind = Kind::ListOpen,
            Kind::Word(word) => {
                returning |= word.eq_ignore_ascii_case("RETURNING");
                *kind = word_is(word, called, returning);
            }
            _ => {}
        }
    }
    tokens
}

fn word_is<'s>(word: &'s str, called: bool, returning: bool) -> Kind<'s> {
    let is = |other: &&&str| word.eq_ignore_ascii_case(other);
    if is(&&"IS") {
        return Kind::Is(word);
    }
    if ["TRUE", "FALSE", "NULL"].iter().any(|constant| is(&constant)) {
        return Kind::Constant(word);
    }
    if KEYWORDS.iter().any(|keyword| is(&keyword))
        || (returning && OF_RETURNING.iter().any(|keyword| is(&keyword)))
    {
        return Kind::Word(word);
    }
    match called {
        true => Kind::Word(FUNCTIONS.iter().find(is).copied().unwrap_or(word)),
        false => Kind::Quoted(word.to_owned()),
    }
}

fn statement_word<'s>(text: &mut Text<'s>) -> Read<Kind<'s>> {
    alt((
        token::word.map(Kind::Word),
        quoted('"').map(Kind::Quoted),
        quoted('\'').map(Kind::Literal),
        number.map(Kind::Numeral),
        '?'.value(Kind::Parameter(0)),
        alt(("<<", ">>", "!=")).map(Kind::Sign),
        token::sign.map(Kind::Sign),
        one_of(['{', '}', ':', ';', '*']).take().map(Kind::Sign),
        any.map(Kind::Unreadable),
    ))
    .parse_next(text)
}

/// Between two quotes; a quote in it is written twice.
fn quoted<'s>(quote: char) -> impl Parser<Text<'s>, String, ContextError> {
    let twice = if quote == '"' { "\"\"" } else { "''" };
    let letter = alt((none_of(quote), twice.value(quote)));
    delimited(quote, repeat(0.., letter), quote)
}

fn number<'s>(text: &mut Text<'s>) -> Read<&'s str> {
    let exponent = (one_of(['e', 'E']), opt(one_of(['+', '-'])), digit1);
    (digit1, opt(preceded('.', opt(digit1))), opt(exponent))
        .take()
        .parse_next(text)
}
