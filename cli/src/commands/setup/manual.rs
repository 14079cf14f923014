//! `daybook completions` and `daybook man`: what a package installs beside the binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;
use schemars::JsonSchema;
use serde::Serialize;

use crate::ui::error::UserError;
use crate::ui::output;
use crate::ui::output::Output;

/// The name that shells and manuals know.
const NAME: &str = "daybook";

/// What stands at the foot of each page.
const VERSION: &str = concat!("daybook ", env!("CARGO_PKG_VERSION"));

/// Print shell completions
///
/// Write them to a file: for bash ~/.local/share/bash-completion/completions/daybook, for zsh _daybook in a
/// folder of $fpath, for fish ~/.config/fish/completions/daybook.fish.
#[derive(Args, Debug)]
pub struct CompletionsArguments {
    /// Shell to print them for
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

/// Print the manual page, or write one page per verb to a folder
///
/// `daybook man | man -l -` shows the first one.
#[derive(Args, Debug)]
pub struct ManArguments {
    /// Folder to write the pages into; created if missing
    ///
    /// daybook.1, daybook-status.1 and so on
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Completions of a shell.
#[derive(Serialize, JsonSchema)]
pub struct CompletionsOutput<'a> {
    /// The shell.
    shell: String,
    /// The script.
    script: &'a str,
}

/// The manual.
#[derive(Serialize, JsonSchema)]
pub struct ManOutput<'a> {
    /// The page; only without a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<&'a str>,
    /// The files written; only with a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<&'a [String]>,
}

/// Prints the completions of `command`, the whole of it.
///
/// # Errors
/// When stdout is closed.
pub fn completions(
    arguments: &CompletionsArguments,
    mut command: clap::Command,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, NAME, &mut script);
    let script = String::from_utf8(script)?;
    let json = CompletionsOutput {
        shell: arguments.shell.to_string(),
        script: &script,
    };
    output::print_either(output, || script.clone(), &json)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints or writes the manual of `command`.
///
/// # Errors
/// When stdout is closed, or the folder cannot be written.
pub fn man(arguments: &ManArguments, mut command: clap::Command, output: Output) -> anyhow::Result<ExitCode> {
    // It has no page of its own: `daybook help VERB` is that verb's page.
    command = command.disable_help_subcommand(true);
    command.build();
    let Some(dir) = &arguments.dir else {
        let page = page(command)?;
        let json = ManOutput {
            page: Some(&page),
            pages: None,
        };
        output::print_either(output, || page.clone(), &json)?;
        return Ok(ExitCode::SUCCESS);
    };
    let written = write(dir, command)
        .map_err(|error| {
            UserError::new(format!("the manual pages cannot be written to {}", dir.display()))
                .because(error)
                .hint("give a folder that this user may write")
        })?
        .into_iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>();
    let text = || written.iter().map(|path| format!("{path}\n")).collect();
    let json = ManOutput {
        page: None,
        pages: Some(&written),
    };
    output::print_either(output, text, &json)?;
    Ok(ExitCode::SUCCESS)
}

fn page(command: clap::Command) -> std::io::Result<String> {
    let mut page = Vec::new();
    Man::new(command).source(VERSION).render(&mut page)?;
    // Its own heading for examples and fields.
    Ok(String::from_utf8_lossy(&page).replace("\n.SH EXTRA\n", "\n.SH NOTES\n"))
}

/// One page for the command and one for each verb.
fn write(dir: &Path, command: clap::Command) -> std::io::Result<Vec<PathBuf>> {
    fs::create_dir_all(dir)?;
    let mut pages: Vec<clap::Command> = command.get_subcommands().cloned().collect();
    pages.insert(0, command);
    let mut written = Vec::new();
    for command in pages {
        let name = command.get_display_name().unwrap_or(NAME);
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page(command)?)?;
        written.push(path);
    }
    Ok(written)
}
