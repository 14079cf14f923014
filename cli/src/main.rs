//! The `daybook` command. Data goes to stdout, everything else to stderr.
#![allow(
    clippy::disallowed_methods,
    reason = "the command line is an edge: it owns the process, its clock and its tasks"
)]

#[macro_use]
mod stderr;

mod args;
mod aws;
mod command;
mod commands;
mod deployment;
mod examples;
mod json_files;
mod reference;
mod short_help;
mod signals;
mod ui;

use std::process::ExitCode;

use crate::command::Cli;
use crate::short_help::Detail;

/// The C library's took a fifth of the processor time of `up`: see docs/throughput.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match command::given() {
        Ok(cli) => cli,
        Err(error) => return ui::usage::refuse(&error, command::whole(Detail::Full)),
    };
    ui::logging::start(
        cli.verbose,
        cli.command.shows_its_failures(),
        cli.command.log_format(),
    );
    match run(cli) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<clap::Error>() {
            Some(usage) => ui::usage::refuse(usage, command::whole(Detail::Full)),
            None if ui::output::nobody_reads(&error) => ExitCode::from(ui::output::CLOSED),
            None => ui::error::print(&error),
        },
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli.command.run(cli.output))
}
