//! The three clients of one implementation, as a case uses them.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::{Credentials, Region};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use daybook_local::{LocalAws, Outcome, StartedExecution, Target};
use futures::future::BoxFuture;

/// What the executions of a case's state machine are to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Run until they are stopped.
    Wait,
    /// Succeed at once, with the input as output.
    Pass,
}

/// One implementation of AWS's three services.
#[derive(Clone)]
pub struct Services {
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub sqs: aws_sdk_sqs::Client,
    pub sfn: aws_sdk_sfn::Client,
    /// Set for the embedded AWS, which keeps a definition but runs a Rust target in its place.
    local: Option<LocalAws>,
}

struct Echo;

impl Target for Echo {
    fn run(&self, execution: StartedExecution) -> BoxFuture<'static, Outcome> {
        Box::pin(async move {
            Outcome::Succeeded {
                output: execution.input,
            }
        })
    }
}

impl Services {
    pub fn in_process(local: LocalAws) -> Self {
        let http_client = local.http_client();
        Self {
            local: Some(local),
            ..Self::over(http_client, "http://embedded.invalid")
        }
    }

    pub fn at(endpoint: &str, local: Option<LocalAws>) -> Self {
        let http_client = aws_smithy_http_client::Builder::new().build_http();
        Self {
            local,
            ..Self::over(http_client, endpoint)
        }
    }

    fn over(http_client: SharedHttpClient, endpoint: &str) -> Self {
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf(
                    $service::Config::builder()
                        .behavior_version($service::config::BehaviorVersion::latest())
                        .region(Region::new("us-east-1"))
                        .endpoint_url(endpoint)
                        .credentials_provider(Credentials::new(
                            "AKIDEXAMPLE",
                            "secret",
                            None,
                            None,
                            "contract",
                        ))
                        .http_client(http_client.clone())
                        .retry_config(aws_smithy_types::retry::RetryConfig::disabled())
                        .build(),
                )
            };
        }
        Self {
            dynamodb: client!(aws_sdk_dynamodb),
            sqs: client!(aws_sdk_sqs),
            sfn: client!(aws_sdk_sfn),
            local: None,
        }
    }

    /// A name that no other case, and no other run, uses.
    #[allow(
        clippy::disallowed_methods,
        reason = "names of one run, in emulators that outlive it"
    )]
    pub fn name(&self, stem: &str) -> String {
        format!("contract-{stem}-{:016x}", fastrand::u64(..))
    }

    /// A new state machine's ARN.
    pub async fn state_machine(&self, behaviour: Behaviour) -> String {
        let state = match behaviour {
            Behaviour::Wait => r#"{"Type":"Wait","Seconds":3600,"End":true}"#,
            Behaviour::Pass => r#"{"Type":"Pass","End":true}"#,
        };
        let created = self
            .sfn
            .create_state_machine()
            .name(self.name("machine"))
            .definition(format!(r#"{{"StartAt":"Only","States":{{"Only":{state}}}}}"#))
            .role_arn(role_arn())
            .send()
            .await
            .expect("a state machine is created");
        let arn = created.state_machine_arn().to_owned();
        if let (Some(local), Behaviour::Pass) = (&self.local, behaviour) {
            local.executions().set_target(&arn, Arc::new(Echo));
        }
        arn
    }
}

/// A role that Step Functions may take; emulators do not look.
pub fn role_arn() -> String {
    std::env::var("DAYBOOK_CONTRACT_ROLE_ARN")
        .unwrap_or_else(|_| "arn:aws:iam::000000000000:role/contract".to_owned())
}

/// Asks again until the answer is there, for what AWS shows with a delay; gives up after ten seconds.
pub async fn eventually<Answer>(what: &str, mut ask: impl AsyncFnMut() -> Option<Answer>) -> Answer {
    for _ in 0..100 {
        if let Some(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: not within ten seconds");
}

/// The error's code as the service named it; panics when there was no error.
pub fn code<T, E>(result: Result<T, aws_sdk_sqs::error::SdkError<E>>) -> String
where
    T: std::fmt::Debug,
    E: aws_smithy_types::error::metadata::ProvideErrorMetadata + std::fmt::Debug,
{
    let error = result.expect_err("the request is refused");
    let service = error
        .as_service_error()
        .unwrap_or_else(|| panic!("no answer from the service: {error:?}"));
    service.code().unwrap_or("(none)").to_owned()
}
