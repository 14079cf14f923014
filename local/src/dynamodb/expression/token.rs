//! The words of an expression, and of a PartiQL statement.

use winnow::ascii::{alpha1, digit1, multispace0};
use winnow::combinator::{alt, preceded, repeat, terminated};
use winnow::error::ContextError;
use winnow::prelude::*;
use winnow::stream::{LocatingSlice, TokenSlice};
use winnow::token::{any, one_of, take_while};

/// What the grammars read.
pub(crate) type Tokens<'t> = TokenSlice<'t, Token<'t>>;

type Text<'s> = LocatingSlice<&'s str>;
type Read<T> = Result<T, ContextError>;

/// One word, and where it stands in the source, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind<'s>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'s> {
    /// A name or a keyword.
    Word(&'s str),
    /// `#name`, with its sign.
    Alias(&'s str),
    /// `:value`, with its sign.
    Reference(&'s str),
    /// A list's index.
    Number(&'s str),
    /// An operator, or what groups.
    Sign(&'s str),
    /// PartiQL: a name in double quotes.
    Quoted(String),
    /// PartiQL: a text in single quotes.
    Literal(String),
    /// PartiQL: a number.
    Numeral(&'s str),
    /// PartiQL: TRUE, FALSE or NULL as a value.
    Constant(&'s str),
    /// PartiQL: `IS`.
    Is(&'s str),
    /// PartiQL: `[` where a list begins, and not an index.
    ListOpen,
    /// PartiQL: `?`, the how many-th.
    Parameter(usize),
    /// A character that begins nothing.
    Unreadable(char),
}

/// The words of an expression. What cannot be read is a word of its own, which no grammar takes.
pub(crate) fn words(source: &str) -> Vec<Token<'_>> {
    split(source, expression_word)
}

/// Splits a source at white space into words as `word` reads them.
pub(crate) fn split<'s>(source: &'s str, word: fn(&mut Text<'s>) -> Read<Kind<'s>>) -> Vec<Token<'s>> {
    let token = word.with_span().map(|(kind, span)| Token {
        kind,
        start: span.start,
        end: span.end,
    });
    let mut tokens = preceded(multispace0, repeat(0.., terminated(token, multispace0)));
    tokens.parse(LocatingSlice::new(source)).unwrap_or_default()
}

fn expression_word<'s>(text: &mut Text<'s>) -> Read<Kind<'s>> {
    alt((
        word.map(Kind::Word),
        ('#', name1).take().map(Kind::Alias),
        (':', name1).take().map(Kind::Reference),
        digit1.map(Kind::Number),
        sign.map(Kind::Sign),
        any.map(Kind::Unreadable),
    ))
    .parse_next(text)
}

pub(crate) fn word<'s>(text: &mut Text<'s>) -> Read<&'s str> {
    (alt((alpha1, "_")), take_while(0.., is_of_name))
        .take()
        .parse_next(text)
}

fn name1<'s>(text: &mut Text<'s>) -> Read<&'s str> {
    take_while(1.., is_of_name).parse_next(text)
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

pub(crate) fn sign<'s>(text: &mut Text<'s>) -> Read<&'s str> {
    alt((
        "<>",
        "<=",
        ">=",
        one_of(['=', '<', '>', '+', '-', '(', ')', '[', ']', '.', ',']).take(),
    ))
    .parse_next(text)
}

impl Token<'_> {
    pub(crate) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Sign(found) if found == sign)
    }

    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Word(found) if found.eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_split_into_words_with_their_places() {
        let found: Vec<_> = words(" a.#b1[10] <>:v\n!")
            .into_iter()
            .map(|token| (token.kind, token.start, token.end))
            .collect();
        assert_eq!(
            found,
            [
                (Kind::Word("a"), 1, 2),
                (Kind::Sign("."), 2, 3),
                (Kind::Alias("#b1"), 3, 6),
                (Kind::Sign("["), 6, 7),
                (Kind::Number("10"), 7, 9),
                (Kind::Sign("]"), 9, 10),
                (Kind::Sign("<>"), 11, 13),
                (Kind::Reference(":v"), 13, 15),
                (Kind::Unreadable('!'), 16, 17),
            ]
        );
    }
}
