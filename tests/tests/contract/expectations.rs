//! Where the emulators are known to differ from AWS, and which page says that AWS does otherwise.

/// A case in which an implementation differs.
pub struct Difference {
    pub implementation: &'static str,
    pub case: &'static str,
    /// What it does instead.
    pub what: &'static str,
    /// The AWS page that the case rests on.
    pub page: &'static str,
}

const fn differs(
    implementation: &'static str,
    case: &'static str,
    what: &'static str,
    page: &'static str,
) -> Difference {
    Difference {
        implementation,
        case,
        what,
        page,
    }
}

const M: &str = "ministack";
const O: &str = "moto";

/// ministack 1.5.33 and moto 5.2.5, as they come.
pub const DIFFERENCES: &[Difference] = &[
    differs(
        M,
        "sqs_messages::a_visibility_timeout_beyond_12_hours_is_refused",
        "takes any timeout",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html",
    ),
    differs(
        M,
        "sqs_messages::a_delay_beyond_15_minutes_is_refused",
        "takes any delay",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html",
    ),
    differs(
        M,
        "sqs_messages::receive_takes_ten_at_most_and_waits_20_seconds_at_most",
        "clamps what is out of range",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html",
    ),
    differs(
        M,
        "sqs_messages::one_bad_entry_does_not_fail_its_batch",
        "takes any delay",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html",
    ),
    differs(
        M,
        "sqs_messages::deleting_twice_succeeds",
        "ReceiptHandleIsInvalid for a deleted message",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html",
    ),
    differs(
        M,
        "sqs_messages::an_outdated_receipt_handle_deletes_nothing",
        "ReceiptHandleIsInvalid for an outdated handle",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html",
    ),
    differs(
        M,
        "sqs_queues::bad_names_are_refused",
        "takes any name",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
    ),
    differs(
        M,
        "sqs_queues::bad_attributes_are_refused",
        "takes any value",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
    ),
    differs(
        M,
        "sqs_queues::a_purge_empties_the_queue_once_a_minute",
        "purges as often as asked",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html",
    ),
    differs(
        M,
        "sqs_queues::dead_letters_move_back_to_their_source",
        "has no StartMessageMoveTask",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    ),
    differs(
        M,
        "sqs_queues::only_dead_letters_are_moved",
        "has no StartMessageMoveTask",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    ),
    differs(
        M,
        "executions::a_running_name_with_the_same_input_is_the_same_execution",
        "ExecutionAlreadyExists for every name used before",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        M,
        "executions::a_name_has_80_characters_and_no_forbidden_ones",
        "takes any name",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        M,
        "executions::an_input_is_json",
        "takes any input",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        M,
        "executions::an_input_has_256_kib",
        "takes any length",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        M,
        "executions::a_missing_state_machine_is_named_as_such",
        "lists nothing for a missing machine",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html",
    ),
    differs(
        M,
        "executions::a_list_comes_in_pages",
        "takes any maxResults",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html",
    ),
    differs(
        M,
        "dynamodb::two_statements_on_one_key_fail_the_whole_batch",
        "runs them one after the other (dynoxide recorded AWS's refusal; no page tells of it)",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        M,
        "dynamodb::write_units_of_a_batch_are_told_per_table",
        "leaves the index out",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html",
    ),
    differs(
        O,
        "sqs_messages::characters_outside_xml_are_refused",
        "takes any character",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html",
    ),
    differs(
        O,
        "sqs_messages::an_outdated_receipt_handle_deletes_nothing",
        "deletes by any handle the message ever had",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessage.html",
    ),
    differs(
        O,
        "sqs_queues::bad_attributes_are_refused",
        "takes any value",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html",
    ),
    differs(
        O,
        "sqs_queues::a_message_received_too_often_becomes_a_dead_letter",
        "has no DeadLetterQueueSourceArn",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html",
    ),
    differs(
        O,
        "sqs_queues::dead_letters_move_back_to_their_source",
        "has no StartMessageMoveTask",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    ),
    differs(
        O,
        "sqs_queues::only_dead_letters_are_moved",
        "has no StartMessageMoveTask",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html",
    ),
    differs(
        O,
        "sqs_fifo::sequence_numbers_grow",
        "gives random sequence numbers",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html",
    ),
    differs(
        O,
        "executions::a_name_has_80_characters_and_no_forbidden_ones",
        "takes forbidden characters",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        O,
        "executions::an_input_has_256_kib",
        "takes any length",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html",
    ),
    differs(
        O,
        "executions::a_stopped_execution_says_why",
        "drops error and cause",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_StopExecution.html",
    ),
    differs(
        O,
        "executions::an_execution_that_succeeds_has_an_output",
        "runs no definition, unless told to at /moto-api/config",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html",
    ),
    differs(
        O,
        "executions::a_list_comes_in_pages",
        "takes any maxResults",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_ListExecutions.html",
    ),
    differs(
        O,
        "executions::creating_a_state_machine_twice_finds_it",
        "takes another definition under the same name",
        "https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html",
    ),
    differs(
        O,
        "dynamodb::write_units_count_the_index",
        "leaves the index out",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html",
    ),
    differs(
        O,
        "dynamodb::a_duplicate_in_a_batch_of_inserts_fails_alone",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::two_statements_on_one_key_fail_the_whole_batch",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::a_batch_has_25_statements_at_most",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::an_update_in_a_batch_returns_the_new_row",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::a_failed_condition_in_a_batch_shows_the_old_row",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::an_update_removes_attributes",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::deleting_a_missing_row_succeeds",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::a_conditional_deletion_in_a_batch_shows_the_row_that_it_leaves",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::write_units_of_a_batch_are_told_per_table",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "dynamodb::a_row_above_400_kb_fails_alone",
        "answers 500 to such a batch",
        "https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchExecuteStatement.html",
    ),
    differs(
        O,
        "sqs_fifo::a_deduplication_id_counts_once_in_five_minutes",
        "forgets the id when the message is deleted",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html",
    ),
];

/// The recorded difference, if this implementation has one in this case.
pub fn expected(implementation: &str, case: &str) -> Option<&'static Difference> {
    DIFFERENCES
        .iter()
        .find(|known| known.implementation == implementation && known.case == case)
}
