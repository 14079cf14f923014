//! Logs as Lambda's JSON format has them: one object a line, `timestamp`, `level`, `requestId` and `message` among its keys
//! ("Working with Lambda function logs", AWS Lambda Developer Guide).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use daybook_ledger::Clock;
use lambda_runtime::Context;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;

use super::metric::{self, FAILURES, Metrics};
use super::settings::variable;

/// The variable that Lambda sets from the function's logging configuration.
const LEVEL: &str = "AWS_LAMBDA_LOG_LEVEL";

/// The invocation under way. There is one at most: an environment handles one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Current(Arc<RwLock<Option<Ids>>>);

#[derive(Clone, Debug)]
struct Ids {
    request: String,
    trace: Option<String>,
}

impl Current {
    pub(super) fn set(&self, context: &Context) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(Ids {
            request: context.request_id.clone(),
            trace: context.xray_trace_id.clone().filter(|trace| !trace.is_empty()),
        });
    }

    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn get(&self) -> Option<Ids> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Logs to stdout from now on, at the level that Lambda says. What the libraries below Daybook say is left out unless it is a
/// warning: at finer levels they write whole requests.
///
/// # Errors
/// When the level is none. The log is on all the same.
pub(super) fn start(current: &Current, function: &'static str) -> Result<(), String> {
    let (level, result) = match level(variable(LEVEL).as_deref()) {
        Ok(level) => (level, Ok(())),
        Err(why) => (LevelFilter::INFO, Err(why)),
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("daybook", level)
        // It repeats what is logged here.
        .with_target("lambda_runtime::layers", LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines {
            current: current.clone(),
            clock: Clock::system(),
            function,
        })
        .with_writer(std::io::stdout);
    let subscriber = tracing_subscriber::registry().with(targets).with(lines);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())?;
    result
}

fn level(text: Option<&str>) -> Result<LevelFilter, String> {
    match text.map(str::to_ascii_uppercase).as_deref() {
        None | Some("INFO") => Ok(LevelFilter::INFO),
        Some("TRACE") => Ok(LevelFilter::TRACE),
        Some("DEBUG") => Ok(LevelFilter::DEBUG),
        Some("WARN") => Ok(LevelFilter::WARN),
        Some("ERROR" | "FATAL") => Ok(LevelFilter::ERROR),
        Some(other) => Err(format!(
            "{LEVEL} is {other:?}: TRACE, DEBUG, INFO, WARN, ERROR or FATAL is allowed"
        )),
    }
}

/// A panic is logged like all else, and counted as a failure of the invocation.
pub(super) fn watch_panics(metrics: Metrics) {
    std::panic::set_hook(Box::new(move |panic| {
        tracing::error!("the function panicked: {panic}");
        metric::count(FAILURES, 1u64);
        metrics.write();
    }));
}

struct Lines {
    current: Current,
    clock: Clock,
    function: &'static str,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        let metadata = event.metadata();
        line.put("timestamp", self.clock.now().to_string());
        line.put("level", metadata.level().to_string());
        if let Some(ids) = self.current.get() {
            line.put("requestId", ids.request);
            if let Some(trace) = ids.trace {
                line.put("xrayTraceId", trace);
            }
        }
        line.put("function", self.function);
        line.put("target", metadata.target());
        event.record(&mut line);
        writeln!(writer, "{}", Value::Object(line.0))
    }
}

/// The fields of one line. JSON's escapes keep what strangers chose, such as keys, inside their strings.
#[derive(Default)]
struct Line(Map<String, Value>);

impl Line {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Line {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Mutex;

    use daybook_schema::Timestamp;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("a lock").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_field_is_in_its_line_with_its_type_and_the_request_as_long_as_there_is_one() {
        let (written, current) = (Written::default(), Current::default());
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .event_format(Lines {
                current: current.clone(),
                clock: Clock::new(|| Timestamp::from_unix_millis(1_795_251_268_758).expect("a time")),
                function: "ingest",
            })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let mut context = Context::default();
            context.request_id = "request-1".into();
            current.set(&context);
            tracing::warn!(rate = 0.5, left = -3i64, rows = 7u64, more = true, key = "a\nb", shown = ?Some(1), "hm");
            current.clear();
            tracing::info!("after");
        });
        let text = String::from_utf8(written.0.lock().expect("a lock").clone()).expect("UTF-8");
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        let target = module_path!();
        let first = serde_json::json!({
            "timestamp": "2026-11-21T08:54:28.758Z", "level": "WARN", "requestId": "request-1", "function": "ingest",
            "target": target, "message": "hm", "rate": 0.5, "left": -3, "rows": 7, "more": true, "key": "a\nb",
            "shown": "Some(1)",
        });
        let second = serde_json::json!({
            "timestamp": "2026-11-21T08:54:28.758Z", "level": "INFO", "function": "ingest", "target": target,
            "message": "after",
        });
        assert_eq!(lines, [first, second]);
    }
}
