//! The `daybook` command. Data goes to stdout, everything else to stderr.
#![allow(
    clippy::disallowed_methods,
    reason = "the command line is an edge: it owns the process, its clock and its tasks"
)]

mod arguments;
mod attach;
mod audit;
mod aws;
mod confirm;
mod demo;
mod deployment;
mod dispatch;
mod doctor;
mod documents;
mod embedded;
mod encoding;
mod failure;
mod filter;
mod folder;
mod ingest;
mod init;
mod list;
mod logging;
mod manual;
mod operate;
mod person;
mod policy;
mod redrive_queue;
mod replay;
mod report;
mod rows;
mod s3;
mod schedule;
mod settings;
mod show;
mod shutdown;
mod status;
mod sweep;
mod target;
mod up;
mod view;
mod wanted;
mod why;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return arguments::refuse(&error),
    };
    logging::start(&cli);
    match run(cli) {
        Ok(code) => code,
        Err(error) => failure::print(&error),
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let output = cli.output;
    runtime.block_on(async {
        match cli.command {
            Command::Demo(arguments) => demo::run(arguments, output).await,
            Command::Status(arguments) => status::run(*arguments, output).await,
            Command::List(arguments) => list::run(*arguments, output).await,
            Command::Show(arguments) => show::run(*arguments, output).await,
            Command::Why(arguments) => why::run(*arguments, output).await,
            Command::Doctor(arguments) => doctor::run(*arguments, output).await,
            Command::Init(arguments) => init::run(*arguments, output).await,
            Command::Attach(arguments) => attach::attach(*arguments, output).await,
            Command::Detach(arguments) => attach::detach(*arguments, output).await,
            Command::RedriveQueue(arguments) => redrive_queue::run(arguments, output).await,
            Command::Audit(arguments) => audit::run(*arguments, output).await,
            Command::Redrive(arguments) => operate::redrive(*arguments, output).await,
            Command::Release(arguments) => operate::release(*arguments, output).await,
            Command::Fail(arguments) => operate::fail(*arguments, output).await,
            Command::Complete(arguments) => operate::complete(*arguments, output).await,
            Command::Remove(arguments) => operate::remove(*arguments, output).await,
            Command::Replay(arguments) => replay::run(*arguments, output).await,
            Command::Pause(arguments) => dispatch::pause(*arguments, output).await,
            Command::Resume(arguments) => dispatch::resume(*arguments, output).await,
            Command::Set(arguments) => dispatch::set(*arguments, output).await,
            Command::Schedule(arguments) => schedule::run(arguments, output).await,
            Command::Sweep(arguments) => sweep::run(arguments, output).await,
            Command::Ingest(arguments) => ingest::run(*arguments, output).await,
            Command::Up(arguments) => up::run(*arguments, output).await,
            Command::Worker(arguments) => worker::run(arguments, output).await,
            Command::Completions(arguments) => manual::completions(&arguments, output),
            Command::Man(arguments) => manual::man(&arguments, output),
        }
    })
}
