//! What is asked for.

use std::collections::BTreeSet;
use std::time::Duration;

use daybook_tests::simulation::{CLASSES, Scenario};

pub const USAGE: &str =
    "simulate [--seeds N] [--first N] [--jobs N] [--until-failure] [--each-class]   many seeds
simulate --seed N [--trace [--lines N] [--width N]]                          one seed
both:    [--faults a,b,c | none] [--uploads N] [--hours N] [--dynoxide] [--shrink]";

pub struct Arguments {
    pub seeds: u64,
    pub first: u64,
    pub jobs: usize,
    pub seed: Option<u64>,
    pub until_failure: bool,
    pub each_class: bool,
    pub trace: bool,
    pub lines: Option<usize>,
    pub width: usize,
    pub shrink: bool,
    faults: Option<BTreeSet<&'static str>>,
    uploads: Option<usize>,
    hours: Option<u64>,
    dynoxide: bool,
}

impl Arguments {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            seeds: 100,
            first: 0,
            jobs: std::thread::available_parallelism().map_or(2, usize::from),
            seed: None,
            until_failure: false,
            each_class: false,
            trace: false,
            lines: None,
            width: 200,
            shrink: false,
            faults: None,
            uploads: None,
            hours: None,
            dynoxide: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{name} needs a value"));
            match name.as_str() {
                "--seeds" => parsed.seeds = number(&name, &value()?)?,
                "--first" => parsed.first = number(&name, &value()?)?,
                "--jobs" => parsed.jobs = number(&name, &value()?)?,
                "--seed" => parsed.seed = Some(number(&name, &value()?)?),
                "--lines" => parsed.lines = Some(number(&name, &value()?)?),
                "--width" => parsed.width = number(&name, &value()?)?,
                "--uploads" => parsed.uploads = Some(number(&name, &value()?)?),
                "--hours" => parsed.hours = Some(number(&name, &value()?)?),
                "--faults" => parsed.faults = Some(faults(&value()?)?),
                "--until-failure" => parsed.until_failure = true,
                "--each-class" => parsed.each_class = true,
                "--trace" => parsed.trace = true,
                "--shrink" => parsed.shrink = true,
                "--dynoxide" => parsed.dynoxide = true,
                other => return Err(format!("{other} is not known")),
            }
        }
        Ok(parsed)
    }

    /// That seed, with all faults unless others are asked for.
    pub fn scenario(&self, seed: u64) -> Scenario {
        self.changed(Scenario::new(seed))
    }

    /// The run of that number among many.
    pub fn numbered(&self, number: u64) -> Scenario {
        self.changed(Scenario::numbered(number))
    }

    fn changed(&self, mut scenario: Scenario) -> Scenario {
        if let Some(faults) = &self.faults {
            scenario.faults.clone_from(faults);
        }
        scenario.dynoxide = self.dynoxide;
        scenario.uploads = self.uploads.unwrap_or(scenario.uploads);
        scenario.span = self
            .hours
            .map_or(scenario.span, |hours| Duration::from_secs(hours * 3600));
        scenario
    }
}

fn number<N: std::str::FromStr>(name: &str, text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{name} needs a number, not {text:?}"))
}

fn faults(text: &str) -> Result<BTreeSet<&'static str>, String> {
    let known = |name: &str| {
        let class = CLASSES.iter().find(|class| class.name == name);
        class.map(|class| class.name).ok_or_else(|| {
            let names: Vec<&str> = CLASSES.iter().map(|class| class.name).collect();
            format!(
                "{name:?} is no class of faults; there are none, {}",
                names.join(", ")
            )
        })
    };
    match text {
        "none" => Ok(BTreeSet::new()),
        names => names.split(',').map(known).collect(),
    }
}
