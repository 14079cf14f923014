//! Verbs that make a deployment, or something around it.

pub mod attach;
pub mod init;
pub mod manual;
pub mod watermark;
