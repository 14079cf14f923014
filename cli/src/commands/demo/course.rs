//! What all movers of the demo share.

use std::sync::Once;

use tokio::sync::RwLock;

use crate::commands::demo::screen::Screen;
use crate::commands::demo::tally::Tally;
use crate::commands::demo::world::DemoPipeline;

/// A run of the demo.
pub struct Demo {
    pub world: DemoPipeline,
    pub tally: Tally,
    pub screen: Screen,
    /// Invokers pass it; an outage closes it.
    pub gate: RwLock<()>,
    pub intake_noted: Once,
    pub events: u32,
    pub notifications: u32,
    /// The outage is in the window that this event, counted from 1, is sent in.
    pub middle: u32,
    pub seed: u64,
}
