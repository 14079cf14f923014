//! Runs that end at about the same time are settled together, and a run that ends alone does not wait for others.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use daybook_manager::worker::TargetAnswer;
use daybook_schema::Timestamp;
use daybook_tests::notifications::uploads;
use daybook_tests::{Fault, Request, Stage};

use crate::acting::{Actor, minutes, stage, start};

/// What a request writes, and how much of it, when.
type Write = (&'static str, usize, Timestamp);

/// Receipts and deletions, by themselves and many together.
fn write_of(request: &Request) -> Option<(&'static str, usize)> {
    let statement = request.body["Statements"][0]["Statement"].as_str();
    let verb = statement.and_then(|text| text.split(' ').next());
    match (request.operation.as_str(), verb) {
        ("PutItem", _) => Some(("receipt", 1)),
        ("DeleteItem", _) => Some(("deletion", 1)),
        (_, Some("INSERT")) => Some(("receipts", request.batch_size())),
        (_, Some("DELETE")) => Some(("deletions", request.batch_size())),
        _ => None,
    }
}

/// Notes these writes from now on; each meets the fault that is asked for.
fn watch(
    stage: &Stage,
    mut fault: impl FnMut(&'static str) -> Fault + Send + 'static,
) -> Arc<Mutex<Vec<Write>>> {
    let writes: Arc<Mutex<Vec<Write>>> = Arc::default();
    let (seen, clock) = (writes.clone(), stage.clock.clone());
    stage.wire.inject(move |request| match write_of(request) {
        Some((what, count)) => {
            seen.lock().unwrap().push((what, count, clock.now()));
            fault(what)
        }
        None => Fault::None,
    });
    writes
}

fn counts(writes: &Mutex<Vec<Write>>) -> Vec<(&'static str, usize)> {
    let writes = writes.lock().unwrap();
    writes.iter().map(|(what, count, _)| (*what, *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn eight_runs_that_end_at_the_same_moment_take_two_requests() {
    let stage = stage().await;
    stage.record(&uploads(8)).await;
    let target = Actor::succeeding(&stage, Duration::from_secs(3));
    let writes = watch(&stage, |_| Fault::None);
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(minutes(1)).await;
    assert_eq!(worker.stop().await.completed, 8);
    let written = counts(&writes);
    assert_eq!(
        written[written.len() - 2..],
        [("receipts", 8), ("deletions", 8)],
        "{written:?}"
    );
    assert_eq!(target.most_at_once(), 8);
    assert!(stage.rows().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_run_that_ends_while_nothing_is_settled_waits_for_nobody() {
    let stage = stage().await;
    let uploads = uploads(3);
    stage.record(&uploads).await;
    let ids: Vec<_> = uploads.iter().map(|upload| upload.event().id).collect();
    // The others run on.
    let seconds = move |id| if id == ids[0] { 3 } else { 30 };
    let target = Actor::new(&stage, move |input, _| {
        (Duration::from_secs(seconds(input.id)), TargetAnswer::Success)
    });
    let writes = watch(&stage, |_| Fault::None);
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(Duration::from_secs(10)).await;
    let ended = target.runs()[&uploads[0].event().id][0].ended.unwrap();
    assert_eq!(
        *writes.lock().unwrap(),
        [("receipt", 1, ended), ("deletion", 1, ended)],
        "as soon as it has ended, in as many requests as ever"
    );
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_a_group_is_under_way_others_gather_for_ten_milliseconds() {
    let stage = stage().await;
    let uploads = uploads(8);
    stage.record(&uploads).await;
    let ids: Vec<_> = uploads.iter().map(|upload| upload.event().id).collect();
    // One after the other, two milliseconds apart.
    let target = Actor::new(&stage, move |input, _| {
        let nth = ids.iter().position(|id| *id == input.id).unwrap() as u64;
        (Duration::from_millis(3000 + 2 * nth), TargetAnswer::Success)
    });
    let mut slow = Some(Fault::Slow(Duration::from_secs(2)));
    let writes = watch(&stage, move |what| match what {
        "receipt" => slow.take().unwrap_or(Fault::None),
        _ => Fault::None,
    });
    let worker = start(&stage, &target);
    stage.schedule().await;
    stage.pass(minutes(1)).await;
    assert_eq!(worker.stop().await.completed, 8);
    let runs = target.runs();
    let ended = |n: usize| runs[&uploads[n].event().id][0].ended.unwrap();
    let writes = writes.lock().unwrap().clone();
    assert_eq!(writes[0], ("receipt", 1, ended(0)));
    // The second waits for company until it has waited for long enough, and not for two seconds.
    let gathered = writes[1];
    assert_eq!((gathered.0, gathered.1 >= 5), ("receipts", true), "{writes:?}");
    assert_eq!(gathered.2, ended(1).plus(Duration::from_millis(10)), "{writes:?}");
    let receipts: usize = writes
        .iter()
        .filter(|write| write.0.starts_with("receipt"))
        .map(|write| write.1)
        .sum();
    assert_eq!(receipts, 8, "{writes:?}");
    assert!(writes.len() <= 6, "{writes:?}");
    assert!(stage.rows().await.is_empty());
}

/// A receipt of a group fails inside DynamoDB: its event is reported again, and the others are done.
#[tokio::test(start_paused = true)]
async fn of_a_group_only_what_is_not_certainly_done_is_reported_again() {
    for fault in [
        Fault::PartialError(vec![0, 5]),
        Fault::PartialAfter(vec![2]),
        Fault::Partial(vec![7]),
        Fault::ServerError,
        Fault::AnswerLost,
    ] {
        for which in ["receipts", "deletions"] {
            let stage = stage().await;
            stage.record(&uploads(8)).await;
            let target = Actor::succeeding(&stage, Duration::from_secs(3));
            let mut once = Some(fault.clone());
            watch(&stage, move |what| match what == which {
                true => once.take().unwrap_or(Fault::None),
                false => Fault::None,
            });
            let worker = start(&stage, &target);
            stage.schedule().await;
            stage.pass(minutes(2)).await;
            let report = worker.stop().await;
            assert_eq!((report.completed, report.received), (8, 8), "{fault:?} {which}");
            assert!(stage.rows().await.is_empty());
            let runs = target.runs();
            assert!(
                runs.values().all(|runs| runs.len() == 1),
                "{fault:?} {which}: {runs:?}"
            );
            for upload in uploads(8) {
                assert!(stage.receipt(&upload.event()).await.is_some());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_is_killed_while_a_group_is_settled_leaves_every_event_to_the_next() {
    for (which, fault) in [
        ("receipts", Fault::Hang),
        ("receipts", Fault::HangAfter),
        ("deletions", Fault::Hang),
        ("deletions", Fault::HangAfter),
    ] {
        let stage = stage().await;
        stage.record(&uploads(8)).await;
        let target = Actor::succeeding(&stage, Duration::from_secs(3));
        let hang = fault.clone();
        watch(&stage, move |what| match what == which {
            true => hang.clone(),
            false => Fault::None,
        });
        let worker = start(&stage, &target);
        stage.schedule().await;
        stage.pass(Duration::from_secs(6)).await;
        worker.kill().await;
        stage.wire.heal();
        let next = start(&stage, &target);
        stage.pass(minutes(10)).await;
        next.stop().await;
        assert!(stage.rows().await.is_empty(), "{which} {fault:?}");
        target.assert_no_overlap();
        let again = target.runs().values().filter(|runs| runs.len() > 1).count();
        // Without a receipt nobody knows of the success.
        let expected = if (which, &fault) == ("receipts", &Fault::Hang) {
            8
        } else {
            0
        };
        assert_eq!(again, expected, "{which} {fault:?}");
        for upload in uploads(8) {
            assert!(stage.receipt(&upload.event()).await.is_some());
        }
    }
}
