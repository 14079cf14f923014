//! Actions on rows: asked with a count and examples, begun once, told truly; what changed meanwhile is refused, not lost.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use std::time::Duration;

use axum::http::{StatusCode, header};
use daybook_inspect::operate::log::Log;
use daybook_ledger::{Person, RetryPolicy};
use daybook_schema::{Outcome, Row, Status};
use world::{HOSTILE, World, get, park, post};

const PATIENCE: Duration = Duration::from_secs(60);

async fn rows(world: &World) -> Vec<Row> {
    let mut pages = world.stage.ledger.open_rows();
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        rows.extend(page.into_iter().flatten());
    }
    rows
}

async fn of_status(world: &World, status: Status) -> Vec<Row> {
    let rows = rows(world).await.into_iter();
    rows.filter(|row| row.status == status).collect()
}

/// The value of an input of that name, as a browser sends it.
fn inputs(page: &str, name: &str) -> Vec<String> {
    let begin = format!("name=\"{name}\" value=\"");
    page.split(begin.as_str())
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect()
}

fn form(fields: &[(&str, &str)]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish()
}

/// Begins it; the page that says how far it is.
async fn begin(world: &World, body: &str) -> String {
    let request = post("/act", body).with("sec-fetch-site", "same-origin");
    let (status, headers, page) = world.ask(request).await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{page}");
    headers[header::LOCATION].to_str().unwrap().to_owned()
}

/// That page, once it says so.
async fn until(world: &World, path: &str, so: impl Fn(&str) -> bool) -> String {
    let found = async {
        loop {
            let (status, _, page) = world.ask(get(path)).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            if so(&page) {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.expect("in time")
}

async fn ended(world: &World, path: &str) -> String {
    until(world, path, |page| !page.contains("data-reload")).await
}

fn line(page: &str, what: &str, n: usize) -> bool {
    page.contains(&format!("<th scope=\"row\">{what}</th><td class=\"n\">{n}</td>"))
}

#[tokio::test]
async fn an_action_is_asked_with_a_count_examples_and_its_command_and_changes_nothing_before() {
    let world = World::hostile().await;
    let error = form(&[("verb", "redrive"), ("error", "no such column")]);
    let (status, _, page) = world.ask(get(&format!("/act?{error}"))).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains(&format!("<strong>{}</strong> parked events", HOSTILE.len())),
        "{page}"
    );
    assert!(page.contains("daybook redrive --local data --error &#39;no such column&#39; --canary 5 --canary-wait 10m --why REASON"));
    assert!(!page.contains("<script>") && !page.contains("<img") && !page.contains('\u{202e}'));
    assert_eq!(inputs(&page, "error"), ["no such column"]);
    assert!(page.len() < 64 * 1024, "{} bytes", page.len());
    // A filter of a stranger's text is text as well.
    let hostile = form(&[("verb", "redrive"), ("error", "\"><script>alert(1)</script>")]);
    let (_, _, page) = world.ask(get(&format!("/act?{hostile}"))).await;
    assert!(
        !page.contains("<script>alert") && page.contains("There is nothing to do"),
        "{page}"
    );
    for id in of_status(&world, Status::Parked).await.iter().map(|row| row.id) {
        let (_, _, page) = world.ask(get(&format!("/act?verb=remove&id={id}"))).await;
        assert!(page.contains("<strong>1</strong> event."), "{page}");
        assert!(!page.contains("<script>") && !page.contains("<img"), "{page}");
    }
    assert_eq!(of_status(&world, Status::Parked).await.len(), HOSTILE.len());
    for bad in [
        "/act",
        "/act?verb=drop",
        "/act?verb=remove",
        "/act?verb=redrive&status=claimed",
    ] {
        assert_eq!(world.ask(get(bad)).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let own = |body| post("/act", body).with("sec-fetch-site", "same-origin");
    assert_eq!(
        world.ask(own("verb=redrive&error=no+such")).await.0,
        StatusCode::BAD_REQUEST,
        "a reason is needed"
    );
    assert_eq!(of_status(&world, Status::Parked).await.len(), HOSTILE.len());
}

#[tokio::test]
async fn chosen_rows_are_redriven_and_keep_who_and_why() {
    let world = World::hostile().await;
    let parked = of_status(&world, Status::Parked).await;
    let (_, _, list) = world.ask(get("/rows?status=parked")).await;
    assert!(inputs(&list, "id").contains(&parked[0].id.to_string()), "{list}");
    let ids = format!("id={}&id={}", parked[0].id, parked[1].id);
    let (_, _, page) = world.ask(get(&format!("/act?verb=redrive&{ids}"))).await;
    let shown = inputs(&page, "row");
    assert_eq!(shown.len(), 2, "{page}");
    let fields = [
        ("verb", "redrive"),
        ("row", &shown[0]),
        ("row", &shown[1]),
        ("why", "<b>fixed</b>"),
        ("by", "kim"),
    ];
    let path = begin(&world, &form(&fields)).await;
    let page = ended(&world, &path).await;
    assert!(
        line(&page, "redriven", 2) && line(&page, "refused", 0) && line(&page, "left", 0),
        "{page}"
    );
    assert!(
        page.contains("&#60;b&#62;fixed&#60;/b&#62;") && page.contains("<bdi>done</bdi>"),
        "{page}"
    );
    let pending = of_status(&world, Status::Pending).await;
    assert_eq!(pending.len(), 2);
    for row in pending {
        let note = row.note.unwrap();
        assert!(note.contains("Z redriven by kim: <b>fixed</b>"), "{note}");
    }
    let (_, _, operations) = world.ask(get("/operations")).await;
    assert!(operations.contains(&path), "{operations}");
}

#[tokio::test]
async fn what_changed_between_the_question_and_the_write_is_refused_and_not_lost() {
    let world = World::hostile().await;
    let parked = of_status(&world, Status::Parked).await;
    let ids: String = parked
        .iter()
        .take(3)
        .map(|row| format!("&id={}", row.id))
        .collect();
    let (_, _, page) = world.ask(get(&format!("/act?verb=redrive{ids}"))).await;
    let shown = inputs(&page, "row");
    // One is redriven by somebody else, and one is completed.
    let (ledger, deadline) = (&world.stage.ledger, world.stage.deadline());
    ledger.redrive(parked[0].id, 3, deadline).await.unwrap();
    let person = Person {
        by: "a worker",
        why: None,
    };
    let closed = ledger
        .close_rows(&parked[1..2], Outcome::Succeeded, person, deadline)
        .await;
    assert!(closed.iter().all(Result::is_ok));
    let mut fields = vec![("verb", "redrive"), ("why", "fixed"), ("by", "kim")];
    fields.extend(shown.iter().map(|row| ("row", row.as_str())));
    let path = begin(&world, &form(&fields)).await;
    let page = ended(&world, &path).await;
    assert!(
        line(&page, "redriven", 1) && line(&page, "refused", 2) && line(&page, "left", 0),
        "{page}"
    );
    let pending = of_status(&world, Status::Pending).await;
    assert_eq!(pending.len(), 2);
    let other = pending.iter().find(|row| row.id == parked[0].id).unwrap();
    let note = other.note.as_deref().unwrap_or_default();
    assert!(!note.contains("by kim"), "the other one's round stands: {note}");
    // Once more: nothing is done twice.
    let path = begin(&world, &form(&fields)).await;
    let page = ended(&world, &path).await;
    assert!(line(&page, "redriven", 0) && line(&page, "refused", 3), "{page}");
}

/// Eight parked rows, of which two are redriven as canaries; the page, while it waits for them.
async fn canaries(world: &World) -> (String, Vec<Row>) {
    for n in 0..8 {
        park(&world.stage, &format!("in/{n}.json")).await;
    }
    let fields = [
        ("verb", "redrive"),
        ("error", "no such column"),
        ("canary", "2"),
        ("wait", "10m"),
        ("why", "fixed"),
    ];
    let path = begin(world, &form(&fields)).await;
    until(world, &path, |page| {
        page.contains("waiting for the outcome of 2 canaries")
    })
    .await;
    let pending = of_status(world, Status::Pending).await;
    assert_eq!(
        pending.len(),
        2,
        "two are redriven, and no more before it is known"
    );
    (path, pending)
}

#[tokio::test]
async fn the_others_of_a_group_follow_when_the_canaries_succeed() {
    let world = World::new().await;
    let (path, pending) = canaries(&world).await;
    let worker = Person {
        by: "a worker",
        why: None,
    };
    let ledger = &world.stage.ledger;
    ledger
        .close_rows(&pending, Outcome::Succeeded, worker, world.stage.deadline())
        .await;
    let page = ended(&world, &path).await;
    assert!(line(&page, "redriven", 8) && line(&page, "left", 0), "{page}");
    assert!(
        page.contains("2 redriven: 2 succeeded, 0 failed, 0 not known"),
        "{page}"
    );
    assert_eq!(of_status(&world, Status::Pending).await.len(), 6);
}

#[tokio::test]
async fn the_others_of_a_group_stay_when_a_canary_fails() {
    let world = World::new().await;
    let (path, _) = canaries(&world).await;
    let (window, deadline) = (world.stage.window(), world.stage.deadline());
    world.stage.scheduler().run(window, deadline).await.unwrap();
    let claimed = of_status(&world, Status::Claimed).await;
    let worker = Person {
        by: "a worker",
        why: Some("still <b>no</b> such column"),
    };
    let ledger = &world.stage.ledger;
    let failed = ledger
        .fail_rows(&claimed, worker, &RetryPolicy::default(), deadline)
        .await;
    assert_eq!(failed.len(), 2);
    let page = ended(&world, &path).await;
    assert!(line(&page, "redriven", 2) && line(&page, "left", 6), "{page}");
    assert!(
        page.contains("stopped after the canaries: 2 of 2 canaries failed: still &#60;b&#62;no"),
        "{page}"
    );
    assert_eq!(of_status(&world, Status::Parked).await.len(), 6);
}

#[tokio::test]
async fn an_action_that_is_stopped_says_how_far_it_came() {
    let world = World::new().await;
    let (path, _) = canaries(&world).await;
    let id = path.rsplit('/').next().unwrap();
    let stop = post("/stop", &form(&[("id", id)])).with("sec-fetch-site", "same-origin");
    assert_eq!(world.ask(stop).await.0, StatusCode::SEE_OTHER);
    let page = ended(&world, &path).await;
    assert!(line(&page, "redriven", 2) && line(&page, "left", 6), "{page}");
    assert!(page.contains("stopped before its end"), "{page}");
    assert!(page.contains("The same again"), "{page}");
    assert_eq!(
        world.ask(get("/operations/nobody-knows")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn canaries_that_nothing_would_run_are_refused() {
    let world = World::hostile().await;
    world.stage.ledger.pause(None, "kim", "a release").await.unwrap();
    let body = "verb=redrive&error=no+such&canary=5&why=x";
    let request = post("/act", body).with("sec-fetch-site", "same-origin");
    let (status, _, page) = world.ask(request).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(page.contains("dispatch is paused by kim"), "{page}");
    let (_, _, page) = world.ask(get("/act?verb=redrive&error=no+such")).await;
    assert!(
        page.contains("Canaries could tell nothing now: <bdi>dispatch is paused"),
        "{page}"
    );
    assert!(
        inputs(&page, "canary").is_empty() && page.contains("--error &#39;no such&#39; --why"),
        "{page}"
    );
    assert_eq!(of_status(&world, Status::Parked).await.len(), HOSTILE.len());
}

#[tokio::test]
async fn after_a_kill_it_is_known_how_far_it_came_and_the_same_again_does_the_rest() {
    let mut world = World::new().await;
    let (path, _) = canaries(&world).await;
    world.restart();
    let (status, _, page) = world.ask(get(&path)).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        page.contains("No end was written") && page.contains("2 done, 6 left"),
        "{page}"
    );
    let (_, _, operations) = world.ask(get("/operations")).await;
    assert!(operations.contains("no end was written"), "{operations}");
    let again = form(&[("verb", "redrive"), ("error", "no such column"), ("why", "again")]);
    let again = begin(&world, &again).await;
    let page = ended(&world, &again).await;
    assert!(line(&page, "redriven", 6) && line(&page, "left", 0), "{page}");
    assert_eq!(of_status(&world, Status::Pending).await.len(), 8);
}

#[tokio::test]
async fn what_runs_is_cancelled_and_what_was_done_elsewhere_is_completed() {
    let world = World::new().await;
    let (ledger, deadline) = (&world.stage.ledger, world.stage.deadline());
    for n in 0..2 {
        park(&world.stage, &format!("in/{n}.json")).await;
    }
    for row in of_status(&world, Status::Parked).await {
        ledger.redrive(row.id, 3, deadline).await.unwrap();
    }
    let window = world.stage.window();
    world.stage.scheduler().run(window, deadline).await.unwrap();
    let claimed = of_status(&world, Status::Claimed).await;
    assert_eq!(claimed.len(), 2);
    let (_, _, list) = world.ask(get("/rows?status=claimed")).await;
    assert!(
        list.contains("value=\"cancel\"") && list.contains("value=\"complete\""),
        "{list}"
    );
    for (query, command) in [
        (
            "verb=cancel&status=claimed",
            "daybook cancel --local data --all --why REASON",
        ),
        (
            "verb=complete&status=claimed",
            "daybook complete --local data --status claimed --why REASON",
        ),
    ] {
        let (_, _, page) = world.ask(get(&format!("/act?{query}"))).await;
        assert!(
            page.contains(command) && page.contains("<strong>2</strong> claimed events"),
            "{page}"
        );
    }
    for bad in ["verb=complete", "verb=cancel&status=parked"] {
        let (status, _, _) = world.ask(get(&format!("/act?{bad}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let id = claimed[0].id.to_string();
    let cancel = form(&[
        ("verb", "cancel"),
        ("id", &id),
        ("why", "it hangs"),
        ("by", "kim"),
    ]);
    let page = ended(&world, &begin(&world, &cancel).await).await;
    assert!(line(&page, "cancelled", 1) && line(&page, "left", 0), "{page}");
    let parked = of_status(&world, Status::Parked).await;
    assert_eq!(parked[0].id, claimed[0].id);
    let error = parked[0].last_error.as_deref().unwrap();
    assert!(error.contains("it hangs"), "{error}");
    let complete = [
        ("verb", "complete"),
        ("status", "claimed"),
        ("why", "done by hand"),
        ("by", "kim"),
    ];
    let page = ended(&world, &begin(&world, &form(&complete)).await).await;
    assert!(line(&page, "completed", 1) && line(&page, "left", 0), "{page}");
    assert!(of_status(&world, Status::Claimed).await.is_empty());
    let (_, _, page) = world
        .ask(get(&format!("/object?q={}", "s3://data/in/0.json")))
        .await;
    let (_, _, other) = world
        .ask(get(&format!("/object?q={}", "s3://data/in/1.json")))
        .await;
    assert!(
        [page, other].iter().any(|page| page.contains("done by hand")),
        "the receipt says why"
    );
}

#[tokio::test]
async fn what_people_do_is_in_the_log_with_who_why_and_how_many() {
    let world = World::hostile().await;
    for (route, fields) in [
        (
            "/pause",
            form(&[("by", "kim"), ("why", "<b>release</b>"), ("for", "2h")]),
        ),
        ("/resume", form(&[("by", "lee"), ("why", "it is out")])),
        ("/per-window", form(&[("by", "kim"), ("why", "less"), ("n", "7")])),
    ] {
        let request = post(route, &fields).with("sec-fetch-site", "same-origin");
        assert_eq!(world.ask(request).await.0, StatusCode::SEE_OTHER);
    }
    let fields = [
        ("verb", "redrive"),
        ("error", "no such column"),
        ("why", "fixed"),
        ("by", "kim"),
    ];
    let path = begin(&world, &form(&fields)).await;
    ended(&world, &path).await;
    let kept = world.log.read().unwrap();
    let told: Vec<String> = kept
        .iter()
        .map(|entry| {
            format!(
                "{} {} {}",
                entry.by,
                entry.what,
                entry.why.as_deref().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "kim redrive --error 'no such column' fixed",
            "kim set 7 per window less",
            "lee resume it is out",
            "kim pause for 2h <b>release</b>",
        ]
    );
    assert!(
        kept.iter()
            .all(|entry| entry.in_console && entry.ended.as_deref() == Some("done"))
    );
    assert_eq!(kept[0].rows.unwrap().done, HOSTILE.len());
    let (_, _, page) = world.ask(get("/operations")).await;
    assert!(
        page.contains("&#60;b&#62;release&#60;/b&#62;") && page.contains("it is out"),
        "{page}"
    );
    assert!(
        page.contains(&format!("{} done", HOSTILE.len())) && page.contains(&path),
        "{page}"
    );
}

#[tokio::test]
async fn where_no_log_is_kept_the_page_says_so_and_shows_what_this_console_did() {
    let world = World::without_log().await;
    let (_, _, page) = world.ask(get("/operations")).await;
    assert!(page.contains("what others did is unknown here"), "{page}");
    park(&world.stage, "in/1.json").await;
    let fields = [("verb", "redrive"), ("why", "fixed"), ("by", "kim")];
    let path = begin(&world, &form(&fields)).await;
    ended(&world, &path).await;
    let (_, _, page) = world.ask(get("/operations")).await;
    assert!(page.contains(&path) && page.contains("redrive --all"), "{page}");
    assert!(world.log.read().unwrap().is_empty());
}
