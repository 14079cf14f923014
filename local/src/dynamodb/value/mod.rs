//! Values and items: how they are written on the wire and in the store, how large they are, and what is refused.

mod attribute;
mod invalid;
mod json;
mod key;
mod number;
mod part;
mod size;
mod storage;

pub(crate) use attribute::{Item, TOO_DEEP, Value, check_nesting};
pub(crate) use invalid::Invalid;
pub(crate) use json::{Refusal, refusal};
pub(crate) use key::{KeyType, append_key, append_key_prefix};
pub(crate) use number::Number;
pub(crate) use part::Part;
pub(crate) use size::{MAX_ITEM_BYTES, item_size};
pub(crate) use storage::{StorageError, decode, encode};
