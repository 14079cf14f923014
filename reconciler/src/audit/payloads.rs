//! Parked payloads that could not be read: which objects may they be about?

use daybook_schema::BucketName;

/// Bytes of payloads that are kept to be searched. A notification has about 1 KB.
const KEPT_BYTES: usize = 1024 * 1024;

/// The payloads that may be about a bucket.
///
/// Names are encoded in many ways (forms, percent, JSON in JSON), and all of them leave ASCII letters and digits as they are. So
/// a payload that does not hold the longest run of those in a name does not speak of that name. One that does may.
#[derive(Debug)]
pub(super) struct Payloads {
    bucket: String,
    kept: String,
    /// There were more than are kept: any key may be in those.
    is_full: bool,
}

impl Payloads {
    pub(super) fn of_bucket(bucket: &BucketName) -> Self {
        Self {
            bucket: longest_run(bucket.as_str()).to_owned(),
            kept: String::new(),
            is_full: false,
        }
    }

    pub(super) fn add(&mut self, payload: &str) {
        if self.is_full || !payload.contains(&self.bucket) {
            return;
        }
        if self.kept.len() + payload.len() > KEPT_BYTES {
            self.is_full = true;
            self.kept = String::new();
            return;
        }
        // A control character keeps a run from reaching over two payloads.
        self.kept.push('\0');
        self.kept.push_str(payload);
    }

    pub(super) fn may_name(&self, key: &str) -> bool {
        self.is_full || (!self.kept.is_empty() && self.kept.contains(longest_run(key)))
    }
}

fn longest_run(name: &str) -> &str {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .max_by_key(|run| run.len())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(all: &[&str]) -> Payloads {
        let mut payloads = Payloads::of_bucket(&"my-data".parse().unwrap());
        for payload in all {
            payloads.add(payload);
        }
        payloads
    }

    #[test]
    fn a_payload_may_be_about_a_key_however_it_is_encoded() {
        let payloads = payloads(&[r#"{"bucket":"my-data","key":"a+b%2Freading%C3%A94711.json"}"#]);
        assert!(payloads.may_name("a b/readingé4711.json"));
        assert!(payloads.may_name("reading"));
        assert!(!payloads.may_name("a b/writing.json"));
    }

    #[test]
    fn a_payload_of_another_bucket_is_about_no_key_of_this_one() {
        assert!(!payloads(&[r#"{"bucket":"my-other","key":"reading"}"#]).may_name("reading"));
    }

    #[test]
    fn a_key_without_letters_and_digits_may_be_in_any_payload() {
        assert!(payloads(&["data"]).may_name("é/ü"));
        assert!(!payloads(&[]).may_name("é/ü"));
    }

    #[test]
    fn what_is_too_much_to_keep_may_be_about_any_key() {
        let much = format!("data {}", "x".repeat(KEPT_BYTES));
        assert!(payloads(&[&much, "data"]).may_name("reading"));
        assert!(payloads(&[&much]).may_name("reading"));
    }

    #[test]
    fn payloads_are_kept_up_to_the_last_byte_and_searched() {
        let of = |bytes: usize| format!("data {}", "x".repeat(bytes - 5));
        let most = of(KEPT_BYTES);
        assert!(!payloads(&[&most]).may_name("reading"));
        assert!(payloads(&[&most]).may_name("xxx"));
        assert!(payloads(&[&most, "data"]).may_name("reading"), "a byte too many");
        // A byte parts two of them.
        let half = of(KEPT_BYTES / 2 - 1);
        assert!(!payloads(&[&half, &half]).may_name("reading"));
        let other = "my-other".repeat(KEPT_BYTES);
        assert!(
            !payloads(&[&half, &other]).may_name("reading"),
            "of another bucket"
        );
    }
}
