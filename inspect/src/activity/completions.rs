//! What the workers of a folder completed lately, line by line: the newest stay, as many as two files of a bounded size hold.

use std::time::Duration;

use daybook_schema::{Attempt, EventId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A line of the files, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A file begins; nothing that its process completed since is missing before the next line.
    From(Timestamp),
    /// A process begins to write after another.
    Start(Timestamp),
    /// The process ends, and has written everything.
    End(Timestamp),
    /// What was completed until then is not all there: the disk did not take it.
    Lost(Timestamp),
    /// An event is done.
    Done(Completion),
}

/// An event that a worker completed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completion {
    /// When its receipt was written.
    pub done_at: Timestamp,
    /// The event.
    pub id: EventId,
    /// The attempt that succeeded.
    pub attempt: Attempt,
    /// The object's bucket.
    pub bucket: String,
    /// The object's key, as it is in the bucket.
    pub key: String,
    /// The object's version, where its bucket has versions.
    #[serde(default)]
    pub version_id: Option<String>,
    /// How long the run took, in milliseconds; of a batch, how long the batch took.
    pub millis: u64,
}

/// What is known of what was completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completions {
    /// In the order in which they were written.
    all: Vec<Completion>,
    /// Since when they are kept; `None` where nothing is known.
    pub since: Option<Timestamp>,
    /// Until when some may be missing, each gap's end.
    gaps: Vec<Timestamp>,
    /// Whether some after the last line may be missing.
    is_cut_off: bool,
}

/// The completions of a stretch of time, for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CompletionsOutput {
    /// At most `--limit` completed events, newest first.
    pub completed: Vec<Completion>,
    /// Whether there were others.
    pub more: bool,
    /// Since when completions are known, where that is later than what was asked for, or null.
    pub known_since: Option<Timestamp>,
    /// Until when some may be missing: a process was killed before it wrote them, or the disk was full; or null.
    pub may_miss_until: Option<Timestamp>,
}

impl Line {
    fn at(&self) -> Timestamp {
        match self {
            Self::From(at) | Self::Start(at) | Self::End(at) | Self::Lost(at) => *at,
            Self::Done(done) => done.done_at,
        }
    }
}

impl Completions {
    /// From the texts of the files, the older first; whether a process has the folder and writes the next lines. A line that is cut off at the
    /// end of a text is being written, or never will be.
    pub fn of(texts: &[&str], is_running: bool) -> Self {
        let mut found = Self::default();
        // Whether a process writes as far as it has been read, and whether a line was torn since the last that could be read.
        let (mut writes, mut is_torn) = (false, false);
        for text in texts {
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines().filter(|line| !line.is_empty()) {
                let Ok(line) = serde_json::from_str::<Line>(line) else {
                    is_torn = true;
                    continue;
                };
                let at = line.at();
                if std::mem::take(&mut is_torn) {
                    found.gaps.push(at);
                }
                match line {
                    Line::From(at) if found.since.is_none() => {
                        found.since = Some(at);
                        writes = true;
                    }
                    Line::From(_) => {}
                    Line::Start(at) => {
                        if writes {
                            found.gaps.push(at);
                        }
                        writes = true;
                    }
                    Line::End(_) => writes = false,
                    Line::Lost(at) => found.gaps.push(at),
                    Line::Done(done) => found.all.push(done),
                }
            }
        }
        if (writes && !is_running) || is_torn {
            found.is_cut_off = true;
        }
        found
    }

    /// Those of that time until now that are asked for, the newest first.
    pub fn within(
        &self,
        now: Timestamp,
        since: Option<Duration>,
        limit: usize,
        covers: impl Fn(&Completion) -> bool,
    ) -> CompletionsOutput {
        let begin = since.map(|since| now.minus(since));
        let is_in = |at: Timestamp| begin.is_none_or(|begin| at >= begin);
        let mut completed: Vec<Completion> = self
            .all
            .iter()
            .filter(|done| is_in(done.done_at) && covers(done))
            .cloned()
            .collect();
        // A clock may have been set back.
        completed.sort_by_key(|done| std::cmp::Reverse(done.done_at));
        let more = completed.len() > limit;
        completed.truncate(limit);
        CompletionsOutput {
            completed,
            more,
            known_since: self
                .since
                .filter(|known| begin.is_none_or(|begin| *known > begin)),
            may_miss_until: match self.is_cut_off {
                true => Some(now),
                false => self.gaps.iter().copied().filter(|at| is_in(*at)).max(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_millis(1_800_000_000_000)
            .unwrap()
            .plus(Duration::from_secs(seconds))
    }

    fn done(seconds: u64, key: &str) -> Line {
        Line::Done(Completion {
            done_at: at(seconds),
            id: "a4c13efc-a32a-80cf-8b7b-2fd4ba88a10d".parse().unwrap(),
            attempt: Attempt(1),
            bucket: "data".to_owned(),
            key: key.to_owned(),
            version_id: None,
            millis: 20,
        })
    }

    fn text(lines: &[Line]) -> String {
        let line = |line: &Line| serde_json::to_string(line).unwrap() + "\n";
        lines.iter().map(line).collect()
    }

    fn keys(output: &CompletionsOutput) -> Vec<&str> {
        output.completed.iter().map(|done| done.key.as_str()).collect()
    }

    #[test]
    fn the_newest_come_first_and_what_is_not_known_is_said() {
        let lines = [Line::From(at(0)), done(10, "a"), done(20, "b"), done(30, "c")];
        let found = Completions::of(&[&text(&lines)], true);
        let all = found.within(at(40), None, 10, |_| true);
        assert_eq!((keys(&all), all.more), (vec!["c", "b", "a"], false));
        assert_eq!((all.known_since, all.may_miss_until), (Some(at(0)), None));
        let late = found.within(at(40), Some(Duration::from_secs(25)), 1, |_| true);
        assert_eq!(
            (keys(&late), late.more, late.known_since),
            (vec!["c"], true, None)
        );
        let b = found.within(at(40), None, 10, |done| done.key == "b");
        assert_eq!(keys(&b), ["b"]);
        assert_eq!(Completions::of(&[], false).since, None);
    }

    #[test]
    fn a_process_that_was_killed_leaves_a_gap_and_one_that_ended_leaves_none() {
        let gap = |lines: &[Line], is_running| {
            let found = Completions::of(&[&text(lines)], is_running);
            found.within(at(100), None, 10, |_| true).may_miss_until
        };
        let first = [Line::From(at(0)), done(10, "a")];
        let whole = [&first[..], &[Line::End(at(20)), Line::Start(at(30))]].concat();
        assert_eq!(gap(&whole, true), None);
        // It may have completed some until now, and nobody knows when it was killed.
        assert_eq!(gap(&whole, false), Some(at(100)));
        let killed = [&first[..], &[Line::Start(at(30)), done(40, "b")]].concat();
        assert_eq!(gap(&killed, true), Some(at(30)));
        assert_eq!(
            gap(&[&first[..], &[Line::Lost(at(50))]].concat(), true),
            Some(at(50))
        );
    }

    #[test]
    fn a_torn_line_is_a_gap_and_the_end_of_a_file_is_still_being_written() {
        let begin = text(&[Line::From(at(0)), done(10, "a")]);
        let torn = format!(
            "{begin}{{\"done\":{{\"do\n{}",
            text(&[Line::Start(at(30)), done(40, "b")])
        );
        let found = Completions::of(&[&torn], true).within(at(50), None, 10, |_| true);
        assert_eq!(
            (keys(&found), found.may_miss_until),
            (vec!["b", "a"], Some(at(30)))
        );
        let half = format!("{begin}{{\"done\":");
        let found = Completions::of(&[&half], true).within(at(50), None, 10, |_| true);
        assert_eq!((keys(&found), found.may_miss_until), (vec!["a"], None));
    }

    #[test]
    fn the_second_file_goes_on_where_the_first_ends() {
        let first = text(&[Line::From(at(0)), done(10, "a")]);
        let second = text(&[Line::From(at(20)), done(30, "b")]);
        let found = Completions::of(&[&first, &second], true).within(at(40), None, 10, |_| true);
        assert_eq!((keys(&found), found.known_since), (vec!["b", "a"], Some(at(0))));
        assert_eq!(found.may_miss_until, None);
        // The first is gone: what is known begins with the second.
        let found = Completions::of(&[&second], true).within(at(40), None, 10, |_| true);
        assert_eq!((found.known_since, found.may_miss_until), (Some(at(20)), None));
    }
}
