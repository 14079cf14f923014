//! An answer, as a client sees it.

use serde_json::Value as Json;

/// An answer as a client sees it.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) code: Option<String>,
    pub(super) body: Json,
}

impl Seen {
    /// `200`, or the error's code.
    pub(super) fn outcome(&self) -> String {
        match &self.code {
            Some(code) => code.clone(),
            None => self.status.to_string(),
        }
    }

    /// The codes of the members of a batch or a transaction, in their order.
    pub(super) fn members(&self) -> Vec<&str> {
        let reasons = self.body["CancellationReasons"].as_array().into_iter().flatten();
        let responses = self.body["Responses"].as_array().into_iter().flatten();
        reasons
            .map(|reason| reason["Code"].as_str().unwrap_or("-"))
            .chain(responses.map(|response| response["Error"]["Code"].as_str().unwrap_or("-")))
            .collect()
    }
}
