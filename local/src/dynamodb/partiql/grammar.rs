//! The grammar of statements.

use winnow::prelude::*;
use winnow::token::any;

use crate::dynamodb::expression::condition::Condition;
use crate::dynamodb::expression::condition_grammar::condition;
use crate::dynamodb::expression::failure::{Failure, Parsed};
use crate::dynamodb::expression::grammar::{
    self, entry, function_name, keyword, list, next_is_sign, next_is_word, sign,
};
use crate::dynamodb::expression::token::{Kind, Token, Tokens};
use crate::dynamodb::expression::update::Update;
use crate::dynamodb::expression::update_grammar::assignment;
use crate::dynamodb::expression::written::{Term, WrittenPath};

type WrittenCondition = Condition<WrittenPath, Term>;
type WrittenUpdate = Update<WrittenPath, Term>;

/// A statement before its parameters are put in.
#[derive(Clone, Debug)]
pub(super) struct WrittenStatement {
    pub(super) table: String,
    pub(super) index: Option<String>,
    pub(super) action: WrittenAction,
    pub(super) filter: Option<WrittenCondition>,
    /// What stands between RETURNING and the asterisk.
    pub(super) returning: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(super) enum WrittenAction {
    Insert(Vec<(String, Term)>),
    Update(WrittenUpdate),
    Delete,
    /// `*` is no paths. Ordered by an attribute, descending or not.
    Select(Option<Vec<WrittenPath>>, Option<(WrittenPath, bool)>),
}

pub(super) fn statement(tokens: &mut Tokens<'_>) -> Parsed<WrittenStatement> {
    let verbs = ["INSERT", "UPDATE", "DELETE", "SELECT"];
    let verb = tokens
        .first()
        .and_then(|first| verbs.into_iter().find(|verb| first.is_word(verb)));
    let Some(verb) = verb else {
        return Err(Failure::at(tokens));
    };
    any.void().parse_next(tokens)?;
    let statement = match verb {
        "INSERT" => insert(tokens)?,
        "UPDATE" => update(tokens)?,
        "DELETE" => delete(tokens)?,
        _ => select(tokens)?,
    };
    if next_is_sign(tokens, ";") {
        sign(";").parse_next(tokens)?;
    }
    match tokens.is_empty() {
        true => Ok(statement),
        false => Err(Failure::at(tokens)),
    }
}

fn insert(tokens: &mut Tokens<'_>) -> Parsed<WrittenStatement> {
    keyword("INTO").parse_next(tokens)?;
    let (table, index) = table(tokens)?;
    keyword("VALUE").parse_next(tokens)?;
    sign("{").parse_next(tokens)?;
    let entries = list(entry)(tokens)?;
    sign("}").parse_next(tokens)?;
    Ok(WrittenStatement {
        table,
        index,
        action: WrittenAction::Insert(entries),
        filter: None,
        returning: None,
    })
}

fn update(tokens: &mut Tokens<'_>) -> Parsed<WrittenStatement> {
    let (table, index) = table(tokens)?;
    let mut update = Update::new();
    loop {
        if next_is_word(tokens, "SET") {
            keyword("SET").parse_next(tokens)?;
            list(|tokens: &mut Tokens<'_>| set(&mut update, tokens))(tokens)?;
        } else if next_is_word(tokens, "REMOVE") {
            keyword("REMOVE").parse_next(tokens)?;
            update.remove.extend(list(grammar::path)(tokens)?);
        } else {
            break;
        }
    }
    if update.targets_nothing() {
        return Err(Failure::at(tokens));
    }
    Ok(WrittenStatement {
        table,
        index,
        action: WrittenAction::Update(update),
        filter: filter(tokens)?,
        returning: returning(tokens)?,
    })
}

/// `path = value`, the value a set with members more or less being that path's own.
fn set(update: &mut WrittenUpdate, tokens: &mut Tokens<'_>) -> Parsed<()> {
    let mut ahead = tokens.clone();
    let path = grammar::path(&mut ahead)?;
    sign("=").parse_next(&mut ahead)?;
    let name = match function_name(&ahead) {
        Some(name) if name == "set_add" || name == "set_delete" => name,
        _ => {
            update.set.push(assignment(tokens)?);
            return Ok(());
        }
    };
    (any, sign("(")).void().parse_next(&mut ahead)?;
    let of = grammar::path(&mut ahead)?;
    sign(",").parse_next(&mut ahead)?;
    let members = grammar::term(&mut ahead)?;
    sign(")").parse_next(&mut ahead)?;
    if of != path {
        return Err(Failure::because(format!(
            "{name} is supported only where it changes the attribute that it reads"
        )));
    }
    match name == "set_add" {
        true => update.add.push((path, members)),
        false => update.delete.push((path, members)),
    }
    *tokens = ahead;
    Ok(())
}

fn delete(tokens: &mut Tokens<'_>) -> Parsed<WrittenStatement> {
    keyword("FROM").parse_next(tokens)?;
    let (table, index) = table(tokens)?;
    Ok(WrittenStatement {
        table,
        index,
        action: WrittenAction::Delete,
        filter: filter(tokens)?,
        returning: returning(tokens)?,
    })
}

fn select(tokens: &mut Tokens<'_>) -> Parsed<WrittenStatement> {
    let paths = match next_is_sign(tokens, "*") {
        true => {
            sign("*").parse_next(tokens)?;
            None
        }
        false => Some(list(selected)(tokens)?),
    };
    keyword("FROM").parse_next(tokens)?;
    let (table, index) = table(tokens)?;
    let filter = filter(tokens)?;
    let order = match next_is_word(tokens, "ORDER") {
        true => Some(order(tokens)?),
        false => None,
    };
    Ok(WrittenStatement {
        table,
        index,
        action: WrittenAction::Select(paths, order),
        filter,
        returning: None,
    })
}

fn selected(tokens: &mut Tokens<'_>) -> Parsed<WrittenPath> {
    match function_name(tokens) {
        Some(name) => Err(Failure::because(format!(
            "The function {name} is not supported in a SELECT's list"
        ))),
        None => grammar::path(tokens),
    }
}

fn order(tokens: &mut Tokens<'_>) -> Parsed<(WrittenPath, bool)> {
    (keyword("ORDER"), keyword("BY")).void().parse_next(tokens)?;
    let path = grammar::path(tokens)?;
    let descending = next_is_word(tokens, "DESC");
    if descending || next_is_word(tokens, "ASC") {
        any.void().parse_next(tokens)?;
    }
    Ok((path, descending))
}

/// A table, and one of its indexes.
fn table(tokens: &mut Tokens<'_>) -> Parsed<(String, Option<String>)> {
    let table = table_name(tokens)?;
    if !next_is_sign(tokens, ".") {
        return Ok((table, None));
    }
    sign(".").parse_next(tokens)?;
    Ok((table, Some(table_name(tokens)?)))
}

fn table_name(tokens: &mut Tokens<'_>) -> Parsed<String> {
    any.verify_map(|token: &Token<'_>| match &token.kind {
        Kind::Quoted(name) => Some(name.clone()),
        _ => None,
    })
    .parse_next(tokens)
}

fn filter(tokens: &mut Tokens<'_>) -> Parsed<Option<WrittenCondition>> {
    if !next_is_word(tokens, "WHERE") {
        return Ok(None);
    }
    keyword("WHERE").parse_next(tokens)?;
    condition(tokens).map(Some)
}

fn returning(tokens: &mut Tokens<'_>) -> Parsed<Option<(String, String)>> {
    if !next_is_word(tokens, "RETURNING") {
        return Ok(None);
    }
    keyword("RETURNING").parse_next(tokens)?;
    let what = one_of(["ALL", "MODIFIED"], tokens)?;
    let when = one_of(["OLD", "NEW"], tokens)?;
    sign("*").parse_next(tokens)?;
    Ok(Some((what, when)))
}

fn one_of(words: [&str; 2], tokens: &mut Tokens<'_>) -> Parsed<String> {
    any.verify_map(|token: &Token<'_>| {
        words
            .into_iter()
            .find(|word| token.is_word(word))
            .map(str::to_owned)
    })
    .parse_next(tokens)
}
