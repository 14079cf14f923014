//! What a page shows is what its JSON says, field by field; the JSON is the command line's (cli/tests/audit/twins.rs).
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up must stop")]

mod world;

use std::time::Duration;

use axum::http::StatusCode;
use daybook_inspect::wording::escape::escaped;
use daybook_ledger::{Asker, Deadline, GrantRequest, Ledger, Person, RetryPolicy, Window};
use daybook_schema::{Row, Status};
use serde_json::Value;
use world::{HOSTILE, World, get};

/// A text as a page has it.
fn html(text: &str) -> String {
    let mut html = String::new();
    for c in escaped(text).chars() {
        match c {
            '<' => html += "&#60;",
            '>' => html += "&#62;",
            '&' => html += "&#38;",
            '"' => html += "&#34;",
            '\'' => html += "&#39;",
            c => html.push(c),
        }
    }
    html
}

async fn page(world: &World, route: &str) -> String {
    let (status, _, page) = world.ask(get(route)).await;
    assert_eq!(status, StatusCode::OK, "{route}: {page}");
    page
}

async fn json(world: &World, route: &str) -> Value {
    serde_json::from_str(&page(world, route).await).unwrap()
}

fn time(at: &Value) -> String {
    format!("datetime=\"{}\"", at.as_str().unwrap())
}

async fn of_status(ledger: &Ledger, status: Status) -> Vec<Row> {
    let mut pages = ledger.open_rows();
    let mut rows = Vec::new();
    while let Some(page) = pages.next().await.unwrap() {
        rows.extend(page.into_iter().flatten().filter(|row| row.status == status));
    }
    rows
}

/// Hostile rows in every state: two claimed, one that failed and waits, one that is due, the others parked.
async fn every_state() -> World {
    let world = World::hostile().await;
    let (ledger, deadline) = (&world.stage.ledger, world.stage.deadline());
    let parked = of_status(ledger, Status::Parked).await;
    for row in &parked[..3] {
        ledger.redrive(row.id, 3, deadline).await.unwrap();
    }
    // In a window of its own: what was parked was sent in this one.
    tokio::time::advance(Duration::from_secs(3600)).await;
    let (window, deadline) = (world.stage.window(), world.stage.deadline());
    world.stage.scheduler().run(window, deadline).await.unwrap();
    let claimed = of_status(ledger, Status::Claimed).await;
    assert_eq!(claimed.len(), 3);
    fail(ledger, &claimed[..1], deadline).await;
    ledger.redrive(parked[3].id, 3, deadline).await.unwrap();
    world
}

async fn fail(ledger: &Ledger, rows: &[Row], deadline: Deadline) {
    let worker = Person {
        by: "a worker",
        why: Some("<b>the disk</b> of host-17 is full"),
    };
    let failed = ledger
        .fail_rows(rows, worker, &RetryPolicy::default(), deadline)
        .await;
    assert!(failed.iter().all(Result::is_ok), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn now_shows_what_status_says() {
    let world = every_state().await;
    let (status, page) = (json(&world, "/status.json").await, page(&world, "/").await);
    for (word, n) in [("pending", 2), ("claimed", 2), ("parked", HOSTILE.len() - 4)] {
        let standing = &status[word];
        assert_eq!(standing["rows"], n, "{word}: {status}");
        let link = format!("<a href=\"/rows?status={word}\">{n}</a>");
        assert!(page.contains(&link), "{link}: {page}");
        let first = &standing["first"];
        let see = format!(
            "<a href=\"/object?q={}\">see why</a>",
            first["id"].as_str().unwrap()
        );
        assert!(page.contains(&see), "{see}: {page}");
        assert!(page.contains(&time(&first["recorded_at"])), "{first}: {page}");
    }
    let due = format!("wait for their turn: {} due", status["pending"]["due"]);
    assert!(page.contains(&due), "{due}: {page}");
    let limit = html(status["limit"]["says"].as_str().unwrap());
    assert!(page.contains(&limit), "{limit}: {page}");
    let window = &status["dispatch"]["window"];
    let granted = format!("{} granted in the newest window of ", window["granted"]);
    assert!(page.contains(&granted), "{granted}: {page}");
}

/// The windows that the table on the page says, one by one.
fn windows(page: &str) -> Vec<Option<u64>> {
    let (_, table) = page.split_once("<div class=\"unseen\">").unwrap();
    let (_, body) = table.split_once("<tbody>").unwrap();
    let body = body.split("</tbody>").next().unwrap();
    let rows = body.split("<tr>").skip(1);
    let runs = rows.map(|row| {
        let cells: Vec<&str> = row.split("<td>").skip(1).collect();
        let text = |cell: &str| cell.split('<').next().unwrap().replace(',', "");
        let granted = text(cells[1]).parse().ok();
        vec![granted; text(cells[0]).parse().unwrap()]
    });
    runs.flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn the_chart_and_its_table_show_the_windows_of_status() {
    let world = World::new().await;
    let ledger = &world.stage.ledger;
    let length = Duration::from_secs(60);
    for wanted in [7, 7, 0, 50, 12] {
        let request = GrantRequest {
            window: Window::at(world.stage.now(), length),
            per_window: 50,
            wanted,
            asker: Asker::Scheduler,
        };
        let seen = ledger.control().await.unwrap();
        if wanted > 0 {
            ledger.grant(&request, seen).await.unwrap();
        }
        tokio::time::advance(length).await;
    }
    let (status, page) = (json(&world, "/status.json").await, page(&world, "/").await);
    let windows_of_json: Vec<Option<u64>> =
        serde_json::from_value(status["windows"]["granted"].clone()).unwrap();
    assert_eq!(windows(&page), windows_of_json, "{status}");
    assert!(
        windows_of_json.starts_with(&[Some(7), Some(7), Some(0), Some(50), Some(12)]),
        "{status}"
    );
    let (_, bars) = page.split_once("<path class=\"granted\" d=\"").unwrap();
    let bars = bars.split('"').next().unwrap().matches('M').count();
    let granted = windows_of_json.iter().flatten().filter(|granted| **granted > 0);
    assert_eq!(bars, granted.count(), "{page}");
}

#[tokio::test(start_paused = true)]
async fn rows_shows_what_list_says() {
    let world = every_state().await;
    for filter in ["", "?status=parked", "?status=claimed", "?error=host-17"] {
        let list = json(&world, &format!("/rows.json{filter}")).await;
        let page = page(&world, &format!("/rows{filter}")).await;
        let rows = list["rows"].as_array().unwrap();
        assert_eq!(page.matches("name=\"id\" value=").count(), rows.len(), "{filter}");
        assert!(!rows.is_empty(), "{filter}");
        for row in rows {
            let id = row["id"].as_str().unwrap();
            let shown = page.split("<tr>").find(|part| part.contains(id)).unwrap();
            let uri = format!("s3://data/{}", row["key"].as_str().unwrap());
            let attempts = format!("{} of {}", row["attempt"], row["max_attempts"]);
            for what in [
                html(&uri),
                format!(
                    "<span class=\"status {0}\">{0}</span>",
                    row["status"].as_str().unwrap()
                ),
                format!("<td data-label=\"attempts\">{attempts}</td>"),
                time(&row["due_at"]),
                time(&row["recorded_at"]),
                html(row["last_error"].as_str().unwrap_or_default()),
            ] {
                assert!(shown.contains(&what), "{what}: {shown}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn errors_shows_the_groups_of_errors() {
    let world = every_state().await;
    let (errors, page) = (json(&world, "/errors.json").await, page(&world, "/errors").await);
    let groups = errors["groups"].as_array().unwrap();
    assert!(groups.len() > 1, "{errors}");
    let shown: Vec<&str> = page.split("<article class=\"panel group\">").skip(1).collect();
    assert_eq!(shown.len(), groups.len());
    assert!(
        page.contains(&format!("{} open events have failed", errors["rows"])),
        "{page}"
    );
    for (group, shown) in groups.iter().zip(shown) {
        let example = &group["example"];
        for what in [
            html(group["error"].as_str().unwrap()),
            format!("{} parked", group["parked"]),
            format!("{} failing", group["failing"]),
            time(&group["oldest"]),
            time(&group["newest"]),
            example["id"].as_str().unwrap().to_owned(),
            html(&format!("s3://data/{}", example["key"].as_str().unwrap())),
            html(example["error"].as_str().unwrap()),
        ] {
            assert!(shown.contains(&what), "{what}: {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn object_shows_what_why_says() {
    let world = every_state().await;
    let rows = json(&world, "/rows.json").await;
    for row in rows["rows"].as_array().unwrap() {
        let id = row["id"].as_str().unwrap();
        let why = json(&world, &format!("/object.json?q={id}")).await;
        let page = page(&world, &format!("/object?q={id}")).await;
        assert_eq!(why["event"], id, "{why}");
        let situation = why["situation"].as_str().unwrap().replace('_', " ");
        let mut what = vec![
            format!("<span class=\"tag\">{situation}</span>"),
            html(why["what"].as_str().unwrap()),
            html(why["says"].as_str().unwrap()),
            html(why["next"].as_str().unwrap()),
            html(why["row"]["last_error"].as_str().unwrap_or_default()),
            time(&why["row"]["recorded_at"]),
        ];
        what.extend(
            why["unknown"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| html(one.as_str().unwrap())),
        );
        for what in what {
            assert!(page.contains(&what), "{what}: {page}");
        }
    }
}
