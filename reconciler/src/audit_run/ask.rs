//! What a round is asked for.

use daybook_schema::Timestamp;
use serde::Deserialize;

use crate::audit::Keys;

/// The input of a round. The schedule gives the time alone; the rest is for people. An unknown name is refused, so that a wrongly
/// written one is not taken for silence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ask {
    /// When the schedule wanted it; the clock's time without it, and when it is later than that.
    pub time: Option<Timestamp>,
    /// Only these; those of the settings without it.
    pub audit: Option<Vec<Keys>>,
    /// Whether what is missing is recorded, for the audits of this round until they are finished; as the settings say without it.
    pub repair: Option<bool>,
    /// Begin now, even if the last audit is younger than the interval. One that is under way goes on.
    pub begin: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(text: &str) -> Result<Ask, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_schedule_gives_a_time_and_a_person_the_rest() {
        assert_eq!(ask("{}").unwrap(), Ask::default());
        let tick = ask(r#"{"time": "2026-11-21T00:15:00Z"}"#).unwrap();
        assert_eq!(tick.time, "2026-11-21T00:15:00Z".parse().ok());
        let by_hand = ask(r#"{"audit": ["s3://data/in/"], "repair": true, "begin": true}"#).unwrap();
        assert_eq!(by_hand.audit.unwrap()[0].prefix, "in/");
        assert_eq!((by_hand.repair, by_hand.begin), (Some(true), true));
    }

    #[test]
    fn a_wrongly_written_ask_is_refused() {
        for no in [
            r#"{"Begin": true}"#,
            r#"{"audit": ["data"]}"#,
            r#"{"audit": "s3://data"}"#,
        ] {
            ask(no).unwrap_err();
        }
    }
}
