//! Pages of inventories: where they end, where the next one begins, and how much is read by then.

use daybook_ledger::Clock;
use daybook_tests::s3::{Form, Inventory as Written, InventoryRow, S3};

use super::*;

const BUCKET: &str = "data";
const DESTINATION: &str = "inventories";
const FORMS: [Form; 3] = [Form::Csv, Form::Parquet(150), Form::Parquet(5000)];

fn at() -> Timestamp {
    Timestamp::from_unix_millis(1_790_000_000_000).unwrap()
}

/// An inventory of those keys, in that order, spread over so many files; and where its manifest is.
fn written(form: Form, files: usize, keys: &[String]) -> (S3, ManifestPlace) {
    let s3 = S3::new(Clock::new(at));
    let row = |key: &String| InventoryRow {
        bucket: BUCKET.to_owned(),
        key: key.clone(),
        is_latest: true,
        size: Some(1),
        last_modified: Some(at()),
        etag: Some("e".to_owned()),
        ..InventoryRow::default()
    };
    let inventory = Written {
        files,
        ..Written::new(form, false, at())
    };
    // It writes them from the last to the first.
    let rows: Vec<InventoryRow> = keys.iter().rev().map(row).collect();
    let key = s3.write_inventory_of(BUCKET, DESTINATION, &inventory, &rows);
    let bucket = DESTINATION.to_owned();
    (s3, ManifestPlace::S3 { bucket, key })
}

async fn open(s3: &S3, place: &ManifestPlace, prefix: &str, after: Option<RowMarker>) -> Inventory {
    let scope = Scope {
        source: Default::default(),
        bucket: BUCKET.parse().unwrap(),
        prefix: prefix.to_owned(),
    };
    let opened = Inventory::open(s3.client(), place.clone(), scope, Versions::Never, after);
    opened.await.unwrap()
}

fn row(file: usize, row: u64) -> Option<Marker> {
    Some(Marker::Row(RowMarker { file, row }))
}

fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n:05}")).collect()
}

fn keys(page: &Page) -> Vec<String> {
    let key = |entry: &Entry| match entry {
        Entry::Object(object) => object.key.to_string(),
        Entry::Unreadable(entry) => panic!("{entry:?}"),
    };
    page.entries.iter().map(key).collect()
}

#[tokio::test(start_paused = true)]
async fn a_page_has_a_thousand_entries_and_the_last_one_says_so() {
    let all = numbered("", 2500);
    for form in FORMS {
        let (s3, place) = written(form, 1, &all);
        let mut inventory = open(&s3, &place, "", None).await;
        for (from, to, next) in [
            (0, 1000, row(0, 1000)),
            (1000, 2000, row(0, 2000)),
            (2000, 2500, None),
        ] {
            let page = inventory.next_page().await.unwrap().unwrap();
            assert_eq!(keys(&page), all[from..to], "{form:?}");
            assert_eq!(page.next, next, "{form:?}");
            let rows: Vec<u64> = page.rows.iter().map(|row| row.row).collect();
            let expected: Vec<u64> = (from as u64 + 1..=to as u64).collect();
            assert_eq!(rows, expected, "{form:?}");
        }
        assert_eq!(inventory.next_page().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn how_much_of_the_files_is_read_is_known_to_the_row() {
    let all = numbered("", 2500);
    for form in FORMS {
        let (s3, place) = written(form, 2, &all);
        let end = if form == Form::Csv { "csv.gz" } else { "parquet" };
        let size = |n: u32| {
            let key = format!("{BUCKET}/daily/data/{n}.{end}");
            s3.file(DESTINATION, &key).unwrap().len() as u64
        };
        let (first, bytes) = (size(0), size(0) + size(1));
        let mut inventory = open(&s3, &place, "", None).await;
        let summary = inventory.summary();
        assert_eq!((summary.files, summary.bytes, summary.at), (2, bytes, at()));
        assert_eq!(inventory.requests(), 2, "manifest and checksum");
        let progress = |inventory: &Inventory, files_read: usize| {
            let progress = inventory.progress();
            assert_eq!((progress.files, progress.bytes), (2, bytes));
            assert_eq!(progress.files_read, files_read, "{form:?}");
            progress.bytes_read
        };
        assert_eq!(progress(&inventory, 0), 0);
        for (file, next, before, of) in [
            (0, row(0, 1000), 0, first),
            (1, row(1, 0), first, 0),
            (1, row(1, 1000), first, bytes - first),
            (2, None, bytes, 0),
        ] {
            let page = inventory.next_page().await.unwrap().unwrap();
            assert_eq!(page.next, next, "{form:?}");
            let in_file = progress(&inventory, file) - before;
            match form {
                // What was unpacked is not known to the row.
                Form::Csv if of > 0 => assert!((of / 2..=of).contains(&in_file), "{in_file} of {of}"),
                // 1,000 of 1,250 rows.
                _ => assert!(in_file.abs_diff(of * 4 / 5) <= 1, "{form:?}: {in_file} of {of}"),
            }
        }
        assert_eq!(inventory.requests(), 4);
        assert_eq!(inventory.next_page().await.unwrap(), None);
        assert_eq!(progress(&inventory, 2), bytes);
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_after_so_many_rows_though_none_is_of_the_prefix() {
    let mut all = numbered("other/", 20_400);
    all.extend(numbered("in/", 100));
    for form in [Form::Csv, Form::Parquet(5000)] {
        let (s3, place) = written(form, 1, &all);
        let mut inventory = open(&s3, &place, "in/", None).await;
        let none = inventory.next_page().await.unwrap().unwrap();
        assert_eq!((keys(&none).len(), none.next), (0, row(0, 20_000)), "{form:?}");
        let rest = inventory.next_page().await.unwrap().unwrap();
        assert_eq!((keys(&rest), rest.next), (numbered("in/", 100), None), "{form:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_inventory_goes_on_behind_a_row() {
    let all = numbered("", 700);
    for form in [Form::Csv, Form::Parquet(150), Form::Parquet(5000)] {
        let (s3, place) = written(form, 1, &all);
        for behind in [0, 1, 149, 150, 151, 450, 699, 700] {
            let after = RowMarker {
                file: 0,
                row: behind as u64,
            };
            let mut inventory = open(&s3, &place, "", Some(after)).await;
            let page = inventory.next_page().await.unwrap().unwrap();
            assert_eq!(keys(&page), all[behind..], "{form:?} {behind}");
            assert_eq!(page.next, None);
        }
    }
}
