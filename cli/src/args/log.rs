//! How what happens is told while a command runs.

use clap::Args;

use crate::ui::logging::LogFormat;

/// The form of the log.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct LogArguments {
    /// Form of the stderr log
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    #[arg(env = "DAYBOOK_LOG_FORMAT", hide_env_values = true)]
    pub log_format: LogFormat,
}
