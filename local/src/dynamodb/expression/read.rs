//! Expressions from their texts.

use crate::dynamodb::expression::condition::Condition;
use crate::dynamodb::expression::failure::{Failure, Parsed};
use crate::dynamodb::expression::key_condition::KeyClauses;
use crate::dynamodb::expression::projection::Projection;
use crate::dynamodb::expression::substitutions::Substitutions;

use crate::dynamodb::expression::token::{Kind, Token, Tokens, words};
use crate::dynamodb::expression::update::Update;
use crate::dynamodb::expression::written::{Term, WrittenPath};
use crate::dynamodb::expression::{check, condition_grammar, grammar, update_grammar};
use crate::dynamodb::texts::Texts;
use crate::dynamodb::value::Invalid;

/// Bytes of one expression.
const MAX_BYTES: usize = 4096;

/// Operators and functions of one expression.
const MAX_OPERATORS: usize = 300;

/// How deep parentheses, lists and maps go. AWS says no limit; this one keeps hostile text from the end of the stack.
pub(crate) const MAX_DEPTH: usize = 64;

/// Which parameter a condition is in: errors name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConditionKind {
    Condition,
    Filter,
}

static CONDITIONS: Texts<Condition<WrittenPath, Term>> = Texts::new();
static UPDATES: Texts<Update<WrittenPath, Term>> = Texts::new();
static PROJECTIONS: Texts<Vec<WrittenPath>> = Texts::new();

/// # Errors
/// When it is not a condition, or its names and values do not fit.
pub(crate) fn condition(
    kind: ConditionKind,
    text: &str,
    substitutions: &mut Substitutions<'_>,
) -> Result<Condition, Invalid> {
    let parameter = match kind {
        ConditionKind::Condition => "ConditionExpression",
        ConditionKind::Filter => "FilterExpression",
    };
    of(parameter, || resolved(text, substitutions))
}

/// # Errors
/// When it is not a key condition, or its names and values do not fit.
pub(crate) fn key_condition(
    text: &str,
    substitutions: &mut Substitutions<'_>,
) -> Result<KeyClauses, Invalid> {
    of("KeyConditionExpression", || {
        KeyClauses::new(resolved(text, substitutions)?)
    })
}

fn resolved(text: &str, substitutions: &mut Substitutions<'_>) -> Result<Condition, Invalid> {
    let written = CONDITIONS.read(text, || whole(text, condition_grammar::condition))?;
    let resolved = Condition::clone(&written).resolve(substitutions)?;
    check::condition(&resolved)?;
    Ok(resolved)
}

/// # Errors
/// When it is not an update, or its names and values do not fit.
pub(crate) fn update(text: &str, substitutions: &mut Substitutions<'_>) -> Result<Update, Invalid> {
    of("UpdateExpression", || {
        let written = UPDATES.read(text, || whole(text, update_grammar::update))?;
        let resolved = Update::clone(&written).resolve(substitutions)?;
        check::update(&resolved)?;
        Ok(resolved)
    })
}

/// # Errors
/// When it is not a list of paths, or its names do not fit.
pub(crate) fn projection(text: &str, substitutions: &mut Substitutions<'_>) -> Result<Projection, Invalid> {
    of("ProjectionExpression", || {
        let written = PROJECTIONS.read(text, || {
            whole(text, |tokens| grammar::list(grammar::path)(tokens))
        })?;
        Projection::resolve(Vec::clone(&written), substitutions)
    })
}

/// Says which expression it was where it fails.
fn of<T>(parameter: &str, read: impl FnOnce() -> Result<T, Invalid>) -> Result<T, Invalid> {
    read().map_err(|invalid| Invalid::new(format!("Invalid {parameter}: {invalid}")))
}

/// What a grammar reads of all of an expression.
///
/// # Errors
/// When the expression is too long or too deep, does not follow the grammar, or something is behind it.
fn whole<T>(text: &str, mut parse: impl for<'t> FnMut(&mut Tokens<'t>) -> Parsed<T>) -> Result<T, Invalid> {
    if text.is_empty() {
        return Err(Invalid::new("The expression can not be empty;"));
    }
    if text.len() > MAX_BYTES {
        return Err(Invalid::new(
            "Expression size has exceeded the maximum allowed size;",
        ));
    }
    let tokens = words(text);
    let operators = tokens.iter().filter(|token| is_operator(token)).count();
    if operators > MAX_OPERATORS {
        return Err(Invalid::new(format!(
            "The expression contains more than {MAX_OPERATORS} operators; operator count: {operators}"
        )));
    }
    check_depth(&tokens)?;
    check_redundant(&tokens)?;
    let mut rest = Tokens::new(&tokens);
    let parsed = parse(&mut rest).and_then(|parsed| match rest.is_empty() {
        true => Ok(parsed),
        false => Err(Failure::at(&rest)),
    });
    parsed.map_err(|failure| Invalid::new(failure.into_message(text, &tokens)))
}

/// # Errors
/// When parentheses, lists or maps are nested too deeply.
pub(crate) fn check_depth(tokens: &[Token<'_>]) -> Result<(), Invalid> {
    let mut depth = 0_usize;
    for token in tokens {
        match token.kind {
            Kind::Sign("(" | "{" | "<<") | Kind::ListOpen => depth += 1,
            Kind::Sign(")" | "}" | ">>") => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(Invalid::new(format!(
                "The expression is nested too deeply: parentheses go {MAX_DEPTH} levels deep at most"
            )));
        }
    }
    Ok(())
}

fn is_operator(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Sign(sign) => matches!(sign, "=" | "<>" | "<" | "<=" | ">" | ">=" | "+" | "-"),
        Kind::Word(_) => ["AND", "OR", "NOT", "BETWEEN", "IN"]
            .iter()
            .any(|word| token.is_word(word)),
        _ => false,
    }
}

/// # Errors
/// When a pair of parentheses holds nothing but another pair.
fn check_redundant(tokens: &[Token<'_>]) -> Result<(), Invalid> {
    let mut open = Vec::new();
    let mut pairs = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if token.is_sign("(") {
            open.push(at);
        } else if token.is_sign(")")
            && let Some(begin) = open.pop()
        {
            // Pairs end in order: only the last one can fill this one.
            if pairs.last() == Some(&(begin + 1, at - 1)) {
                return Err(Invalid::new("The expression has redundant parentheses;"));
            }
            pairs.push((begin, at));
        }
    }
    Ok(())
}
