//! The clients of AWS, and the encodings that files and bodies come in.

pub mod clients;
pub mod encoding;
