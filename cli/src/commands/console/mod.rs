//! `daybook console`: the pages of a deployment, for a browser. What they say is `daybook-console`'s; here is where it listens.

pub mod listen;
pub mod opener;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use daybook_console::settings::PATIENCE;
use daybook_console::{Settings, Source, router};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::watch;

use crate::args::listen::{Token, address};
use crate::args::operator::ByArguments;
use crate::args::values;
use crate::commands::console::listen::{access, hosts, listen};
use crate::commands::console::opener::Opener;
use crate::commands::run::up::connections::{self, Limits};
use crate::deployment::s3::S3Arguments;
use crate::deployment::{Chosen, DeploymentArguments};
use crate::signals;
use crate::ui::error::UserError;
use crate::ui::logging;
use crate::ui::output::{self, Line, Output};

/// How old what the pages say of a folder may be.
const POLL_FOLDER: Duration = Duration::from_secs(2);

/// The same on AWS, where each look is paid for.
const POLL_AWS: Duration = Duration::from_secs(30);

/// See and operate a deployment in a browser
///
/// Serves pages with what `daybook status`, `list`, `why` and `errors` say, with buttons for what operators do.
/// While a tab is open, the ledger is asked every 2 seconds (every 30 on AWS). A folder is opened for each look,
/// so that `daybook up` gets it in between; `up` has a console of its own. On AWS everything is done with your
/// own permissions. Ctrl-C ends it.
#[derive(Args, Debug)]
pub struct ConsoleArguments {
    #[command(flatten)]
    deployment: DeploymentArguments,

    /// HOST:PORT to listen on
    ///
    /// Port 0 picks a free one. Any but a loopback address requires --token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9481", value_parser = address)]
    #[arg(help_heading = "Console")]
    listen: SocketAddr,

    /// Secret to sign in with (safer in DAYBOOK_TOKEN)
    ///
    /// People give it once in the browser, programs as `Authorization: Bearer TOKEN`. Other users of this
    /// machine can read flags
    #[arg(long, value_name = "TOKEN", env = "DAYBOOK_TOKEN", hide_env_values = true)]
    #[arg(help_heading = "Console")]
    token: Option<Token>,

    /// Another host name to answer to, without a port
    ///
    /// May be repeated
    #[arg(long = "host", value_name = "NAME", help_heading = "Console")]
    hosts: Vec<String>,

    /// Change nothing: the routes that write do not exist
    #[arg(long, help_heading = "Console")]
    read_only: bool,

    #[command(flatten)]
    by: ByArguments,

    #[command(flatten)]
    s3: S3Arguments,
}

/// Where it listens.
#[derive(Serialize, JsonSchema)]
pub struct ConsoleOutput {
    /// The deployment.
    #[serde(rename = "where")]
    location: String,
    /// Where the pages are.
    url: String,
    /// Whether nothing can be changed there.
    read_only: bool,
}

/// Runs until SIGTERM or Ctrl-C.
///
/// # Errors
/// When the deployment cannot be found, or the address cannot be had.
pub async fn run(mut arguments: ConsoleArguments, output: Output) -> anyhow::Result<ExitCode> {
    if !arguments.listen.ip().is_loopback() && arguments.token.is_none() {
        let why = format!(
            "{} can be reached by other machines, so a token is needed: set DAYBOOK_TOKEN",
            arguments.listen
        );
        return Err(values::usage_of("listen", &why).into());
    }
    // What cannot be opened is said here, and not in the browser.
    let deployment = arguments.deployment.open("console").await?;
    let location = deployment.location.to_string();
    let is_local = deployment.is_local();
    drop(deployment);
    if let Chosen::Usual(dir) = &arguments.deployment.chosen {
        arguments.deployment.chosen = Chosen::Local(dir.clone());
    }
    let asked_to_stop = signals::requested();
    let listener = listen(arguments.listen).await.map_err(|error| {
        UserError::new(format!("cannot listen on {}", arguments.listen))
            .because(error)
            .hint("give an address of this machine and a port that is free with --listen; port 0 takes any")
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    let (say_stop, stop) = watch::channel(false);
    let settings = Settings {
        hosts: hosts(arguments.listen, &arguments.hosts),
        access: access(arguments.token.as_ref())?,
        read_only: arguments.read_only,
        poll: if is_local { POLL_FOLDER } else { POLL_AWS },
        patience: PATIENCE,
        by: arguments.by.name(),
        stop: stop.clone(),
    };
    let lines: Vec<Line> = vec![
        ("where", location.clone(), ""),
        ("console", url.clone(), ""),
        (
            "changes",
            if arguments.read_only { "none" } else { "allowed" }.to_owned(),
            "",
        ),
    ];
    let json = ConsoleOutput {
        location,
        url,
        read_only: arguments.read_only,
    };
    output::print(output, &lines, &json)?;
    logging::say("Ctrl-C or SIGTERM ends it.");
    let source: Arc<dyn Source> = Arc::new(Opener::new(arguments.deployment, arguments.s3));
    let stopping = async {
        asked_to_stop.await;
        say_stop.send_replace(true);
    };
    let serving = connections::serve(listener, router(source, settings), Limits::default(), stop);
    let both = async { futures::join!(stopping, serving) };
    tokio::select! {
        biased;
        _ = both => Ok(ExitCode::SUCCESS),
        () = signals::impatience() => Ok(ExitCode::from(signals::INTERRUPTED)),
    }
}
