//! What is in a configuration of batches, and how much of it.

use super::{BatchDefect, Batches};

impl Batches {
    const BASE: Self = Self {
        events: 2,
        calls: 2,
        sends: 1,
        max_attempts: 1,
        at_once: 1,
        troubles: false,
        faults: 0,
        person: 0,
        failures: true,
        poison: None,
        invalid: None,
        lists: false,
        mixed: false,
        defect: None,
    };

    /// Small enough for every test run, by name.
    pub const SMALL: [(&str, Self); 7] = [
        (
            "batches",
            Self {
                troubles: true,
                ..Self::BASE
            },
        ),
        // Recorded again after the receipt expired or a person removed it; messages doubled.
        (
            "batches-again",
            Self {
                events: 1,
                faults: 1,
                person: 1,
                ..Self::BASE
            },
        ),
        // Outputs list failures, make no sense, or cannot be read.
        (
            "lists",
            Self {
                calls: 1,
                lists: true,
                ..Self::BASE
            },
        ),
        (
            "poison",
            Self {
                poison: Some(0),
                calls: 3,
                failures: false,
                ..Self::BASE
            },
        ),
        (
            "invalid",
            Self {
                invalid: Some(0),
                at_once: 2,
                failures: false,
                ..Self::BASE
            },
        ),
        (
            "released",
            Self {
                events: 1,
                person: 2,
                ..Self::BASE
            },
        ),
        // Batches are being turned on, or off.
        (
            "mixed",
            Self {
                events: 1,
                sends: 2,
                mixed: true,
                person: 1,
                ..Self::BASE
            },
        ),
    ];

    /// What takes minutes, by name.
    pub const LARGE: [(&str, Self); 5] = [
        (
            "batches-large",
            Self {
                troubles: true,
                at_once: 2,
                ..Self::BASE
            },
        ),
        (
            "lists-large",
            Self {
                lists: true,
                ..Self::BASE
            },
        ),
        (
            "invalid-large",
            Self {
                invalid: Some(0),
                events: 3,
                failures: false,
                ..Self::BASE
            },
        ),
        (
            "released-large",
            Self {
                person: 1,
                ..Self::BASE
            },
        ),
        (
            "mixed-large",
            Self {
                mixed: true,
                person: 1,
                ..Self::BASE
            },
        ),
    ];

    /// The model in which a planted defect is seen, and its name.
    pub fn planted(defect: BatchDefect) -> (&'static str, Self) {
        use BatchDefect as D;
        let (name, batches) = match defect {
            D::FailOfAnyBatch | D::RenewOfAnyBatch => Self::SMALL[1],
            D::UnreadableIsSuccess | D::MalformedIsSuccess => Self::SMALL[2],
            D::ParksCompany | D::NeverAlone | D::AloneIsIgnored => Self::SMALL[3],
            D::InvalidPutsBack | D::InvalidParksAll => Self::SMALL[4],
            D::PersonPutsBack => Self::SMALL[5],
            D::SettingDecides | D::SinglePutBack | D::BatchStays => Self::SMALL[6],
            _ => Self::SMALL[0],
        };
        let defect = Some(defect);
        (name, Self { defect, ..batches })
    }
}
