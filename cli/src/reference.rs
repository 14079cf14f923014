//! What every verb takes and prints, from its arguments and its output's type: for its help, its page and `docs/reference.md`.

use daybook_inspect::activity::completions::CompletionsOutput as ListedCompletions;
use daybook_inspect::checks::deployment::DoctorOutput;
use daybook_inspect::errors::Errors;
use daybook_inspect::lookup::batch::BatchOutput;
use daybook_inspect::lookup::list::ListOutput;
use daybook_inspect::lookup::output::ShowOutput;
use daybook_inspect::operate::action::Action;
use daybook_inspect::status::output::StatusOutput;
use daybook_inspect::why::output::WhyOutput;
use daybook_ledger::RetryPolicy;
use daybook_reconciler::SweepOutput;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::commands::audit::programs::AuditOutput;
use crate::commands::console::ConsoleOutput;
use crate::commands::demo::result::Evidence;
use crate::commands::operate::bulk::BulkOutput;
use crate::commands::operate::pause::ChangeOutput;
use crate::commands::operate::redrive_queue::RedriveQueueOutput;
use crate::commands::operate::replay::ReplayOutput;
use crate::commands::run::ingest_report::IngestOutput;
use crate::commands::run::relay::RelayOutput;
use crate::commands::run::schedule::ScheduleOutput;
use crate::commands::run::up::print::UpOutput;
use crate::commands::run::worker::WorkerOutput;
use crate::commands::setup::attach::{AttachOutput, DetachOutput};
use crate::commands::setup::init::InitOutput;
use crate::commands::setup::manual::{CompletionsOutput, ManOutput};
use crate::examples;

/// One field of a verb's JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    /// Where it is: `pending.first.id`, `rows[].id`.
    path: String,
    /// What it can be.
    kind: String,
    /// What it says.
    meaning: String,
}

/// The command with examples in the help of every verb, and the fields of its JSON in the long one.
pub fn described(command: clap::Command) -> clap::Command {
    let verbs: Vec<String> = command
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect();
    verbs.into_iter().fold(command, |command, verb| {
        let (examples, fields) = (examples::text(&verb), fields(&verb));
        command.mut_subcommand(verb, |verb| {
            let long = format!("{examples}\n{}", help(&fields));
            verb.after_help(examples).after_long_help(long)
        })
    })
}

fn help(fields: &[Field]) -> String {
    let lines = fields.iter().map(|field| match field.meaning.as_str() {
        "" => format!("  {}: {}\n", field.path, field.kind),
        meaning => format!("  {}: {}. {meaning}\n", field.path, field.kind),
    });
    "With --output json, one object:\n".to_owned() + &lines.collect::<String>()
}

/// The fields of a verb's JSON.
fn fields(verb: &str) -> Vec<Field> {
    // What it prints of a batch, or of what is done, is something else.
    let or = match verb {
        "show" => Some(schema::<BatchOutput>()),
        "list" => Some(schema::<ListedCompletions>()),
        _ => None,
    };
    let schema = match verb {
        "demo" => schema::<Evidence>(),
        "up" => schema::<UpOutput>(),
        "ingest" => schema::<IngestOutput>(),
        "status" => schema::<StatusOutput>(),
        "list" => schema::<ListOutput>(),
        "errors" => schema::<Errors>(),
        "show" => schema::<ShowOutput>(),
        "why" => schema::<WhyOutput>(),
        "doctor" => schema::<DoctorOutput>(),
        "init" => schema::<InitOutput>(),
        "attach" => schema::<AttachOutput>(),
        "detach" => schema::<DetachOutput>(),
        "redrive-queue" => schema::<RedriveQueueOutput>(),
        "console" => schema::<ConsoleOutput>(),
        "audit" => schema::<AuditOutput>(),
        "redrive" | "release" | "fail" | "cancel" | "complete" | "remove" => schema::<BulkOutput>(),
        "replay" => schema::<ReplayOutput>(),
        "pause" | "resume" | "set" => schema::<ChangeOutput>(),
        "relay" => schema::<RelayOutput>(),
        "schedule" => schema::<ScheduleOutput>(),
        "sweep" => schema::<SweepOutput>(),
        "worker" => schema::<WorkerOutput>(),
        "completions" => schema::<CompletionsOutput>(),
        "man" => schema::<ManOutput>(),
        other => unreachable!("{other} is a verb without a described output"),
    };
    let mut fields = Vec::new();
    members(&mut fields, "", schema.as_value());
    if let Some(or) = or {
        members(&mut fields, "", or.as_value());
    }
    let outcomes = action(verb).map_or(&[][..], Action::outcomes);
    fields.extend(outcomes.iter().map(|outcome| Field {
        path: format!("outcomes.{}", outcome.word),
        kind: "integer".to_owned(),
        meaning: format!("Rows: {}.", outcome.meaning),
    }));
    fields
}

/// What a verb does to the rows that are selected, if that is what it does.
fn action(verb: &str) -> Option<Action> {
    match verb {
        "redrive" => Some(Action::Redrive { attempts: None }),
        "release" => Some(Action::Release),
        "fail" => Some(Action::Fail {
            retry: RetryPolicy::default(),
        }),
        "cancel" => Some(Action::Cancel),
        "complete" => Some(Action::Complete),
        "remove" => Some(Action::Remove),
        _ => None,
    }
}

fn schema<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::default()
        .for_serialize()
        .with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>()
}

/// The fields below that path.
fn members(fields: &mut Vec<Field>, path: &str, schema: &Value) {
    for alternative in alternatives(schema) {
        for (name, member) in alternative["properties"].as_object().into_iter().flatten() {
            let path = match path {
                "" => name.clone(),
                path => format!("{path}.{name}"),
            };
            let (kind, meaning) = (kind(member), meaning(alternative, member));
            match fields.iter_mut().find(|field| field.path == path) {
                // What one alternative calls it, another calls something else.
                Some(field) if field.kind != kind => {
                    field.kind = format!("{} or {kind}", field.kind);
                    field.meaning = format!("{} {meaning}", field.meaning);
                }
                Some(_) => {}
                None => fields.push(Field {
                    path: path.clone(),
                    kind,
                    meaning,
                }),
            }
            members(fields, &path, member);
        }
        if alternative["items"].is_object() {
            members(fields, &format!("{path}[]"), &alternative["items"]);
        }
    }
}

/// What a schema can be: itself, or one of several.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let several = ["anyOf", "oneOf"]
        .iter()
        .flat_map(|key| schema[*key].as_array().into_iter().flatten())
        .flat_map(alternatives);
    std::iter::once(schema).chain(several).collect()
}

/// What a value can be, in words.
fn kind(schema: &Value) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for alternative in alternatives(schema) {
        for one in simple_kinds(alternative) {
            if !kinds.contains(&one) {
                kinds.push(one);
            }
        }
    }
    match kinds.is_empty() {
        true => "any JSON".to_owned(),
        false => kinds.join(" or "),
    }
}

fn simple_kinds(schema: &Value) -> Vec<String> {
    if let Some(constant) = schema.get("const") {
        return vec![constant.to_string()];
    }
    if let Some(constants) = schema["enum"].as_array() {
        return constants.iter().map(Value::to_string).collect();
    }
    let names: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let word = |name: &str| match (name, schema["format"].as_str()) {
        ("array", _) => format!("array of {}", kind(&schema["items"])),
        ("string", Some(format)) => format!("string ({format})"),
        (name, _) => name.to_owned(),
    };
    names.into_iter().map(word).collect()
}

/// What a member says: its own description, or what the alternative is that it marks.
fn meaning(of: &Value, member: &Value) -> String {
    let said = |schema: &Value| schema["description"].as_str().map(|said| said.replace('\n', " "));
    let marks = || Some(format!("{}: {}", member.get("const")?, said(of)?));
    said(member).or_else(marks).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;
    use crate::command::Cli;
    use crate::short_help;

    /// `docs/reference.md`.
    fn document(command: &clap::Command) -> String {
        let mut text = String::from(
            "# Reference\n\nEvery verb with its flags, the variables that set them, and the fields of its JSON. Written by \
             `DAYBOOK_WRITE_REFERENCE=1 cargo test -p daybook-cli reference`, and held to what the command does by the same test.\n",
        );
        let global = command.get_arguments().filter(|flag| flag.is_global_set());
        text.push_str("\n## Of every verb\n\n");
        text.push_str(&flags(global));
        for verb in command.get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = write!(text, "\n## daybook {}\n\n{about}.\n\n", verb.get_name());
            text.push_str(&flags(verb.get_arguments()));
            text.push_str("\n| JSON field | is | says |\n|---|---|---|\n");
            for field in fields(verb.get_name()) {
                let _ = writeln!(text, "| `{}` | {} | {} |", field.path, field.kind, field.meaning);
            }
        }
        text
    }

    fn flags<'a>(arguments: impl Iterator<Item = &'a clap::Arg>) -> String {
        let mut text = String::from("| flag | variable | unless given | says |\n|---|---|---|---|\n");
        for argument in arguments.filter(|argument| !argument.is_hide_set()) {
            let name = match (argument.get_long(), argument.get_short()) {
                (Some(long), Some(short)) => format!("-{short}, --{long}"),
                (Some(long), None) => format!("--{long}"),
                _ => String::new(),
            };
            let takes = argument.get_action().takes_values() || argument.is_positional();
            let value = argument.get_value_names().filter(|_| takes);
            let value = value.map(|names| names.iter().map(|name| format!(" {name}")).collect::<String>());
            let name = format!("{name}{}", value.unwrap_or_default());
            let variable = argument.get_env().map(|name| format!("`{}`", name.display()));
            let defaults = argument.get_default_values().iter().filter(|_| takes);
            let defaults: Vec<String> = defaults.map(|value| value.display().to_string()).collect();
            let says = short_help::whole_text(argument);
            let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                name.trim(),
                variable.unwrap_or_default(),
                cell(&defaults.join(" ")),
                cell(&says)
            );
        }
        text
    }

    #[test]
    fn the_reference_tells_what_every_verb_takes_and_prints() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference.md");
        let document = document(&Cli::command());
        if std::env::var_os("DAYBOOK_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, &document).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = there.lines().zip(document.lines()).find(|(was, is)| was != is);
        assert!(
            there == document,
            "docs/reference.md is behind the code: DAYBOOK_WRITE_REFERENCE=1 writes it anew; first difference: {differs:?}"
        );
    }

    #[test]
    fn every_field_of_every_verb_says_what_it_is() {
        for verb in Cli::command().get_subcommands() {
            let fields = fields(verb.get_name());
            assert!(!fields.is_empty(), "{}", verb.get_name());
            for field in fields {
                assert!(!field.meaning.is_empty(), "{} of {}", field.path, verb.get_name());
            }
        }
    }
}
