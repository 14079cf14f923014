//! What an event's name says happened.

use crate::kind::Kind;

/// Bytes of a kind that has no name of its own.
const OTHER: usize = 64;

/// The kind of an event by its name, in any of its forms: `ObjectCreated:Put` (AWS, Ceph),
/// `s3:ObjectCreated:Put` (MinIO, RustFS), `Object Created` (EventBridge).
///
/// The names are those of "Supported event types for SQS, SNS, and Lambda" and "Using EventBridge" (Amazon S3
/// User Guide), of MinIO's `internal/event/name.go`, and of "Event Types" in Ceph's "S3 Bucket Notifications
/// Compatibility".
pub(super) fn kind(event_name: &str) -> Kind {
    let lower = event_name.to_lowercase();
    let words = lower.strip_prefix("s3:").unwrap_or(&lower);
    let compact: String = words
        .chars()
        .filter(|c| !matches!(c, ':' | ' ' | '_' | '-'))
        .collect();
    known(&compact).unwrap_or_else(|| Kind::from(truncated(words).to_owned()))
}

fn known(name: &str) -> Option<Kind> {
    Some(match name {
        // MinIO files these under ObjectCreated, though no content changes.
        "objecttaggingput" | "objecttagsadded" | "objectcreatedputtagging" => Kind::Tagged,
        "objecttaggingdelete" | "objecttagsdeleted" | "objectcreateddeletetagging" => Kind::Untagged,
        "objectcreatedputretention" | "objectcreatedputlegalhold" => return None,
        // A delete of what was not there, and the end of an upload that never became an object.
        "objectremovednoop" | "objectremovedabortmultipartupload" => return None,
        "objectlifecycleexpirationabortmpu" | "objectlifecycleexpirationabortmultipartupload" => return None,
        "objectrestorepost" | "objectrestoreinitiated" => Kind::RestoreRequested,
        "objectrestorecompleted" => Kind::Restored,
        "objectrestoredelete" | "objectrestoreexpired" => Kind::RestoreExpired,
        "objectaclput" | "objectaclupdated" => Kind::AclChanged,
        "lifecycletransition" | "objectstorageclasschanged" | "objecttransitioncomplete" => {
            Kind::Transitioned
        }
        "intelligenttiering" | "objectaccesstierchanged" => Kind::Transitioned,
        // Ceph, when another zone's change has arrived in this one.
        "objectsyncedcreate" | "replicationcreate" => Kind::Created,
        "objectsynceddelete" | "replicationdelete" => Kind::Removed,
        "objectsynceddeletionmarkercreated" | "replicationdeletionmarkercreated" => Kind::Removed,
        "objectdeleted" | "lifecycledelmarkerexpirationdelete" => Kind::Removed,
        name if name.starts_with("objectcreated") => Kind::Created,
        name if name.starts_with("objectremoved") => Kind::Removed,
        name if name.starts_with("lifecycleexpiration") => Kind::Removed,
        name if name.starts_with("objectlifecycleexpiration") => Kind::Removed,
        name if name.starts_with("objectlifecycletransition") => Kind::Transitioned,
        _ => return None,
    })
}

fn truncated(words: &str) -> &str {
    let mut end = words.len().min(OTHER);
    while !words.is_char_boundary(end) {
        end -= 1;
    }
    &words[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_same_in_every_form_of_a_name() {
        let same = [
            (
                Kind::Created,
                vec!["ObjectCreated:Put", "s3:ObjectCreated:Put", "Object Created"],
            ),
            (
                Kind::Created,
                vec!["ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"],
            ),
            (
                Kind::Created,
                vec![
                    "ObjectCreated:Post",
                    "ObjectSynced:Create",
                    "ObjectCreatedPut",
                    "object_created_put",
                ],
            ),
            (
                Kind::Removed,
                vec![
                    "ObjectRemoved:Delete",
                    "s3:ObjectRemoved:Delete",
                    "Object Deleted",
                ],
            ),
            (
                Kind::Removed,
                vec!["ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete"],
            ),
            (
                Kind::Removed,
                vec!["LifecycleExpiration:DeleteMarkerCreated", "ObjectSynced:Delete"],
            ),
            (
                Kind::Removed,
                vec![
                    "ObjectLifecycle:Expiration:Current",
                    "s3:ObjectRemoved:DeleteAllVersions",
                ],
            ),
            (
                Kind::Removed,
                vec![
                    "s3:LifecycleDelMarkerExpiration:Delete",
                    "Replication:DeletionMarkerCreated",
                ],
            ),
            (
                Kind::RestoreRequested,
                vec!["ObjectRestore:Post", "Object Restore Initiated"],
            ),
            (
                Kind::Restored,
                vec!["ObjectRestore:Completed", "Object Restore Completed"],
            ),
            (
                Kind::RestoreExpired,
                vec!["ObjectRestore:Delete", "Object Restore Expired"],
            ),
            (
                Kind::Tagged,
                vec![
                    "ObjectTagging:Put",
                    "Object Tags Added",
                    "s3:ObjectCreated:PutTagging",
                ],
            ),
            (
                Kind::Untagged,
                vec!["ObjectTagging:Delete", "Object Tags Deleted"],
            ),
            (Kind::Untagged, vec!["s3:ObjectCreated:DeleteTagging"]),
            (Kind::AclChanged, vec!["ObjectAcl:Put", "Object ACL Updated"]),
            (
                Kind::Transitioned,
                vec!["LifecycleTransition", "Object Storage Class Changed"],
            ),
            (
                Kind::Transitioned,
                vec!["IntelligentTiering", "Object Access Tier Changed"],
            ),
            (
                Kind::Transitioned,
                vec![
                    "s3:ObjectTransition:Complete",
                    "ObjectLifecycle:Transition:Noncurrent",
                ],
            ),
        ];
        for (expected, names) in same {
            for name in names {
                assert_eq!(kind(name), expected, "{name}");
            }
        }
    }

    #[test]
    fn a_name_without_a_kind_of_its_own_keeps_its_words() {
        let others = [
            ("ReducedRedundancyLostObject", "reducedredundancylostobject"),
            (
                "Replication:OperationFailedReplication",
                "replication:operationfailedreplication",
            ),
            (
                "s3:Replication:OperationCompletedReplication",
                "replication:operationcompletedreplication",
            ),
            ("s3:ObjectAccessed:Get", "objectaccessed:get"),
            ("s3:ObjectCreated:PutRetention", "objectcreated:putretention"),
            ("s3:ObjectCreated:PutLegalHold", "objectcreated:putlegalhold"),
            ("s3:ObjectRemoved:NoOP", "objectremoved:noop"),
            ("s3:ObjectTransition:Failed", "objecttransition:failed"),
            (
                "ObjectLifecycle:Expiration:AbortMPU",
                "objectlifecycle:expiration:abortmpu",
            ),
            ("ObjectAnnotation:Put", "objectannotation:put"),
            ("Object Something New", "object something new"),
        ];
        for (name, expected) in others {
            assert_eq!(kind(name), Kind::Other(expected.to_owned()), "{name}");
        }
    }

    #[test]
    fn a_long_name_ends_at_a_character() {
        let name = format!("{}한글", "x".repeat(62));
        assert_eq!(kind(&name), Kind::Other("x".repeat(62)));
        assert_eq!(kind(&"y".repeat(99)), Kind::Other("y".repeat(64)));
    }

    #[test]
    fn a_kind_reads_back_from_its_stored_form() {
        for name in [
            "created",
            "Tagged",
            "ObjectCreated:Put",
            "s3:Scanner:BigPrefix",
            "한글",
        ] {
            let kind = kind(name);
            assert_eq!(Kind::from(kind.as_str().to_owned()), kind, "{name}");
        }
    }
}
