//! A step of a row as one conditional write.

use aws_sdk_dynamodb::types::AttributeValue;
use daybook_schema::tables::attribute::{ID, STATUS_SHARD};
use daybook_schema::{BatchId, EventId, Shard, Status, Step};

use crate::settings::TableName;
use crate::statement::{Statement, text};
use crate::version;

/// What a step changes in one row, and what must hold for it.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    set: Vec<(&'static str, String)>,
    set_to: Vec<AttributeValue>,
    when: Vec<(&'static str, AttributeValue)>,
    /// The batch that the row is in.
    batch: Option<BatchId>,
    /// Whether the row leaves CLAIMED, and its batch with it.
    leaves: bool,
    returning: &'static str,
}

impl Update {
    /// That step of that row: it must have the step's status before, and has the step's status after.
    pub(crate) fn of(id: EventId, step: Step) -> Self {
        let (shard, from, to) = (Shard::of(id), step.from(), step.to());
        let update = Self {
            set: Vec::new(),
            set_to: Vec::new(),
            when: vec![(ID, text(id)), (STATUS_SHARD, text(shard.with(from)))],
            batch: None,
            leaves: from == Status::Claimed && to != Status::Claimed,
            returning: "",
        };
        match from == to {
            true => update,
            false => update
                .set("status", text(to))
                .set(STATUS_SHARD, text(shard.with(to))),
        }
    }

    /// Sets an attribute.
    pub(crate) fn set(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.set.push((name, "?".to_owned()));
        self.set_to.push(value);
        self
    }

    /// Sets an attribute if there is something to set it to.
    pub(crate) fn set_if(self, name: &'static str, value: Option<AttributeValue>) -> Self {
        match value {
            Some(value) => self.set(name, value),
            None => self,
        }
    }

    /// Counts a number that the row has up or down by one.
    pub(crate) fn count(mut self, name: &'static str, up: bool) -> Self {
        // Unquoted on the right: a quoted name is a text there.
        self.set
            .push((name, format!("{name} {} 1", if up { '+' } else { '-' })));
        self
    }

    /// Applies only while the attribute is that.
    pub(crate) fn when(mut self, name: &'static str, value: AttributeValue) -> Self {
        self.when.push((name, value));
        self
    }

    /// Of a row that is in this batch, or in none.
    pub(crate) fn of_batch(mut self, batch: Option<BatchId>) -> Self {
        self.batch = batch;
        self
    }

    /// Claims it into a batch.
    pub(crate) fn into_batch(self, batch: Option<BatchId>) -> Self {
        match batch {
            None => self,
            Some(batch) => self.set("batch", text(batch)).set_version(version::INTO_BATCH),
        }
    }

    fn set_version(mut self, to: &str) -> Self {
        self.set.push((version::VERSION, to.to_owned()));
        self
    }

    /// The row as it stands afterwards comes back with the write.
    pub(crate) fn returning_row(mut self) -> Self {
        self.returning = " RETURNING ALL NEW *";
        self
    }

    /// As PartiQL, which asks for a version that this release knows, besides. Names are Daybook's own; everything else is a
    /// parameter.
    pub(crate) fn statement(mut self, table: &TableName) -> Statement {
        let is_single = self.batch.is_none();
        if let Some(batch) = self.batch {
            self = self.when("batch", text(batch));
        }
        let leaves_batch = self.batch.is_some() && self.leaves;
        if leaves_batch {
            self = self.set_version(version::OUT_OF_BATCH);
        }
        let mut set: Vec<String> = self
            .set
            .iter()
            .map(|(name, to)| format!("SET \"{name}\" = {to}"))
            .collect();
        set.extend(leaves_batch.then(|| "REMOVE \"batch\"".to_owned()));
        let mut when: Vec<String> = self
            .when
            .iter()
            .map(|(name, _)| format!("\"{name}\" = ?"))
            .collect();
        when.extend(is_single.then(|| version::SINGLE.to_owned()));
        when.push(version::KNOWN.to_owned());
        Statement {
            text: format!(
                "UPDATE \"{table}\" {} WHERE {}{}",
                set.join(" "),
                when.join(" AND "),
                self.returning
            ),
            parameters: self
                .set_to
                .into_iter()
                .chain(self.when.into_iter().map(|(_, value)| value))
                .chain([version::mine()])
                .collect(),
        }
    }
}
