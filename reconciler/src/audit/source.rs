//! Where an audit knows from what is in the bucket: a listing of now, or an inventory of a while ago.

use aws_sdk_s3::Client;

use super::entry::{Marker, Page};
use super::error::AuditError;
use super::inventory::Inventory;
use super::listing::Listing;
use super::settings::AuditSettings;

/// One of them, read page by page.
#[derive(Debug)]
pub(super) enum Source {
    Listing(Listing),
    Inventory(Box<Inventory>),
}

impl Source {
    /// What the settings say, from the start or after `after`.
    pub(super) async fn open(
        s3: Client,
        settings: &AuditSettings,
        after: Option<Marker>,
    ) -> Result<Self, AuditError> {
        let (scope, versions) = (settings.scope.clone(), settings.versions);
        match (&settings.inventory, after) {
            (None, None) => Ok(Self::Listing(Listing::open(s3, scope, versions, None).await?)),
            (None, Some(Marker::Key(after))) => Ok(Self::Listing(
                Listing::open(s3, scope, versions, Some(after)).await?,
            )),
            (Some(place), after @ (None | Some(Marker::Row(_)))) => {
                let after = after.and_then(|after| match after {
                    Marker::Row(row) => Some(row),
                    Marker::Key(_) => None,
                });
                let inventory = Inventory::open(s3, place.clone(), scope, versions, after).await?;
                Ok(Self::Inventory(Box::new(inventory)))
            }
            (None, Some(Marker::Row(_))) | (Some(_), Some(Marker::Key(_))) => Err(AuditError::OtherAudit),
        }
    }

    pub(super) async fn next_page(&mut self) -> Result<Option<Page>, AuditError> {
        Ok(match self {
            Self::Listing(listing) => listing.next_page().await?,
            Self::Inventory(inventory) => inventory.next_page().await?,
        })
    }

    pub(super) fn requests(&self) -> u64 {
        match self {
            Self::Listing(listing) => listing.requests(),
            Self::Inventory(inventory) => inventory.requests(),
        }
    }

    pub(super) fn is_by_version(&self) -> bool {
        match self {
            Self::Listing(listing) => listing.is_by_version(),
            Self::Inventory(inventory) => inventory.is_by_version(),
        }
    }

    pub(super) fn inventory(&self) -> Option<&Inventory> {
        match self {
            Self::Listing(_) => None,
            Self::Inventory(inventory) => Some(inventory),
        }
    }
}
