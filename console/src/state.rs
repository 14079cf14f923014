//! What all requests share.

use std::sync::Arc;

use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::source::{Deployment, Source};

/// What all requests share.
pub struct State {
    pub source: Arc<dyn Source>,
    pub settings: Settings,
    pub snapshots: Snapshots,
}

impl State {
    pub fn new(source: Arc<dyn Source>, settings: Settings) -> Self {
        let snapshots = Snapshots::new(source.clone(), settings.poll);
        Self {
            source,
            settings,
            snapshots,
        }
    }

    /// The deployment.
    pub async fn open(&self) -> Result<Arc<dyn Deployment>, String> {
        self.source.open().await
    }
}
