//! Receipts: what covers what, and which one stays, as `schema/src/receipt.rs` and `ledger/src/receipts.rs` say.

use crate::bounds::{Rules, Upload};
use crate::defects::Defect;
use crate::world::{Event, World};

/// What an object's receipt says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The event that ended.
    pub event: Event,
    /// By a person's word, not by success.
    pub removed: bool,
}

/// Whether that receipt proves that the event needs no processing.
pub fn covers(uploads: &[Upload], receipt: Receipt, event: Event, defect: Option<Defect>) -> bool {
    if receipt.event == event {
        return true;
    }
    let (done, asked) = (&uploads[usize::from(receipt.event)], &uploads[usize::from(event)]);
    if done.object != asked.object || (receipt.removed && defect != Some(Defect::RemovalCoversOlder)) {
        return false;
    }
    if defect == Some(Defect::ReceiptCoversNewer) {
        return true;
    }
    match (done.sequencer, asked.sequencer) {
        (Some(newer), Some(older)) if newer != older => newer > older,
        (Some(_), Some(_)) => done.etag == asked.etag,
        _ => done.etag == asked.etag && asked.time < done.time,
    }
}

/// Whether the stored receipt of its object covers the event.
pub fn is_covered(rules: &Rules, world: &World, event: Event) -> bool {
    let object = rules.bounds.uploads[usize::from(event)].object;
    world.receipts[usize::from(object)]
        .is_some_and(|receipt| covers(rules.bounds.uploads, receipt, event, rules.defect))
}

/// Whether the second one is newer than the first, so that it takes its place.
pub fn is_newer(uploads: &[Upload], stored: Event, new: Event) -> bool {
    let (stored, new) = (&uploads[usize::from(stored)], &uploads[usize::from(new)]);
    match (stored.sequencer, new.sequencer) {
        (Some(stored), Some(new)) => stored < new,
        _ => stored.time < new.time,
    }
}
