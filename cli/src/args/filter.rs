//! Which open rows: one plain question that `daybook list` and all that changes rows ask in the same way.

use std::time::Duration;

use clap::Args;
use daybook_inspect::lookup::filter;
use daybook_inspect::lookup::filter::Prefix;
use daybook_ledger::RowFilter;
use daybook_schema::{Row, Status, Timestamp};

use crate::args::values;

/// What must hold for a row; all that is given.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
#[command(next_help_heading = "Rows")]
pub struct Filter {
    /// Only keys that begin with this, or s3://bucket/prefix
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<Prefix>,

    /// Only general events whose subject begins with this
    #[arg(long, value_name = "PREFIX")]
    subject: Option<String>,

    /// Only events whose last error contains this text
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// Only events recorded this long ago or longer: 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    older_than: Option<Duration>,
}

impl Filter {
    /// The same without its flags.
    pub fn plain(&self) -> filter::Filter {
        filter::Filter {
            prefix: self.prefix.clone(),
            error: self.error.clone(),
            older_than: self.older_than,
            subject: self.subject.clone(),
        }
    }

    /// Whether it lets all rows through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it asks about the key alone, if it asks about anything.
    pub fn is_of_keys(&self) -> bool {
        self.error.is_none() && self.older_than.is_none() && self.subject.is_none()
    }

    /// Whether it lets an object through, as far as it asks about the key.
    pub fn covers_object(&self, bucket: &str, key: &str) -> bool {
        self.prefix
            .as_ref()
            .is_none_or(|prefix| prefix.covers_object(bucket, key))
    }

    /// Which rows it may let through, as far as the ledger can tell; [`Filter::covers`] tells.
    pub fn rows(&self, status: Option<Status>, now: Timestamp) -> RowFilter {
        self.plain().rows(status, now)
    }

    /// Whether it lets the row through.
    pub fn covers(&self, row: &Row, now: Timestamp) -> bool {
        self.plain().covers(row, now)
    }
}

/// A status as it is given on the command line.
pub fn status(text: &str) -> Result<Status, String> {
    text.parse()
        .map_err(|_| "pending, claimed or parked is needed".to_owned())
}
