//! The control item stays below 1 KB, so that a grant costs one write unit whatever it keeps.

use std::time::Duration;

use daybook_ledger::{Asker, Control, Grant, GrantRequest, Person, SweepTurn, Window};
use daybook_schema::dispatch_history::KEPT_WINDOWS;
use daybook_tests::Stage;

use crate::used;

const MINUTE: Duration = Duration::from_secs(60);

/// One grant to each kind of run in each of that many windows; the item at the end.
async fn granted_in(stage: &Stage, windows: usize) -> Control {
    for window in 0..windows {
        let window_of = Window::at(stage.now(), MINUTE);
        for (wanted, asker) in [
            (40_000, Asker::Sweep(SweepTurn::ONLY)),
            (20_000 + window as u32, Asker::Scheduler),
            (7, Asker::Ingest),
        ] {
            let request = GrantRequest {
                window: window_of,
                per_window: 100_000,
                wanted,
                asker,
            };
            let seen = stage.ledger.control().await.unwrap();
            let before = stage.ledger.consumed();
            let grant = stage.ledger.grant(&request, seen).await.unwrap();
            assert_eq!(grant, Grant::Granted(wanted), "window {window}, {asker:?}");
            assert_eq!(used(stage, before), (1.0, 1), "window {window}, {asker:?}");
        }
        stage.pass(MINUTE).await;
    }
    stage.ledger.control().await.unwrap()
}

fn kept(stage: &Stage, control: &Control) -> Vec<Option<u16>> {
    control
        .granted_windows(stage.now().minus(MINUTE))
        .map_or(Vec::new(), |windows| windows.granted)
}

#[tokio::test(start_paused = true)]
async fn a_grant_costs_one_write_unit_with_all_windows_kept() {
    let stage = Stage::usual().await;
    // All that an item may have, but for long texts of people.
    stage.ledger.try_write(0).await.unwrap();
    stage.ledger.note_backlog().await.unwrap();
    let kim = Person {
        by: "kim@example.com",
        why: Some("the target takes more since its migration"),
    };
    stage.ledger.set_per_window(Some(100_000), kim).await.unwrap();
    let until = stage.now().plus(Duration::from_secs(60));
    stage
        .ledger
        .pause(Some(until), "kim@example.com", "the target moves to another host")
        .await
        .unwrap();
    stage.pass(Duration::from_secs(3600)).await;
    let control = granted_in(&stage, KEPT_WINDOWS + 3).await;
    let figures: Vec<Option<u16>> = (3..KEPT_WINDOWS as u16 + 3)
        .map(|window| Some(60_007 + window))
        .collect();
    assert_eq!(kept(&stage, &control), figures);
}

#[tokio::test(start_paused = true)]
async fn long_texts_of_people_take_the_room_of_the_oldest_windows_and_give_it_back() {
    let stage = Stage::usual().await;
    let (kim, long) = ("k".repeat(100), "l".repeat(250));
    let until = stage.now().plus(Duration::from_secs(60));
    stage.ledger.pause(Some(until), &kim, &long).await.unwrap();
    stage.pass(Duration::from_secs(3600)).await;
    let control = granted_in(&stage, KEPT_WINDOWS).await;
    let some = kept(&stage, &control);
    assert!((1..KEPT_WINDOWS).contains(&some.len()), "{some:?}");
    assert_eq!(some.last(), Some(&Some(60_007 + KEPT_WINDOWS as u16 - 1)));
    stage.ledger.resume().await.unwrap();
    let control = granted_in(&stage, KEPT_WINDOWS).await;
    assert_eq!(kept(&stage, &control).len(), KEPT_WINDOWS);

    // More than any room: the grant is written, and costs what these texts cost without a history too.
    let why = "𝄞".repeat(256);
    stage.ledger.pause(Some(stage.now()), &why, &why).await.unwrap();
    stage.pass(MINUTE).await;
    let seen = stage.ledger.control().await.unwrap();
    let request = GrantRequest {
        window: Window::at(stage.now(), MINUTE),
        per_window: 100_000,
        wanted: 5,
        asker: Asker::Scheduler,
    };
    assert_eq!(
        stage.ledger.grant(&request, seen).await.unwrap(),
        Grant::Granted(5)
    );
    let control = stage.ledger.control().await.unwrap();
    assert_eq!(control.history, None);
}
