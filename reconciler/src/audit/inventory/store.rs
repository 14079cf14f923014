//! Where an inventory lies: its manifest and files, had whole and as they were written, or not at all.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};

use aws_sdk_s3::Client;
use daybook_ledger::{Cause, ResponseDate, chain, describe};
use daybook_schema::Timestamp;
use md5::{Digest, Md5};

use super::super::inventory_error::InventoryError;
use super::super::manifest_place::ManifestPlace;
use super::manifest::DataFile;

/// A manifest has some 200 bytes per file.
const MANIFEST_BYTES: usize = 64 << 20;

/// Bytes that are hashed before others get their turn.
const STEP: usize = 1 << 20;

/// What reads from there.
#[derive(Debug)]
pub(super) struct Store {
    s3: Client,
    place: ManifestPlace,
    /// Requests that were made.
    pub(super) requests: u64,
}

/// A data file that is what the manifest says.
#[derive(Debug)]
pub(super) struct Fetched {
    /// At its start. A file of a bucket is a temporary one, without a name.
    pub(super) file: File,
    /// The `Date` of the response, if it came from a bucket.
    pub(super) answered_at: Option<Timestamp>,
}

/// Why something cannot be had.
enum Failure {
    /// It is not there.
    Absent(Cause),
    Other(Cause),
}

impl Store {
    pub(super) fn new(s3: Client, place: ManifestPlace) -> Self {
        Self {
            s3,
            place,
            requests: 0,
        }
    }

    /// The manifest's text and its MD5, which is what the checksum beside it says, if there is one.
    pub(super) async fn manifest(&mut self) -> Result<(Vec<u8>, String), InventoryError> {
        let (text, what) = (self.small(&self.place.clone()).await, self.place.to_string());
        let text = text.map_err(|failure| unreadable(&what, failure))?;
        let is = hex(Md5::digest(&text));
        let beside = self.place.beside("manifest.checksum");
        match self.small(&beside).await {
            // A copy may come without it.
            Err(Failure::Absent(_)) => {}
            Err(failure) => return Err(unreadable(&beside.to_string(), failure)),
            Ok(said) => {
                let said = String::from_utf8_lossy(&said);
                if !said.trim().eq_ignore_ascii_case(&is) {
                    let said = said.trim().escape_debug();
                    return Err(InventoryError::Damaged {
                        what,
                        cause: format!("its MD5 is {is}, and {beside} says {said}"),
                    });
                }
            }
        }
        Ok((text, is))
    }

    /// The name of a data file, for errors.
    pub(super) fn name(&self, file: &DataFile) -> String {
        match &self.place {
            ManifestPlace::S3 { bucket, .. } => format!("s3://{bucket}/{}", file.key.escape_debug()),
            ManifestPlace::File(_) => file.key.escape_debug().to_string(),
        }
    }

    /// Fetches a data file, and compares it with what the manifest says of it.
    pub(super) async fn fetch(&mut self, file: &DataFile) -> Result<Fetched, InventoryError> {
        let name = self.name(file);
        let mut md5 = Md5::new();
        let (mut size, mut answered_at) = (0, None);
        let fetched = match self.place.clone() {
            ManifestPlace::S3 { bucket, .. } => {
                let (mut copy, date) = (tempfile::tempfile(), ResponseDate::default());
                let kept = self
                    .get(&bucket, &file.key, &date, |chunk| {
                        size += chunk.len() as u64;
                        md5.update(chunk);
                        let copy = copy
                            .as_mut()
                            .map_err(|error| io::Error::new(error.kind(), error.to_string()));
                        copy.and_then(|copy| copy.write_all(chunk)).map_err(|error| {
                            let folder = std::env::temp_dir();
                            format!("no copy of it can be kept in {}: {error}", folder.display())
                        })
                    })
                    .await;
                answered_at = date.get();
                kept.and_then(|()| copy.map_err(|error| Failure::Other(error.to_string().into())))
            }
            ManifestPlace::File(manifest) => {
                let opened = open(&candidates(&manifest, &file.key));
                let opened = opened.map_err(|failure| unreadable(&name, failure))?;
                let mut bytes = vec![0; STEP];
                loop {
                    let read = (&opened).read(&mut bytes);
                    let read =
                        read.map_err(|error| unreadable(&name, Failure::Other(error.to_string().into())))?;
                    if read == 0 {
                        break;
                    }
                    size += read as u64;
                    md5.update(&bytes[..read]);
                    tokio::task::yield_now().await;
                }
                Ok(opened)
            }
        };
        let mut fetched = fetched.map_err(|failure| unreadable(&name, failure))?;
        let is = hex(md5.finalize());
        if size != file.size || !is.eq_ignore_ascii_case(&file.md5) {
            let (expected, said) = (file.size, file.md5.escape_debug());
            return Err(InventoryError::Damaged {
                what: name,
                cause: format!(
                    "it has {size} bytes of MD5 {is}, and by the manifest it has {expected} bytes of MD5 {said}"
                ),
            });
        }
        fetched
            .rewind()
            .map_err(|error| unreadable(&name, Failure::Other(error.to_string().into())))?;
        Ok(Fetched {
            file: fetched,
            answered_at,
        })
    }

    async fn small(&mut self, place: &ManifestPlace) -> Result<Vec<u8>, Failure> {
        let too_big = || format!("it has more than {} MiB", MANIFEST_BYTES >> 20);
        let mut text = Vec::new();
        match place {
            ManifestPlace::S3 { bucket, key } => {
                let (bucket, key) = (bucket.clone(), key.clone());
                self.get(&bucket, &key, &ResponseDate::default(), |chunk| {
                    if text.len() + chunk.len() > MANIFEST_BYTES {
                        return Err(too_big());
                    }
                    text.extend_from_slice(chunk);
                    Ok(())
                })
                .await?;
            }
            ManifestPlace::File(path) => {
                let file = open(std::slice::from_ref(path))?;
                let read = file.take(MANIFEST_BYTES as u64 + 1).read_to_end(&mut text);
                read.map_err(|error| Failure::Other(error.to_string().into()))?;
                if text.len() > MANIFEST_BYTES {
                    return Err(Failure::Other(too_big().into()));
                }
            }
        }
        Ok(text)
    }

    async fn get(
        &mut self,
        bucket: &str,
        key: &str,
        date: &ResponseDate,
        mut keep: impl FnMut(&[u8]) -> Result<(), String> + Send,
    ) -> Result<(), Failure> {
        self.requests += 1;
        let get = self.s3.get_object().bucket(bucket).key(key);
        let mut answer = get
            .customize()
            .interceptor(date.clone())
            .send()
            .await
            .map_err(|error| {
                let cause = describe(&error).of("GetObject");
                match error
                    .as_service_error()
                    .is_some_and(|error| error.is_no_such_key())
                {
                    true => Failure::Absent(cause),
                    false => Failure::Other(cause),
                }
            })?;
        while let Some(chunk) = answer.body.next().await {
            let chunk = chunk.map_err(|error| {
                Failure::Other(format!("its transfer broke off: {}", chain(&error)).into())
            })?;
            keep(&chunk).map_err(|cause| Failure::Other(cause.into()))?;
        }
        Ok(())
    }
}

/// Where a file of that key may be that was copied together with its manifest. No key leads out of those folders.
fn candidates(manifest: &Path, key: &str) -> Vec<PathBuf> {
    let key = Path::new(key);
    if !key.components().all(|part| matches!(part, Component::Normal(_))) {
        return Vec::new();
    }
    let absolute = std::path::absolute(manifest).unwrap_or_else(|_| manifest.to_owned());
    let Some((name, folder)) = key.file_name().zip(absolute.parent()) else {
        return Vec::new();
    };
    let data = folder.parent().map(|above| above.join("data").join(name));
    let beside = [folder.join(name)].into_iter().chain(data);
    beside
        .chain(folder.ancestors().map(|above| above.join(key)))
        .collect()
}

fn open(candidates: &[PathBuf]) -> Result<File, Failure> {
    for path in candidates {
        match File::open(path) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failure::Other(format!("{}: {error}", path.display()).into())),
        }
    }
    Err(Failure::Absent(match candidates {
        [] => "its key is not a path of a file".into(),
        [_] => "there is no such file".into(),
        [beside, ..] => format!(
            "it is neither {} nor at its key in a folder above",
            beside.display()
        )
        .into(),
    }))
}

fn unreadable(what: &str, failure: Failure) -> InventoryError {
    let (Failure::Absent(cause) | Failure::Other(cause)) = failure;
    InventoryError::Unreadable {
        what: what.to_owned(),
        cause,
    }
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::canned_s3::CannedS3;
    use super::*;

    fn store(place: ManifestPlace, body: Vec<u8>) -> Store {
        Store::new(CannedS3::new(200, &[], body).client(), place)
    }

    #[tokio::test]
    async fn a_file_in_a_folder_is_had_whole_and_as_the_manifest_says_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..STEP + STEP / 2).map(|n| (n % 251) as u8).collect();
        std::fs::write(folder.path().join("0.csv.gz"), &content).unwrap();
        let place = ManifestPlace::File(folder.path().join("manifest.json"));
        let mut store = store(place, Vec::new());
        let (size, md5) = (content.len() as u64, hex(Md5::digest(&content)));
        let file = |size| DataFile {
            key: "inv/data/0.csv.gz".into(),
            size,
            md5: md5.clone(),
        };
        let mut fetched = store.fetch(&file(size)).await.unwrap();
        let mut had = Vec::new();
        fetched.file.read_to_end(&mut had).unwrap();
        assert!(had == content, "from its start to its end");
        assert_eq!((fetched.answered_at, store.requests), (None, 0));
        let other = store.fetch(&file(size + 1)).await.unwrap_err();
        let expected = format!(
            "inv/data/0.csv.gz is damaged: it has {size} bytes of MD5 {md5}, and by the manifest it has {} bytes of MD5 {md5}",
            size + 1
        );
        assert_eq!(other.to_string(), expected);
    }

    #[tokio::test]
    async fn a_manifest_is_read_up_to_a_size_and_a_bigger_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let in_bucket = ManifestPlace::S3 {
            bucket: "inventories".into(),
            key: "manifest.json".into(),
        };
        for (bytes, is_read) in [(1, true), (MANIFEST_BYTES, true), (MANIFEST_BYTES + 1, false)] {
            File::create(&path).unwrap().set_len(bytes as u64).unwrap();
            for place in [ManifestPlace::File(path.clone()), in_bucket.clone()] {
                match store(place.clone(), vec![0; bytes]).small(&place).await {
                    Ok(text) => assert_eq!((text.len(), is_read), (bytes, true), "{place}"),
                    Err(Failure::Absent(cause)) => panic!("{place}: {cause}"),
                    Err(Failure::Other(cause)) => {
                        assert!(!is_read, "{place}: {bytes}");
                        assert_eq!(cause.words(), "it has more than 64 MiB");
                    }
                }
            }
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_not_taken_for_one_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (file, none) = (folder.path().join("file"), folder.path().join("none"));
        std::fs::write(&file, "x").unwrap();
        assert!(open(&[none.clone(), file.clone()]).is_ok());
        assert!(matches!(
            open(std::slice::from_ref(&none)),
            Err(Failure::Absent(_))
        ));
        let in_a_file = file.join("manifest.json");
        match open(&[in_a_file.clone(), file]) {
            Err(Failure::Other(cause)) => {
                let start = format!("{}: ", in_a_file.display());
                assert!(cause.words().starts_with(&start), "{cause}");
            }
            Err(Failure::Absent(cause)) => panic!("{cause}"),
            Ok(_) => panic!("the wrong one was opened"),
        }
    }

    #[test]
    fn a_file_is_beside_its_manifest_or_at_its_key_and_nowhere_else() {
        let at = |key: &str| {
            candidates(
                Path::new("/copy/inv/data-bucket/daily/2026-11-20T01-00Z/manifest.json"),
                key,
            )
        };
        let found = at("inv/data-bucket/daily/data/one.csv.gz");
        for path in [
            "/copy/inv/data-bucket/daily/2026-11-20T01-00Z/one.csv.gz",
            "/copy/inv/data-bucket/daily/data/one.csv.gz",
            "/copy/inv/data-bucket/daily/data/one.csv.gz",
        ] {
            assert!(found.contains(&PathBuf::from(path)), "{path}");
        }
        for key in ["/etc/passwd", "../../../etc/passwd", "a/../../b", ""] {
            assert_eq!(at(key), Vec::<PathBuf>::new(), "{key}");
        }
    }
}
