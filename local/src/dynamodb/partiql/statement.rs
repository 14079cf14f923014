//! Statements from their texts.

use crate::dynamodb::expression::check;
use crate::dynamodb::expression::condition::Condition;
use crate::dynamodb::expression::path::Path;
use crate::dynamodb::expression::projection::Projection;
use crate::dynamodb::expression::read::check_depth;

use crate::dynamodb::expression::token::{Kind, Token, Tokens};
use crate::dynamodb::expression::update::Update;
use crate::dynamodb::expression::written::{Resolve, Term, WrittenPath};
use crate::dynamodb::partiql::grammar::{WrittenAction, WrittenStatement, statement};
use crate::dynamodb::partiql::parameters::{Parameters, count_differs};
use crate::dynamodb::partiql::token::words;
use crate::dynamodb::texts::Texts;
use crate::dynamodb::value::{Invalid, Item, Value};

/// Characters of one statement.
const MAX_CHARACTERS: usize = 8192;

/// What PartiQL elsewhere has, and DynamoDB's or this one does not.
const UNSUPPORTED: [&str; 12] = [
    "AS", "GROUP", "HAVING", "JOIN", "LIMIT", "OFFSET", "ON", "UNION", "EXISTS", "DISTINCT", "LIKE", "UPSERT",
];

/// One statement with its parameters put in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statement {
    pub(crate) table: String,
    pub(crate) index: Option<String>,
    pub(crate) action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Insert(Item),
    Update {
        update: Update,
        filter: Option<Condition>,
        returning: Option<Returning>,
    },
    Delete {
        filter: Option<Condition>,
        /// Of a deletion there is only what was.
        returning: Option<Returning>,
    },
    Select {
        /// All of an item, if there is none.
        projection: Option<Projection>,
        filter: Option<Condition>,
        /// By which attribute, and whether it descends.
        order: Option<(String, bool)>,
    },
}

/// Which parts of an item a statement returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returning {
    AllOld,
    AllNew,
    ModifiedOld,
    ModifiedNew,
}

/// A statement as it is written, and how many parameters it has.
#[derive(Debug)]
struct Read {
    written: WrittenStatement,
    parameters: usize,
}

static STATEMENTS: Texts<Read> = Texts::new();

/// # Errors
/// When the text is not a statement that is supported, or its parameters do not fit.
pub(crate) fn parse(text: &str, parameters: &[Value]) -> Result<Statement, Invalid> {
    let known = STATEMENTS.read(text, || read(text))?;
    match known.parameters == parameters.len() {
        true => resolve(known.written.clone(), &mut Parameters(parameters)),
        false => Err(count_differs()),
    }
}

fn read(text: &str) -> Result<Read, Invalid> {
    let characters = text.chars().count();
    if !(1..=MAX_CHARACTERS).contains(&characters) {
        return Err(Invalid::new(format!(
            "1 validation error detected: Value at 'statement' failed to satisfy constraint: Member must have length between 1 and {MAX_CHARACTERS}"
        )));
    }
    let tokens = words(text);
    check_depth(&tokens)?;
    let mut rest = Tokens::new(&tokens);
    let written = statement(&mut rest)
        .map_err(|failure| not_well_formed(failure.into_message(text, &tokens), &tokens))?;
    let is_parameter = |token: &&Token<'_>| matches!(token.kind, Kind::Parameter(_));
    Ok(Read {
        written,
        parameters: tokens.iter().filter(is_parameter).count(),
    })
}

fn not_well_formed(reason: String, tokens: &[Token<'_>]) -> Invalid {
    let unsupported = UNSUPPORTED.iter().find(|word| {
        let is_word =
            |token: &Token<'_>| matches!(&token.kind, Kind::Quoted(name) if name.eq_ignore_ascii_case(word));
        let named = format!("token: \"{word}\"");
        reason.to_ascii_uppercase().contains(&named.to_ascii_uppercase())
            && tokens.iter().any(|token| token.is_word(word) || is_word(token))
    });
    match unsupported {
        Some(word) => Invalid::new(format!(
            "{word} is not supported in this place of a PartiQL statement"
        )),
        None => Invalid::new(format!(
            "Statement wasn't well formed, can't be processed: {reason}"
        )),
    }
}

fn resolve(written: WrittenStatement, parameters: &mut Parameters<'_>) -> Result<Statement, Invalid> {
    let returning = written
        .returning
        .as_ref()
        .map(|(what, when)| returned(what, when));
    let action = match written.action {
        WrittenAction::Insert(entries) => Action::Insert(parameters.item(entries)?),
        WrittenAction::Update(update) => {
            let update = update.resolve(parameters)?;
            check::update(&update)?;
            let filter = filter(written.filter, parameters)?;
            Action::Update {
                update,
                filter,
                returning,
            }
        }
        WrittenAction::Delete => match returning {
            None | Some(Returning::AllOld) => Action::Delete {
                filter: filter(written.filter, parameters)?,
                returning,
            },
            Some(_) => {
                let (what, when) = written.returning.unwrap_or_default();
                return Err(Invalid::new(format!(
                    "Invalid returning clause: RETURNING {what} {when} *. Only RETURNING ALL OLD * is allowed in DELETE statements."
                )));
            }
        },
        WrittenAction::Select(paths, order) => Action::Select {
            projection: paths
                .map(|paths| Projection::resolve_flat(paths, parameters))
                .transpose()?,
            order: match order {
                Some((path, descending)) => Some((attribute(parameters.path(path)?)?, descending)),
                None => None,
            },
            filter: filter(written.filter, parameters)?,
        },
    };
    if written.index.is_some() && !matches!(action, Action::Select { .. }) {
        return Err(Invalid::new("This operation is not supported on an index"));
    }
    Ok(Statement {
        table: written.table,
        index: written.index,
        action,
    })
}

fn attribute(path: Path) -> Result<String, Invalid> {
    match path.is_attribute() {
        true => Ok(path.attribute().to_owned()),
        false => Err(Invalid::new(
            "ORDER BY takes an attribute of the key, and no path in one",
        )),
    }
}

fn filter(
    written: Option<Condition<WrittenPath, Term>>,
    parameters: &mut Parameters<'_>,
) -> Result<Option<Condition>, Invalid> {
    let Some(written) = written else {
        return Ok(None);
    };
    let resolved = written.resolve(parameters)?;
    check::condition(&resolved)?;
    Ok(Some(resolved))
}

fn returned(what: &str, when: &str) -> Returning {
    match (what, when) {
        ("ALL", "OLD") => Returning::AllOld,
        ("ALL", _) => Returning::AllNew,
        (_, "OLD") => Returning::ModifiedOld,
        _ => Returning::ModifiedNew,
    }
}
