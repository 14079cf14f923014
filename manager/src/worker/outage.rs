//! A target that cannot be reached, or not be started: that is no failure of its events, and they wait for as long as it has lasted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use daybook_schema::EventId;
use tokio::time::Instant;

use super::target::TargetAnswer;

/// How long the first events of an outage wait.
const SHORTEST: Duration = Duration::from_secs(5);

/// How long the events of a long outage wait: so much later than its end they come at most.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// So many events are remembered that a gateway answered for. Beyond them some get one more try without using an attempt.
const REMEMBERED: usize = 10_000;

/// Whether one target can be reached. Clones know the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Outage(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// When it could first not be reached, unless it could since.
    since: Option<Instant>,
    /// How many runs it answered itself.
    answered: u64,
    /// The events that a gateway answered for, with `answered` as it was then.
    put_off: BTreeMap<EventId, u64>,
}

impl Outage {
    /// The target was started, or answered itself.
    pub(super) fn over(&self, ids: &BTreeSet<EventId>) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.answered += 1;
        if !state.put_off.is_empty() {
            state.put_off.retain(|id, _| !ids.contains(id));
        }
        if let Some(since) = state.since.take() {
            tracing::warn!(seconds = since.elapsed().as_secs(), "the target is there again");
        }
    }

    /// A run did not reach it: its events come again without using an attempt, after as long as the outage has lasted, from 5 seconds
    /// to 10 minutes. So the wait of one event doubles from run to run.
    pub(super) fn unreachable(&self, why: String) -> TargetAnswer {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.put_off(why)
    }

    /// A gateway in front of it answered for it with a 502, 503 or 504: as [`Outage::unreachable`], unless the target has answered
    /// others since a gateway last did so for one of these events. Then it is these events that it does not survive, and an attempt is
    /// used: otherwise they would come again for ever.
    pub(super) fn behind_gateway(&self, ids: BTreeSet<EventId>, why: String) -> TargetAnswer {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let answered = state.answered;
        let is_theirs = ids
            .iter()
            .any(|id| state.put_off.get(id).is_some_and(|before| *before < answered));
        if state.put_off.len() + ids.len() > REMEMBERED {
            state.put_off.clear();
        }
        state.put_off.extend(ids.into_iter().map(|id| (id, answered)));
        match is_theirs {
            true => TargetAnswer::Failed { why },
            false => state.put_off(why),
        }
    }
}

impl State {
    fn put_off(&mut self, why: String) -> TargetAnswer {
        let now = Instant::now();
        if self.since.is_none() {
            tracing::warn!(
                error = why,
                "the target cannot be reached: events are put off, and no attempt is used"
            );
        }
        let lasted = now - *self.since.get_or_insert(now);
        TargetAnswer::Later {
            after: Some(lasted.clamp(SHORTEST, LONGEST)),
            why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> BTreeSet<EventId> {
        let id = format!("00000000-0000-5000-8000-0000000000{n:02x}");
        BTreeSet::from([id.parse().unwrap()])
    }

    fn wait(answer: TargetAnswer) -> Option<u64> {
        match answer {
            TargetAnswer::Later { after, .. } => after.map(|after| after.as_secs()),
            TargetAnswer::Failed { .. } => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_of_an_outage_waits_twice_as_long_each_time_and_ten_minutes_at_most() {
        let outage = Outage::default();
        let mut waits = Vec::new();
        for _ in 0..10 {
            let seconds = wait(outage.unreachable("refused".into())).unwrap();
            waits.push(seconds);
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        assert_eq!(waits, [5, 5, 10, 20, 40, 80, 160, 320, 600, 600]);
        outage.over(&id(1));
        assert_eq!(
            wait(outage.unreachable("refused".into())),
            Some(5),
            "another outage"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_that_only_a_gateway_answers_uses_attempts_once_the_target_answers_others() {
        let outage = Outage::default();
        let gateway = |n| wait(outage.behind_gateway(id(n), "502 Bad Gateway".into()));
        // The target answered before, and is down now.
        outage.over(&id(9));
        for _ in 0..3 {
            assert_eq!((gateway(1), gateway(2)), (Some(5), Some(5)));
        }
        outage.over(&id(2));
        assert_eq!(gateway(1), None, "it answers others");
        assert_eq!(gateway(2), Some(5), "it answered this one");
        assert_eq!(gateway(1), Some(5), "and nobody since");
        outage.over(&id(3));
        assert_eq!(gateway(1), None);
        assert_eq!(
            wait(outage.behind_gateway(&id(4) | &id(1), String::new())),
            Some(5)
        );
        outage.over(&id(3));
        assert_eq!(
            wait(outage.behind_gateway(&id(5) | &id(1), String::new())),
            None,
            "one of a batch"
        );
    }

    #[test]
    fn a_bounded_number_of_events_is_remembered() {
        let outage = Outage::default();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            for n in 0..3 * REMEMBERED {
                let event = format!("00000000-0000-5000-8000-{n:012x}").parse().unwrap();
                outage.behind_gateway(BTreeSet::from([event]), String::new());
            }
        });
        assert!(outage.0.lock().unwrap().put_off.len() <= REMEMBERED);
    }
}
