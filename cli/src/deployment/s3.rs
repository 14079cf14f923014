//! Where S3 is, as flags.

use std::fmt;

use clap::Args;
use daybook_inspect::aws::trouble::Trouble;
use daybook_ledger::Cause;

use crate::args::values;
use crate::aws::clients;
use crate::aws::clients::Aws;
use crate::deployment::Location;
use crate::ui::error::UserError;

/// The S3 to look at. Credentials come from AWS's own configuration, for a folder of this machine too.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "S3")]
pub struct S3Arguments {
    /// Endpoint, if not AWS's
    ///
    /// It implies --path-style
    #[arg(long, value_name = "URL", value_parser = values::endpoint)]
    #[arg(env = "AWS_ENDPOINT_URL_S3", hide_env_values = true)]
    s3_endpoint: Option<String>,

    /// Region of S3, if not AWS_REGION's or the profile's
    #[arg(
        long,
        value_name = "REGION",
        env = "DAYBOOK_S3_REGION",
        hide_env_values = true
    )]
    s3_region: Option<String>,

    /// Address buckets by path; always on with an endpoint
    #[arg(long)]
    path_style: bool,
}

/// An S3 that can be asked.
#[derive(Debug)]
pub struct S3Place {
    /// Asks it.
    pub client: aws_sdk_s3::Client,
    endpoint: Option<String>,
    region: String,
}

impl S3Arguments {
    /// The S3 that belongs to a deployment there.
    ///
    /// # Errors
    /// When no region is set, or no credentials can be had.
    pub async fn open(&self, location: &Location) -> Result<S3Place, UserError> {
        match location {
            Location::Aws { aws, .. } => Ok(self.at(aws)),
            Location::Local { .. } => Ok(self.at(&Aws::in_region(self.s3_region.clone()).await?)),
        }
    }

    /// The S3 beside that AWS.
    pub fn at(&self, aws: &Aws) -> S3Place {
        let given = self.s3_endpoint.clone().filter(|url| !url.is_empty());
        let endpoint = given.or_else(|| aws.endpoint_url().map(str::to_owned));
        let region = self.s3_region.as_deref().unwrap_or(aws.region());
        S3Place {
            client: aws.s3_client(endpoint.as_deref(), region, self.path_style),
            region: region.to_owned(),
            endpoint,
        }
    }

    /// Whether it is said where S3 is.
    pub fn is_given(&self) -> bool {
        self.s3_region.is_some() || self.s3_endpoint.as_ref().is_some_and(|url| !url.is_empty())
    }
}

impl S3Place {
    /// What to do about a failed request, if anything is known to help.
    pub fn advice(&self, cause: &Cause) -> Option<String> {
        let advice = match Trouble::of(cause) {
            Trouble::NoBucket => {
                format!(
                    "there is no such bucket at {self}: check the name, the endpoint (--s3-endpoint) and the account"
                )
            }
            Trouble::OtherRegion | Trouble::WithoutCode(301) => "the bucket is in another region: --s3-region names it".to_owned(),
            Trouble::Denied | Trouble::WithoutCode(403) => {
                "listing needs s3:ListBucket, s3:ListBucketVersions and s3:GetBucketVersioning on the bucket, and looking at \
                 an object s3:GetObject"
                    .to_owned()
            }
            Trouble::NotServed => {
                "does this server support versions? --versions never lists without them".to_owned()
            }
            Trouble::NotTheService => {
                format!(
                    "{self} answered, but not in the form of S3's API: is it S3 itself, not a console, portal or proxy? If it is, report this answer to its maker"
                )
            }
            Trouble::Unreachable | Trouble::NotSent | Trouble::WithoutCode(_) => {
                format!("is S3 up and reachable from here, at {self}?")
            }
            trouble => return clients::advice_on_credentials(trouble),
        };
        Some(advice)
    }
}

impl fmt::Display for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.endpoint {
            Some(endpoint) => f.write_str(endpoint),
            None => write!(f, "AWS, region {}", self.region),
        }
    }
}
