//! What all operations share: the store, the clock, and what is drawn.

use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::dynamodb::error::{Failure, settled};
use crate::dynamodb::tokens::Tokens;
use crate::ids::Ids;
use crate::store::{Change, Look, Store};

/// The embedded DynamoDB.
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) ids: Ids,
    pub(crate) tokens: Arc<Mutex<Tokens>>,
    clock: Clock,
    region: String,
    account: String,
}

impl Engine {
    pub(crate) fn new(store: Store, clock: Clock, ids: Ids, region: &str, account: &str) -> Self {
        Self {
            store,
            ids,
            tokens: Arc::default(),
            clock,
            region: region.to_owned(),
            account: account.to_owned(),
        }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        (self.clock)().timestamp_millis()
    }

    pub(crate) fn table_arn(&self, name: &str) -> String {
        format!("arn:aws:dynamodb:{}:{}:table/{name}", self.region, self.account)
    }

    /// Looks at the last commit that is on disk.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&dyn Look) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        if self.store.is_in_memory() {
            return Ok(self.store.look(|store| settled(look(store)))??);
        }
        let store = self.store.clone();
        // It may wait for the disk, and while the file is made smaller for that; other tasks need not.
        #[allow(
            clippy::disallowed_methods,
            reason = "a read of the disk must not stall the runtime's other tasks"
        )]
        let looking = tokio::task::spawn_blocking(move || store.look(|store| settled(look(store))));
        let looked = looking.await.map_err(|error| {
            Failure::Store(crate::store::StoreError::new(format!(
                "a read did not end: {error}"
            )))
        })?;
        Ok(looked??)
    }

    /// Makes a change in the next commit, and waits for that to be on disk.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut dyn Change) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        Ok(self.store.change(|store| settled(change(store))).await??)
    }
}
