//! What is the matter with a failed request: decided by its code and its kind, never by its words.

use daybook_ledger::{Cause, CauseKind};

/// Why a request failed, as far as advice differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The table, queue or state machine does not exist.
    Absent,
    /// The bucket does not exist.
    NoBucket,
    /// The bucket is in another region.
    OtherRegion,
    /// The credentials are unknown or have expired.
    Credentials,
    /// The secret is wrong, or the clock.
    Signature,
    /// The credentials do not allow it, or the key of the encryption does not.
    Denied,
    /// The endpoint does not serve this operation.
    NotServed,
    /// Something answered that is not this service.
    NotTheService,
    /// An error of that HTTP status and without a code. S3 answers HEAD so, and otherwise no service does.
    WithoutCode(u16),
    /// Nothing answered.
    Unreachable,
    /// The request could not be sent.
    NotSent,
    /// A stored item that this release cannot read.
    Unreadable,
    /// The service's own words have to do.
    Other,
}

/// The codes of DynamoDB, SQS, Step Functions, CloudFormation and S3 ("Common errors" and "Errors" of their API References). The
/// short ones are those of BatchExecuteStatement's statements.
const CODES: [(Trouble, &[&str]); 7] = [
    (
        Trouble::Absent,
        &[
            "ResourceNotFoundException",
            "ResourceNotFound",
            "TableNotFoundException",
            "AWS.SimpleQueueService.NonExistentQueue",
            "QueueDoesNotExist",
            "StateMachineDoesNotExist",
        ],
    ),
    (Trouble::NoBucket, &["NoSuchBucket"]),
    (
        Trouble::OtherRegion,
        &[
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraint",
            "IllegalLocationConstraintException",
        ],
    ),
    (
        Trouble::Credentials,
        &[
            "UnrecognizedClientException",
            "UnrecognizedClient",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "InvalidToken",
            "ExpiredToken",
            "ExpiredTokenException",
        ],
    ),
    (
        Trouble::Signature,
        &[
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "RequestTimeTooSkewed",
        ],
    ),
    (
        Trouble::Denied,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AllAccessDisabled",
            "AuthorizationError",
            "Forbidden",
            "NotAuthorized",
            "UnauthorizedOperation",
        ],
    ),
    (
        Trouble::NotServed,
        &["NotImplemented", "UnknownOperation", "UnknownOperationException"],
    ),
];

/// What the codes of refusals by a key of KMS begin with.
const OF_KMS: [&str; 3] = ["KMS", "Kms", "AWS.SimpleQueueService.Kms"];

impl Trouble {
    /// What the matter is.
    pub fn of(cause: &Cause) -> Self {
        match cause.kind() {
            CauseKind::Service { code: Some(code), .. } => Self::of_code(code),
            CauseKind::Service { code: None, status } => Self::WithoutCode(*status),
            CauseKind::NotParsed => Self::NotTheService,
            CauseKind::NoConnection | CauseKind::NoAnswer => Self::Unreachable,
            CauseKind::NotSent => Self::NotSent,
            CauseKind::Unreadable => Self::Unreadable,
            CauseKind::Other => Self::Other,
        }
    }

    fn of_code(code: &str) -> Self {
        let known = CODES.iter().find(|(_, codes)| codes.contains(&code));
        match known {
            Some((trouble, _)) => *trouble,
            None if OF_KMS.iter().any(|begin| code.starts_with(begin)) => Self::Denied,
            None => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(code: Option<&str>, status: u16, words: &str) -> Cause {
        let code = code.map(str::to_owned);
        Cause::new(CauseKind::Service { code, status }, words.to_owned())
    }

    #[test]
    fn each_code_means_one_thing() {
        let codes: Vec<&str> = CODES.iter().flat_map(|(_, codes)| *codes).copied().collect();
        for code in &codes {
            assert_eq!(codes.iter().filter(|other| other == &code).count(), 1, "{code}");
        }
        for (code, trouble) in [
            ("AWS.SimpleQueueService.NonExistentQueue", Trouble::Absent),
            ("ExpiredTokenException", Trouble::Credentials),
            ("KMS.AccessDeniedException", Trouble::Denied),
            ("KmsDisabled", Trouble::Denied),
            ("ValidationException", Trouble::Other),
            ("NotAccessDenied", Trouble::Other),
        ] {
            assert_eq!(Trouble::of(&service(Some(code), 400, code)), trouble, "{code}");
        }
    }

    #[test]
    fn words_decide_nothing() {
        let words = "AccessDenied NoSuchBucket ResourceNotFoundException ExpiredToken KMS no connection, cannot be read";
        assert_eq!(
            Trouble::of(&service(Some("ValidationException"), 400, words)),
            Trouble::Other
        );
        assert_eq!(Trouble::of(&Cause::from(words)), Trouble::Other);
        assert_eq!(
            Trouble::of(&service(Some("NoSuchBucket"), 404, "AccessDenied")),
            Trouble::NoBucket
        );
    }

    #[test]
    fn what_has_no_code_goes_by_its_kind() {
        let of = |kind| Trouble::of(&Cause::new(kind, "AccessDenied"));
        assert_eq!(of(CauseKind::NoConnection), Trouble::Unreachable);
        assert_eq!(of(CauseKind::NoAnswer), Trouble::Unreachable);
        assert_eq!(of(CauseKind::NotParsed), Trouble::NotTheService);
        assert_eq!(of(CauseKind::NotSent), Trouble::NotSent);
        assert_eq!(of(CauseKind::Unreadable), Trouble::Unreadable);
        let without_code = Trouble::of(&service(None, 403, "AccessDenied"));
        assert_eq!(without_code, Trouble::WithoutCode(403));
    }
}
