//! Lines of the statement of completeness as they are handed on: in JSON, and in a file of comma-separated values.

use serde::{Deserialize, Serialize};

use super::completeness::Tally;

/// What there is of a prefix and a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRecord {
    /// What the keys begin with.
    pub prefix: String,
    /// The day of the last modification, UTC; `any` where the line is of all days.
    pub day: String,
    /// Whether nothing of it is missing, and everything is known.
    pub complete: bool,
    /// How many objects are of which class.
    #[serde(flatten)]
    pub tally: Tally,
}

impl StatementRecord {
    /// The columns of the file, in their order.
    pub const COLUMNS: [&'static str; 14] = [
        "prefix",
        "day",
        "complete",
        "objects",
        "bytes",
        "done",
        "removed",
        "open",
        "too_new",
        "missing",
        "before_watermark",
        "changed",
        "unknown",
        "may_wait",
    ];

    /// The line of that prefix and day.
    pub fn of(prefix: &str, day: &str, tally: Tally) -> Self {
        Self {
            prefix: prefix.to_owned(),
            day: day.to_owned(),
            complete: tally.is_complete(),
            tally,
        }
    }

    /// Its values by [`COLUMNS`](Self::COLUMNS).
    pub fn fields(&self) -> [String; 14] {
        let Tally {
            objects,
            bytes,
            done,
            removed,
            open,
            too_new,
            missing,
            before_watermark,
            changed,
            unknown,
            may_wait,
        } = self.tally;
        [
            self.prefix.clone(),
            self.day.clone(),
            self.complete.to_string(),
            objects.to_string(),
            bytes.to_string(),
            done.to_string(),
            removed.to_string(),
            open.to_string(),
            too_new.to_string(),
            missing.to_string(),
            before_watermark.to_string(),
            changed.to_string(),
            unknown.to_string(),
            may_wait.to_string(),
        ]
    }

    /// The lines as a file, with its header. Keys are as they are in the bucket.
    pub fn csv<'a>(lines: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        // Writing into memory cannot fail, and each line has the same fields.
        let _ = csv.write_record(Self::COLUMNS);
        for line in lines {
            let _ = csv.write_record(line.fields());
        }
        csv.into_inner().unwrap_or_default()
    }

    /// The lines of a file that has these columns, and perhaps others.
    ///
    /// # Errors
    /// When a line has another form.
    pub fn read_csv(text: &[u8]) -> Result<Vec<Self>, csv::Error> {
        csv::Reader::from_reader(text).deserialize().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line each count of which is another number.
    fn line(prefix: &str) -> StatementRecord {
        let tally = Tally {
            objects: 1,
            bytes: 2,
            done: 3,
            removed: 4,
            open: 5,
            too_new: 6,
            missing: 7,
            before_watermark: 8,
            changed: 9,
            unknown: 10,
            may_wait: 11,
        };
        StatementRecord::of(prefix, "2026-11-20", tally)
    }

    #[test]
    fn a_file_has_a_line_for_each_and_quotes_what_it_must() {
        let text = StatementRecord::csv(&[line("a,\"b\"/")]);
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "prefix,day,complete,objects,bytes,done,removed,open,too_new,missing,before_watermark,changed,unknown,may_wait",
                "\"a,\"\"b\"\"/\",2026-11-20,false,1,2,3,4,5,6,7,8,9,10,11",
            ]
        );
    }

    #[test]
    fn what_is_written_is_read_and_other_columns_are_passed_over() {
        let written = [line(""), line("2026/"), line("true"), line("a,\"b\"\n/")];
        let text = StatementRecord::csv(&written);
        assert_eq!(StatementRecord::read_csv(&text).unwrap(), written);
        let text = "began_at,prefix,day,complete,objects,bytes,done,removed,open,too_new,missing,before_watermark,changed,unknown\n\
                    x,12,any,true,0,0,0,0,0,0,0,0,0,0\n";
        let expected = StatementRecord::of("12", "any", Tally::default());
        assert_eq!(StatementRecord::read_csv(text.as_bytes()).unwrap(), [expected]);
        assert!(StatementRecord::read_csv(b"prefix,day\na,b\n").is_err());
    }

    #[test]
    fn as_json_its_fields_are_the_columns() {
        let json = serde_json::to_value(line("a/")).unwrap();
        let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut columns = StatementRecord::COLUMNS;
        names.sort_unstable();
        columns.sort_unstable();
        assert_eq!(names, columns);
    }
}
