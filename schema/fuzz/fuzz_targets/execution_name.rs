#![no_main]
#![allow(dead_code, clippy::unwrap_used)]

#[path = "../../tests/fuzz/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::execution_name(bytes));
