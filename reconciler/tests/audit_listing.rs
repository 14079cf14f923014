//! Listings of a bucket: their pages, their requests, and whether versions are listed.
#![allow(missing_docs, clippy::unwrap_used)]

use daybook_ledger::Clock;
use daybook_reconciler::audit::{Entry, KeyMarker, Listing, Marker, Scope, Versions};
use daybook_schema::{SourceName, Timestamp};
use daybook_tests::s3::{S3, Versioning};

const BUCKET: &str = "data";

fn bucket(versioning: Versioning, keys: &[String]) -> S3 {
    let s3 = S3::new(Clock::new(|| {
        Timestamp::from_unix_millis(1_790_000_000_000).unwrap()
    }));
    s3.create_bucket(BUCKET, versioning);
    for key in keys {
        s3.put(BUCKET, key, "x");
    }
    s3
}

async fn open(s3: &S3, versions: Versions, after: Option<&str>) -> Listing {
    let scope = Scope {
        source: SourceName::default(),
        bucket: BUCKET.parse().unwrap(),
        prefix: String::new(),
    };
    let after = after.map(|key| KeyMarker {
        key: key.to_owned(),
        version_id: None,
    });
    Listing::open(s3.client(), scope, versions, after).await.unwrap()
}

/// The keys of each page that is left.
async fn pages(listing: &mut Listing) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    while let Some(page) = listing.next_page().await.unwrap() {
        let key = |entry: &Entry| match entry {
            Entry::Object(object) => object.key.to_string(),
            Entry::Unreadable(entry) => panic!("{entry:?}"),
        };
        let keys: Vec<String> = page.entries.iter().map(key).collect();
        match &page.next {
            Some(Marker::Key(next)) => assert_eq!(Some(&next.key), keys.last()),
            Some(Marker::Row(row)) => panic!("{row:?}"),
            None => {}
        }
        pages.push(keys);
    }
    pages
}

fn many() -> Vec<String> {
    (0..2500).map(|n| format!("key {n:04}")).collect()
}

#[tokio::test(start_paused = true)]
async fn every_request_is_counted_and_only_what_must_be_asked_is() {
    for (versioning, is_by_version) in [
        (Versioning::Never, false),
        (Versioning::Enabled, true),
        (Versioning::Suspended, true),
    ] {
        let s3 = bucket(versioning, &many());
        let mut listing = open(&s3, Versions::Ask, None).await;
        assert_eq!(listing.requests(), 1, "GetBucketVersioning");
        assert_eq!(listing.is_by_version(), is_by_version, "{versioning:?}");
        let listed = pages(&mut listing).await;
        assert_eq!(listed.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
        assert_eq!(listed.concat(), many());
        assert_eq!(listing.requests(), 4, "{versioning:?}");
        assert_eq!(listing.next_page().await, Ok(None));
        assert_eq!(listing.requests(), 4, "nothing is asked after the end");

        for versions in [Versions::All, Versions::Never] {
            let mut listing = open(&s3, versions, None).await;
            assert_eq!(listing.requests(), 0);
            assert_eq!(listing.is_by_version(), versions == Versions::All);
            assert_eq!(pages(&mut listing).await, listed);
            assert_eq!(listing.requests(), 3);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn keys_are_decoded_as_the_answer_says() {
    let mut keys: Vec<String> = ["a b", "a%20b", "a+b", "é/%2B", "\u{1}"]
        .map(str::to_owned)
        .into();
    keys.sort();
    for (versioning, versions) in [
        (Versioning::Never, Versions::Never),
        (Versioning::Enabled, Versions::All),
    ] {
        let s3 = bucket(versioning, &keys);
        let mut listing = open(&s3, versions, None).await;
        assert_eq!(pages(&mut listing).await, [keys.clone()]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_behind_a_key() {
    let s3 = bucket(Versioning::Never, &many());
    for position in [0, 999, 1000, 2498, 2499] {
        let mut listing = open(&s3, Versions::Never, Some(&many()[position])).await;
        assert_eq!(pages(&mut listing).await.concat(), many()[position + 1..]);
    }
}
