//! Every wire request of every function is a crash point.
//!
//! Stories in which every function makes every kind of request are told once without a death, which enumerates the requests.
//! Then each is told again for every request, with a death right before it and one right after it; and again for every request
//! that the same function makes when it runs next, with a second death before and after that one. Nothing may be lost,
//! nothing may run more often than is allowed, and all comes to rest.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "crash_points/audits.rs"]
mod audits;
#[path = "crash_points/batches.rs"]
mod batches;
#[path = "crash_points/checker.rs"]
mod checker;
#[path = "crash_points/outside.rs"]
mod outside;
#[path = "crash_points/points.rs"]
mod points;
#[path = "crash_points/stories.rs"]
mod stories;
#[path = "crash_points/workers.rs"]
mod workers;
#[path = "crash_points/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use points::{Function, Plan, Point, SIDES, Side, different};
use stories::{STORIES, Story, Told};

/// A function, and an API call.
type Kind = (Function, String);

/// Deaths by function.
#[derive(Default)]
struct Deaths {
    points: BTreeMap<Function, usize>,
    once: BTreeMap<Function, usize>,
    twice: BTreeMap<Function, usize>,
}

/// Unoptimised, a story's futures take more than the 2 MiB that a thread has.
const STACK_BYTES: usize = 8 << 20;

/// Does the work of all on all cores; the results in the order of the work.
fn on_all_cores<W: Sync, T: Send>(work: &[W], of: impl Fn(&W) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(work.len()));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let working = thread.spawn_scoped(scope, || {
                loop {
                    let position = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = work.get(position) else { return };
                    let result = of(one);
                    results.lock().unwrap().push((position, result));
                }
            });
            working.unwrap();
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by_key(|(position, _)| *position);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Tells a story with these deaths, which must all happen.
fn tell(story: &Story, plan: Plan, deaths: usize) -> Result<Told, String> {
    let told = story.tell(plan);
    let name = story.name;
    if told.counted.deaths.len() != deaths {
        let died = &told.counted.deaths;
        return Err(format!(
            "\"{name}\", {plan:?}: {died:?} instead of {deaths} deaths"
        ));
    }
    if !told.violations.is_empty() {
        let (died, violations) = (&told.counted.deaths, told.violations.join("\n    "));
        return Err(format!("\"{name}\", {plan:?}, at {died:?}:\n    {violations}"));
    }
    Ok(told)
}

fn stop_at(failures: Vec<String>) {
    for failure in failures.iter().take(10) {
        eprintln!("{failure}");
    }
    assert!(failures.is_empty(), "{} stories ended badly", failures.len());
}

/// All plans of one death, and of two in a row.
fn crash_everywhere(story: &Story, deaths: &mut Deaths) -> BTreeSet<Kind> {
    let calm = tell(story, Plan::default(), 0).unwrap_or_else(|failure| panic!("{failure}"));
    let requests = calm.counted.seen;
    let once: Vec<Plan> = every(&requests)
        .into_iter()
        .map(|first| Plan {
            first: Some(first),
            again: None,
        })
        .collect();
    let told = on_all_cores(&once, |plan| tell(story, *plan, 1));
    let places: fn(&[Point]) -> Vec<(usize, Side)> = match is_all() {
        true => every,
        false => different,
    };
    let firsts = places(&requests);
    let (mut failures, mut twice) = (Vec::new(), Vec::new());
    for (plan, told) in once.iter().zip(told) {
        let first = plan.first.unwrap();
        match told {
            Ok(told) => {
                assert_eq!(told.counted.deaths[0], requests[first.0], "the story changed");
                if !firsts.contains(&first) {
                    continue;
                }
                twice.extend(places(&told.counted.in_repeat).into_iter().map(|again| Plan {
                    again: Some(again),
                    ..*plan
                }));
            }
            Err(failure) => failures.push(failure),
        }
    }
    stop_at(failures);
    let told = on_all_cores(&twice, |plan| tell(story, *plan, 2).err());
    stop_at(told.into_iter().flatten().collect());
    for point in &requests {
        *deaths.points.entry(point.function).or_default() += 1;
    }
    for (plans, count) in [(&once, &mut deaths.once), (&twice, &mut deaths.twice)] {
        for plan in plans {
            let (number, _) = plan.first.unwrap();
            *count.entry(requests[number].function).or_default() += 1;
        }
    }
    requests
        .into_iter()
        .map(|point| (point.function, point.operation))
        .collect()
}

/// Both sides of every request.
fn every(requests: &[Point]) -> Vec<(usize, Side)> {
    (0..requests.len())
        .flat_map(|number| SIDES.map(|side| (number, side)))
        .collect()
}

/// Whether of two deaths in a row those are told too that leave the same world as another pair.
fn is_all() -> bool {
    std::env::var_os("DAYBOOK_CRASH_ALL").is_some()
}

/// Every kind of request that a function makes.
const KINDS: [(Function, &str); 10] = [
    (
        Function::Ingest,
        "BatchExecuteStatement BatchGetItem DeleteMessageBatch ReceiveMessage",
    ),
    (
        Function::Schedule,
        "BatchExecuteStatement BatchGetItem GetItem Query SendMessageBatch UpdateItem",
    ),
    (
        Function::Invoke,
        "BatchExecuteStatement DeleteItem DeleteMessageBatch DescribeExecution GetItem PutItem ReceiveMessage StartExecution",
    ),
    (
        Function::Complete,
        "BatchExecuteStatement DeleteItem DeleteMessageBatch GetItem PutItem ReceiveMessage",
    ),
    (
        Function::Sweep,
        "BatchExecuteStatement BatchGetItem DeleteItem GetItem GetQueueAttributes ListExecutions Query SendMessageBatch UpdateItem",
    ),
    (
        Function::Audit,
        "BatchGetItem GetBucketVersioning GetItem ListObjectsV2 Scan",
    ),
    (
        Function::Repair,
        "BatchExecuteStatement BatchGetItem GetItem HeadObject Scan",
    ),
    (
        Function::Person,
        "BatchExecuteStatement BatchGetItem DeleteItem GetItem PutItem Scan UpdateItem",
    ),
    (
        Function::Worker,
        "BatchExecuteStatement BatchGetItem ChangeMessageVisibility DeleteItem DeleteMessage PutItem ReceiveMessage",
    ),
    (
        Function::Recover,
        "BatchExecuteStatement BatchGetItem DeleteItem Query",
    ),
];

#[test]
fn a_death_before_and_after_any_request_and_another_in_the_repeat_lose_nothing() {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    thread.spawn(crash_all).unwrap().join().unwrap();
}

fn crash_all() {
    let mut deaths = Deaths::default();
    let mut kinds = BTreeSet::new();
    for story in &STORIES {
        kinds.extend(crash_everywhere(story, &mut deaths));
    }
    println!("function   requests   deaths   two in a row   kinds of requests");
    for (function, expected) in KINDS {
        let of = |kind: &&Kind| kind.0 == function;
        let names: Vec<&str> = kinds.iter().filter(of).map(|kind| kind.1.as_str()).collect();
        let (points, once, twice) = (
            deaths.points[&function],
            deaths.once[&function],
            deaths.twice[&function],
        );
        let name = format!("{function:?}");
        println!(
            "{name:<10} {points:>8} {once:>8} {twice:>14}   {}",
            names.join(" ")
        );
        assert_eq!(once, 2 * points, "{function:?}");
        assert!(twice > 0, "{function:?}");
        assert_eq!(names.join(" "), expected, "{function:?} makes other requests");
    }
    let sum = |deaths: &BTreeMap<Function, usize>| deaths.values().sum::<usize>();
    let (points, once, twice) = (sum(&deaths.points), sum(&deaths.once), sum(&deaths.twice));
    println!("all        {points:>8} {once:>8} {twice:>14}");
}
