//! What all requests share.

use std::sync::Arc;

use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::source::Deployment;
use crate::task::Tasks;

/// What all requests share.
pub struct State {
    pub settings: Settings,
    pub snapshots: Arc<Snapshots>,
    pub tasks: Tasks,
}

impl State {
    pub fn new(snapshots: Arc<Snapshots>, settings: Settings) -> Self {
        Self {
            settings,
            snapshots,
            tasks: Tasks::default(),
        }
    }

    /// The deployment.
    pub async fn open(&self) -> Result<Arc<dyn Deployment>, String> {
        self.snapshots.source().open().await
    }
}
