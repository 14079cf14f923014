//! Items whose time to live is over. AWS removes them within days, this engine when it is asked to.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use crate::dynamodb::engine::Engine;
use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::dynamodb::keys;
use crate::dynamodb::tables::schema::Table;
use crate::dynamodb::tokens;
use crate::dynamodb::value::{Item, Number, Value};
use crate::dynamodb::write::{Becomes, Write, apply, plan};
use crate::store::{Look, Map};

/// How many items are looked at at once, and removed in one commit at most.
const AT_ONCE: usize = 1000;

/// Removes them from all tables; how many.
pub(crate) async fn expire(engine: &Engine) -> Result<u64, Failure> {
    let mut removed = 0;
    for name in engine.look(|look| with_ttl(look)).await? {
        let mut behind = Bound::Included(keys::of_table(&name));
        loop {
            let (of_table, from, now) = (name.clone(), behind, engine.now_ms() / 1000);
            let looked = engine.look(move |look| over(look, &of_table, from, now)).await;
            let (over, last) = match looked {
                // It was deleted meanwhile.
                Err(Failure::Refused(refusal)) if refusal.code == Code::ResourceNotFound => break,
                looked => looked?,
            };
            if !over.is_empty() {
                let of_table = name.clone();
                removed += engine
                    .change(move |change| {
                        let Some(table) = Table::find(change, &of_table)? else {
                            return Ok(0);
                        };
                        let table = Arc::new(table);
                        let mut removed = 0;
                        for key in over {
                            removed += u64::from(remove(change, &table, key, now)?);
                        }
                        Ok(removed)
                    })
                    .await?;
            }
            match last {
                Some(last) => behind = Bound::Excluded(last),
                None => break,
            }
        }
    }
    Ok(removed)
}

/// The names of the tables that have a time to live.
fn with_ttl(look: &dyn Look) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let range = (Bound::Included(tokens::BEHIND), Bound::Unbounded);
    look.visit(Map::Tables, range, false, &mut |name, _| {
        names.push(String::from_utf8_lossy(name).into_owned());
        ControlFlow::Continue(())
    })?;
    let mut with_ttl = Vec::new();
    for name in names {
        if Table::find(look, &name)?.is_some_and(|table| table.ttl.is_some()) {
            with_ttl.push(name);
        }
    }
    Ok(with_ttl)
}

/// Where those are whose time is over, among some items of the table, and the last of these if there may be more.
type Over = (Vec<Vec<u8>>, Option<Vec<u8>>);

fn over(look: &dyn Look, name: &str, from: Bound<Vec<u8>>, now: i64) -> Result<Over, Failure> {
    let table = Table::of_items(look, name)?;
    let Some(attribute) = &table.ttl else {
        return Ok((Vec::new(), None));
    };
    let end = keys::after(&keys::of_table(name));
    let range = (from.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
    let (mut over, mut seen, mut last, mut failed) = (Vec::new(), 0, None, None);
    look.visit(Map::Items, range, false, &mut |key, bytes| {
        match keys::decode(bytes) {
            Ok(item) if is_over(&item, attribute, now) => over.push(key.to_vec()),
            Ok(_) => {}
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        seen += 1;
        if seen < AT_ONCE {
            return ControlFlow::Continue(());
        }
        last = Some(key.to_vec());
        ControlFlow::Break(())
    })?;
    failed.map_or(Ok((over, last)), |error| Err(error.into()))
}

/// Removes the item if its time is still over; whether it was.
fn remove(
    change: &mut dyn crate::store::Change,
    table: &Arc<Table>,
    key: Vec<u8>,
    now: i64,
) -> Result<bool, Failure> {
    let attribute = table.ttl.clone();
    let write = Write {
        may_write: Box::new(move |item| {
            let attribute = attribute.as_deref();
            Ok(item.is_some_and(|item| attribute.is_some_and(|name| is_over(item, name, now))))
        }),
        make: Box::new(|_| Ok(Becomes::Nothing)),
        too_large: "",
    };
    match plan(change, table, key, write) {
        Ok(planned) => apply(change, planned).map(|_| true),
        Err(Failure::Refused(Refusal {
            code: Code::ConditionalCheckFailed,
            ..
        })) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the attribute is a time before now, in seconds since 1970.
fn is_over(item: &Item, attribute: &str, now: i64) -> bool {
    match item.get(attribute) {
        Some(Value::N(time)) => Number::parse(&now.to_string()).is_ok_and(|now| *time < now),
        _ => false,
    }
}
