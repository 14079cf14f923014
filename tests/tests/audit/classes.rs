//! Every class at once, over 2,000 keys, with and without versions; then repaired, drained and audited again.

use std::collections::BTreeMap;

use daybook_reconciler::audit::Repair;
use daybook_schema::{Attempt, Row, Status};
use daybook_tests::s3::Versioning;

use crate::world::{Audited, AuditedBucket, HOUR, MINUTE, Uploaded};

const KEYS: usize = 2000;

/// What became of a key; every tenth key shares one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    BeforeInstallation,
    NeverNotified,
    Done,
    Open,
    OverwrittenAndDone,
    /// A done, B done, A again and never notified.
    AbaLost,
    /// A notified and waiting, B and the second A never notified.
    AbaWaiting,
    DoneAndDeleted,
    Parked,
    TooNew,
}

const FATES: [Fate; 10] = [
    Fate::BeforeInstallation,
    Fate::NeverNotified,
    Fate::Done,
    Fate::Open,
    Fate::OverwrittenAndDone,
    Fate::AbaLost,
    Fate::AbaWaiting,
    Fate::DoneAndDeleted,
    Fate::Parked,
    Fate::TooNew,
];

type Classes = BTreeMap<(String, Option<String>), &'static str>;

pub struct Bucket {
    pub world: AuditedBucket,
    expected: Classes,
    done: u64,
    late: Vec<Uploaded>,
    too_new: Vec<Uploaded>,
}

impl Bucket {
    fn keys(fate: Fate) -> impl Iterator<Item = String> {
        let numbers = (0..KEYS).filter(move |n| FATES[n % FATES.len()] == fate);
        numbers.map(|n| format!("devices/{:02}/reading {n:04}+é.json", n % 40))
    }

    fn put_all(&self, fate: Fate, content: &str) -> Vec<Uploaded> {
        Self::keys(fate)
            .map(|key| self.world.put(&key, content))
            .collect()
    }

    fn expect(&mut self, uploads: &[Uploaded], class: &'static str) {
        for upload in uploads {
            let object = (upload.key.clone(), upload.version.id.clone());
            assert_eq!(self.expected.insert(object, class), None);
        }
    }

    pub async fn fill(versioning: Versioning) -> Self {
        let mut it = Self {
            world: AuditedBucket::uninstalled(versioning).await,
            expected: Classes::new(),
            done: 0,
            late: Vec::new(),
            too_new: Vec::new(),
        };
        let has_versions = versioning == Versioning::Enabled;
        let early = it.put_all(Fate::BeforeInstallation, "early");
        it.expect(&early, "before");
        it.world.pass(MINUTE).await;
        it.world.install().await;
        it.world.pass(MINUTE).await;

        let mut to_be_done = it.put_all(Fate::Done, "done");
        to_be_done.extend(it.put_all(Fate::OverwrittenAndDone, "A"));
        to_be_done.extend(it.put_all(Fate::AbaLost, "A"));
        to_be_done.extend(it.put_all(Fate::DoneAndDeleted, "deleted"));
        let waiting = it.put_all(Fate::AbaWaiting, "A");
        it.world.pass(MINUTE).await;
        to_be_done.extend(it.put_all(Fate::OverwrittenAndDone, "B"));
        to_be_done.extend(it.put_all(Fate::AbaLost, "B"));
        let never_b = it.put_all(Fate::AbaWaiting, "B");
        it.world.pass(MINUTE).await;
        it.world.notify(&to_be_done).await;
        it.world.drain().await;

        let mut never = it.put_all(Fate::NeverNotified, "never");
        never.extend(it.put_all(Fate::AbaLost, "A"));
        never.extend(it.put_all(Fate::AbaWaiting, "A"));
        it.world.pass(MINUTE).await;
        let mut open = it.put_all(Fate::Open, "open");
        let parked = it.put_all(Fate::Parked, "parked");
        it.world.notify(open.iter().chain(&waiting)).await;
        let park = |upload: &Uploaded| Row {
            status: Status::Parked,
            attempt: Attempt(5),
            last_error: Some("FAILED: States.TaskFailed".into()),
            ..Row::recorded(upload.event(), 5, None, it.world.stage.now())
        };
        let rows: Vec<Row> = parked.iter().map(park).collect();
        it.world.stage.put_rows(&rows);
        for key in Self::keys(Fate::DoneAndDeleted) {
            it.world.s3.delete(crate::world::BUCKET, &key);
        }
        it.world.pass(HOUR).await;
        it.too_new = it.put_all(Fate::TooNew, "new");
        it.world.pass(MINUTE).await;

        if has_versions {
            open.extend(waiting);
            never.extend(never_b);
        }
        it.done = match has_versions {
            // Both versions of what was overwritten, A and B before the last A, and the version under a delete marker.
            true => 200 + 400 + 400 + 200,
            false => 200 + 200,
        };
        it.expect(&open, "open");
        it.expect(&parked, "open");
        it.expect(&never, "missing");
        let too_new = it.too_new.clone();
        it.expect(&too_new, "too new");
        it.late = never;
        it
    }

    pub fn check(&self, audited: &Audited) {
        assert_eq!(audited.classes(), self.expected);
        let tally = audited.checkpoint.tally;
        assert_eq!(tally.done, self.done);
        assert_eq!(tally.objects, self.done + self.expected.len() as u64);
        let lines = audited.checkpoint.statement.lines();
        assert_eq!(lines.map(|line| line.tally.objects).sum::<u64>(), tally.objects);
        assert_eq!(audited.gone(), Vec::<String>::new());
        assert!(audited.checkpoint.is_complete);
    }
}

async fn every_class(versioning: Versioning) {
    let mut bucket = Bucket::fill(versioning).await;
    let first = bucket.world.audit().await;
    bucket.check(&first);

    let missing = first.of_class("missing");
    let (counts, _) = bucket.world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!(counts.recorded, bucket.late.len() as u64, "{counts:?}");
    let (again, _) = bucket.world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!(again.recorded, 0, "{again:?}");
    assert_eq!(
        again.already_there, counts.recorded,
        "they are open now: {again:?}"
    );
    bucket.world.notify(&bucket.too_new).await;
    bucket.world.drain().await;

    let second = bucket.world.audit().await;
    bucket.done += bucket.expected.len() as u64;
    bucket
        .expected
        .retain(|(key, _), class| *class == "before" || (*class == "open" && is_parked(key)));
    bucket.done -= bucket.expected.len() as u64;
    bucket.check(&second);

    // Notifications that come after all that.
    let executions = bucket.world.executions();
    bucket.world.notify(&bucket.late).await;
    bucket.world.drain().await;
    assert_eq!(bucket.world.executions(), executions);
    let (counts, _) = bucket.world.repair(missing, Repair::Missing).await;
    assert_eq!(
        counts.covered,
        bucket.late.len() as u64,
        "all are done: {counts:?}"
    );

    let before = second.of_class("before");
    let (counts, _) = bucket.world.repair(before.clone(), Repair::Missing).await;
    assert_eq!(counts.recorded, 0, "only a backfill records them");
    let (counts, _) = bucket.world.repair(before, Repair::BeforeWatermark).await;
    assert_eq!(counts.recorded, 200);
    bucket.world.drain().await;
    bucket.expected.retain(|_, class| *class == "open");
    bucket.done += 200;
    bucket.check(&bucket.world.audit().await);
}

fn is_parked(key: &str) -> bool {
    Bucket::keys(Fate::Parked).any(|parked| parked == key)
}

#[tokio::test(start_paused = true)]
async fn every_class_is_right_in_a_bucket_without_versions() {
    every_class(Versioning::Never).await;
}

#[tokio::test(start_paused = true)]
async fn every_class_is_right_in_a_bucket_with_versions() {
    every_class(Versioning::Enabled).await;
}

#[tokio::test(start_paused = true)]
async fn where_versioning_is_suspended_the_null_version_is_an_object_like_others() {
    let world = AuditedBucket::new(Versioning::Enabled).await;
    world.pass(MINUTE).await;
    let old = world.put("key", "old version");
    world
        .s3
        .create_bucket(crate::world::BUCKET, Versioning::Suspended);
    world.pass(MINUTE).await;
    let null = world.put("key", "null version");
    let lost = world.put("lost", "null version");
    assert_eq!((null.version.id.clone(), lost.version.id.clone()), (None, None));
    world.notify([&old, &null]).await;
    world.drain().await;
    world.pass(HOUR).await;
    let audited = world.audit().await;
    assert_eq!(
        audited.classes(),
        BTreeMap::from([(("lost".to_owned(), None), "missing")])
    );
    assert_eq!(audited.checkpoint.tally.done, 2);
}
