//! A folder with rows in every state, and the verbs on it.

use std::collections::BTreeMap;

use daybook_local::LocalAws;
use daybook_schema::{EventId, Row, Status};
use daybook_tests::rows::row_item;
use serde_json::Value;

use crate::stand_in::rows::{self, Fixtures, PAST};
use crate::stand_in::{daybook, ledger_of, run, runtime};

/// A folder as `daybook up` leaves it.
pub struct Local(tempfile::TempDir);

impl Local {
    /// With everything in it.
    pub fn new() -> Self {
        Self::with(async |fixtures: Fixtures<'_>| fixtures.put_all().await)
    }

    pub fn with(fill: impl AsyncFnOnce(Fixtures<'_>)) -> Self {
        let home = tempfile::tempdir().unwrap();
        rows::folder(home.path(), fill);
        Self(home)
    }

    pub fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Code, stdout, stderr of that verb here, done by kim.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let path = self.path();
        let mut command = daybook(&[arguments, &["--local", path]].concat());
        let (code, stdout, stderr) = run(command.env("DAYBOOK_BY", "kim@busan"));
        (code, stdout.replace(path, "DIR"), stderr.replace(path, "DIR"))
    }

    /// All that it says, without what differs from run to run.
    pub fn told(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        let (stdout, stderr) = (rows::normal(&stdout), rows::normal(&stderr));
        format!("{stdout}-- stderr\n{stderr}-- exit code {code}\n")
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let (_, stdout, stderr) = self.run(&[arguments, &["--output", "json"]].concat());
        let json = serde_json::from_str(&stdout);
        rows::normal_json(json.unwrap_or_else(|error| panic!("{error}: {stdout}\n{stderr}")))
    }

    /// All rows that can be read.
    pub fn rows(&self) -> BTreeMap<EventId, Row> {
        let aws = LocalAws::builder().data_dir(self.path()).build().unwrap();
        all_rows(&aws, "daybook-ledger")
    }

    /// The row of that key.
    pub fn row(&self, key: &str) -> Option<Row> {
        self.rows().remove(&id_of(key))
    }
}

/// All rows of a ledger that can be read.
pub fn all_rows(aws: &LocalAws, table: &str) -> BTreeMap<EventId, Row> {
    runtime().block_on(async {
        let ledger = ledger_of(aws, table);
        let mut pages = ledger.open_rows();
        let mut rows = BTreeMap::new();
        while let Some(page) = pages.next().await.unwrap() {
            rows.extend(page.into_iter().flatten().map(|row| (row.id, row)));
        }
        rows
    })
}

/// The id of the fixture with that key.
pub fn id_of(key: &str) -> EventId {
    let is_it = |row: &&Row| row.event().is_some_and(|event| event.key.as_str() == key);
    rows::all().iter().find(is_it).unwrap().id
}

/// So many parked rows, all attempts used.
pub fn parked(n: u32) -> Vec<Row> {
    let row = |n| Row {
        last_error: Some("FAILED: no such column".to_owned()),
        ..rows::row_in(&format!("in/{n:05}.json"), n, Status::Parked, PAST, 5, 1)
    };
    (0..n).map(row).collect()
}

/// Puts them there as they are, fast.
pub fn import(aws: &LocalAws, table: &str, rows: &[Row]) {
    let items = rows.iter().map(row_item).collect();
    runtime().block_on(aws.import(table, items)).unwrap();
}
