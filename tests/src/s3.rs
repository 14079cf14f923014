//! A small honest S3 behind the SDK's `HttpClient`: buckets with and without versions, listings in pages of 1,000, HEAD, on
//! virtual time; or on a loopback port.
//!
//! It does what Amazon's API Reference says of GetBucketVersioning, ListObjectsV2, ListObjectVersions, HeadObject, GetObject and
//! PutObject (both conditions included), path style only, and checks no signatures.

mod answers;
mod asked;
mod inventory;
mod serve;
mod synthetic;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_s3::config::{BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig};
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

use crate::privileges::Call;
use crate::wire::Fault;

pub use inventory::{Form, Inventory, InventoryRow};
pub use synthetic::Synthetic;

use asked::Asked;

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
type Policy = Box<dyn FnMut(&str, &str) -> Fault + Send>;

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, Bucket>,
    requests: BTreeMap<&'static str, u64>,
    calls: BTreeSet<Call>,
    faults: BTreeMap<&'static str, VecDeque<u16>>,
    observer: Option<Observer>,
    policy: Option<Policy>,
    versions_made: u64,
}

#[derive(Default)]
struct Bucket {
    versioning: Versioning,
    keys: BTreeMap<String, VecDeque<Version>>,
    /// What the newest version of a key holds; only of files and of what came over the wire.
    contents: BTreeMap<String, Vec<u8>>,
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

/// An answer: status, headers, body.
struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// The configuration of a client whose requests that stand-in answers; retries and timeouts are still to be given.
pub fn client_config(stand_in: impl HttpClient + 'static) -> aws_sdk_s3::config::Builder {
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://s3.invalid")
        .force_path_style(true)
        .credentials_provider(Credentials::new("AKID", "secret", None, None, "s3"))
        .http_client(SharedHttpClient::new(stand_in))
        .identity_cache(IdentityCache::no_cache())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
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

    /// Deletes a key: for good, or by a delete marker, whose version it returns.
    pub fn delete(&self, bucket: &str, key: &str) -> Option<String> {
        let mut state = self.state.lock().unwrap();
        if state.buckets[bucket].versioning == Versioning::Never {
            state.buckets.get_mut(bucket).unwrap().keys.remove(key);
            return None;
        }
        let id = state.new_version_id(bucket);
        let marker = Version {
            id: id.clone(),
            etag: None,
            size: 0,
            last_modified: self.clock.now().truncated_to_seconds(),
        };
        state.add(bucket, key, marker);
        id
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

    /// From now on every request asks `policy` for its fate, by operation and key. Of the faults this S3 knows those of a
    /// connection: not sent, answer lost, hang, hang after.
    pub fn inject(&self, policy: impl FnMut(&str, &str) -> Fault + Send + 'static) {
        self.state.lock().unwrap().policy = Some(Box::new(policy));
    }

    /// No faults from now on.
    pub fn heal(&self) {
        self.state.lock().unwrap().policy = None;
    }

    /// The keys of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.state.lock().unwrap().buckets[bucket]
            .keys
            .keys()
            .cloned()
            .collect()
    }

    /// What was put under that key over the wire.
    pub fn content(&self, bucket: &str, key: &str) -> Option<String> {
        self.file(bucket, key)
            .map(|content| String::from_utf8(content).unwrap())
    }

    /// The bytes under that key, if it is a file or came over the wire.
    pub fn file(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let state = self.state.lock().unwrap();
        state.buckets[bucket].contents.get(key).cloned()
    }

    /// Uploads a file now, with its content.
    pub fn put_file(&self, bucket: &str, key: &str, content: &[u8]) -> Version {
        let now = self.clock.now();
        self.state.lock().unwrap().store(bucket, key, content, now)
    }

    /// How many requests there were of each operation.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.state.lock().unwrap().requests.clone()
    }

    /// What was asked for, as IAM sees it.
    pub fn calls(&self) -> BTreeSet<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Begins anew with what was asked for.
    pub fn forget_calls(&self) {
        self.state.lock().unwrap().calls.clear();
    }

    /// The SDK's client for it.
    pub fn client(&self) -> aws_sdk_s3::Client {
        let config = client_config(self.clone())
            .time_source(ClockTime(self.clock.clone()))
            .sleep_impl(TokioSleep::new())
            .timeout_config(client_timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .retry_partition(RetryPartition::custom("s3").build())
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    fn fate(&self, asked: &Asked) -> Fault {
        let mut state = self.state.lock().unwrap();
        let policy = state.policy.as_mut();
        policy.map_or(Fault::None, |policy| policy(asked.operation(), &asked.key))
    }

    /// What the request's fate makes of its answer.
    async fn answer(&self, asked: &Asked, body: &[u8]) -> Result<Answer, ConnectorError> {
        let fault = self.fate(asked);
        match fault {
            Fault::NotSent => return Err(broken()),
            Fault::Hang => tokio::time::sleep(HANG).await,
            _ => {}
        }
        let answer = self.exchange(asked, body);
        match fault {
            Fault::AnswerLost => return Err(broken()),
            Fault::HangAfter => tokio::time::sleep(HANG).await,
            _ => {}
        }
        answer
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
            let of_version = asked.get("versionId").is_some();
            state
                .calls
                .insert(Call::of_s3(operation, &asked.bucket, of_version));
            state.faults.get_mut(operation).and_then(VecDeque::pop_front)
        };
        match fault {
            Some(0) => return Err(broken()),
            Some(status) => return Ok(Answer::error(status, "Injected")),
            None => {}
        }
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap();
        let Some(bucket) = state.buckets.get(&asked.bucket) else {
            return Ok(Answer::error(404, "NoSuchBucket"));
        };
        if operation == "PutObject" {
            if !asked.allows(bucket) {
                return Ok(Answer::error(412, "PreconditionFailed"));
            }
            return Ok(Answer::put(&state.store(&asked.bucket, &asked.key, body, now)));
        }
        Ok(match operation {
            "GetBucketVersioning" => answers::versioning(bucket.versioning),
            "ListObjectsV2" => match &bucket.synthetic {
                Some(objects) => objects.list(asked),
                None => answers::list_objects(bucket, asked),
            },
            "ListObjectVersions" => answers::list_versions(bucket, asked),
            "HeadObject" => answers::head(bucket, asked),
            "GetObject" => answers::get(bucket, asked),
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
        bucket.contents.remove(key);
        let versions = bucket.keys.entry(key.to_owned()).or_default();
        // There is one null version.
        if version.id.is_none() {
            versions.retain(|version| version.id.is_some());
        }
        versions.push_front(version);
    }

    fn store(&mut self, bucket: &str, key: &str, content: &[u8], at: Timestamp) -> Version {
        let version = Version {
            id: self.new_version_id(bucket),
            etag: Some(md5_hex(content)),
            size: content.len() as u64,
            last_modified: at.truncated_to_seconds(),
        };
        self.add(bucket, key, version.clone());
        let bucket = self.buckets.get_mut(bucket).unwrap();
        bucket.contents.insert(key.to_owned(), content.to_owned());
        version
    }
}

/// How long a connection stays open without an answer.
const HANG: Duration = Duration::from_secs(24 * 3600);

fn broken() -> ConnectorError {
    ConnectorError::io("connection reset by peer".into())
}

fn md5_hex(content: impl AsRef<[u8]>) -> String {
    let digest = Md5::digest(content);
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
            let answer = s3
                .answer(&asked, request.body().bytes().unwrap_or_default())
                .await?;
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
