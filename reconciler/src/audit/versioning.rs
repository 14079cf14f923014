//! Whether a bucket has versions.

use aws_sdk_s3::Client;
use daybook_ledger::describe;

use super::s3_error::ListingError;
use super::settings::Scope;

/// Asks the bucket. One whose versioning is suspended still has versions: only silence means that it never had any.
pub(super) async fn has_versions(s3: &Client, scope: &Scope) -> Result<bool, ListingError> {
    let bucket = scope.bucket.as_str();
    let error = match s3.get_bucket_versioning().bucket(bucket).send().await {
        Ok(answer) => return Ok(answer.status.is_some()),
        Err(error) => error,
    };
    let body = error
        .raw_response()
        .filter(|response| response.status().is_success())
        .and_then(|response| response.body().bytes());
    body.and_then(|body| versions_by_moto(&String::from_utf8_lossy(body)))
        .ok_or_else(|| ListingError {
            operation: "GetBucketVersioning",
            bucket: bucket.to_owned(),
            cause: describe(&error),
        })
}

/// moto (5.2) calls the document GetBucketVersioningResponse, which the SDK refuses. Its content is S3's.
fn versions_by_moto(body: &str) -> Option<bool> {
    body.contains("<GetBucketVersioningResponse")
        .then(|| body.contains("<Status>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_motos_says_whether_it_has_versions() {
        let document = |content| format!("<?xml version=\"1.0\"?>\n<GetBucketVersioningResponse{content}");
        let never = document(" xmlns=\"x\"/>");
        let suspended = document("><Status>Suspended</Status></GetBucketVersioningResponse>");
        assert_eq!(versions_by_moto(&never), Some(false));
        assert_eq!(versions_by_moto(&suspended), Some(true));
        assert_eq!(versions_by_moto("<html>Log in</html>"), None);
    }
}
