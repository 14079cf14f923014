//! Inventories that cannot be audited: what is said of each, and that nothing of them is judged.

use std::io::Write;

use daybook_reconciler::audit::{AuditError, AuditSettings};
use daybook_tests::s3::{Form, Inventory, Versioning};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::inventories::{DESTINATION, FORMS};
use crate::world::{AuditedBucket, HOUR};

const FOLDER: &str = "data/daily/now";
const MANIFEST: &str = "data/daily/now/manifest.json";

/// Why an audit cannot begin, or breaks off before anything was judged.
async fn refusal(world: &AuditedBucket, settings: AuditSettings) -> String {
    let audit = world.audit_with(settings);
    let error = match audit.begin().await {
        Err(error) => error,
        Ok(mut run) => {
            let error = run.next().await.unwrap_err();
            assert_eq!(run.checkpoint().tally.objects, 0);
            assert_eq!(run.checkpoint().marker, None);
            // Nor when it is tried again.
            assert_eq!(run.next().await.unwrap_err().to_string(), error.to_string());
            error
        }
    };
    match error {
        AuditError::Inventory(error) => error.to_string(),
        error => panic!("{error:?}"),
    }
}

async fn world(versioning: Versioning) -> AuditedBucket {
    let world = AuditedBucket::new(versioning).await;
    for n in 0..3 {
        world.put(&format!("key {n}"), "x");
    }
    world.pass(HOUR).await;
    world
}

/// The inventory's only file in the place of the one that was written, by its right MD5.
fn replace_file(world: &AuditedBucket, content: &[u8]) {
    let manifest = world.s3.file(DESTINATION, MANIFEST).unwrap();
    let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let file = &mut manifest["files"][0];
    let key = file["key"].as_str().unwrap().to_owned();
    let version = world.s3.put_file(DESTINATION, &key, content);
    (file["size"], file["MD5checksum"]) = (json!(content.len()), json!(version.etag));
    world.s3.put_manifest(DESTINATION, FOLDER, &manifest.to_string());
}

fn gzip(text: &str) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    packed.finish().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_what_the_manifest_says_is_named() {
    let world = world(Versioning::Never).await;
    for form in FORMS {
        let settings = world.by(&world.inventory(form, Versioning::Never));
        let end = if form == Form::Csv { "csv.gz" } else { "parquet" };
        let key = format!("data/daily/data/0.{end}");
        let right = world.s3.file(DESTINATION, &key).unwrap();
        let mut flipped = right.clone();
        flipped[right.len() / 2] ^= 1;
        for content in [&flipped[..], &right[..right.len() - 1], b""] {
            world.s3.put_file(DESTINATION, &key, content);
            let said = refusal(&world, settings.clone()).await;
            let start = format!(
                "s3://{DESTINATION}/{key} is damaged: it has {} bytes of MD5 ",
                content.len()
            );
            assert!(said.starts_with(&start), "{said}");
        }
        world.s3.delete(DESTINATION, &key);
        assert_eq!(
            refusal(&world, settings).await,
            format!("s3://{DESTINATION}/{key} cannot be read: GetObject: NoSuchKey: no")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_cut_off_or_broken_is_named_though_its_md5_is_right() {
    let world = world(Versioning::Never).await;
    let settings = world.by(&world.inventory(Form::Csv, Versioning::Never));
    let whole = world.s3.file(DESTINATION, "data/daily/data/0.csv.gz").unwrap();
    let at = "2026-01-01T00:00:00.000Z";
    let files = [
        (
            whole[..whole.len() - 9].to_vec(),
            "it ends in the middle: its gzip is cut off",
        ),
        (
            b"\"data\",\"key\"\n".to_vec(),
            "it cannot be unpacked as gzip: invalid gzip header",
        ),
        (
            gzip("\"data\",\"key\"\n"),
            "row 1: it has 2 fields, and by the manifest 6",
        ),
        (
            gzip("\"data\",\"key\",\"1\",\"yesterday\",\"e\",\"STANDARD\"\n"),
            "row 1: LastModifiedDate: ",
        ),
        (
            gzip(&format!(
                "\"data\",\"key\",\"many\",\"{at}\",\"e\",\"STANDARD\"\n"
            )),
            "row 1: Size is many, and no number",
        ),
        (
            gzip(&format!("\"other\",\"key\",\"1\",\"{at}\",\"e\",\"STANDARD\"\n")),
            "row 1 is of bucket other",
        ),
    ];
    for (content, cause) in files {
        replace_file(&world, &content);
        let said = refusal(&world, settings.clone()).await;
        let start = format!("s3://{DESTINATION}/data/daily/data/0.csv.gz is damaged: {cause}");
        assert!(said.starts_with(&start), "{said}");
    }
    let settings = world.by(&world.inventory(Form::Parquet(10), Versioning::Never));
    replace_file(&world, &whole);
    let said = refusal(&world, settings).await;
    let start = format!("s3://{DESTINATION}/data/daily/data/0.parquet is damaged: Parquet error: ");
    assert!(said.starts_with(&start), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_second_file_that_is_damaged_ends_the_audit_behind_the_first() {
    let world = world(Versioning::Never).await;
    let mut inventory = world.inventory(Form::Csv, Versioning::Never);
    inventory.files = 2;
    let settings = world.by(&inventory);
    world.s3.put_file(DESTINATION, "data/daily/data/1.csv.gz", b"");
    let mut run = world.audit_with(settings).begin().await.unwrap();
    assert_eq!(run.next().await.unwrap().unwrap().objects, 2);
    for _ in 0..2 {
        run.next().await.unwrap_err();
        assert_eq!(run.checkpoint().tally.objects, 2);
        assert!(!run.checkpoint().is_complete);
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_are_needed_are_named() {
    let mut told = String::new();
    let plain = world(Versioning::Never).await;
    let versioned = world(Versioning::Enabled).await;
    for form in FORMS {
        for (world, versioning, without) in [
            (&plain, Versioning::Never, "Key"),
            (&plain, Versioning::Never, "LastModifiedDate"),
            (&plain, Versioning::Never, "ETag"),
            (&versioned, Versioning::Enabled, "IsLatest"),
            (&versioned, Versioning::Enabled, "IsDeleteMarker"),
            (&versioned, Versioning::Never, "nothing"),
        ] {
            let inventory = Inventory {
                without: vec![without],
                ..world.inventory(form, versioning)
            };
            told += &refusal(world, world.by(&inventory)).await;
            told.push('\n');
        }
    }
    let half = told.len() / 2;
    assert_eq!(told[..half], told[half..], "in CSV and in Parquet");
    let start = format!("s3://{DESTINATION}/{MANIFEST} ");
    let told: Vec<&str> = told[..half]
        .lines()
        .map(|line| line.strip_prefix(&start).unwrap())
        .collect();
    assert_eq!(
        told,
        [
            "is of an inventory without Key, and so nothing could be found",
            "is of an inventory without LastModifiedDate, and without a time no \
             upload can be told from another: add LastModifiedDate to the inventory's fields",
            "is of an inventory without ETag, and in a bucket without versions nothing else tells an \
             upload from the one before it: add ETag to the inventory's fields",
            "is of an inventory without IsLatest, which an inventory of all versions has",
            "is of an inventory without IsDeleteMarker, and delete markers would be \
             taken for objects; an inventory of all versions has it",
            "is of an inventory of current versions, which has no version ids, and bucket data has versions: \
             rows and receipts bear version ids, so that everything would look missing. Have it made with all versions",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn manifests_that_are_of_something_else_are_refused() {
    let world = world(Versioning::Never).await;
    let settings = world.by(&world.inventory(Form::Csv, Versioning::Never));
    let manifest = world.s3.file(DESTINATION, MANIFEST).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let mut told = String::new();
    let changes = [
        ("fileFormat", json!("ORC")),
        ("sourceBucket", json!("other")),
        ("creationTimestamp", json!("today")),
        ("files", json!("none")),
    ];
    for (name, value) in changes {
        let mut manifest = manifest.clone();
        manifest[name] = value;
        world.s3.put_manifest(DESTINATION, FOLDER, &manifest.to_string());
        told += &format!("{}\n", refusal(&world, settings.clone()).await);
    }
    world.s3.put_manifest(DESTINATION, FOLDER, "<html>");
    told += &format!("{}\n", refusal(&world, settings.clone()).await);
    // It was overwritten in between.
    world
        .s3
        .put_file(DESTINATION, MANIFEST, manifest.to_string().as_bytes());
    let said = refusal(&world, settings.clone()).await;
    assert!(said.contains("manifest.json is damaged: its MD5 is "), "{said}");
    assert!(said.contains("manifest.checksum says "), "{said}");
    let nowhere = world.by_manifest("no/such/manifest.json");
    told += &format!("{}\n", refusal(&world, nowhere).await);
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "s3://inventories/data/daily/now/manifest.json is of an inventory in ORC, which is not read: have it made as CSV \
             or Parquet",
            "s3://inventories/data/daily/now/manifest.json lists bucket other, and bucket data is to be audited",
            "s3://inventories/data/daily/now/manifest.json is no manifest of an S3 Inventory: its creationTimestamp is \
             today, and no number of milliseconds",
            "s3://inventories/data/daily/now/manifest.json is no manifest of an S3 Inventory: invalid type: string \
             \"none\", expected a sequence at line 1 column 188",
            "s3://inventories/data/daily/now/manifest.json is no manifest of an S3 Inventory: expected value at line 1 \
             column 1",
            "s3://inventories/no/such/manifest.json cannot be read: GetObject: NoSuchKey: no",
        ]
    );
    // A copy may come without its checksum.
    world.s3.delete(DESTINATION, "data/daily/now/manifest.checksum");
    assert_eq!(world.audit_by(settings).await.checkpoint.tally.missing, 3);
}
