//! The request that starts a round.

use daybook_schema::Timestamp;
use serde::Deserialize;

use crate::audit::Keys;

/// The input of a round. The schedule gives the time alone; the rest is for people. An unknown field is refused, so that
/// a misspelt one is not ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoundRequest {
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

    fn request(text: &str) -> Result<RoundRequest, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_schedule_gives_a_time_and_a_person_the_rest() {
        assert_eq!(request("{}").unwrap(), RoundRequest::default());
        let tick = request(r#"{"time": "2026-11-21T00:15:00Z"}"#).unwrap();
        assert_eq!(tick.time, "2026-11-21T00:15:00Z".parse().ok());
        let by_hand = request(r#"{"audit": ["s3://data/in/"], "repair": true, "begin": true}"#).unwrap();
        assert_eq!(by_hand.audit.unwrap()[0].prefix, "in/");
        assert_eq!((by_hand.repair, by_hand.begin), (Some(true), true));
    }

    #[test]
    fn a_request_with_a_misspelt_field_or_invalid_keys_is_refused() {
        for no in [
            r#"{"Begin": true}"#,
            r#"{"audit": ["data"]}"#,
            r#"{"audit": "s3://data"}"#,
        ] {
            request(no).unwrap_err();
        }
    }
}
