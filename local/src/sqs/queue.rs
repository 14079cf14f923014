//! One queue: which messages are on offer, hidden, too old, and in which order they go out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::attributes::QueueAttributes;
use super::message::{Message, Millis, NewMessage, Presence};
use crate::ids::Ids;

/// How long FIFO remembers a deduplication id: 5 minutes.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/using-messagededuplicationid-property.html>
const DEDUPLICATION_MILLIS: Millis = 300_000;

pub(super) struct Queue {
    pub(super) name: String,
    pub(super) arn: String,
    /// Tells this queue's receipt handles from another's.
    tag: u64,
    pub(super) attributes: QueueAttributes,
    pub(super) created_at: Millis,
    pub(super) modified_at: Millis,
    pub(super) purged_at: Option<Millis>,
    /// Rings whenever a receiver that waits may find something.
    pub(super) changed: Arc<Notify>,
    /// By place in the queue.
    messages: BTreeMap<u64, Message>,
    visible: BTreeSet<u64>,
    hidden: BTreeSet<(Millis, u64)>,
    ages: BTreeSet<(Millis, u64)>,
    in_flight: usize,
    /// FIFO: how many of a group are in flight.
    blocked_groups: BTreeMap<String, usize>,
    deduplicated: BTreeMap<(Option<String>, String), (String, Option<String>)>,
    deduplicated_until: VecDeque<(Millis, (Option<String>, String))>,
    next_place: u64,
}

/// What became of a message that was sent.
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) sequence_number: Option<String>,
}

/// A receipt handle, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Receipt {
    place: u64,
    receipt: u64,
}

/// What a receipt handle still means.
pub(super) enum Held {
    /// It is the newest handle of a message that is in flight.
    InFlight(u64),
    /// It is the newest handle of a message whose visibility timeout has run out.
    RunOut(u64),
    /// The message has been received again since.
    Superseded,
    /// The message is gone: deleted, purged, expired, or moved to another queue.
    Gone,
}

pub(super) fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

impl Queue {
    pub(super) fn new(name: &str, arn: String, attributes: QueueAttributes, now: Millis, tag: u64) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            tag,
            attributes,
            created_at: now,
            modified_at: now,
            purged_at: None,
            changed: Arc::new(Notify::new()),
            messages: BTreeMap::new(),
            visible: BTreeSet::new(),
            hidden: BTreeSet::new(),
            ages: BTreeSet::new(),
            in_flight: 0,
            blocked_groups: BTreeMap::new(),
            deduplicated: BTreeMap::new(),
            deduplicated_until: VecDeque::new(),
            next_place: 0,
        }
    }

    /// Lets time pass: what was hidden until now is on offer, what is too old is gone.
    pub(super) fn advance(&mut self, now: Millis) {
        while let Some(&(at, place)) = self.hidden.first()
            && at <= now
        {
            self.set_presence(place, Presence::Visible, at);
        }
        let oldest_kept = now - millis(self.attributes.retention);
        while let Some(&(sent_at, place)) = self.ages.first()
            && sent_at <= oldest_kept
        {
            self.remove(place);
        }
        while let Some((until, _)) = self.deduplicated_until.front()
            && *until <= now
        {
            if let Some((_, key)) = self.deduplicated_until.pop_front() {
                self.deduplicated.remove(&key);
            }
        }
    }

    /// When a hidden message will be on offer next.
    pub(super) fn next_visible_at(&self) -> Option<Millis> {
        self.hidden.first().map(|(at, _)| *at)
    }

    /// Takes a message in. A FIFO duplicate is answered as the original was, and dropped.
    pub(super) fn send(&mut self, content: NewMessage, now: Millis, ids: &Ids) -> Sent {
        let scope = content
            .group
            .clone()
            .filter(|_| self.attributes.deduplicate_per_group);
        let key = content
            .deduplication_id
            .clone()
            .filter(|_| self.attributes.fifo)
            .map(|id| (scope, id));
        if let Some((id, sequence_number)) = key.as_ref().and_then(|key| self.deduplicated.get(key)) {
            return Sent {
                id: id.clone(),
                sequence_number: sequence_number.clone(),
            };
        }
        let id = ids.uuid().to_string();
        let sequence_number = self.attributes.fifo.then(|| self.sequence_number());
        if let Some(key) = key {
            self.deduplicated
                .insert(key.clone(), (id.clone(), sequence_number.clone()));
            self.deduplicated_until
                .push_back((now + DEDUPLICATION_MILLIS, key));
        }
        let delay = content
            .delay_seconds
            .map_or(self.attributes.delay, Duration::from_secs);
        let sent = Sent {
            id: id.clone(),
            sequence_number: sequence_number.clone(),
        };
        let message = Message {
            id,
            content,
            sequence_number,
            sent_at: now,
            first_received_at: None,
            last_received_at: now,
            receive_count: 0,
            receipt: 0,
            presence: if delay.is_zero() {
                Presence::Visible
            } else {
                Presence::Delayed
            },
            visible_at: now + millis(delay),
            dead_letter_source: None,
        };
        self.insert(message);
        sent
    }

    /// Puts a message at the end, as it is.
    pub(super) fn insert(&mut self, message: Message) {
        let place = self.next_place;
        self.next_place += 1;
        self.ages.insert((message.sent_at, place));
        if message.presence == Presence::Visible {
            self.visible.insert(place);
        } else {
            self.hidden.insert((message.visible_at, place));
        }
        self.messages.insert(place, message);
        self.changed.notify_waiters();
    }

    /// Twenty digits that grow, as AWS's do.
    pub(super) fn sequence_number(&mut self) -> String {
        format!(
            "{:020}",
            18_849_496_460_467_696_128_u128 + u128::from(self.next_place) * 256
        )
    }

    /// The places of up to `count` messages that may go out, in order. Nothing changes yet.
    pub(super) fn on_offer(&self, count: usize) -> Vec<u64> {
        if !self.attributes.fifo {
            return self.visible.iter().copied().take(count).collect();
        }
        let free = |place: &u64| {
            let group = self
                .messages
                .get(place)
                .and_then(|message| message.content.group.as_ref());
            group.is_none_or(|group| !self.blocked_groups.contains_key(group))
        };
        self.visible.iter().copied().filter(free).take(count).collect()
    }

    /// Whether its next receive would be one too many.
    pub(super) fn is_used_up(&self, place: u64) -> bool {
        let received = self
            .messages
            .get(&place)
            .map_or(0, |message| message.receive_count);
        self.attributes
            .redrive
            .as_ref()
            .is_some_and(|redrive| received >= redrive.max_receive_count)
    }

    /// Hands a message out and hides it. Returns its new receipt handle.
    pub(super) fn receive(&mut self, place: u64, hide: Duration, now: Millis, ids: &Ids) -> Option<String> {
        let receipt = ids.word();
        let message = self.messages.get_mut(&place)?;
        message.receive_count += 1;
        message.receipt = receipt;
        message.last_received_at = now;
        message.first_received_at.get_or_insert(now);
        if !hide.is_zero() {
            self.set_presence(place, Presence::InFlight, now + millis(hide));
        }
        Some(format!("{:016x}{place:016x}{receipt:016x}", self.tag))
    }

    /// Takes a receipt handle apart; `None` when it was never one of this queue's.
    pub(super) fn receipt(&self, handle: &str) -> Option<Receipt> {
        let part = |range| u64::from_str_radix(handle.get(range)?, 16).ok();
        let (tag, place, receipt) = (part(0..16)?, part(16..32)?, part(32..48)?);
        (handle.len() == 48 && tag == self.tag && place < self.next_place)
            .then_some(Receipt { place, receipt })
    }

    pub(super) fn held(&self, receipt: Receipt) -> Held {
        match self.messages.get(&receipt.place) {
            None => Held::Gone,
            Some(message) if message.receipt != receipt.receipt => Held::Superseded,
            Some(message) if message.presence == Presence::InFlight => Held::InFlight(receipt.place),
            Some(_) => Held::RunOut(receipt.place),
        }
    }

    /// Moves the end of a message's visibility timeout; zero puts it on offer at once.
    pub(super) fn hide_until(&mut self, place: u64, until: Millis, now: Millis) {
        if until <= now {
            self.set_presence(place, Presence::Visible, now);
        } else {
            self.set_presence(place, Presence::InFlight, until);
        }
    }

    pub(super) fn message(&self, place: u64) -> Option<&Message> {
        self.messages.get(&place)
    }

    pub(super) fn remove(&mut self, place: u64) -> Option<Message> {
        // Through the visible state, so that every index lets go of it in one place.
        self.set_presence(place, Presence::Visible, 0);
        self.visible.remove(&place);
        let message = self.messages.remove(&place)?;
        self.ages.remove(&(message.sent_at, place));
        Some(message)
    }

    fn set_presence(&mut self, place: u64, presence: Presence, at: Millis) {
        let Some(message) = self.messages.get_mut(&place) else {
            return;
        };
        match message.presence {
            Presence::Visible => self.visible.remove(&place),
            Presence::Delayed | Presence::InFlight => self.hidden.remove(&(message.visible_at, place)),
        };
        let was_in_flight = message.presence == Presence::InFlight;
        message.presence = presence;
        message.visible_at = at;
        match presence {
            Presence::Visible => self.visible.insert(place),
            Presence::Delayed | Presence::InFlight => self.hidden.insert((at, place)),
        };
        let group = message.content.group.clone().filter(|_| self.attributes.fifo);
        match (was_in_flight, presence == Presence::InFlight) {
            (false, true) => {
                self.in_flight += 1;
                if let Some(group) = group {
                    *self.blocked_groups.entry(group).or_default() += 1;
                }
            }
            (true, false) => {
                self.in_flight -= 1;
                if let Some(group) = group
                    && let Some(count) = self.blocked_groups.get_mut(&group)
                {
                    *count -= 1;
                    if *count == 0 {
                        self.blocked_groups.remove(&group);
                    }
                }
                self.changed.notify_waiters();
            }
            _ => {}
        }
    }

    /// Visible, in flight, delayed.
    pub(super) fn depth(&self) -> (usize, usize, usize) {
        let delayed = self.hidden.len() - self.in_flight;
        (self.visible.len(), self.in_flight, delayed)
    }

    /// The places of all messages that `pick` chooses, in order.
    pub(super) fn places(&self, mut pick: impl FnMut(&Message) -> bool) -> Vec<u64> {
        self.messages
            .iter()
            .filter(|(_, message)| pick(message))
            .map(|(place, _)| *place)
            .collect()
    }
}
