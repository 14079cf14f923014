//! Audits by an inventory find what audits by a listing find.

use std::time::Duration;

use daybook_reconciler::audit::{AuditSettings, Checkpoint, Finding, ManifestPlace, Repair, Versions};
use daybook_schema::Subject;
use daybook_tests::s3::{Form, Inventory, InventoryRow, Versioning};

use crate::classes::Bucket;
use crate::inventories_in_parts::mixed;
use crate::world::{Audited, AuditedBucket, BUCKET, HOUR, MINUTE};

pub const DESTINATION: &str = "inventories";
pub const FORMS: [Form; 2] = [Form::Csv, Form::Parquet(150)];

impl AuditedBucket {
    /// An inventory of the bucket as it is now.
    pub fn inventory(&self, form: Form, versioning: Versioning) -> Inventory {
        Inventory::new(form, versioning != Versioning::Never, self.stage.now())
    }

    /// The settings of an audit by that inventory, which is written now.
    pub fn by(&self, inventory: &Inventory) -> AuditSettings {
        self.by_manifest(&self.s3.write_inventory(BUCKET, DESTINATION, inventory))
    }

    pub fn by_manifest(&self, key: &str) -> AuditSettings {
        let (bucket, key) = (DESTINATION.to_owned(), key.to_owned());
        AuditSettings {
            inventory: Some(ManifestPlace::S3 { bucket, key }),
            ..self.settings()
        }
    }

    pub async fn audit_by(&self, settings: AuditSettings) -> Audited {
        self.run_to_end(self.audit_with(settings).begin().await.unwrap())
            .await
    }
}

fn sorted(findings: &[Finding]) -> Vec<String> {
    let mut sorted: Vec<_> = findings.iter().map(|finding| format!("{finding:?}")).collect();
    sorted.sort();
    sorted
}

pub fn assert_same(one: &Audited, other: &Audited, what: &str) {
    assert_eq!(sorted(&one.findings), sorted(&other.findings), "{what}");
    let (one, other) = (&one.checkpoint, &other.checkpoint);
    assert_eq!(one.tally, other.tally, "{what}");
    assert_eq!(one.statement, other.statement, "{what}");
    let counts = |it: &Checkpoint| (it.gone, it.unreadable, it.is_complete);
    assert_eq!(counts(one), counts(other), "{what}");
}

async fn every_class(versioning: Versioning) {
    let bucket = Bucket::fill(versioning).await;
    let world = &bucket.world;
    world.pass(Duration::from_secs(1)).await;
    let listed = world.audit().await;
    for form in FORMS {
        for files in [1, 3] {
            let inventory = Inventory {
                files,
                ..world.inventory(form, versioning)
            };
            let by_inventory = world.audit_by(world.by(&inventory)).await;
            bucket.check(&by_inventory);
            assert_same(&by_inventory, &listed, &format!("{form:?} {files}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_inventory_gives_every_class_of_a_listing_without_versions() {
    every_class(Versioning::Never).await;
}

#[tokio::test(start_paused = true)]
async fn an_inventory_gives_every_class_of_a_listing_with_versions() {
    every_class(Versioning::Enabled).await;
}

#[tokio::test(start_paused = true)]
async fn keys_are_what_they_are_in_the_bucket() {
    let world = AuditedBucket::new(Versioning::Never).await;
    let keys = [
        "a,b",
        "\"quoted\"",
        "new\nline\r\n",
        "100%",
        "a%20b%2Bc",
        "plus+and space",
        "é/ü/日本/🚀",
        "\u{1}\u{7f}\u{1b}[31m",
        "=1+2",
        " a ",
        "//",
        "'; --",
        "\\N",
    ];
    for key in keys {
        world.put(key, key);
    }
    world.pass(HOUR).await;
    for form in FORMS {
        let audited = world
            .audit_by(world.by(&world.inventory(form, Versioning::Never)))
            .await;
        let missing = keys.map(|key| ((key.to_owned(), None), "missing"));
        assert_eq!(audited.classes(), missing.into_iter().collect(), "{form:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_happened_since_the_inventory_is_not_judged_by_it() {
    for form in FORMS {
        let world = AuditedBucket::new(Versioning::Never).await;
        world.pass(MINUTE).await;
        let keys = ["lost", "deleted", "overwritten", "overwritten and told"];
        for key in keys {
            world.put(key, "1");
        }
        let waits = world.put("waits", "1");
        world.notify([&waits]).await;
        world.pass(HOUR).await;
        // Its making takes a while, and lists what came in meanwhile.
        let mut inventory = world.inventory(form, Versioning::Never);
        world.pass(MINUTE).await;
        let meanwhile = world.put("meanwhile", "1");
        inventory.files = 2;
        let settings = world.by(&inventory);
        world.s3.delete(BUCKET, "deleted");
        world.put("overwritten", "2");
        let told = world.put("overwritten and told", "2");
        let later = world.put("later", "1");
        world.put("later and lost", "1");
        world.notify([&meanwhile, &told, &later]).await;
        world.s3.delete(BUCKET, "later");
        world.pass(HOUR).await;
        let run = world.audit_with(settings).begin().await.unwrap();
        let summary = run.inventory().unwrap();
        assert_eq!((summary.at, summary.files), (inventory.at, 2));
        assert_eq!(summary.manifest, "s3://inventories/data/daily/now/manifest.json");
        let audited = world.run_to_end(run).await;
        let classes = audited.classes();
        let class = |key: &str| classes.get(&(key.to_owned(), None)).copied();
        assert_eq!(class("lost"), Some("missing"));
        for key in ["deleted", "overwritten", "overwritten and told"] {
            assert_eq!(class(key), Some("changed"), "{key}");
        }
        assert_eq!(class("waits"), Some("open"));
        assert_eq!(classes.len(), 5, "{classes:?}");
        assert_eq!(audited.checkpoint.outside, 1, "what came in while it was made");
        assert_eq!(audited.gone(), Vec::<String>::new(), "what came in later");
    }
}

#[tokio::test(start_paused = true)]
async fn delete_markers_are_no_objects_and_an_older_version_is_one() {
    for form in FORMS {
        let world = AuditedBucket::new(Versioning::Enabled).await;
        world.pass(MINUTE).await;
        let old = world.put("hidden", "1");
        world.s3.delete(BUCKET, "hidden");
        world.pass(HOUR).await;
        let settings = world.by(&world.inventory(form, Versioning::Enabled));
        let audited = world.audit_by(settings).await;
        let [lost] = &audited.of_class("missing")[..] else {
            panic!("{:?}", audited.findings);
        };
        assert_eq!((&lost.version_id, lost.is_latest), (&old.version.id, false));
        assert_eq!(audited.checkpoint.tally.objects, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn versions_are_told_apart_without_etags_and_repaired_with_them() {
    for form in FORMS {
        let world = AuditedBucket::new(Versioning::Enabled).await;
        world.pass(MINUTE).await;
        let done = world.put("done", "1");
        let lost = world.put("lost", "1");
        world.notify([&done]).await;
        world.drain().await;
        world.pass(HOUR).await;
        let mut inventory = world.inventory(form, Versioning::Enabled);
        inventory.without = vec!["ETag", "Size"];
        let run = world.audit_with(world.by(&inventory)).begin().await.unwrap();
        assert_eq!(run.inventory().unwrap().lacks, ["ETag", "Size"]);
        let audited = world.run_to_end(run).await;
        assert_eq!(audited.checkpoint.tally.done, 1);
        let (counts, _) = world.repair(audited.of_class("missing"), Repair::Missing).await;
        assert_eq!(counts.recorded, 1, "{counts:?}");
        let rows = world.stage.rows().await;
        let Subject::Event(event) = &rows.values().next().unwrap().subject else {
            panic!("{rows:?}");
        };
        assert_eq!(event.etag, lost.version.etag);
        world.drain().await;
        let executions = world.executions();
        world.notify([&lost]).await;
        world.drain().await;
        assert_eq!(world.executions(), executions, "the late notification");
        let audited = world.audit_by(world.by(&inventory)).await;
        assert_eq!(audited.checkpoint.tally.done, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_repaired_once_and_then_done() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    let lost: Vec<_> = (0..20).map(|n| world.put(&format!("{n}"), "x")).collect();
    world.pass(HOUR).await;
    let settings = world.by(&world.inventory(Form::Parquet(8), Versioning::Never));
    let missing = world.audit_by(settings.clone()).await.of_class("missing");
    world.s3.delete(BUCKET, "7");
    let (counts, _) = world.repair(missing.clone(), Repair::Missing).await;
    assert_eq!((counts.recorded, counts.gone), (19, 1));
    let (again, _) = world.repair(missing, Repair::Missing).await;
    assert_eq!((again.recorded, again.already_there, again.gone), (0, 19, 1));
    world.drain().await;
    // By the inventory of before: what is done is done, and what was deleted since has changed.
    let audited = world.audit_by(settings).await;
    assert_eq!(
        (audited.checkpoint.tally.done, audited.checkpoint.tally.changed),
        (19, 1)
    );
    let executions = world.executions();
    world.notify(&lost).await;
    world.drain().await;
    // Nobody can tell of the one that was deleted before it was recorded.
    assert_eq!(world.executions(), executions + 1);
}

#[tokio::test(start_paused = true)]
async fn a_prefix_and_times_hold_for_inventories() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(MINUTE).await;
    for n in 0..10 {
        world.put(&format!("a b/{n}"), "x");
        world.put(&format!("c/{n}"), "x");
        world.pass(HOUR).await;
    }
    for form in FORMS {
        let settings = world.by(&world.inventory(form, Versioning::Never));
        let mut narrow = settings.clone();
        narrow.scope.prefix = "a b/".to_owned();
        let audited = world.audit_by(narrow.clone()).await;
        let tally = audited.checkpoint.tally;
        assert_eq!((tally.objects, audited.checkpoint.outside), (10, 0));
        let all = world.audit_by(settings).await;
        let at = all
            .of_class("missing")
            .iter()
            .map(|object| object.last_modified)
            .max();
        narrow.until = at;
        let audited = world.audit_by(narrow.clone()).await;
        let tally = audited.checkpoint.tally;
        assert_eq!((tally.objects, audited.checkpoint.outside), (9, 1));
        (narrow.until, narrow.since) = (None, at);
        let audited = world.audit_by(narrow).await;
        let tally = audited.checkpoint.tally;
        assert_eq!((tally.objects, audited.checkpoint.outside), (1, 9));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_inventory_is_an_audit_of_nothing() {
    for form in FORMS {
        for files in [0, 1, 2] {
            let world = AuditedBucket::new(Versioning::Never).await;
            world.notify([&world.put("gone", "1")]).await;
            world.s3.delete(BUCKET, "gone");
            world.pass(HOUR).await;
            let inventory = Inventory {
                files,
                ..world.inventory(form, Versioning::Never)
            };
            let audited = world.audit_by(world.by(&inventory)).await;
            assert_eq!(audited.gone(), ["gone"]);
            assert_eq!(audited.checkpoint.tally.objects, 0);
            assert!(audited.checkpoint.is_complete);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_are_no_objects_are_told_and_not_judged() {
    let world = AuditedBucket::new(Versioning::Never).await;
    world.pass(HOUR).await;
    let at = Some(world.stage.now());
    let row = |key: &str, last_modified| InventoryRow {
        bucket: BUCKET.to_owned(),
        key: key.to_owned(),
        is_latest: true,
        last_modified,
        ..InventoryRow::default()
    };
    world.pass(HOUR).await;
    let rows = [row("a", None), row("", at), row(&"x".repeat(1025), at)];
    for form in FORMS {
        let inventory = world.inventory(form, Versioning::Never);
        let key = world
            .s3
            .write_inventory_of(BUCKET, DESTINATION, &inventory, &rows);
        let audited = world.audit_by(world.by_manifest(&key)).await;
        assert_eq!(audited.checkpoint.unreadable, 3);
        assert_eq!(audited.checkpoint.tally.objects, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_never_had_versions_may_be_audited_by_an_inventory_of_all() {
    let world = mixed(Versioning::Never).await;
    let listed = world.audit().await;
    for form in FORMS {
        let settings = world.by(&world.inventory(form, Versioning::Enabled));
        assert_same(&world.audit_by(settings.clone()).await, &listed, "asked");
        let never = AuditSettings {
            versions: Versions::Never,
            ..settings
        };
        assert_same(&world.audit_by(never).await, &listed, "never");
    }
}
