//! `cargo run --release -p daybook-model -- check`: visits all states, prints what was found, and fails when a property does.

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use daybook_model::batch::{BatchDefect, Batches};
use daybook_model::bounds::{Bounds, LARGE, SMALL};
use daybook_model::crew::{Crew, CrewDefect};
use daybook_model::defects::Defect;
use daybook_model::newcomers::{NewcomerDefect, Newcomers};
use daybook_model::search::{Found, planted, search, search_all, shortest};
use daybook_model::settle_many::{SettleDefect, SettleMany};
use daybook_model::untold::{Express, UntoldDefect};
use daybook_model::worker::{WorkerDefect, Workshop};

#[derive(Parser)]
#[command(about = "Checks the row protocol exhaustively within bounds")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Visits all states of every configuration; fails when a property does.
    Check {
        /// How far.
        #[arg(long, value_enum, default_value = "small")]
        bounds: Size,
        /// Only this configuration.
        #[arg(long)]
        only: Option<String>,
        /// With this defect planted.
        #[arg(long)]
        defect: Option<Defect>,
    },
    /// Plants every defect and shows the shortest way to where it is seen; fails when one is not.
    Defects {
        /// Without the ways.
        #[arg(long)]
        table: bool,
        /// Only those whose names begin so.
        #[arg(long, default_value = "")]
        only: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    /// Seconds.
    Small,
    /// The small ones and those that take minutes.
    Large,
}

fn print(name: &str, found: &Found) {
    let result = match found.failed.first() {
        None => "holds".to_owned(),
        Some((name, _)) => format!("FAILS: {name}"),
    };
    println!(
        "{name:<17}{:>10} states{:>10} unique  depth {:>3}{:>7.1} s  {result}",
        found.states,
        found.unique,
        found.depth,
        found.took.as_secs_f64()
    );
    if let Some((_, trace)) = found.failed.first() {
        for (number, line) in trace.iter().enumerate() {
            println!("  {:>3}. {line}", number + 1);
        }
    }
}

fn check(bounds: Size, only: Option<String>, defect: Option<Defect>) -> bool {
    let larger: &[Bounds] = match bounds {
        Size::Small => &[],
        Size::Large => LARGE,
    };
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    let mut holds = true;
    for bounds in SMALL.iter().chain(larger).filter(|bounds| wanted(bounds.name)) {
        let found = search(*bounds, defect, 2);
        holds &= found.failed.is_empty();
        print(bounds.name, &found);
    }
    let larger: &[(&str, Newcomers)] = match bounds {
        Size::Small => &[],
        Size::Large => &Newcomers::LARGE,
    };
    let newcomers = Newcomers::SMALL.iter().chain(larger).copied();
    for (name, newcomers) in newcomers.filter(|(name, _)| defect.is_none() && wanted(name)) {
        let found = search_all(newcomers, 2);
        holds &= found.failed.is_empty();
        print(name, &found);
    }
    let larger: &[(&str, Batches)] = match bounds {
        Size::Small => &[],
        Size::Large => &Batches::LARGE,
    };
    let batches = Batches::SMALL.iter().chain(larger).copied();
    for (name, batches) in batches.filter(|(name, _)| defect.is_none() && wanted(name)) {
        let found = search_all(batches, 2);
        holds &= found.failed.is_empty();
        print(name, &found);
    }
    let larger: &[(&str, Workshop)] = match bounds {
        Size::Small => &[],
        Size::Large => &Workshop::LARGE,
    };
    let workshops = Workshop::SMALL.iter().chain(larger).copied();
    for (name, workshop) in workshops.filter(|(name, _)| defect.is_none() && wanted(name)) {
        let found = search_all(workshop, 2);
        holds &= found.failed.is_empty();
        print(name, &found);
    }
    if defect.is_none() && wanted("settle-many") {
        let found = search_all(SettleMany::SMALL, 2);
        holds &= found.failed.is_empty();
        print("settle-many", &found);
    }
    let larger: &[(&str, Crew)] = match bounds {
        Size::Small => &[],
        Size::Large => &Crew::LARGE,
    };
    let crews = Crew::SMALL.iter().chain(larger).copied();
    for (name, crew) in crews.filter(|(name, _)| defect.is_none() && wanted(name)) {
        let found = search_all(crew, 2);
        holds &= found.failed.is_empty();
        print(name, &found);
    }
    let larger = match bounds {
        Size::Small => None,
        Size::Large => Some(("untold-large", Express::LARGE)),
    };
    let express = [("untold", Express::SMALL)].into_iter().chain(larger);
    for (name, express) in express.filter(|(name, _)| defect.is_none() && wanted(name)) {
        let found = search_all(express, 2);
        holds &= found.failed.is_empty();
        print(name, &found);
    }
    holds
}

fn defects(table: bool, only: &str) -> bool {
    let mut all_found = true;
    let mut print = |defect: String, name: &str, way: Option<(&str, Vec<String>)>| match way {
        None => {
            println!("{defect:<26}NOT FOUND");
            all_found = false;
        }
        Some((property, way)) => {
            println!("{defect:<26}{name:<14}{:>3} steps  {property}", way.len());
            for (number, line) in way.iter().enumerate().filter(|_| !table) {
                println!("  {:>3}. {line}", number + 1);
            }
        }
    };
    fn named<D: ValueEnum + fmt::Debug + 'static>(only: &str) -> impl Iterator<Item = &'static D> {
        let wanted = move |defect: &&D| format!("{defect:?}").starts_with(only);
        D::value_variants().iter().filter(wanted)
    }
    for defect in named::<Defect>(only) {
        let planted = planted(*defect);
        let name = planted.as_ref().map_or("", |(name, _)| name);
        print(
            format!("{defect:?}"),
            name,
            planted.and_then(|(_, model)| shortest(model)),
        );
    }
    for defect in named::<NewcomerDefect>(only) {
        let (name, newcomers) = Newcomers::planted(*defect);
        print(format!("{defect:?}"), name, shortest(newcomers));
    }
    for defect in named::<BatchDefect>(only) {
        let (name, batches) = Batches::planted(*defect);
        print(format!("{defect:?}"), name, shortest(batches));
    }
    for defect in named::<WorkerDefect>(only) {
        let (name, workshop) = Workshop::planted(*defect);
        print(format!("{defect:?}"), name, shortest(workshop));
    }
    for defect in named::<CrewDefect>(only) {
        let (name, crew) = Crew::planted(*defect);
        print(format!("{defect:?}"), name, shortest(crew));
    }
    for defect in named::<SettleDefect>(only) {
        let settle = SettleMany {
            defect: Some(*defect),
            ..SettleMany::SMALL
        };
        print(format!("{defect:?}"), "settle-many", shortest(settle));
    }
    for defect in named::<UntoldDefect>(only) {
        let express = Express {
            defect: Some(*defect),
            ..Express::SMALL
        };
        print(format!("{defect:?}"), "untold", shortest(express));
    }
    all_found
}

fn main() -> ExitCode {
    let holds = match Arguments::parse().command {
        Command::Check { bounds, only, defect } => check(bounds, only, defect),
        Command::Defects { table, only } => defects(table, &only),
    };
    if holds {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
