//! AWS as the environment describes it, and what to do when it does not answer as it should.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use daybook_inspect::aws::failure::AwsResource;
use daybook_inspect::aws::trouble::Trouble;
use daybook_ledger::{Cause, client_timeouts};
use daybook_manager::{DispatchQueue, IntakeQueue};

use crate::args::values;
use crate::ui::error::UserError;

/// Clients of the account that the environment names.
#[derive(Debug)]
pub struct Aws {
    config: SdkConfig,
    region: String,
    /// The stack that names things, and which ones.
    stack: Option<(String, Vec<AwsResource>)>,
}

impl Aws {
    /// By AWS's own configuration: environment, profile, single sign-on, container or instance role.
    ///
    /// # Errors
    /// When an endpoint is no URL, no region is set, or no credentials can be had.
    pub async fn from_environment() -> Result<Self, UserError> {
        Self::in_region(None).await
    }

    /// The same, in that region if one is given.
    ///
    /// # Errors
    /// As [`Aws::from_environment`].
    pub async fn in_region(region: Option<String>) -> Result<Self, UserError> {
        values::check_endpoint_variables()
            .map_err(|error| UserError::new("an endpoint cannot be used").because(anyhow::anyhow!(error)))?;
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(client_timeouts());
        if let Some(region) = region {
            loader = loader.region(Region::new(region));
        }
        let config = loader.load().await;
        // The variables are checked: what is wrong now is in a file.
        values::endpoint(config.endpoint_url().unwrap_or_default()).map_err(|allowed| {
            let given = values::redacted(config.endpoint_url().unwrap_or_default());
            UserError::new("an endpoint cannot be used").because(anyhow::anyhow!(
                "endpoint_url of the profile is {given:?}: {allowed}"
            ))
        })?;
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(UserError::new(match std::env::var("AWS_PROFILE") {
                Ok(profile) => format!("no AWS region is set, and profile {profile} (AWS_PROFILE) has none"),
                Err(_) => "no AWS region is set".to_owned(),
            })
                .hint("set AWS_REGION (such as AWS_REGION=eu-central-1), or AWS_PROFILE to a profile that has a region"));
        };
        let Some(provider) = config.credentials_provider() else {
            return Err(no_credentials());
        };
        match provider.provide_credentials().await {
            Ok(_) => Ok(Self {
                config,
                region,
                stack: None,
            }),
            Err(CredentialsError::CredentialsNotLoaded(_)) => Err(no_credentials()),
            Err(error) => Err(UserError::new("the AWS credentials cannot be loaded")
                .because(error)
                .hint("`aws sts get-caller-identity` uses the same configuration and says more; with single sign-on, `aws sso login` renews it")),
        }
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// These resources were named by that stack, not by flags.
    pub fn named_by_stack(&mut self, stack: &str, resources: Vec<AwsResource>) {
        self.stack = Some((stack.to_owned(), resources));
    }

    /// A client of DynamoDB.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    /// A client of CloudFormation.
    pub fn cloudformation(&self) -> aws_sdk_cloudformation::Client {
        aws_sdk_cloudformation::Client::new(&self.config)
    }

    /// The dispatch queue at that URL.
    pub fn dispatch_queue(&self, url: &str) -> DispatchQueue {
        DispatchQueue::new(self.queues(), url)
    }

    /// The intake queue at that URL.
    pub fn intake_queue(&self, url: &str) -> IntakeQueue {
        IntakeQueue::new(self.queues(), url)
    }

    /// A client of SQS.
    pub fn queues(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    /// The SDK's client of S3, at that endpoint.
    pub fn s3_client(&self, endpoint: Option<&str>, region: &str, path_style: bool) -> aws_sdk_s3::Client {
        let mut config = aws_sdk_s3::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .force_path_style(path_style || endpoint.is_some())
            .timeout_config(listing_timeouts());
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(values::endpoint_of_s3(endpoint));
        }
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// The endpoint of all services, if one is set.
    pub fn endpoint_url(&self) -> Option<&str> {
        self.config.endpoint_url().filter(|url| !url.is_empty())
    }

    /// A client of Step Functions.
    pub fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.config)
    }

    /// A client of Lambda.
    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        aws_sdk_lambda::Client::new(&self.config)
    }

    /// What to do about a failed request, if anything is known to help.
    pub fn advice(&self, resource: AwsResource, cause: &Cause) -> Option<String> {
        let region = &self.region;
        // CloudFormation has no code of its own for a stack that does not exist.
        let is_absent_stack = resource == AwsResource::Stack && cause.code() == Some("ValidationError");
        match Trouble::of(cause) {
            Trouble::Absent => Some(self.advice_on_absence(resource)),
            Trouble::Other if is_absent_stack => Some(self.advice_on_absence(resource)),
            Trouble::Denied => Some(
                "the credentials are known, but their policy does not allow this; the message says which action"
                    .to_owned(),
            ),
            Trouble::NotTheService => {
                let server = self.endpoint(resource).map_or("AWS".to_owned(), |(url, _)| url);
                Some(format!(
                    "{server} answered, but not as this service does: is a proxy, a portal or another server in between?"
                ))
            }
            Trouble::Unreachable | Trouble::WithoutCode(_) => Some(match self.endpoint(resource) {
                Some((url, named_by)) => {
                    format!("the endpoint is {url}, as {named_by} says: is it up and reachable from here?")
                }
                None => format!(
                    "is AWS in region {region} reachable from here? A proxy or a missing VPC endpoint may be in the way"
                ),
            }),
            trouble => advice_on_credentials(trouble),
        }
    }

    fn advice_on_absence(&self, resource: AwsResource) -> String {
        let named_by = match &self.stack {
            Some((stack, resources)) if resources.contains(&resource) => format!("the stack {stack}"),
            _ => flag(resource).to_owned(),
        };
        let endpoint = self.endpoint(resource);
        let endpoint = endpoint.map_or_else(String::new, |(url, _)| format!(" (at {url})"));
        format!(
            "{named_by} names something that is not in region {} of this account{endpoint}: check name, region and account",
            self.region
        )
    }

    /// The endpoint that requests about it go to, if it is not AWS's, and what names it.
    fn endpoint(&self, resource: AwsResource) -> Option<(String, &'static str)> {
        let of_service = endpoint_variable(resource);
        let given = std::env::var(of_service).ok().filter(|url| !url.is_empty());
        given.map(|url| (url, of_service)).or_else(|| {
            let url = self.endpoint_url()?.to_owned();
            Some((url, "AWS_ENDPOINT_URL (or the profile)"))
        })
    }
}

/// The variable that names the endpoint of its service alone.
fn endpoint_variable(resource: AwsResource) -> &'static str {
    match resource {
        AwsResource::Ledger | AwsResource::Receipts => "AWS_ENDPOINT_URL_DYNAMODB",
        AwsResource::Queue | AwsResource::Intake => "AWS_ENDPOINT_URL_SQS",
        AwsResource::StateMachine => "AWS_ENDPOINT_URL_SFN",
        AwsResource::Stack => "AWS_ENDPOINT_URL_CLOUDFORMATION",
    }
}

/// The flag that names it.
fn flag(resource: AwsResource) -> &'static str {
    match resource {
        AwsResource::Ledger => "--ledger-table (DAYBOOK_LEDGER_TABLE)",
        AwsResource::Receipts => "--receipts-table (DAYBOOK_RECEIPTS_TABLE)",
        AwsResource::Queue => "--dispatch-queue-url (DAYBOOK_DISPATCH_QUEUE_URL)",
        AwsResource::Intake => "--intake-queue-url (DAYBOOK_INTAKE_QUEUE_URL)",
        AwsResource::StateMachine => "--state-machine-arn (DAYBOOK_STATE_MACHINE_ARN)",
        AwsResource::Stack => "--stack (DAYBOOK_STACK)",
    }
}

/// What to do about refused credentials, whatever service refused them.
pub fn advice_on_credentials(trouble: Trouble) -> Option<String> {
    let advice = match trouble {
        Trouble::Credentials => {
            "the credentials are wrong, have expired, or belong to another endpoint; \
             `aws sts get-caller-identity` shows whose they are"
        }
        Trouble::Signature => {
            "the secret access key does not belong to the access key id, or this machine's clock is wrong"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// A page of a listing takes longer than a row of a table, most of all from small servers.
fn listing_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(90))
        .build()
}

fn no_credentials() -> UserError {
    let what = match std::env::var("AWS_PROFILE") {
        Ok(profile) => format!("no AWS credentials were found, and none in profile {profile} (AWS_PROFILE)"),
        Err(_) => "no AWS credentials were found".to_owned(),
    };
    UserError::new(what).hint(
        "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached; \
         `aws configure` or `aws sso login` sets a profile up",
    )
}

#[cfg(test)]
mod tests {
    use daybook_ledger::CauseKind;

    use super::*;

    fn aws() -> Aws {
        Aws {
            config: SdkConfig::builder().build(),
            region: "eu-central-1".to_owned(),
            stack: Some(("photos".to_owned(), vec![AwsResource::Queue])),
        }
    }

    /// Words that meant something while advice was chosen by them.
    const WORDS: &str = "AccessDenied ResourceNotFound does not exist ExpiredToken InvalidSignature KMS no connection without a code";

    fn advice(resource: AwsResource, kind: CauseKind) -> Option<String> {
        aws().advice(resource, &Cause::new(kind, WORDS))
    }

    fn service(code: &str) -> CauseKind {
        CauseKind::Service {
            code: Some(code.to_owned()),
            status: 400,
        }
    }

    #[test]
    fn each_kind_has_its_advice() {
        for (resource, kind, begin) in [
            (
                AwsResource::Ledger,
                service("ResourceNotFoundException"),
                "--ledger-table (DAYBOOK_LEDGER_TABLE) names something that is not in region eu-central-1",
            ),
            (
                AwsResource::Queue,
                service("AWS.SimpleQueueService.NonExistentQueue"),
                "the stack photos names something that is not in region",
            ),
            (
                AwsResource::StateMachine,
                service("StateMachineDoesNotExist"),
                "--state-machine-arn (DAYBOOK_STATE_MACHINE_ARN) names",
            ),
            (
                AwsResource::Stack,
                service("ValidationError"),
                "--stack (DAYBOOK_STACK) names",
            ),
            (
                AwsResource::Ledger,
                service("ExpiredTokenException"),
                "the credentials are wrong, have expired",
            ),
            (
                AwsResource::Ledger,
                service("InvalidSignatureException"),
                "the secret access key does not belong",
            ),
            (
                AwsResource::Ledger,
                service("AccessDeniedException"),
                "the credentials are known",
            ),
            (
                AwsResource::Queue,
                service("KmsDisabled"),
                "the credentials are known",
            ),
            (
                AwsResource::Ledger,
                CauseKind::NotParsed,
                "AWS answered, but not as",
            ),
            (
                AwsResource::Ledger,
                CauseKind::NoConnection,
                "is AWS in region eu-central-1 reachable",
            ),
            (AwsResource::Ledger, CauseKind::NoAnswer, "is AWS in region"),
            (
                AwsResource::Ledger,
                CauseKind::Service {
                    code: None,
                    status: 403,
                },
                "is AWS in region",
            ),
        ] {
            let advice = advice(resource, kind.clone()).unwrap_or_default();
            assert!(advice.starts_with(begin), "{kind:?}: {advice}");
        }
    }

    #[test]
    fn words_choose_no_advice() {
        assert_eq!(advice(AwsResource::Ledger, service("ValidationException")), None);
        assert_eq!(advice(AwsResource::Queue, service("ValidationError")), None);
        assert_eq!(advice(AwsResource::Stack, CauseKind::Other), None);
    }
}
