//! The control item: pause, resume, and N while it runs.

use std::time::Duration;

use daybook_ledger::{
    Asker, Clock, Deadline, Grant, GrantRequest, INTAKE_BYTES, Ledger, Random, Refusal, SweepTurn, Window,
};
use daybook_manager::Scheduler;
use daybook_schema::Status;
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::rows::row_in;
use daybook_tests::wire::Process;
use daybook_tests::{Fault, Stage};

const KIM: daybook_ledger::Person<'static> = daybook_ledger::Person { by: "kim", why: None };

#[tokio::test(start_paused = true)]
async fn while_paused_the_scheduler_claims_nothing_and_says_who_and_why() {
    let stage = Stage::usual().await;
    stage.record(&uploads(3)).await;
    stage
        .ledger
        .pause(None, "kim", "the target is down")
        .await
        .unwrap();
    for _ in 0..3 {
        let report = stage.schedule().await;
        let pause = report.paused().expect("it says that it is paused");
        assert_eq!(
            (pause.by.as_str(), pause.why.as_str(), pause.until),
            ("kim", "the target is down", None)
        );
        assert_eq!((report.granted, report.claimed, report.sent), (0, 0, 0));
        stage.pass(Duration::from_secs(3600)).await;
    }
    stage.ledger.resume().await.unwrap();
    let report = stage.schedule().await;
    assert_eq!((report.claimed, report.paused()), (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_pause_with_an_end_ends_by_itself() {
    let stage = Stage::usual().await;
    stage.record(&uploads(3)).await;
    let until = stage.now().plus(Duration::from_secs(600));
    stage
        .ledger
        .pause(Some(until), "kim", "maintenance")
        .await
        .unwrap();
    stage.pass(Duration::from_secs(599)).await;
    assert_eq!(stage.schedule().await.paused().unwrap().until, Some(until));
    stage.pass(Duration::from_secs(1)).await;
    assert_eq!(stage.schedule().await.claimed, 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_without_an_end_replaces_one_with_an_end() {
    let stage = Stage::usual().await;
    stage.record(&uploads(1)).await;
    let until = stage.now().plus(Duration::from_secs(60));
    stage
        .ledger
        .pause(Some(until), "kim", "maintenance")
        .await
        .unwrap();
    stage.ledger.pause(None, "kim", "longer").await.unwrap();
    stage.pass(Duration::from_secs(3600)).await;
    assert!(stage.schedule().await.paused().is_some());
}

#[tokio::test(start_paused = true)]
async fn while_paused_the_sweep_sends_nothing_and_still_renews_what_runs() {
    let stage = Stage::usual().await;
    stage.record(&uploads(2)).await;
    stage.schedule().await;
    // One of them runs, the other one's message is lost.
    let lost = stage.dispatched()[0].clone();
    stage
        .aws
        .sqs()
        .lose(&stage.dispatch_queue, |message| message.body == lost.to_json());
    stage.invoke_all().await;
    assert_eq!(stage.execution_names().len(), 1);
    stage.pass(stage.options.dispatch.lease).await;
    stage.ledger.pause(None, "kim", "why").await.unwrap();
    let swept = stage.sweep().await;
    assert_eq!(
        (swept.stale, swept.renewed, swept.redelivered, swept.left),
        (2, 1, 0, 1)
    );
    assert!(matches!(swept.refusal, Some(Refusal::Paused(_))), "{swept:?}");
    assert!(stage.dispatched().is_empty());
    stage.ledger.resume().await.unwrap();
    assert_eq!(stage.sweep().await.redelivered, 1);
}

/// What a tried write leaves behind when its process dies between the two requests costs one grant, and none after it.
#[tokio::test(start_paused = true)]
async fn the_bytes_of_a_tried_write_are_gone_after_the_next_grant_wherever_its_process_dies() {
    for (fault, leaves) in [(Fault::DiesBefore, false), (Fault::DiesAfter, true)] {
        let stage = Stage::usual().await;
        stage.record(&uploads(2)).await;
        let mut tried = 0;
        stage.wire.inject(move |request| {
            tried += usize::from(request.operation == "UpdateItem");
            match request.operation == "UpdateItem" && tried == 1 {
                true => fault.clone(),
                false => Fault::None,
            }
        });
        let try_write = stage.ledger.try_write(INTAKE_BYTES);
        assert!(Process::new("health", 0, None).run(try_write).await.is_none());
        stage.wire.heal();
        let left = async || {
            stage
                .control_item()
                .await
                .is_some_and(|item| item.get("tried_with").is_some())
        };
        assert_eq!(left().await, leaves);

        assert_eq!(stage.schedule().await.sent, 2);
        assert!(!left().await, "the grant has taken them off");
        stage.record(&[Upload::new("later", 9, "e")]).await;
        let before = stage.ledger.consumed();
        assert_eq!(stage.schedule().await.sent, 1);
        let units = (stage.ledger.consumed() - before).write_units;
        assert_eq!(units, 3.0 + 1.0, "a claim and a grant");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_reading_and_granting_wins() {
    let stage = Stage::usual().await;
    stage.record(&uploads(5)).await;
    let seen = stage.ledger.control().await.unwrap();
    stage.ledger.pause(None, "kim", "now").await.unwrap();
    let request = daybook_ledger::GrantRequest {
        window: stage.window(),
        per_window: 50,
        wanted: 5,
        asker: daybook_ledger::Asker::Scheduler,
    };
    let grant = stage.ledger.grant(&request, seen).await.unwrap();
    assert!(
        matches!(grant, daybook_ledger::Grant::Refused(Refusal::Paused(_))),
        "{grant:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_whose_clock_was_years_ahead_stops_the_others_for_one_window() {
    let stage = Stage::usual().await;
    stage.wire.with_latency(3);
    stage.record(&uploads(120)).await;
    let years = Duration::from_secs(3 * 365 * 24 * 3600);
    let clock = stage.clock.clone();
    let ahead = Clock::new(move || clock.now().plus(years));
    let dispatch = stage.options.dispatch.clone();
    let window = Window::at(ahead.now(), dispatch.window);
    let ledger = Ledger::new(
        stage.dynamodb.clone(),
        "ledger".parse().unwrap(),
        None,
        ahead.clone(),
        Random::from_seed(9),
    );
    let wrong = Scheduler::new(ledger, stage.queue(), dispatch);
    let deadline = Deadline::after(&ahead, Duration::from_secs(60));
    assert_eq!(wrong.run(window, deadline).await.unwrap().sent, 50);

    let overlapping = async || {
        let runs: Vec<_> = (0..6).map(|_| stage.schedule()).collect();
        let reports = futures::future::join_all(runs).await;
        reports.iter().map(|report| report.sent).sum::<u32>()
    };
    assert_eq!(
        overlapping().await,
        0,
        "nobody knows what this window was granted"
    );
    assert_eq!(stage.schedule().await.refusal, Some(Refusal::WindowFull));
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(overlapping().await, 50);
    stage.pass(Duration::from_secs(60)).await;
    assert_eq!(overlapping().await, 20);
}

#[tokio::test(start_paused = true)]
async fn n_can_be_set_while_it_runs_and_given_back() {
    let stage = Stage::usual().await;
    let due = stage.now();
    let rows: Vec<_> = uploads(200)
        .iter()
        .map(|upload| row_in(Status::Pending, upload, due))
        .collect();
    stage.put_rows(&rows);
    let minute = Duration::from_secs(60);
    stage.ledger.set_per_window(Some(7), KIM).await.unwrap();
    assert_eq!(stage.schedule().await.claimed, 7);
    assert_eq!(stage.schedule().await.refusal, Some(Refusal::WindowFull));
    // Raised in the middle of a window: what it granted counts.
    stage.ledger.set_per_window(Some(70), KIM).await.unwrap();
    assert_eq!(stage.schedule().await.claimed, 63);
    stage.pass(minute).await;
    stage.ledger.set_per_window(None, KIM).await.unwrap();
    assert_eq!(stage.schedule().await.claimed, 50);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_granted_nothing_is_told_whether_it_wanted_something() {
    let stage = Stage::usual().await;
    let grant = async |redelivery: bool, wanted| {
        let request = GrantRequest {
            window: stage.window(),
            per_window: 5,
            wanted,
            asker: match redelivery {
                true => Asker::Sweep(SweepTurn::ONLY),
                false => Asker::Scheduler,
            },
        };
        let seen = stage.ledger.control().await.unwrap();
        stage.ledger.grant(&request, seen).await.unwrap()
    };
    assert_eq!(grant(false, 5).await, Grant::Granted(5));
    // Both are written: what the sweep is owed, and that it is owed nothing any more.
    assert_eq!(grant(true, 3).await, Grant::Refused(Refusal::WindowFull));
    assert_eq!(stage.ledger.control().await.unwrap().owed, 3);
    assert_eq!(grant(true, 0).await, Grant::Refused(Refusal::NothingWanted));
    assert_eq!(stage.ledger.control().await.unwrap().owed, 0);
}

#[tokio::test(start_paused = true)]
async fn the_watermark_begins_once_and_a_ledger_that_does_not_know_begins_with_its_first_grant() {
    let installed = async |stage: &Stage| stage.ledger.control().await.unwrap().installed_at;
    let stage = Stage::usual().await;
    let made = stage.now();
    stage.ledger.begin_watermark().await.unwrap();
    stage.pass(Duration::from_secs(3600)).await;
    stage.ledger.begin_watermark().await.unwrap();
    stage.record(&uploads(3)).await;
    assert_eq!(stage.schedule().await.claimed, 3);
    assert_eq!(installed(&stage).await, Some(made));
    // As an earlier release left it: unknown until something is granted.
    let stage = Stage::usual().await;
    stage.record(&uploads(1)).await;
    assert_eq!(installed(&stage).await, None);
    stage.pass(Duration::from_secs(3600)).await;
    assert_eq!(stage.schedule().await.claimed, 1);
    assert_eq!(installed(&stage).await, Some(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn the_late_repeat_of_a_grant_takes_no_other_grant_out_of_the_count() {
    let stage = Stage::usual().await;
    let asking = || {
        let request = GrantRequest {
            window: stage.window(),
            per_window: 100,
            wanted: 1,
            asker: Asker::Scheduler,
        };
        let ledger = stage.ledger.clone();
        async move {
            let seen = ledger.control().await.unwrap();
            ledger.grant(&request, seen).await.unwrap()
        }
    };
    // Something was granted before.
    assert_eq!(asking().await, Grant::Granted(1));
    // Each one's first write is done, its answer does not come, and 5 seconds later it is repeated.
    let mut writes = 0;
    stage.wire.inject(move |request| {
        writes += usize::from(request.operation == "UpdateItem");
        match request.operation == "UpdateItem" && writes <= 2 {
            true => Fault::HangAfter,
            false => Fault::None,
        }
    });
    let later = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        asking().await
    };
    let (one, other) = futures::join!(asking(), later);
    assert_eq!((one, other), (Grant::Granted(1), Grant::Granted(1)));
    // The two whose answers were lost are spent.
    let control = stage.ledger.control().await.unwrap();
    assert_eq!(control.granted_in(stage.window()), 1 + 2 + 2);
}
