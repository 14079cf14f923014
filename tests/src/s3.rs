//! A small honest S3 behind the SDK's `HttpClient`: buckets with and without versions, listings in pages of 1,000, HEAD, on
//! virtual time; or on a loopback port.
//!
//! It does what Amazon's API Reference says of GetBucketVersioning, ListObjectsV2, ListObjectVersions, HeadObject, PutObject and
//! DeleteObject, path style only, and checks no signatures.

mod answers;
mod serve;
mod synthetic;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::retry::RetryConfig;
use daybook_ledger::{Clock, client_timeouts};
use daybook_schema::Timestamp;
use md5::{Digest, Md5};

pub use synthetic::Synthetic;

/// The S3. Clones are one S3.
#[derive(Clone)]
pub struct S3 {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for S3 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("S3")
    }
}

type Observer = Arc<dyn Fn(&str) + Send + Sync>;

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    requests: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, VecDeque<u16>>,
    observer: Option<Observer>,
    versions_made: u64,
}

#[derive(Default)]
struct Bucket {
    versioning: Versioning,
    keys: BTreeMap<String, VecDeque<Version>>,
    synthetic: Option<Synthetic>,
}

/// A bucket's versioning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versioning {
    /// It never had any.
    #[default]
    Never,
    /// Every upload is a version.
    Enabled,
    /// Uploads overwrite the null version; older versions stay.
    Suspended,
}

/// One version of an object, the newest first under its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// None is "null".
    pub id: Option<String>,
    /// Without quotes; none is a delete marker.
    pub etag: Option<String>,
    /// Bytes.
    pub size: u64,
    /// Whole seconds, as AWS has it.
    pub last_modified: Timestamp,
}

/// A request, taken apart.
struct Asked {
    method: String,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
}

/// An answer: status, headers, body.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl S3 {
    /// An S3 without buckets, on that clock.
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(State::default())),
        }
    }

    /// Makes a bucket.
    pub fn create_bucket(&self, bucket: &str, versioning: Versioning) {
        self.state
            .lock()
            .unwrap()
            .buckets
            .entry(bucket.into())
            .or_default()
            .versioning = versioning;
    }

    /// A bucket whose objects are computed as they are listed, for very many. It has no versions.
    pub fn create_synthetic(&self, bucket: &str, objects: Synthetic) {
        self.create_bucket(bucket, Versioning::Never);
        let mut state = self.state.lock().unwrap();
        state.buckets.get_mut(bucket).unwrap().synthetic = Some(objects);
    }

    /// Uploads now.
    pub fn put(&self, bucket: &str, key: &str, content: &str) -> Version {
        let etag = md5_hex(content);
        self.put_version(bucket, key, etag, content.len() as u64, self.clock.now())
    }

    /// Uploads as if at that time.
    pub fn put_at(&self, bucket: &str, key: &str, content: &str, at: Timestamp) -> Version {
        self.put_version(bucket, key, md5_hex(content), content.len() as u64, at)
    }

    /// Ends an upload in two parts that began at that time: AWS lists it by when it began.
    pub fn put_in_parts(&self, bucket: &str, key: &str, content: &str, began_at: Timestamp) -> Version {
        let etag = format!("{}-2", md5_hex(content));
        self.put_version(bucket, key, etag, content.len() as u64, began_at)
    }

    fn put_version(&self, bucket: &str, key: &str, etag: String, size: u64, at: Timestamp) -> Version {
        let mut state = self.state.lock().unwrap();
        let id = state.new_version_id(bucket);
        let version = Version {
            id,
            etag: Some(etag),
            size,
            last_modified: at.truncated_to_seconds(),
        };
        state.add(bucket, key, version.clone());
        version
    }

    /// Deletes a key: for good, or by a delete marker.
    pub fn delete(&self, bucket: &str, key: &str) {
        let mut state = self.state.lock().unwrap();
        if state.buckets[bucket].versioning == Versioning::Never {
            state.buckets.get_mut(bucket).unwrap().keys.remove(key);
            return;
        }
        let id = state.new_version_id(bucket);
        let marker = Version {
            id,
            etag: None,
            size: 0,
            last_modified: self.clock.now().truncated_to_seconds(),
        };
        state.add(bucket, key, marker);
    }

    /// Deletes one version for good.
    pub fn delete_version(&self, bucket: &str, key: &str, id: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        let versions = state.buckets.get_mut(bucket).unwrap().keys.get_mut(key).unwrap();
        versions.retain(|version| version.id.as_deref() != id);
    }

    /// The next requests of that operation are answered with these statuses; status 0 is a broken connection.
    pub fn fail_next(&self, operation: &'static str, statuses: impl IntoIterator<Item = u16>) {
        let mut state = self.state.lock().unwrap();
        state.faults.entry(operation).or_default().extend(statuses);
    }

    /// From now on `observer` is told of every operation before it is answered.
    pub fn observe(&self, observer: impl Fn(&str) + Send + Sync + 'static) {
        self.state.lock().unwrap().observer = Some(Arc::new(observer));
    }

    /// How many requests there were of each operation.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().unwrap().requests.clone()
    }

    /// The SDK's client for it.
    pub fn client(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .endpoint_url("http://s3.invalid")
            .force_path_style(true)
            .credentials_provider(Credentials::new("AKID", "secret", None, None, "s3"))
            .http_client(SharedHttpClient::new(self.clone()))
            .time_source(ClockTime(self.clock.clone()))
            .sleep_impl(TokioSleep::new())
            .identity_cache(aws_sdk_s3::config::IdentityCache::no_cache())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(client_timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .retry_partition(RetryPartition::custom("s3").build())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    fn exchange(&self, asked: &Asked, body: &[u8]) -> Result<Answer, ConnectorError> {
        let operation = asked.operation();
        let observer = self.state.lock().unwrap().observer.clone();
        if let Some(observer) = observer {
            observer(operation);
        }
        let fault = {
            let mut state = self.state.lock().unwrap();
            *state.requests.entry(operation).or_default() += 1;
            state.faults.get_mut(operation).and_then(VecDeque::pop_front)
        };
        match fault {
            Some(0) => return Err(ConnectorError::io("connection reset by peer".into())),
            Some(status) => return Ok(Answer::error(status, "Injected")),
            None => {}
        }
        if operation == "PutObject" {
            let version = self.put(&asked.bucket, &asked.key, &String::from_utf8_lossy(body));
            return Ok(Answer::put(&version));
        }
        let state = self.state.lock().unwrap();
        let Some(bucket) = state.buckets.get(&asked.bucket) else {
            return Ok(Answer::error(404, "NoSuchBucket"));
        };
        Ok(match operation {
            "GetBucketVersioning" => answers::versioning(bucket.versioning),
            "ListObjectsV2" => match &bucket.synthetic {
                Some(objects) => objects.list(asked),
                None => answers::list_objects(bucket, asked),
            },
            "ListObjectVersions" => answers::list_versions(bucket, asked),
            "HeadObject" => answers::head(bucket, asked),
            _ => Answer::error(501, "NotImplemented"),
        })
    }
}

impl State {
    fn new_version_id(&mut self, bucket: &str) -> Option<String> {
        self.versions_made += 1;
        let is_versioned = self.buckets[bucket].versioning == Versioning::Enabled;
        is_versioned.then(|| format!("v{:08}.x/", self.versions_made))
    }

    fn add(&mut self, bucket: &str, key: &str, version: Version) {
        let bucket = self.buckets.get_mut(bucket).unwrap();
        let versions = bucket.keys.entry(key.to_owned()).or_default();
        // There is one null version.
        if version.id.is_none() {
            versions.retain(|version| version.id.is_some());
        }
        versions.push_front(version);
    }
}

impl Asked {
    fn of(request: &HttpRequest) -> Self {
        let uri = request.uri();
        let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
        Self::new(request.method(), rest.find('/').map_or("/", |at| &rest[at..]))
    }

    fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let (bucket, key) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let decoded = |text: &str| {
            percent_encoding::percent_decode_str(text)
                .decode_utf8()
                .unwrap()
                .into_owned()
        };
        Self {
            method: method.to_owned(),
            bucket: decoded(bucket),
            key: decoded(key),
            query: form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        }
    }

    fn operation(&self) -> &'static str {
        let asks = |name: &str| self.query.contains_key(name);
        match (self.method.as_str(), self.key.is_empty()) {
            ("GET", true) if asks("versioning") => "GetBucketVersioning",
            ("GET", true) if asks("versions") => "ListObjectVersions",
            ("GET", true) if asks("list-type") => "ListObjectsV2",
            ("HEAD", false) => "HeadObject",
            ("PUT", false) => "PutObject",
            _ => "Other",
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }
}

fn md5_hex(content: &str) -> String {
    let digest = Md5::digest(content.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The stage's clock as the SDK's.
#[derive(Clone, Debug)]
struct ClockTime(Clock);

impl TimeSource for ClockTime {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + Duration::from_millis(self.0.now().unix_millis().try_into().unwrap())
    }
}

impl HttpClient for S3 {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for S3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let s3 = self.clone();
        HttpConnectorFuture::new(async move {
            // A few milliseconds on the way, so that requests cross.
            tokio::time::sleep(Duration::from_millis(5)).await;
            let asked = Asked::of(&request);
            let answer = s3.exchange(&asked, request.body().bytes().unwrap_or_default())?;
            let mut response = HttpResponse::new(answer.status.try_into().unwrap(), answer.body.into());
            for (name, value) in answer.headers {
                response.headers_mut().insert(name, value);
            }
            let date = answers::http_date(s3.clock.now());
            response.headers_mut().insert("date", date);
            Ok(response)
        })
    }
}
