//! Receipts, and the deletions that need one.

use super::{Attributes, Insert, Property, Shadow, SharedHistory};

impl Shadow {
    /// Receipt, then delete.
    pub(super) fn delete(&mut self, id: &str, now: i64, world: &SharedHistory) {
        if self.rows.remove(id).is_none() {
            return;
        }
        self.deleted.insert(id.to_owned(), now);
        if self.newer.contains(id) {
            let text = format!("{id} was deleted, and a newer release wrote it");
            self.violation(now, Property::Lost, text);
        }
        *self.steps.entry("deletion".into()).or_default() += 1;
        let Some(insert) = self.inserts.get(id).filter(|insert| !insert.key.is_empty()) else {
            return;
        };
        let kind = match (insert.general, insert.removed) {
            (true, _) => "event",
            (false, true) => "removed",
            (false, false) => "created",
        };
        let object = (insert.key.clone(), insert.version.clone(), kind.to_owned());
        if !self.receipts_on || world.lock().receipts_removed.contains(&insert.key) {
            return;
        }
        let key = &insert.key;
        let text = match self.receipts.get(&object) {
            None => format!("row {id} of {key} was deleted, and there is no receipt"),
            Some(receipt) if is_older(receipt, id, insert) => {
                format!("row {id} of {key} was deleted, and the receipt is of an older upload: {receipt:?}")
            }
            Some(_) => return,
        };
        self.violation(now, Property::Lost, text);
    }

    /// Newer receipts only.
    pub(super) fn receipt(&mut self, receipt: Attributes, now: i64) {
        let object = (
            receipt.get("key").cloned().unwrap_or_default(),
            receipt
                .get("event_source")
                .or_else(|| receipt.get("version_id"))
                .cloned(),
            receipt.get("kind").cloned().unwrap_or_default(),
        );
        let before = self.receipts.insert(object, receipt.clone()).unwrap_or_default();
        if let (Some(old), Some(new)) = (before.get("sequencer"), receipt.get("sequencer"))
            && new < old
        {
            let key = &receipt["key"];
            self.violation(
                now,
                Property::Lost,
                format!("an older receipt of {key} took a newer one's place: {new} after {old}"),
            );
        }
    }
}

/// Whether a receipt is of an older event of the object than that, as far as sequencers tell.
fn is_older(receipt: &Attributes, id: &str, insert: &Insert) -> bool {
    let is_own = receipt.get("event_id").is_some_and(|of| of == id);
    let sequencers = receipt.get("sequencer").zip(insert.sequencer.as_ref());
    !is_own && sequencers.is_some_and(|(done, asked)| done < asked)
}
