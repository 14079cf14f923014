//! An example or two of each verb, shown at the end of its help. A test reads each as the shell and the command line would.

/// A command line, and what it is for.
type Example = (&'static str, &'static str);

/// The examples of each verb.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "status",
        &[
            (
                "daybook status --stack daybook-prod",
                "where all events of a CloudFormation stack stand",
            ),
            (
                "daybook status --local daybook-data --output json",
                "of a folder that `daybook up` made, for programs",
            ),
        ],
    ),
    (
        "list",
        &[
            (
                "daybook list --status parked --limit 10 --stack daybook-prod",
                "what waits for a person",
            ),
            (
                "daybook list --status done --since 1h --local daybook-data",
                "what was completed in the last hour, on one machine",
            ),
            (
                "daybook list --prefix s3://photos/2026/ --older-than 2h --stack daybook-prod",
                "what is late below a prefix",
            ),
        ],
    ),
    (
        "errors",
        &[(
            "daybook errors --stack daybook-prod",
            "why events fail, the most frequent cause first",
        )],
    ),
    (
        "show",
        &[
            (
                "daybook show s3://photos/2026/cat.jpg --stack daybook-prod",
                "all that is known of an object",
            ),
            (
                "daybook show fd2efb70-8fcc-5040-8f04-80b6abd9a270 --stack daybook-prod",
                "of one event",
            ),
        ],
    ),
    (
        "console",
        &[
            (
                "daybook console --stack daybook-prod",
                "pages at http://127.0.0.1:9481, with your own permissions",
            ),
            (
                "daybook console --local daybook-data --read-only",
                "of a folder, for looking only",
            ),
        ],
    ),
    (
        "why",
        &[(
            "daybook why s3://photos/2026/cat.jpg --stack daybook-prod",
            "why it is not processed, or that it is",
        )],
    ),
    (
        "doctor",
        &[(
            "daybook doctor --stack daybook-prod --bucket photos",
            "what is wrong, and what to do",
        )],
    ),
    (
        "audit",
        &[
            (
                "daybook audit s3://photos --stack daybook-prod --report missing.csv",
                "what was never processed",
            ),
            (
                "daybook audit s3://photos/2026/ --stack daybook-prod --repair",
                "the same, and record it",
            ),
        ],
    ),
    (
        "pause",
        &[(
            "daybook pause --stack daybook-prod --until 2h --why 'the database is being moved'",
            "dispatch nothing for two hours",
        )],
    ),
    (
        "resume",
        &[("daybook resume --stack daybook-prod", "dispatch again")],
    ),
    (
        "set",
        &[(
            "daybook set --stack daybook-prod --per-window 20 --why 'the target is slow'",
            "another N, until it is set again",
        )],
    ),
    (
        "redrive",
        &[
            (
                "daybook redrive --stack daybook-prod --error 'no column' --dry-run",
                "how many that would be",
            ),
            (
                "daybook redrive --stack daybook-prod --error 'no column' --why 'fixed'",
                "try them again",
            ),
        ],
    ),
    (
        "release",
        &[(
            "daybook release s3://photos/2026/cat.jpg --stack daybook-prod",
            "put it back, due now",
        )],
    ),
    (
        "fail",
        &[(
            "daybook fail s3://photos/2026/cat.jpg --stack daybook-prod --why 'it hangs'",
            "end its attempt as failed",
        )],
    ),
    (
        "cancel",
        &[(
            "daybook cancel s3://photos/2026/cat.jpg --stack daybook-prod --why 'it fills the disk'",
            "stop its run, and keep it parked",
        )],
    ),
    (
        "complete",
        &[(
            "daybook complete s3://photos/2026/cat.jpg --stack daybook-prod --why 'done by hand'",
            "as if it had run",
        )],
    ),
    (
        "remove",
        &[(
            "daybook remove --stack daybook-prod --prefix s3://photos/test/ --why 'test data'",
            "forget events for good",
        )],
    ),
    (
        "replay",
        &[(
            "daybook replay s3://photos/cat.jpg --stack daybook-prod --why 'new model'",
            "run a finished object again",
        )],
    ),
    (
        "redrive-queue",
        &[(
            "daybook redrive-queue https://sqs.eu-central-1.amazonaws.com/123456789012/prod-intake-dead",
            "move the intake's dead letters back",
        )],
    ),
    ("demo", &[("daybook demo", "everything, in about 15 seconds")]),
    (
        "up",
        &[
            ("daybook up --exec ./process.sh", "a command for each event"),
            (
                "daybook up --post http://127.0.0.1:8080/work",
                "a POST for each event",
            ),
        ],
    ),
    (
        "ingest",
        &[
            (
                "daybook ingest --local daybook-data notifications.json",
                "record what a file has",
            ),
            (
                "daybook ingest --stack daybook-prod --queue https://sqs.eu-central-1.amazonaws.com/123456789012/intake",
                "record what S3 sends, until it is stopped",
            ),
        ],
    ),
    (
        "schedule",
        &[(
            "daybook schedule --stack daybook-prod --per-window 50 --every 1m --repeat 1m",
            "claim and send what is due, every minute",
        )],
    ),
    (
        "sweep",
        &[(
            "daybook sweep --stack daybook-prod --per-window 50 --every 1m --repeat 5m",
            "look after leases, every five minutes",
        )],
    ),
    (
        "relay",
        &[(
            "daybook relay --from https://sqs.eu-central-1.amazonaws.com/123456789012/arrivals \
             --to https://sqs.eu-central-1.amazonaws.com/123456789012/work --per-window 50 --every 1m",
            "50 messages a minute at most, until it is stopped",
        )],
    ),
    (
        "worker",
        &[(
            "daybook worker --stack daybook-prod --workers 8 --exec ./process.sh",
            "eight events at a time",
        )],
    ),
    (
        "init",
        &[(
            "daybook init --prefix prod",
            "show what is missing, prompt, and create it",
        )],
    ),
    (
        "attach",
        &[(
            "daybook attach s3://photos --stack daybook-prod",
            "let a bucket notify the intake",
        )],
    ),
    (
        "detach",
        &[(
            "daybook detach s3://photos --stack daybook-prod",
            "remove the entries that attach added",
        )],
    ),
    (
        "completions",
        &[("daybook completions bash", "for bash's completion folder")],
    ),
    ("man", &[("daybook man", "the manual, to stdout")]),
];

/// The examples of a verb.
pub fn of(verb: &str) -> &'static [Example] {
    let found = EXAMPLES.iter().find(|(name, _)| *name == verb);
    found.map_or(&[], |(_, examples)| examples)
}

/// As they stand in the help.
pub fn text(verb: &str) -> String {
    let examples = of(verb);
    let width = examples.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    // Where both do not fit beside each other, the purpose stands above.
    let lines = examples
        .iter()
        .map(|(line, purpose)| match width + purpose.len() {
            ..=74 => format!("  {line:width$}  # {purpose}\n"),
            _ => format!("  # {purpose}\n  {}\n", wrapped(line)),
        });
    format!("Examples:\n{}", lines.collect::<String>())
}

/// In lines that fit 80 columns, as a shell takes them: with a backslash where the next line belongs to it.
fn wrapped(line: &str) -> String {
    const COLUMNS: usize = 76;
    let mut words: Vec<String> = Vec::new();
    for part in line.split(' ') {
        match words.last_mut() {
            // Within quotes.
            Some(word) if word.matches('\'').count() % 2 == 1 => word.push_str(&format!(" {part}")),
            _ => words.push(part.to_owned()),
        }
    }
    let (mut text, mut column) = (String::new(), 0);
    for word in words {
        if column > 0 && column + 1 + word.len() > COLUMNS {
            text.push_str(" \\\n      ");
            column = 4;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(&word);
        column += word.len();
    }
    text
}
