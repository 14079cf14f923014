//! One module for each verb, by what people do: look, operate, set up, run.

pub mod audit;
pub mod console;
pub mod demo;
pub mod inspect;
pub mod operate;
pub mod run;
pub mod setup;
