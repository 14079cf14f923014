//! Every case by name, and how a run of all of them goes.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures::{FutureExt, StreamExt, future::LocalBoxFuture, stream};

use crate::{dynamodb, executions, services::Services, sqs_fifo, sqs_messages, sqs_queues};

/// A case that takes longer has failed.
const LONGEST: Duration = Duration::from_secs(40);

/// How many cases run at a time.
const AT_A_TIME: usize = 8;

pub struct Case {
    pub name: &'static str,
    run: fn(Services) -> LocalBoxFuture<'static, ()>,
}

macro_rules! cases {
    ($($module:ident: $($case:ident)*;)*) => {
        pub const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |services| Box::pin($module::$case(services)),
        },)*)*];
    };
}

cases! {
    sqs_messages:
        a_message_goes_round
        a_received_message_is_hidden_for_its_visibility_timeout
        a_visibility_timeout_of_zero_shows_it_at_once
        a_visibility_timeout_can_be_extended
        a_visibility_timeout_beyond_12_hours_is_refused
        the_visibility_of_a_deleted_message_cannot_change
        a_delayed_message_waits
        a_queue_can_delay_every_message
        a_delay_beyond_15_minutes_is_refused
        a_long_poll_returns_when_a_message_comes
        a_long_poll_without_a_message_ends_in_time
        receive_takes_ten_at_most_and_waits_20_seconds_at_most
        system_attributes_tell_a_messages_history
        message_attributes_come_back_with_their_digest
        the_trace_header_travels_with_the_message
        a_standard_queue_takes_a_group_id
        a_message_of_1_mib_is_taken_and_a_byte_more_is_not
        a_batch_is_1_mib_altogether
        a_batch_has_one_to_ten_entries
        the_ids_of_a_batch_are_distinct_and_plain
        one_bad_entry_does_not_fail_its_batch
        characters_outside_xml_are_refused
        a_receipt_handle_that_never_was_is_refused
        deleting_twice_succeeds
        an_outdated_receipt_handle_deletes_nothing
        a_batch_of_deletes_fails_entry_by_entry;
    sqs_queues:
        a_missing_queue_is_named_as_such
        creating_a_queue_twice_needs_the_same_attributes
        a_queue_is_found_by_name_and_prefix
        bad_names_are_refused
        bad_attributes_are_refused
        attributes_change_and_hold
        the_counts_follow_the_messages
        a_purge_empties_the_queue_once_a_minute
        a_message_received_too_often_becomes_a_dead_letter
        a_dead_letter_queue_must_exist
        dead_letters_move_back_to_their_source
        only_dead_letters_are_moved;
    sqs_fifo:
        a_group_waits_while_one_of_it_is_in_flight
        a_group_comes_in_the_order_it_was_sent
        a_message_given_back_keeps_its_place
        a_deduplication_id_counts_once_in_five_minutes
        content_deduplicates_where_the_queue_says_so
        a_fifo_message_needs_a_group_and_a_deduplication_id
        a_fifo_message_has_no_delay_of_its_own
        sequence_numbers_grow;
    executions:
        a_running_name_with_the_same_input_is_the_same_execution
        a_running_name_with_another_input_is_taken
        a_closed_name_is_taken_even_with_the_same_input
        a_name_belongs_to_its_state_machine
        an_execution_without_a_name_gets_one
        a_name_has_80_characters_and_no_forbidden_ones
        an_input_is_json
        an_input_has_256_kib
        a_missing_state_machine_is_named_as_such
        a_missing_execution_is_named_as_such
        a_stopped_execution_says_why
        an_execution_that_succeeds_has_an_output
        executions_are_listed_by_status_newest_first
        a_list_comes_in_pages
        creating_a_state_machine_twice_finds_it;
    dynamodb:
        a_conditional_put_keeps_the_first_row
        a_duplicate_in_a_batch_of_inserts_fails_alone
        two_statements_on_one_key_fail_the_whole_batch
        a_batch_has_25_statements_at_most
        an_update_in_a_batch_returns_the_new_row
        a_failed_condition_in_a_batch_shows_the_old_row
        an_update_removes_attributes
        deleting_a_missing_row_succeeds
        a_conditional_deletion_in_a_batch_shows_the_row_that_it_leaves
        a_row_without_the_index_key_is_not_in_the_index
        the_index_pages_in_order_of_its_sort_key
        write_units_count_the_index
        write_units_of_a_batch_are_told_per_table
        a_row_above_400_kb_fails_alone
        a_batch_get_finds_what_is_there
        a_cancelled_transaction_says_which_item_failed
        a_missing_table_is_named_as_such
        a_grant_is_refused_beyond_its_limit;
}

/// Whether a case agrees with AWS; if not, what it said.
pub struct Verdict {
    pub case: &'static str,
    pub difference: Option<String>,
}

/// Runs every case, several at a time; in the order of [`CASES`].
pub async fn run_all(services: &Services) -> Vec<Verdict> {
    let runs = CASES.iter().map(|case| {
        let services = services.clone();
        async move {
            Verdict {
                case: case.name,
                difference: run_one(case, services).await,
            }
        }
    });
    stream::iter(runs).buffered(AT_A_TIME).collect().await
}

async fn run_one(case: &Case, services: Services) -> Option<String> {
    // One case's panic is its verdict, and not the end of the others.
    let run = AssertUnwindSafe((case.run)(services)).catch_unwind();
    match tokio::time::timeout(LONGEST, run).await {
        Ok(Ok(())) => None,
        Ok(Err(panic)) => Some(said(panic.as_ref())),
        Err(_) => Some(format!("not done within {LONGEST:?}")),
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without words")
        .to_owned()
}
