//! Dispatch of newcomers at once: an event is claimed in the write that records it, as far as the window's budget goes.

use daybook_ledger::{
    Asker, Claiming, Control, Deadline, Grant, GrantRequest, Ledger, LedgerError, Window, chain,
};
use daybook_schema::Row;

use crate::outlet::{HandedOver, Outlet};
use crate::schedule::TIME_TO_SEND;
use crate::settings::Dispatch;
use crate::worker::Places;

/// How ingest dispatches newcomers.
#[derive(Clone, Debug)]
pub struct Immediate {
    dispatch: Dispatch,
    outlet: Outlet,
}

/// What ingest may claim, and the places for it.
pub(crate) struct Allowed {
    pub(crate) claiming: Claiming,
    places: Places,
}

impl Immediate {
    /// By that budget and with that lease, through that outlet.
    pub fn new(dispatch: Dispatch, outlet: impl Into<Outlet>) -> Self {
        Self {
            dispatch,
            outlet: outlet.into(),
        }
    }

    /// The control item, unless nothing may be begun any more: what is claimed must be sent, or given back, before the deadline. One
    /// that cannot be read allows nothing.
    pub(crate) async fn control(&self, ledger: &Ledger, deadline: Deadline) -> Option<Control> {
        if deadline.left(ledger.clock()) < TIME_TO_SEND {
            return None;
        }
        let asked = deadline.bound(ledger.clock(), ledger.control()).await?;
        asked.map_err(|error| untold(&error)).ok()
    }

    /// Asks the budget of the window of now for so many newcomers. `None` where none may be claimed: they are recorded as PENDING, and
    /// the scheduler has them.
    pub(crate) async fn ask(
        &self,
        ledger: &Ledger,
        newcomers: u32,
        control: Option<Control>,
        deadline: Deadline,
    ) -> Option<Allowed> {
        let control = control.filter(|_| newcomers > 0 && deadline.left(ledger.clock()) >= TIME_TO_SEND)?;
        let mut places = self.outlet.reserve(self.at_once(newcomers));
        if places.count() == 0 {
            return None;
        }
        let request = GrantRequest {
            window: Window::at(ledger.clock().now(), self.dispatch.window),
            per_window: self.dispatch.per_window,
            wanted: places.count(),
            asker: Asker::Ingest,
        };
        let asked = deadline
            .bound(ledger.clock(), ledger.grant(&request, control))
            .await?;
        let granted = match asked {
            Ok(Grant::Granted(granted)) => granted,
            Ok(Grant::Refused(_)) => return None,
            Err(error) => {
                untold(&error);
                return None;
            }
        };
        Some(Allowed {
            claiming: Claiming {
                granted,
                lease: self.dispatch.lease,
                hand: self.outlet.hand(self.dispatch.batching),
            },
            places: places.split(granted),
        })
    }

    /// How many of so many newcomers need not wait for company.
    fn at_once(&self, newcomers: u32) -> u32 {
        match self.outlet.batching(self.dispatch.batching) {
            Some(batching) if !batching.window.is_zero() => newcomers / batching.size * batching.size,
            _ => newcomers,
        }
    }

    /// Hands on what was claimed.
    pub(crate) async fn hand_on(
        &self,
        ledger: &Ledger,
        rows: Vec<Row>,
        mut allowed: Allowed,
        deadline: Deadline,
    ) -> HandedOver {
        let over = self
            .outlet
            .hand_on(ledger, rows, &mut allowed.places, deadline)
            .await;
        for cause in &over.failures {
            tracing::warn!(%cause, "an event is recorded, and was not dispatched at once");
        }
        over
    }
}

fn untold(error: &LedgerError) {
    tracing::warn!(
        error = chain(error),
        "the budget cannot be asked: newcomers wait for the scheduler"
    );
}
