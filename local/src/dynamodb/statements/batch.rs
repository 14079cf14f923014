//! BatchExecuteStatement: writes in one commit, each of them made or refused for itself; or reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::dynamodb::capacity::{Axis, ByTable, Consumed, Units, Wanted, write_units};
use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::item::{Action, ItemWrite, shows_old};
use crate::dynamodb::partiql::{Returning, Statement};
use crate::dynamodb::statements::one::{is_read, parse, returned, write_of};
use crate::dynamodb::statements::select::{Keyed, keyed};
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::value::{Item, Value, item_size};
use crate::dynamodb::wire::{invalid, request, response};
use crate::dynamodb::write::apply;
use crate::store::{Change, Look};

/// How many statements a batch has at most.
const MOST_STATEMENTS: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch {
    statements: Vec<StatementRequest>,
    return_consumed_capacity: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatementRequest {
    statement: String,
    parameters: Option<Vec<Value>>,
    consistent_read: Option<bool>,
    return_values_on_condition_check_failure: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    responses: Vec<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Consumed>>,
}

/// What became of one statement.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ResponseError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ResponseError {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

/// A statement, or why it is none.
struct Member {
    statement: Result<Statement, Refusal>,
    consistent: bool,
    shows_old: bool,
}

impl Member {
    /// The table that the statement names, if it is one.
    fn table(&self) -> Option<String> {
        let statement = self.statement.as_ref().ok();
        statement.map(|statement| statement.table.clone())
    }
}

pub(crate) async fn batch(engine: &Engine, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let request: Batch = request(body)?;
    let wanted = Wanted::of(request.return_consumed_capacity.as_deref())?;
    let bound = match request.statements.len() {
        0 => Some("greater than or equal to 1"),
        1..=MOST_STATEMENTS => None,
        _ => Some("less than or equal to 25"),
    };
    if let Some(bound) = bound {
        return Err(invalid(&[format!(
            "Value at 'statements' failed to satisfy constraint: Member must have length {bound}"
        )])
        .into());
    }
    let mut members = Vec::with_capacity(request.statements.len());
    for one in request.statements {
        members.push(Member {
            statement: parse(&one.statement, one.parameters.as_deref()),
            consistent: one.consistent_read.unwrap_or_default(),
            shows_old: shows_old(one.return_values_on_condition_check_failure.as_deref())?,
        });
    }
    let parsed = || members.iter().filter_map(|member| member.statement.as_ref().ok());
    let (reads, all) = (parsed().filter(|one| is_read(one)).count(), parsed().count());
    let ran = match reads {
        0 => {
            engine
                .change(move |change| Members::default().write(change, members))
                .await?
        }
        reads if reads == all => {
            engine
                .look(move |look| Members::default().read(look, members))
                .await?
        }
        _ => {
            let message = "Read and write requests together in the same batch is not supported.";
            return Err(Refusal::validation(message).into());
        }
    };
    Ok(response(&Answered {
        consumed_capacity: ran.consumed(wanted),
        responses: ran.responses,
    }))
}

/// What the members have done so far.
#[derive(Default)]
struct Members {
    responses: Vec<Response>,
    units: ByTable,
    /// Of those that were refused; told only where another was not.
    refused: ByTable,
    is_any_made: bool,
    tables: BTreeMap<String, Arc<Table>>,
    different: BTreeSet<Vec<u8>>,
}

impl Members {
    fn write(mut self, change: &mut dyn Change, members: Vec<Member>) -> Result<Self, Failure> {
        let mut writes = Vec::with_capacity(members.len());
        for member in members {
            let named = member.table();
            writes.push(match self.resolved(change, member.statement) {
                Ok(write) => Ok((write, member.shows_old)),
                Err(Failure::Refused(refusal)) => Err((named, refusal)),
                Err(error) => return Err(error),
            });
        }
        for write in writes {
            match write {
                Err((named, refusal)) => self.refuse(named, refusal),
                Ok((write, shows_old)) => self.make(change, write, shows_old)?,
            }
        }
        Ok(self)
    }

    fn make(&mut self, change: &mut dyn Change, resolved: Resolved, shows_old: bool) -> Result<(), Failure> {
        let Resolved {
            table,
            write,
            returning,
            key,
        } = resolved;
        let inserted = match &write.action {
            Action::Put(item) => item_size(item),
            _ => 0,
        };
        let name = table.name.clone();
        let written = match key {
            Ok(key) => write.plan(change, &table, key),
            Err(refusal) => Err(refusal.into()),
        };
        match written.and_then(|planned| apply(change, planned)) {
            Ok(written) => {
                self.is_any_made = true;
                self.units.add(&name, &written.units);
                self.responses.push(Response {
                    item: returned(&written, returning),
                    table_name: Some(name),
                    error: None,
                });
            }
            Err(Failure::Refused(refusal)) => {
                if matches!(refusal.code, Code::ConditionalCheckFailed | Code::DuplicateItem) {
                    let there = refusal.item.as_ref().map_or(0, item_size);
                    let units = Units {
                        refused: write_units(there.max(inserted)),
                        ..Units::default()
                    };
                    self.refused.add(&name, &units);
                }
                let shows_old = shows_old && refusal.code == Code::ConditionalCheckFailed;
                self.refuse(Some(name), refusal.showing(shows_old));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn read(mut self, look: &dyn Look, members: Vec<Member>) -> Result<Self, Failure> {
        let mut reads = Vec::with_capacity(members.len());
        for member in members {
            let named = member.table();
            let keyed = member.statement.map_err(Failure::from).and_then(|statement| {
                let table = self.table(look, &statement.table)?;
                Ok(keyed(statement, &table)?)
            });
            reads.push(match keyed {
                Ok(keyed) if !self.different.insert(keyed.place.clone()) => return Err(duplicates()),
                Ok(keyed) => Ok((keyed, member.consistent)),
                Err(Failure::Refused(refusal)) => Err((named, refusal)),
                Err(error) => return Err(error),
            });
        }
        for read in reads {
            match read {
                Err((named, refusal)) => self.refuse(named, refusal),
                Ok((keyed, consistent)) => {
                    let Keyed { table, .. } = &keyed;
                    let table = table.clone();
                    let (item, units) = keyed.read(look, consistent)?;
                    self.is_any_made = true;
                    self.units.add(&table, &units);
                    self.responses.push(Response {
                        item,
                        table_name: Some(table),
                        error: None,
                    });
                }
            }
        }
        Ok(self)
    }

    /// # Errors
    /// For the whole batch, when two statements are on one item.
    fn resolved(
        &mut self,
        look: &(impl Look + ?Sized),
        statement: Result<Statement, Refusal>,
    ) -> Result<Resolved, Failure> {
        let statement = statement?;
        let table = self.table(look, &statement.table)?;
        let (write, returning) = write_of(statement, &table)?;
        let key = write.key(&table);
        if let Ok(key) = &key
            && !self.different.insert(key.clone())
        {
            return Err(duplicates());
        }
        Ok(Resolved {
            table,
            write,
            returning,
            key,
        })
    }

    fn table(&mut self, look: &(impl Look + ?Sized), name: &str) -> Result<Arc<Table>, Failure> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Arc::clone(table));
        }
        let table = Table::of_items(look, name)?;
        self.tables.insert(name.to_owned(), Arc::clone(&table));
        Ok(table)
    }

    fn refuse(&mut self, table: Option<String>, refusal: Refusal) {
        let is_told = refusal.code != Code::Validation;
        self.responses.push(Response {
            error: Some(ResponseError {
                code: refusal.code.of_member(),
                message: refusal.message,
                item: refusal.item,
            }),
            item: None,
            table_name: table.filter(|_| is_told),
        });
    }

    /// AWS tells nothing of a table where every statement was refused.
    fn consumed(&self, wanted: Wanted) -> Option<Vec<Consumed>> {
        if !self.is_any_made {
            return None;
        }
        let mut all = self.units.clone();
        all.add_to_same(&self.refused);
        all.consumed(wanted, Axis::Untold)
    }
}

/// A statement's write and where it is.
struct Resolved {
    table: Arc<Table>,
    write: ItemWrite,
    returning: Option<Returning>,
    key: Result<Vec<u8>, Refusal>,
}

fn duplicates() -> Failure {
    Failure::Batch(Refusal::validation(
        "Provided list of item keys contains duplicates",
    ))
}
