//! Who does it, and why.

use clap::Args;

/// Who changes something.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Record")]
pub struct ByArguments {
    /// Who does this, for the record; $USER@host by default
    #[arg(long, value_name = "NAME", value_parser = words, env = "DAYBOOK_BY", hide_env_values = true)]
    by: Option<String>,
}

impl ByArguments {
    /// Their name.
    pub fn name(&self) -> String {
        self.by.clone().unwrap_or_else(|| {
            let user = ["USER", "LOGNAME"].into_iter().find_map(|name| {
                let user = std::env::var(name).ok();
                user.filter(|user| !user.trim().is_empty())
            });
            format!("{}@{}", user.as_deref().unwrap_or("somebody"), host())
        })
    }
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A text that says something.
pub fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}
