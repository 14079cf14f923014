//! A small S3 on a free loopback port: HeadObject, and whom a bucket notifies, with what S3 refuses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use daybook_schema::Timestamp;

type Takes = dyn Fn(&str) -> bool + Send;

/// The S3, served as long as the test's process lives. Clones are one S3.
#[derive(Clone)]
pub struct S3 {
    pub endpoint: String,
    state: Arc<Mutex<Buckets>>,
}

#[derive(Default)]
struct Buckets {
    buckets: BTreeMap<String, Bucket>,
    refusals: BTreeMap<&'static str, (u16, &'static str)>,
    puts: usize,
    /// Whether a destination would take events, by its ARN.
    takes: Option<Box<Takes>>,
}

#[derive(Default)]
struct Bucket {
    objects: BTreeMap<String, Object>,
    /// What is inside of `NotificationConfiguration`.
    notifications: String,
}

struct Object {
    etag: String,
    last_modified: Timestamp,
    version_id: Option<String>,
}

impl S3 {
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let s3 = Self {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            state: Arc::default(),
        };
        let served = s3.clone();
        std::thread::spawn(move || {
            super::runtime().block_on(async move {
                let router = axum::Router::new().fallback(answer).with_state(served);
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                axum::serve(listener, router).await.unwrap();
            });
        });
        s3
    }

    pub fn create_bucket(&self, bucket: &str) {
        let mut state = self.state.lock().unwrap();
        state.buckets.entry(bucket.to_owned()).or_default();
    }

    pub fn put(&self, bucket: &str, key: &str, etag: &str, last_modified: Timestamp) {
        self.put_version(bucket, key, etag, last_modified, None);
    }

    pub fn put_version(&self, bucket: &str, key: &str, etag: &str, at: Timestamp, version_id: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        let bucket = state.buckets.entry(bucket.to_owned()).or_default();
        let object = Object {
            etag: etag.to_owned(),
            last_modified: at,
            version_id: version_id.map(str::to_owned),
        };
        bucket.objects.insert(key.to_owned(), object);
    }

    /// What is inside of the bucket's `NotificationConfiguration`, as S3 would answer it.
    pub fn set_notifications(&self, bucket: &str, inner: &str) {
        let mut state = self.state.lock().unwrap();
        let bucket = state.buckets.entry(bucket.to_owned()).or_default();
        inner.clone_into(&mut bucket.notifications);
    }

    pub fn notifications(&self, bucket: &str) -> String {
        self.state.lock().unwrap().buckets[bucket].notifications.clone()
    }

    /// How often a configuration was written.
    pub fn puts(&self) -> usize {
        self.state.lock().unwrap().puts
    }

    /// From now on that operation is refused.
    pub fn refuse(&self, operation: &'static str, status: u16, code: &'static str) {
        let mut state = self.state.lock().unwrap();
        state.refusals.insert(operation, (status, code));
    }

    /// S3 sends a test message to each destination; this says which of them may be sent to.
    pub fn destinations(&self, takes: impl Fn(&str) -> bool + Send + 'static) {
        self.state.lock().unwrap().takes = Some(Box::new(takes));
    }
}

/// One configuration of a queue.
pub fn queue(id: &str, arn: &str, events: &[&str], prefix: &str, suffix: &str) -> String {
    configuration("Queue", "Queue", id, arn, events, prefix, suffix)
}

/// One of a topic.
pub fn topic(id: &str, arn: &str, events: &[&str], prefix: &str, suffix: &str) -> String {
    configuration("Topic", "Topic", id, arn, events, prefix, suffix)
}

/// One of a function.
pub fn function(id: &str, arn: &str, events: &[&str], prefix: &str, suffix: &str) -> String {
    configuration("CloudFunction", "CloudFunction", id, arn, events, prefix, suffix)
}

fn configuration(
    kind: &str,
    arn_name: &str,
    id: &str,
    arn: &str,
    events: &[&str],
    prefix: &str,
    suffix: &str,
) -> String {
    let events: String = events
        .iter()
        .map(|event| format!("<Event>{event}</Event>"))
        .collect();
    // S3 answers with capitals, whatever was put.
    let rule = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>"),
    };
    let rules = rule("Prefix", prefix) + &rule("Suffix", suffix);
    let filter = match rules.as_str() {
        "" => String::new(),
        rules => format!("<Filter><S3Key>{rules}</S3Key></Filter>"),
    };
    format!(
        "<{kind}Configuration><Id>{id}</Id><{arn_name}>{arn}</{arn_name}>{events}{filter}</{kind}Configuration>"
    )
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/xml")], body).into_response()
}

async fn answer(State(s3): State<S3>, method: Method, uri: Uri, _: HeaderMap, body: Bytes) -> Response {
    let path = uri.path().trim_start_matches('/');
    let decode = |text: &str| {
        let plain = text.replace('+', "%2B");
        let mut name = form_urlencoded::parse(plain.as_bytes());
        name.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let (bucket, key) = (decode(bucket), decode(key));
    let query: BTreeMap<String, String> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let operation = match (&method, query.contains_key("notification")) {
        (&Method::HEAD, _) => "HeadObject",
        (&Method::GET, true) => "GetBucketNotificationConfiguration",
        (&Method::PUT, true) => "PutBucketNotificationConfiguration",
        _ => "Other",
    };
    let mut state = s3.state.lock().unwrap();
    if let Some((status, code)) = state.refusals.get(operation) {
        return error(*status, code, "not here");
    }
    let Buckets {
        buckets, puts, takes, ..
    } = &mut *state;
    let Some(bucket) = buckets.get_mut(&bucket) else {
        return error(404, "NoSuchBucket", "The specified bucket does not exist");
    };
    match operation {
        "HeadObject" => {
            let version = query.get("versionId");
            let object = bucket.objects.get(&key);
            match object.filter(|object| version.is_none() || object.version_id.as_ref() == version) {
                None => StatusCode::NOT_FOUND.into_response(),
                Some(object) => head(object),
            }
        }
        "GetBucketNotificationConfiguration" => {
            let xml = format!(
                "<NotificationConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{}</NotificationConfiguration>",
                bucket.notifications
            );
            ([("content-type", "application/xml")], xml).into_response()
        }
        "PutBucketNotificationConfiguration" => {
            let body = std::str::from_utf8(&body).unwrap();
            if let Some(refusal) = check(body, takes.as_deref()) {
                return refusal;
            }
            *puts += 1;
            let start = body.find("<NotificationConfiguration").unwrap();
            let inner = body[start..].split_once('>').unwrap().1;
            let inner = inner
                .strip_suffix("</NotificationConfiguration>")
                .unwrap_or_default();
            bucket.notifications = inner
                .replace("<Name>prefix</Name>", "<Name>Prefix</Name>")
                .replace("<Name>suffix</Name>", "<Name>Suffix</Name>");
            StatusCode::OK.into_response()
        }
        _ => error(501, "NotImplemented", "not served"),
    }
}

fn head(object: &Object) -> Response {
    let at = chrono::DateTime::from_timestamp_millis(object.last_modified.unix_millis()).unwrap();
    let mut response = StatusCode::OK.into_response();
    let mut set =
        |name: &'static str, value: String| response.headers_mut().insert(name, value.parse().unwrap());
    set("etag", format!("\"{}\"", object.etag));
    set(
        "last-modified",
        at.format("%a, %d %b %Y %H:%M:%S GMT").to_string(),
    );
    if let Some(version) = &object.version_id {
        set("x-amz-version-id", version.clone());
    }
    response
}

/// What S3 checks: destinations that take its test message, and rules that are not ambiguous.
fn check(body: &str, takes: Option<&Takes>) -> Option<Response> {
    let mut rules = Vec::new();
    for kind in ["Queue", "Topic", "CloudFunction"] {
        for one in elements(body, &format!("{kind}Configuration")) {
            let arn = elements(&one, kind).remove(0);
            if takes.is_some_and(|takes| !takes(&arn)) {
                let message = "Unable to validate the following destination configurations";
                return Some(error(400, "InvalidArgument", message));
            }
            let mut filter = BTreeMap::new();
            for rule in elements(&one, "FilterRule") {
                let name = elements(&rule, "Name").remove(0).to_lowercase();
                filter.insert(name, elements(&rule, "Value").remove(0));
            }
            let part = |name: &str| filter.get(name).cloned().unwrap_or_default();
            rules.push((elements(&one, "Event"), part("prefix"), part("suffix")));
        }
    }
    for (n, one) in rules.iter().enumerate() {
        for other in &rules[n + 1..] {
            let stem = |event: &String| event.trim_end_matches('*').to_owned();
            let same = |a: &String, b: &String| {
                let (a, b) = (stem(a), stem(b));
                a.starts_with(&b) || b.starts_with(&a)
            };
            let events = one.0.iter().any(|a| other.0.iter().any(|b| same(a, b)));
            let prefixes = one.1.starts_with(&other.1) || other.1.starts_with(&one.1);
            let suffixes = one.2.ends_with(&other.2) || other.2.ends_with(&one.2);
            if events && prefixes && suffixes {
                let message = "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the \
                               prefixes are overlapping for the same event type.";
                return Some(error(400, "InvalidArgument", message));
            }
        }
    }
    None
}

fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let parts = xml.split(open.as_str()).skip(1);
    parts
        .filter_map(|part| Some(part.split_once(close.as_str())?.0.to_owned()))
        .collect()
}
