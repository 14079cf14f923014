//! The rules hold in every state within the small bounds; every defect that is planted is seen.

use std::collections::BTreeSet;

use clap::ValueEnum;
use daybook_model::batch::{BatchDefect, Batches};
use daybook_model::bounds::SMALL;
use daybook_model::crew::{Crew, CrewDefect};
use daybook_model::defects::Defect;
use daybook_model::newcomers::{NewcomerDefect, Newcomers};
use daybook_model::search::{planted, search, search_all};
use daybook_model::settle_many::{SettleDefect, SettleMany};
use daybook_model::untold::{Express, UntoldDefect};
use daybook_model::worker::{WorkerDefect, Workshop};

#[test]
fn the_rules_hold_in_every_state_within_small_bounds() {
    let mut reached = Vec::new();
    for bounds in SMALL {
        let found = search(*bounds, None, 2);
        assert!(found.failed.is_empty(), "{}: {:#?}", bounds.name, found.failed);
        assert!(found.unique > 1000, "{}: {} states", bounds.name, found.unique);
        reached.extend(found.reached);
    }
    for expected in [
        "an event is completed",
        "a row is parked",
        "a message is redelivered",
        "an event is recorded as claimed",
        "an event is recorded again and replays an old attempt",
        "an event runs beside an attempt that a person called failed",
        "an event is covered by a newer upload",
        "an execution is stopped for a person",
        "an event that was cancelled succeeds all the same, and is done",
    ] {
        assert!(reached.contains(&expected), "nowhere: {expected}");
    }
}

#[test]
fn the_budget_holds_and_nobody_starves_beside_newcomers() {
    let mut reached = BTreeSet::new();
    for (name, newcomers) in Newcomers::SMALL {
        let found = search_all(newcomers, 2);
        assert!(found.failed.is_empty(), "{name}: {:#?}", found.failed);
        reached.extend(found.reached);
    }
    assert_eq!(reached.len(), 4, "{reached:?}");
}

#[test]
fn the_rules_of_batches_hold_in_every_state() {
    let mut reached = BTreeSet::new();
    for (name, batches) in Batches::SMALL {
        let found = search_all(batches, 2);
        assert!(found.failed.is_empty(), "{name}: {:#?}", found.failed);
        reached.extend(found.reached);
    }
    assert_eq!(reached.len(), 5, "{reached:?}");
}

#[test]
fn the_rules_of_workers_hold_in_every_state() {
    let mut reached = BTreeSet::new();
    for (name, workshop) in Workshop::SMALL {
        let found = search_all(workshop, 2);
        assert!(found.failed.is_empty(), "{name}: {:#?}", found.failed);
        reached.extend(found.reached);
    }
    assert_eq!(reached.len(), 7, "{reached:?}");
}

#[test]
fn the_rules_of_workers_with_batches_hold_in_every_state() {
    let mut reached = BTreeSet::new();
    for (name, crew) in Crew::SMALL {
        let found = search_all(crew, 2);
        assert!(found.failed.is_empty(), "{name}: {:#?}", found.failed);
        reached.extend(found.reached);
    }
    assert_eq!(reached.len(), 4, "{reached:?}");
}

#[test]
fn the_rules_of_settling_many_hold_in_every_state() {
    let found = search_all(SettleMany::SMALL, 2);
    assert!(found.failed.is_empty(), "{:#?}", found.failed);
    assert_eq!(found.reached.len(), 2, "{:?}", found.reached);
}

#[test]
fn the_rules_of_executions_that_end_untold_hold_in_every_state() {
    let found = search_all(Express::SMALL, 2);
    assert!(found.failed.is_empty(), "{:#?}", found.failed);
    assert_eq!(found.reached.len(), 3, "{:?}", found.reached);
}

#[test]
fn every_planted_defect_is_seen() {
    for defect in Defect::value_variants() {
        let (name, model) = planted(*defect).unwrap_or_else(|| panic!("{defect:?} has no bounds"));
        let found = search_all(model, 2);
        assert!(!found.failed.is_empty(), "{defect:?} is not seen in {name}");
    }
    for defect in NewcomerDefect::value_variants() {
        let (name, planted) = Newcomers::planted(*defect);
        let found = search_all(planted, 2);
        assert!(!found.failed.is_empty(), "{defect:?} is not seen in {name}");
    }
    for defect in BatchDefect::value_variants() {
        let (name, planted) = Batches::planted(*defect);
        let found = search_all(planted, 2);
        assert!(!found.failed.is_empty(), "{defect:?} is not seen in {name}");
    }
    for defect in WorkerDefect::value_variants() {
        let (name, planted) = Workshop::planted(*defect);
        let found = search_all(planted, 2);
        assert!(!found.failed.is_empty(), "{defect:?} is not seen in {name}");
    }
    for defect in CrewDefect::value_variants() {
        let (name, planted) = Crew::planted(*defect);
        let found = search_all(planted, 2);
        assert!(!found.failed.is_empty(), "{defect:?} is not seen in {name}");
    }
    for defect in SettleDefect::value_variants() {
        let planted = SettleMany {
            defect: Some(*defect),
            ..SettleMany::SMALL
        };
        assert!(
            !search_all(planted, 2).failed.is_empty(),
            "{defect:?} is not seen"
        );
    }
    for defect in UntoldDefect::value_variants() {
        let planted = Express {
            defect: Some(*defect),
            ..Express::SMALL
        };
        assert!(
            !search_all(planted, 2).failed.is_empty(),
            "{defect:?} is not seen"
        );
    }
}
