//! What is asked for on rows, as a form says it: an action, and which rows.

use std::time::Duration;

use daybook_inspect::object_ref::Wanted;
use daybook_inspect::operate::action::Action;
use daybook_inspect::operate::driver::CanarySettings;
use daybook_inspect::operate::selected::{Seen, Selection};
use daybook_inspect::views::status_word;
use daybook_inspect::wording::shell::quoted;
use daybook_ledger::RetryPolicy;
use daybook_schema::{Attempt, EventId, Status};

use crate::pages::rows::Asked;
use crate::pages::{field, fields};
use crate::text::query;

/// How many canaries there are unless somebody says another number.
pub const CANARIES: usize = 5;

/// How long their outcome is waited for, unless somebody says another time.
pub const CANARY_WAIT: &str = "10m";

/// Which rows.
#[derive(Clone, Debug)]
pub enum Which {
    /// These.
    Named(Vec<EventId>),
    /// These, as they were when they were shown.
    Seen(Vec<Seen>),
    /// Those that a filter lets through.
    Matching(Box<Asked>),
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub action: Action,
    pub which: Which,
    pub canary: Option<CanarySettings>,
}

fn action(verb: &str) -> Result<Action, String> {
    match verb {
        "redrive" => Ok(Action::Redrive { attempts: None }),
        "release" => Ok(Action::Release),
        "fail" => Ok(Action::Fail {
            retry: RetryPolicy::default(),
        }),
        "cancel" => Ok(Action::Cancel),
        "complete" => Ok(Action::Complete),
        "remove" => Ok(Action::Remove),
        _ => Err("verb: redrive, release, fail, cancel, complete or remove is needed".to_owned()),
    }
}

impl Ask {
    /// From the fields of a form or a query.
    ///
    /// # Errors
    /// Which field is invalid, and what it should be.
    pub fn read(text: &str) -> Result<Self, String> {
        let fields = fields(text);
        let action = action(field(&fields, "verb").unwrap_or_default())?;
        let all = |name: &str| -> Vec<String> {
            let named = fields.iter().filter(|(given, _)| given == name);
            named.map(|(_, value)| value.clone()).collect()
        };
        let (seen, named) = (all("row"), all("id"));
        let which = if !seen.is_empty() {
            let seen = seen.iter().map(|text| shown_row(text));
            Which::Seen(
                seen.collect::<Option<_>>()
                    .ok_or("row: it is not as this page wrote it")?,
            )
        } else if !named.is_empty() {
            let ids = named.iter().map(|id| id.trim().parse());
            Which::Named(
                ids.collect::<Result<_, _>>()
                    .map_err(|_| "id: an event's id is needed")?,
            )
        } else {
            Which::Matching(Box::new(matching(action, Asked::read(&fields)?)?))
        };
        let canary = match (action, field(&fields, "canary")) {
            (Action::Redrive { .. }, Some(events)) => Some(canary(events, field(&fields, "wait"))?),
            _ => None,
        };
        Ok(Self {
            action,
            which,
            canary,
        })
    }

    /// As the confirmation page proposes it: canaries where a filter says which rows and canaries can tell something, none elsewhere.
    pub fn propose_canaries(&mut self, can_tell: bool) {
        let is_filter = matches!(self.which, Which::Matching(_));
        self.canary = match can_tell && is_filter {
            true => canary(&CANARIES.to_string(), None).ok(),
            false => None,
        };
    }

    /// As a look selects them, so many at most.
    pub fn selection(&self, most: Option<usize>) -> Selection {
        match &self.which {
            Which::Named(ids) => Selection {
                named: ids.iter().copied().map(Wanted::Id).collect(),
                ..Selection::default()
            },
            Which::Seen(seen) => Selection {
                named: seen.iter().map(|seen| Wanted::Id(seen.id)).collect(),
                ..Selection::default()
            },
            Which::Matching(asked) => Selection {
                filter: asked.filter.clone(),
                most,
                ..Selection::default()
            },
        }
    }

    /// The statuses of the rows that are meant.
    pub fn statuses(&self) -> Vec<Status> {
        self.action.statuses(match &self.which {
            Which::Matching(asked) => asked.status,
            Which::Named(_) | Which::Seen(_) => None,
        })
    }

    /// `redrive`.
    pub fn verb(&self) -> String {
        self.action.imperative().to_lowercase()
    }

    /// What a form hands on, where a filter says which rows.
    pub fn hidden(&self) -> Vec<(&'static str, String)> {
        let Which::Matching(asked) = &self.which else {
            return Vec::new();
        };
        asked.filled()
    }

    /// The query of the page that asks for the same again, where a filter says which rows.
    pub fn again(&self) -> Option<String> {
        let hidden = self.hidden();
        let mut pairs = vec![("verb", self.verb())];
        pairs.extend(hidden);
        let pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        matches!(self.which, Which::Matching(_)).then(|| query(&pairs))
    }

    /// The same on the command line.
    pub fn command(&self, flags: &str, why: &str) -> String {
        format!(
            "daybook {} {flags}{}{} --why {}",
            self.verb(),
            self.which_words(),
            self.canary_words(),
            quoted(why)
        )
    }

    /// The action and its rows, as the log keeps it.
    pub fn what(&self) -> String {
        self.verb() + &self.which_words() + &self.canary_words()
    }

    /// The canaries, as flags of the command line.
    fn canary_words(&self) -> String {
        let words = self.canary.map(|canary| {
            let wait = humantime::format_duration(canary.wait)
                .to_string()
                .replace(' ', "");
            format!(" --canary {} --canary-wait {wait}", canary.events)
        });
        words.unwrap_or_default()
    }

    /// Which rows, as flags of the command line.
    fn which_words(&self) -> String {
        let ids =
            |ids: &mut dyn Iterator<Item = EventId>| -> String { ids.map(|id| format!(" {id}")).collect() };
        match &self.which {
            Which::Named(named) => ids(&mut named.iter().copied()),
            Which::Seen(seen) => ids(&mut seen.iter().map(|seen| seen.id)),
            Which::Matching(asked) => {
                let status = asked.status.filter(|_| self.action.leaves_receipts());
                let status = status.map(|status| format!(" --status {}", status_word(status)));
                let flags = status.unwrap_or_default() + &asked.flags();
                if flags.is_empty() {
                    " --all".to_owned()
                } else {
                    flags
                }
            }
        }
    }
}

/// A row as a page hands it on.
pub fn row_field(seen: &Seen) -> String {
    let Seen {
        id,
        status,
        attempt,
        due_at,
        is_event,
    } = seen;
    format!(
        "{id} {} {} {due_at} {}",
        status_word(*status),
        attempt.0,
        u8::from(*is_event)
    )
}

fn shown_row(text: &str) -> Option<Seen> {
    let mut words = text.split(' ');
    let seen = Seen {
        id: words.next()?.parse().ok()?,
        status: words.next()?.parse().ok()?,
        attempt: Attempt(words.next()?.parse().ok()?),
        due_at: words.next()?.parse().ok()?,
        is_event: words.next()? == "1",
    };
    words.next().is_none().then_some(seen)
}

/// A filter that the action can be done by.
fn matching(action: Action, asked: Asked) -> Result<Asked, String> {
    if asked.has_batch() {
        return Err("batch: an action takes no batch; choose rows, or another filter".to_owned());
    }
    let verb = action.imperative().to_lowercase();
    let possible = action.statuses(asked.status);
    if let Some(status) = asked.status
        && !possible.contains(&status)
    {
        let words: Vec<String> = possible.into_iter().map(status_word).collect();
        return Err(format!(
            "{verb} is for {} events, and the filter asks for {} ones",
            words.join(" or "),
            status_word(status)
        ));
    }
    match action.leaves_receipts() && asked.status.is_none() && asked.filter.is_empty() {
        true => Err("nothing says which events: choose a status or another filter".to_owned()),
        false => Ok(asked),
    }
}

fn canary(events: &str, wait: Option<&str>) -> Result<CanarySettings, String> {
    let events = events.trim().parse().ok().filter(|n| (1..=100).contains(n));
    let wait = humantime::parse_duration(wait.unwrap_or(CANARY_WAIT).trim());
    Ok(CanarySettings {
        events: events.ok_or("canary: a number from 1 to 100 is needed")?,
        wait: wait
            .ok()
            .filter(|wait| *wait <= Duration::from_secs(24 * 3600))
            .ok_or("wait: a length of time such as 10m is needed, 24h at most")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_handed_on_as_it_was() {
        let seen = Seen {
            id: "f49598e5-11d2-5b9f-b0b9-7d36a477d1f0".parse().unwrap(),
            status: Status::Parked,
            attempt: Attempt(5),
            due_at: "2026-11-21T00:00:00.000Z".parse().unwrap(),
            is_event: true,
        };
        assert_eq!(shown_row(&row_field(&seen)), Some(seen));
        for bad in ["", "x", "f49598e5-11d2-5b9f-b0b9-7d36a477d1f0 parked 5"] {
            assert_eq!(shown_row(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_command_says_the_same() {
        let command = |text: &str| Ask::read(text).map(|ask| ask.command("--local d", "it's fixed"));
        assert_eq!(
            command("verb=redrive&error=no+such&canary=5").unwrap(),
            r"daybook redrive --local d --error 'no such' --canary 5 --canary-wait 10m --why 'it'\''s fixed'"
        );
        assert_eq!(
            command("verb=redrive").unwrap(),
            r"daybook redrive --local d --all --why 'it'\''s fixed'"
        );
        assert!(
            command("verb=remove&status=parked")
                .unwrap()
                .contains(" --status parked ")
        );
        for bad in [
            "verb=remove",
            "verb=drop",
            "verb=redrive&status=claimed",
            "verb=redrive&canary=0",
            "verb=fail&batch=00000000000000000000000000000001",
            "verb=fail&row=x",
        ] {
            assert!(command(bad).is_err(), "{bad}");
        }
    }
}
