//! Where the demo plays: the embedded AWS with tables, queues and a state machine, and clients of it.

use std::sync::Arc;
use std::time::Duration;

use daybook_ledger::{Clock, Ledger, Random, ReceiptSettings};
use daybook_local::{LocalAws, QueueAttributes, RedrivePolicy, Target};
use daybook_manager::{Dispatch, DispatchQueue, Executions, Poll};
use daybook_schema::tables;

use crate::deployment::embedded::{Clients, create_table};

/// How often a message is received before it counts as undeliverable.
const MAX_RECEIVES: u32 = 5;

/// All parts.
#[derive(Clone)]
pub struct DemoPipeline {
    /// The embedded AWS.
    pub aws: LocalAws,
    /// The ledger.
    pub ledger: Ledger,
    /// N, windows, leases.
    pub dispatch: Dispatch,
    /// The queue that S3 sends to.
    pub intake: Poll,
    /// The queue between scheduler and invoker.
    pub dispatch_queue: Poll,
    /// The queue of status events.
    pub completion: Poll,
    /// The dead-letter queues of these three.
    pub dead_letters: Vec<String>,
    sfn: aws_sdk_sfn::Client,
    state_machine: String,
}

impl DemoPipeline {
    /// Makes everything, in memory.
    ///
    /// # Errors
    /// When a part cannot be made.
    pub async fn create(seed: u64, dispatch: Dispatch, target: Arc<dyn Target>) -> anyhow::Result<Self> {
        let aws = LocalAws::builder().seed(seed).build()?;
        let ledger_table = create_table(&aws, tables::LEDGER, "demo-ledger").await?;
        let receipts_table = create_table(&aws, tables::RECEIPTS, "demo-receipts").await?;
        let Clients { dynamodb, sqs, sfn } = Clients::of(&aws);
        let state_machine = aws.executions().create_state_machine("readings");
        aws.executions().set_target(&state_machine, target);
        let mut dead_letters = Vec::new();
        let mut queue = |name: &str| -> anyhow::Result<Poll> {
            let dead = format!("{name}-dead-letters");
            dead_letters.push(aws.sqs().create_queue(&dead, QueueAttributes::default())?);
            let redrive = RedrivePolicy {
                dead_letter_arn: aws.sqs().arn(&dead),
                max_receive_count: MAX_RECEIVES,
            };
            let attributes = QueueAttributes {
                redrive: Some(redrive),
                ..QueueAttributes::default()
            };
            Ok(Poll {
                client: sqs.clone(),
                queue_url: aws.sqs().create_queue(name, attributes)?,
                wait: Duration::ZERO,
            })
        };
        let (intake, dispatch_queue, completion) =
            (queue("intake")?, queue("dispatch")?, queue("completion")?);
        aws.executions().status_events_to_queue(&completion.queue_url);
        let receipts = ReceiptSettings {
            table: receipts_table,
            keep: Duration::from_secs(14 * 24 * 3600),
        };
        let random = Random::from_seed(seed);
        Ok(Self {
            ledger: Ledger::new(dynamodb, ledger_table, Some(receipts), Clock::system(), random),
            aws,
            dispatch,
            intake,
            dispatch_queue,
            completion,
            dead_letters,
            sfn,
            state_machine,
        })
    }

    /// The dispatch queue as the scheduler and the sweep see it.
    pub fn queue(&self) -> DispatchQueue {
        DispatchQueue::new(self.dispatch_queue.client.clone(), &self.dispatch_queue.queue_url)
    }

    /// The executions as the invoker and the sweep see them.
    pub fn executions(&self) -> Executions {
        Executions::new(self.sfn.clone(), &self.state_machine)
    }

    /// How many messages that queue holds.
    ///
    /// # Errors
    /// When there is no such queue.
    pub fn depth(&self, queue: &Poll) -> anyhow::Result<usize> {
        let depth = self.aws.sqs().depth(&queue.queue_url)?;
        Ok(depth.visible + depth.in_flight + depth.delayed)
    }
}
