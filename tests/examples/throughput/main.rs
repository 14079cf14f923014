//! How many events per second `daybook up` takes in and completes: a load generator, and a target that does nothing. Threads
//! and blocking sockets of the standard library only, so that it takes as little of the machine as it can.
//!
//! `tests/throughput` builds and starts it; `docs/throughput.md` says what was found. `tests/peers` uses the two halves by themselves:
//!
//!     throughput serve
//!     throughput post ADDRESS FIRST EVENTS PER_POST CONNECTIONS

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking"
)]

mod cases;
mod load;
mod process;

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use cases::{Case, Feed, Measured, Work};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let binary = arguments.next().expect("the daybook binary");
    match binary.as_str() {
        "serve" => return serve(),
        "post" => return post(&arguments.collect::<Vec<_>>()),
        _ => {}
    }
    let scale: u32 = arguments.next().map_or(100, |percent| percent.parse().unwrap());
    let only = arguments.next();
    let disk = tempfile::tempdir_in("target").unwrap();
    let memory = Path::new("/dev/shm")
        .is_dir()
        .then(|| tempfile::tempdir_in("/dev/shm").unwrap());
    println!(
        "a write of 4 KB and its fdatasync: {:.0?} (median of 200)",
        fsync(disk.path())
    );
    println!(
        "{:<42} {:>7} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "events", "taken/s", "done/s", "p50 ms", "p99 ms", "CPU µs", "KB", "flushes", "requests"
    );
    for (number, case) in cases(scale).iter().enumerate() {
        if only
            .as_ref()
            .is_some_and(|only| !case.name.contains(only.as_str()))
        {
            continue;
        }
        let home = match (case.in_memory, &memory) {
            (false, _) => disk.path(),
            (true, Some(memory)) => memory.path(),
            (true, None) => continue,
        };
        let folder = home.join(number.to_string());
        std::fs::create_dir(&folder).unwrap();
        print_line(case, &case.run(&binary, &folder));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

/// Says the target's URL, and serves until stdin ends.
fn serve() {
    println!("{}", load::serve_nothing(load::Calls::default()));
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

/// Says when the first POST began, in seconds since 1970, and how many seconds later the last one was answered.
fn post(arguments: &[String]) {
    let number = |position: usize| arguments[position].parse().unwrap();
    let feed = Feed {
        first: number(1),
        events: number(2),
        per_post: number(3),
        connections: number(4),
        per_second: None,
    };
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
    let began = Instant::now();
    load::post(arguments[0].parse().unwrap(), &feed);
    println!("{} {}", since_1970.as_secs_f64(), began.elapsed().as_secs_f64());
}

fn cases(scale: u32) -> Vec<Case> {
    let events = |n: u32| n * scale / 100;
    let single = |events| Feed {
        first: 0,
        events,
        per_post: 1,
        connections: 64,
        per_second: None,
    };
    let batches = |events| Feed {
        first: 0,
        events,
        per_post: 100,
        connections: 8,
        per_second: None,
    };
    let case = |name, feed, work, in_memory| Case {
        name,
        feed,
        work,
        in_memory,
    };
    vec![
        case(
            "taken in, 1 event per POST",
            single(events(10_000)),
            Work::None,
            false,
        ),
        case(
            "taken in, 100 events per POST",
            batches(events(20_000)),
            Work::None,
            false,
        ),
        case(
            "taken in, 1 per POST, tmpfs",
            single(events(10_000)),
            Work::None,
            true,
        ),
        case(
            "done, --post, 1 event per POST",
            single(events(6_000)),
            Work::Post,
            false,
        ),
        case(
            "done, --post, 100 events per POST",
            batches(events(6_000)),
            Work::Post,
            false,
        ),
        case(
            "done, --post, 100 per POST, tmpfs",
            batches(events(6_000)),
            Work::Post,
            true,
        ),
        case(
            "from POST to call, 100 a second",
            Feed {
                per_second: Some(100),
                ..single(events(2_000))
            },
            Work::Post,
            false,
        ),
        case(
            "done, --exec true, 100 events per POST",
            batches(events(3_000)),
            Work::Exec,
            false,
        ),
    ]
}

fn print_line(case: &Case, measured: &Measured) {
    let events = f64::from(case.feed.events);
    let rate = |time: Duration| format!("{:.0}", events / time.as_secs_f64());
    let per_event = |count: u64| format!("{:.3}", count as f64 / events);
    let millis = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e3);
    println!(
        "{:<42} {:>7} {:>9} {:>9} {:>8} {:>8} {:>8.0} {:>8.1} {:>8} {:>8}",
        case.name,
        case.feed.events,
        rate(measured.taken),
        measured.done.map_or_else(String::new, rate),
        millis(measured.median),
        millis(measured.slow),
        measured.spent.processor.as_secs_f64() * 1e6 / events,
        measured.written as f64 / 1024.0 / events,
        per_event(measured.spent.flushes),
        per_event(measured.spent.requests),
    );
}

/// What one write and its way to the disk takes.
fn fsync(folder: &Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("fsync")).unwrap();
    let mut times: Vec<Duration> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}
