//! Verbs by which a person changes rows, queues or the dispatch.

pub mod bulk;
pub mod pause;
pub mod redrive_queue;
pub mod replay;
