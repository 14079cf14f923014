//! Transactions that were made, by the tokens of their requests: one that is sent again within ten minutes is not made again.
//!
//! A token is kept in the store, in the same commit as what the transaction wrote, so that neither is there without the other.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::dynamodb::error::{Code, Failure, Refusal};
use crate::store::{Change, Look, Map, StoreError};

/// How long a token is kept, in milliseconds.
const KEPT_MS: i64 = 10 * 60 * 1000;

/// What the keys of tokens begin with; no table's name does.
const PREFIX: u8 = 0;

/// What is in the map of tables behind the tokens.
pub(crate) const BEHIND: &[u8] = &[PREFIX + 1];

/// The tokens that are in the store, the first to end first; `None` before the first is asked for.
#[derive(Default)]
pub(crate) struct Tokens(Option<BTreeSet<(i64, String)>>);

/// A transaction as its token keeps it.
#[derive(Deserialize, Serialize)]
struct Kept {
    until_ms: i64,
    /// Of the request.
    digest: String,
    /// The bytes of each item that it wrote, by its table.
    written: Vec<(String, usize)>,
}

/// A request and its token.
pub(crate) struct Token {
    text: String,
    digest: String,
}

impl Token {
    pub(crate) fn new(text: String, request: &[u8]) -> Self {
        let digest = Sha256::digest(request);
        Self {
            text,
            digest: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    fn key(text: &str) -> Vec<u8> {
        [&[PREFIX], text.as_bytes()].concat()
    }

    /// What the transaction wrote, if it was made with this token.
    pub(crate) fn made(
        &self,
        look: &(impl Look + ?Sized),
        now_ms: i64,
    ) -> Result<Option<Vec<(String, usize)>>, Failure> {
        let Some(kept) = look.get(Map::Tables, &Self::key(&self.text))? else {
            return Ok(None);
        };
        let kept: Kept = read(&kept)?;
        if kept.until_ms <= now_ms {
            return Ok(None);
        }
        if kept.digest != self.digest {
            return Err(Refusal::new(
                Code::IdempotentParameterMismatch,
                "The request was rejected because a request with the same client token but different parameters was \
                 made before",
            )
            .into());
        }
        Ok(Some(kept.written))
    }
}

impl Tokens {
    /// Keeps the token, and removes those whose time is over.
    pub(crate) fn keep(
        &mut self,
        change: &mut (impl Change + ?Sized),
        token: &Token,
        now_ms: i64,
        written: Vec<(String, usize)>,
    ) -> Result<(), StoreError> {
        let mut tokens = match self.0.take() {
            Some(tokens) => tokens,
            None => all(change)?,
        };
        while let Some((until_ms, text)) = tokens.pop_first() {
            if until_ms > now_ms {
                tokens.insert((until_ms, text));
                break;
            }
            change.remove(Map::Tables, &Token::key(&text))?;
        }
        let until_ms = now_ms + KEPT_MS;
        let kept = Kept {
            until_ms,
            digest: token.digest.clone(),
            written,
        };
        let bytes = serde_json::to_vec(&kept).map_err(|error| StoreError::new(error.to_string()))?;
        change.put(Map::Tables, &Token::key(&token.text), &bytes)?;
        tokens.insert((until_ms, token.text.clone()));
        self.0 = Some(tokens);
        Ok(())
    }
}

fn all(look: &(impl Look + ?Sized)) -> Result<BTreeSet<(i64, String)>, StoreError> {
    let (mut tokens, mut failed) = (BTreeSet::new(), None);
    let range = (Bound::Included(&[PREFIX][..]), Bound::Excluded(BEHIND));
    look.visit(Map::Tables, range, false, &mut |key, value| {
        match read(value) {
            Ok(kept) => {
                tokens.insert((kept.until_ms, String::from_utf8_lossy(&key[1..]).into_owned()));
            }
            Err(error) => failed = Some(error),
        }
        ControlFlow::Continue(())
    })?;
    failed.map_or(Ok(tokens), Err)
}

fn read(kept: &[u8]) -> Result<Kept, StoreError> {
    serde_json::from_slice(kept)
        .map_err(|error| StoreError::new(format!("a transaction's token cannot be read: {error}")))
}
