//! Verbs that look and change nothing.

pub mod doctor;
pub mod errors;
pub mod list;
pub mod list_done;
pub mod list_form;
pub mod show;
pub mod status;
pub mod why;
