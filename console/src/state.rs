//! What all requests share.

use std::sync::Arc;

use crate::look::Looks;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::source::Deployment;
use crate::task::Tasks;

/// What all requests share.
pub struct State {
    pub settings: Settings,
    pub snapshots: Arc<Snapshots>,
    pub tasks: Tasks,
    pub looks: Arc<Looks>,
}

impl State {
    pub fn new(snapshots: Arc<Snapshots>, settings: Settings) -> Self {
        Self {
            settings,
            snapshots,
            tasks: Tasks::default(),
            looks: Arc::default(),
        }
    }

    /// The deployment.
    pub async fn open(&self) -> Result<Arc<dyn Deployment>, String> {
        self.snapshots.open().await
    }

    /// Something was changed: what was known before is not shown any more.
    pub async fn forget(&self) {
        self.looks.forget();
        self.snapshots.forget().await;
    }
}
