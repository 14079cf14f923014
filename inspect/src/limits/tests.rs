use super::drain::Drain;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn now() -> Timestamp {
    "2026-11-21T12:00:00.500Z".parse().unwrap()
}

fn count(rows: u64) -> Option<Count> {
    Some(Count { rows, exact: true })
}

/// One machine: 96 rows are due, 4 workers, one second a run, N is 1,000 a second.
fn machine(claimed: u64) -> Observed {
    Observed {
        due: count(96),
        claimed: count(claimed),
        rate: Rate {
            per_window: Some(1000),
            window: Some(SECOND),
        },
        granted: Some((now().minus(SECOND / 2), 4)),
        cap: Some(100),
        workers: Some(Workers {
            at_once: 4,
            batch: 1,
            most_in_flight: Some(100),
        }),
        mean_run: Some(SECOND),
        ..Observed::default()
    }
}

/// AWS: nothing is known of who works.
fn aws(granted: u32) -> Observed {
    Observed {
        granted: Some((now().minus(SECOND), granted)),
        rate: Rate {
            per_window: Some(50),
            window: Some(SECOND * 60),
        },
        cap: None,
        workers: None,
        mean_run: None,
        ..machine(7)
    }
}

#[test]
fn each_limit_is_told_from_the_others() {
    let capped = |cap| Observed {
        cap: Some(cap),
        workers: Some(Workers {
            at_once: 4,
            batch: 1,
            most_in_flight: Some(cap),
        }),
        ..machine(3)
    };
    let in_batches = |claimed| Observed {
        workers: Some(Workers {
            at_once: 4,
            batch: 10,
            most_in_flight: Some(100),
        }),
        ..machine(claimed)
    };
    let putting_off = |put_off, done| Observed {
        minute: Some(Ends {
            put_off,
            done,
            ..Ends::default()
        }),
        ..machine(4)
    };
    let out = |due, later| Observed {
        due: count(due),
        later: count(later),
        outage: Some(now().minus(SECOND * 420)),
        ..machine(0)
    };
    let old = Observed {
        granted: Some((now().minus(SECOND * 200), 50)),
        ..aws(50)
    };
    let cases = [
        (
            "nothing is due",
            Observed {
                due: count(0),
                ..machine(4)
            },
            Limit::Nothing,
        ),
        (
            "rows are not counted",
            Observed {
                due: None,
                ..machine(4)
            },
            Limit::Unknown,
        ),
        (
            "nothing runs",
            Observed {
                is_stopped: true,
                ..machine(4)
            },
            Limit::Stopped,
        ),
        (
            "the ledger takes no writes, and is paused",
            Observed {
                takes_no_writes: true,
                is_paused: true,
                ..machine(4)
            },
            Limit::Ledger,
        ),
        (
            "a pause",
            Observed {
                is_paused: true,
                ..machine(4)
            },
            Limit::Pause,
        ),
        ("4 of 4 workers are busy", machine(4), Limit::Workers),
        ("one waits besides", machine(5), Limit::Workers),
        ("a worker is free", machine(3), Limit::Unknown),
        (
            "a queue of 100 is full since 4 workers are busy",
            machine(100),
            Limit::Workers,
        ),
        ("no more than 3 may be in flight", capped(3), Limit::InFlightCap),
        ("4 may be", capped(4), Limit::Unknown),
        ("4 workers have 10 each", in_batches(40), Limit::Workers),
        ("4 workers have 39", in_batches(39), Limit::Unknown),
        (
            "N is used up",
            Observed {
                granted: Some((now(), 1000)),
                ..machine(4)
            },
            Limit::Budget,
        ),
        ("most are put off", putting_off(9, 3), Limit::Target),
        (
            "most are put off, and are due later",
            Observed {
                due: count(0),
                later: count(9),
                ..putting_off(9, 3)
            },
            Limit::Target,
        ),
        ("few are put off", putting_off(3, 9), Limit::Workers),
        ("all are put off, and one is due", out(1, 0), Limit::Target),
        ("all are put off, and are due later", out(0, 7), Limit::Target),
        ("all were put off, and none is left", out(0, 0), Limit::Nothing),
        (
            "all are put off, and nothing runs any more",
            Observed {
                is_stopped: true,
                ..out(0, 7)
            },
            Limit::Stopped,
        ),
        ("AWS, N is used up", aws(50), Limit::Budget),
        ("AWS, N was used up long ago", old, Limit::Unknown),
        ("AWS, N is not used up", aws(49), Limit::Unknown),
        (
            "AWS, a cap is reached",
            Observed {
                cap: Some(7),
                ..aws(49)
            },
            Limit::InFlightCap,
        ),
        (
            "AWS, N is not known",
            Observed {
                rate: Rate::default(),
                ..aws(50)
            },
            Limit::Unknown,
        ),
    ];
    for (what, seen, limit) in cases {
        assert_eq!(seen.limit(now()), limit, "{what}");
        assert!(!seen.words(now()).is_empty(), "{what}");
    }
}

#[test]
fn the_time_that_a_backlog_takes_is_that_of_what_limits() {
    let waiting = Count {
        rows: 960,
        exact: true,
    };
    let drain = |seen: Observed| seen.drain(waiting, now());
    let workers = Drain::ByRuns {
        time: SECOND * 240,
        per_second: 4.0,
        is_least: false,
    };
    assert_eq!(drain(machine(4)), workers);
    // They would be the limit, were N not.
    assert_eq!(drain(machine(3)), workers);
    assert_eq!(drain(aws(50)), Drain::ByBudget(SECOND * 60 * 20));
    let unmeasured = Observed {
        mean_run: None,
        ..machine(4)
    };
    assert_eq!(drain(unmeasured), Drain::Unmeasured);
    assert_eq!(unmeasured.drain(waiting, now()).time(), None);
    let full = Observed {
        takes_no_writes: true,
        ..machine(4)
    };
    assert_eq!(drain(full), Drain::Unmeasured);
    let slow_budget = Observed {
        rate: Rate {
            per_window: Some(1),
            window: Some(SECOND),
        },
        ..machine(4)
    };
    assert_eq!(drain(slow_budget), Drain::ByBudget(SECOND * 960));
    let unknown = Observed {
        rate: Rate::default(),
        ..aws(50)
    };
    assert_eq!(drain(unknown), Drain::Unknown);
    let target = Observed {
        minute: Some(Ends {
            put_off: 100,
            done: 60,
            ..Ends::default()
        }),
        ..machine(4)
    };
    assert_eq!(
        drain(target),
        Drain::ByRuns {
            time: SECOND * 960,
            per_second: 1.0,
            is_least: false,
        }
    );
    let takes_nothing = Observed {
        minute: Some(Ends {
            put_off: 100,
            ..Ends::default()
        }),
        ..machine(4)
    };
    assert_eq!(drain(takes_nothing), Drain::Unmeasured);
    let is_out = Observed {
        outage: Some(now()),
        ..target
    };
    assert_eq!(drain(is_out), Drain::Unmeasured);
}

#[test]
fn a_standing_backlog_of_short_runs_takes_as_long_as_it_lately_went() {
    // 32 runs at once of 10 ms would be 3,200 a second; the ledger's writes let 700 through.
    let short = |pace| Observed {
        workers: Some(Workers {
            at_once: 32,
            batch: 1,
            most_in_flight: None,
        }),
        cap: None,
        mean_run: Some(SECOND / 100),
        pace,
        ..machine(9)
    };
    let waiting = Count {
        rows: 1_000_000,
        exact: true,
    };
    let by_runs = |seconds, per_second, is_least| Drain::ByRuns {
        time: SECOND * seconds,
        per_second,
        is_least,
    };
    let went = by_runs(1429, 700.0, false);
    assert_eq!(short(Some(700.0)).drain(waiting, now()), went);
    // No backlog stood, or not for long enough to say: it may take far longer.
    let n_is_large = |seen: Observed| Observed {
        rate: Rate {
            per_window: Some(10_000),
            window: Some(SECOND),
        },
        ..seen
    };
    let least = by_runs(313, 3200.0, true);
    assert_eq!(n_is_large(short(None)).drain(waiting, now()), least);
    // What was done before the pause, and in it, says nothing of what follows.
    let paused = Observed {
        is_paused: true,
        ..n_is_large(short(Some(5.0)))
    };
    assert_eq!(paused.drain(waiting, now()), least);
    // What came at once is no pace for what follows.
    assert_eq!(short(Some(9000.0)).per_second(now()), Some(3200.0));
    let long_runs = Observed {
        mean_run: Some(SECOND * 2),
        ..short(Some(9.0))
    };
    assert_eq!(long_runs.per_second(now()), Some(16.0));
    let n_was_raised_to_all_that_is_granted = Observed {
        granted: Some((now(), 1000)),
        ..short(Some(50.0))
    };
    assert_eq!(
        n_was_raised_to_all_that_is_granted.drain(waiting, now()),
        Drain::ByBudget(SECOND * 1000)
    );
}

#[test]
fn busy_workers_hang_when_no_run_ends_for_long() {
    let busy = |seconds: u32, mean_run| Observed {
        youngest_run: Some(now().minus(SECOND * seconds)),
        mean_run,
        ..machine(4)
    };
    assert_eq!(busy(300, None).hangs_for(now()), None);
    assert_eq!(busy(301, None).hangs_for(now()), Some(SECOND * 301));
    assert_eq!(busy(301, Some(SECOND * 60)).hangs_for(now()), None);
    assert_eq!(busy(601, Some(SECOND * 60)).hangs_for(now()), Some(SECOND * 601));
    let free = Observed {
        claimed: count(3),
        ..busy(601, None)
    };
    assert_eq!(free.hangs_for(now()), None);
}
