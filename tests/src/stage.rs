//! All parts on one stage: the embedded AWS with tables, queues and a state machine, the movers, virtual time.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_runtime::invocation_id::DefaultInvocationIdGenerator;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime::client::retries::RetryPartition;
use aws_smithy_types::retry::RetryConfig;
use daybook_ledger::{Clock, Deadline, Ledger, Random, ReceiptSettings, TableName, Window, client_timeouts};
use daybook_local::{LocalAws, QueueAttributes, RedrivePolicy};
use daybook_manager::{
    AttemptTarget, Batch, Completed, Completer, Dispatch, DispatchQueue, Disposition, Executions,
    FunctionTarget, Immediate, Ingest, Ingested, Invoked, Invoker, Pace, Payload, Poll, QueueCompletion,
    QueueTarget, Scheduler, Start,
};
use daybook_reconciler::{SweepSettings, Sweeper};
use daybook_schema::notification::Reading;
use daybook_schema::{Timestamp, tables};
use tokio::time::Instant;

use crate::dynoxide::Dynoxide;
use crate::lambda_service::{LambdaService, TARGET_FUNCTION};
use crate::wire::Wire;

/// 2026-11-21T00:00:00Z: when every stage's day begins.
pub const EPOCH_SECONDS: i64 = 1_795_219_200;

/// How a stage is set up.
#[derive(Clone, Debug)]
pub struct StageOptions {
    /// Everything random derives from it.
    pub seed: u64,
    /// N, windows, leases, attempts.
    pub dispatch: Dispatch,
    /// Whether the state machine is an Express one. What its executions tell of their ends the test sends.
    pub express: bool,
    /// What attempts are handed to.
    pub target: StageTarget,
    /// Whether the dispatch queue is FIFO.
    pub fifo: bool,
    /// How long receipts stay; `None` is receipts off.
    pub receipts: Option<Duration>,
    /// The three queues.
    pub queues: Queues,
    /// Whether dynoxide has the tables, instead of the embedded engine.
    pub dynoxide: bool,
}

/// What attempts are handed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StageTarget {
    /// The state machine.
    #[default]
    StateMachine,
    /// A function of [`Stage::functions`].
    Function,
    /// A queue, of which events are done then; FIFO or not.
    Queue(QueueCompletion, bool),
}

/// The settings of the three queues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// S3's notifications.
    pub intake: QueueOptions,
    /// What the scheduler sends.
    pub dispatch: QueueOptions,
    /// The ends of executions.
    pub completion: QueueOptions,
}

impl Queues {
    /// The same, with that many receives on each before a message becomes a dead letter.
    pub fn received_at_most(mut self, count: u32) -> Self {
        for queue in [&mut self.intake, &mut self.dispatch, &mut self.completion] {
            queue.max_receive_count = count;
        }
        self
    }
}

/// How long a queue hides and keeps a message, and how often it hands it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOptions {
    /// How long a received message stays hidden.
    pub visibility: Duration,
    /// How often a message may be received before its dead-letter queue has it.
    pub max_receive_count: u32,
    /// How long a message is kept.
    pub retention: Duration,
    /// How long its dead-letter queue keeps a message, counted from when it was first sent.
    pub dead_letter_retention: Duration,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            visibility: Duration::from_secs(120),
            max_receive_count: 1000,
            retention: Duration::from_secs(14 * 24 * 3600),
            dead_letter_retention: Duration::from_secs(14 * 24 * 3600),
        }
    }
}

impl Default for StageOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            dispatch: Dispatch::default(),
            express: false,
            target: StageTarget::StateMachine,
            fifo: false,
            receipts: Some(Duration::from_secs(14 * 24 * 3600)),
            queues: Queues::default(),
            dynoxide: false,
        }
    }
}

/// The stage.
#[derive(Clone)]
pub struct Stage {
    /// The embedded AWS.
    pub aws: LocalAws,
    /// The way to it.
    pub wire: Wire,
    /// Virtual time.
    pub clock: Clock,
    /// The DynamoDB client, faults included.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The SQS client, faults included.
    pub sqs: aws_sdk_sqs::Client,
    /// The Step Functions client, faults included.
    pub sfn: aws_sdk_sfn::Client,
    /// Lambda.
    pub functions: LambdaService,
    /// The Lambda client.
    pub lambda: aws_sdk_lambda::Client,
    /// The ledger.
    pub ledger: Ledger,
    /// The options it was made with.
    pub options: StageOptions,
    /// URL of the intake queue.
    pub intake: String,
    /// URL of the dispatch queue.
    pub dispatch_queue: String,
    /// URL of the completion queue, which gets the executions' status events.
    pub completion: String,
    /// The state machine.
    pub state_machine: String,
    /// URL of the queue that is the target; empty where none is.
    pub target_queue: String,
}

/// tokio's clock as the SDK's.
#[derive(Clone, Copy, Debug)]
struct VirtualTime {
    origin: Instant,
}

impl VirtualTime {
    fn since(&self) -> Duration {
        Instant::now() - self.origin
    }
}

impl TimeSource for VirtualTime {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + Duration::from_secs(EPOCH_SECONDS as u64) + self.since()
    }
}

/// An SDK client on that wire. A macro, because their configurations are types of their own with the same methods.
macro_rules! client {
    ($sdk:ident, $wire:expr, $time:expr, $seed:expr) => {{
        let config = $sdk::Config::builder()
            .behavior_version($sdk::config::BehaviorVersion::latest())
            .region($sdk::config::Region::new("us-east-1"))
            .endpoint_url("http://stage.invalid")
            .credentials_provider(Credentials::new("AKID", "secret", None, None, "stage"))
            .http_client($wire.http_client())
            .time_source($time)
            .sleep_impl(TokioSleep::new())
            .identity_cache($sdk::config::IdentityCache::no_cache())
            .stalled_stream_protection($sdk::config::StalledStreamProtectionConfig::disabled())
            .timeout_config(client_timeouts())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            // Otherwise all runs of a process share one bucket of retry tokens, and no two runs are the same.
            .retry_partition(RetryPartition::custom("stage").build())
            .invocation_id_generator(DefaultInvocationIdGenerator::with_seed($seed))
            .build();
        $sdk::Client::from_conf(config)
    }};
}

impl Stage {
    /// A stage with everything as usual.
    pub async fn usual() -> Self {
        Self::new(StageOptions::default()).await
    }

    /// A stage with these options. Runs only on a current-thread runtime whose clock is paused.
    pub async fn new(options: StageOptions) -> Self {
        // The SDK's retry jitter draws from this thread's generator.
        fastrand::seed(options.seed);
        let time = VirtualTime {
            origin: Instant::now(),
        };
        let millis = move || EPOCH_SECONDS * 1000 + i64::try_from(time.since().as_millis()).unwrap();
        let clock = Clock::new(move || Timestamp::from_unix_millis(millis()).unwrap());
        let local_clock: daybook_local::Clock =
            Arc::new(move || chrono::DateTime::from_timestamp_millis(millis()).unwrap());
        let mut aws = LocalAws::builder().clock(local_clock.clone()).seed(options.seed);
        if options.dynoxide {
            aws = aws.dynamodb(Arc::new(Dynoxide::new(local_clock)));
        }
        let aws = aws.build().unwrap();
        let wire = Wire::new(aws.clone());
        create_tables(&aws).await;
        let queues = options.queues;
        let intake = create_queue(&aws, "intake", &queues.intake, false);
        let dispatch_queue = create_queue(&aws, "dispatch", &queues.dispatch, options.fifo);
        let completion = create_queue(&aws, "completion", &queues.completion, false);
        let target_queue = match options.target {
            StageTarget::Queue(_, fifo) => create_queue(&aws, "work", &QueueOptions::default(), fifo),
            StageTarget::StateMachine | StageTarget::Function => String::new(),
        };
        let state_machine = match options.express {
            true => aws.executions().create_express_state_machine("work"),
            false => aws.executions().create_state_machine("work"),
        };
        aws.executions().status_events_to_queue(&completion);
        let (dynamodb, sqs, sfn) = clients(&wire, time, options.seed);
        let functions = LambdaService::default();
        let lambda = client!(aws_sdk_lambda, functions, time, options.seed);
        let ledger = Ledger::new(
            dynamodb.clone(),
            table("ledger"),
            options.receipts.map(|keep| ReceiptSettings {
                table: table("receipts"),
                keep,
            }),
            clock.clone(),
            Random::from_seed(options.seed),
        );
        Self {
            aws,
            wire,
            clock,
            dynamodb,
            sqs,
            sfn,
            functions,
            lambda,
            ledger,
            options,
            intake,
            dispatch_queue,
            completion,
            state_machine,
            target_queue,
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A deadline a minute from now, as a Lambda function would have.
    pub fn deadline(&self) -> Deadline {
        Deadline::after(&self.clock, Duration::from_secs(60))
    }

    /// The window of now.
    pub fn window(&self) -> Window {
        Window::at(self.now(), self.options.dispatch.window)
    }

    /// The mover that records.
    pub fn ingest(&self) -> Ingest {
        let dispatch = &self.options.dispatch;
        let ingest = Ingest::new(self.ledger.clone(), Reading::default(), dispatch.max_attempts);
        match dispatch.start {
            Start::Scheduled => ingest,
            Start::Immediate => ingest.dispatching(Immediate::new(dispatch.clone(), self.queue())),
        }
    }

    /// Ingests payloads as if each had arrived by itself; every row of each must be safe.
    pub async fn ingest_all(&self, payloads: &[String]) {
        let payloads: Vec<Payload> = payloads
            .iter()
            .map(|body| Payload {
                body: body.clone(),
                ..Payload::default()
            })
            .collect();
        for ingested in self.ingest().ingest(&payloads, self.deadline()).await {
            assert!(ingested.is_safe(), "{ingested:?}");
        }
    }

    /// URL of the queue that has the dead letters of this one.
    pub fn dead_letters_of(&self, queue: &str) -> String {
        match queue.strip_suffix(".fifo") {
            Some(name) => format!("{name}-dead.fifo"),
            None => format!("{queue}-dead"),
        }
    }

    /// The dispatch queue, as the scheduler and the sweep see it.
    pub fn queue(&self) -> DispatchQueue {
        DispatchQueue::new(self.sqs.clone(), &self.dispatch_queue)
    }

    /// The executions, as the invoker and the sweep see them.
    pub fn executions(&self) -> Executions {
        Executions::new(self.sfn.clone(), &self.state_machine)
    }

    /// What the invoker hands attempts to.
    pub fn target(&self) -> AttemptTarget {
        match self.options.target {
            StageTarget::StateMachine => self.executions().into(),
            StageTarget::Function => FunctionTarget::new(self.lambda.clone(), TARGET_FUNCTION).into(),
            StageTarget::Queue(completion, _) => {
                QueueTarget::new(self.sqs.clone(), &self.target_queue, completion).into()
            }
        }
    }

    /// The mover that claims and sends.
    pub fn scheduler(&self) -> Scheduler {
        Scheduler::new(self.ledger.clone(), self.queue(), self.options.dispatch.clone())
    }

    /// The mover that hands attempts to the target.
    pub fn invoker(&self) -> Invoker {
        Invoker::new(
            self.ledger.clone(),
            self.target(),
            self.options.dispatch.clone(),
            Pace::per_second(100),
        )
    }

    /// The mover that settles rows.
    pub fn completer(&self) -> Completer {
        Completer::new(self.ledger.clone(), self.target(), self.options.dispatch.retry)
    }

    /// The sweep.
    pub fn sweeper(&self) -> Sweeper {
        Sweeper::of_target(
            self.ledger.clone(),
            self.queue(),
            self.target(),
            self.options.dispatch.clone(),
            SweepSettings::default(),
        )
    }

    fn poll(&self, url: &str) -> Poll {
        Poll {
            client: self.sqs.clone(),
            queue_url: url.to_owned(),
            wait: Duration::ZERO,
        }
    }

    /// Receives once from the intake queue and records; how many messages there were, `None` when SQS did not answer.
    pub async fn pump_ingest(&self) -> Option<usize> {
        let poll = self.poll(&self.intake);
        let batch = poll.receive().await.ok()?;
        let outcomes = self.ingest().handle(&batch.messages, self.deadline()).await;
        let dispositions: Vec<Disposition> = outcomes.iter().map(Ingested::disposition).collect();
        finish(&poll, batch, &dispositions).await
    }

    /// Receives once from the dispatch queue and starts executions.
    pub async fn pump_invoke(&self) -> Option<usize> {
        let poll = self.poll(&self.dispatch_queue);
        let batch = poll.receive().await.ok()?;
        let outcomes = self.invoker().handle(&batch.messages, self.deadline()).await;
        let dispositions: Vec<Disposition> = outcomes.iter().map(Invoked::disposition).collect();
        finish(&poll, batch, &dispositions).await
    }

    /// Receives once from the completion queue and settles rows.
    pub async fn pump_complete(&self) -> Option<usize> {
        let poll = self.poll(&self.completion);
        let batch = poll.receive().await.ok()?;
        let outcomes = self.completer().handle(&batch.messages, self.deadline()).await;
        let dispositions: Vec<Disposition> = outcomes.iter().map(Completed::disposition).collect();
        finish(&poll, batch, &dispositions).await
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// Acknowledges what is to be acknowledged; how many messages there were, if SQS said that it is done.
async fn finish(poll: &Poll, batch: Batch, dispositions: &[Disposition]) -> Option<usize> {
    let messages = batch.messages.len();
    poll.acknowledge(batch, dispositions)
        .await
        .ok()
        .map(|()| messages)
}

fn table(name: &str) -> TableName {
    name.parse().unwrap()
}

pub(crate) async fn create_tables(aws: &LocalAws) {
    for definition in [tables::LEDGER, tables::RECEIPTS] {
        let name = definition.role;
        let created = aws
            .handle(
                "DynamoDB_20120810.CreateTable",
                definition.create_table(name).to_string().as_bytes(),
            )
            .await;
        assert_eq!(created.status, 200, "{created:?}");
        if let Some(ttl) = definition.enable_ttl(name) {
            let enabled = aws
                .handle("DynamoDB_20120810.UpdateTimeToLive", ttl.to_string().as_bytes())
                .await;
            assert_eq!(enabled.status, 200, "{enabled:?}");
        }
    }
}

/// Creates a queue and its dead-letter queue; the URL of the first.
fn create_queue(aws: &LocalAws, name: &str, options: &QueueOptions, fifo: bool) -> String {
    let suffix = if fifo { ".fifo" } else { "" };
    let dead = format!("{name}-dead{suffix}");
    let letters = QueueAttributes {
        retention: options.dead_letter_retention,
        fifo,
        ..QueueAttributes::default()
    };
    aws.sqs().create_queue(&dead, letters).unwrap();
    let redrive = RedrivePolicy {
        dead_letter_arn: aws.sqs().arn(&dead),
        max_receive_count: options.max_receive_count,
    };
    let attributes = QueueAttributes {
        visibility_timeout: options.visibility,
        retention: options.retention,
        fifo,
        redrive: Some(redrive),
        ..QueueAttributes::default()
    };
    aws.sqs()
        .create_queue(&format!("{name}{suffix}"), attributes)
        .unwrap()
}

fn clients(
    wire: &Wire,
    time: VirtualTime,
    seed: u64,
) -> (aws_sdk_dynamodb::Client, aws_sdk_sqs::Client, aws_sdk_sfn::Client) {
    (
        client!(aws_sdk_dynamodb, wire, time, seed),
        client!(aws_sdk_sqs, wire, time, seed),
        client!(aws_sdk_sfn, wire, time, seed),
    )
}
