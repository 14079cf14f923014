//! Tables: making, describing, changing and deleting them, and their settings.

mod create;
mod delete;
mod describe;
pub(crate) mod schema;
mod settings;
mod update;

pub(super) use create::create;
pub(super) use delete::delete;
pub(super) use describe::{describe, list};
pub(super) use settings::{describe_ttl, list_tags, tag, untag, update_ttl};
pub(super) use update::update;
