//! The connection to AWS that the command line asks for.

use super::args::AwsArgs;
use super::exit::Failure;
use crate::aws::{Connection, ConnectionOptions, has_profile};

/// Loads the AWS configuration. Every call knows its region or learns it from the bucket; `home` is
/// the default region, if the configuration names none.
///
/// # Errors
///
/// Fails if the profile that is asked for does not exist: without it, other credentials would be
/// used, or none.
pub(super) async fn connect(args: &AwsArgs, home: &str) -> Result<Connection, Failure> {
    let of_environment = || std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    if let Some(name) = args.profile.clone().or_else(of_environment)
        && let Some(false) = has_profile(&name).await
    {
        return Err(Failure::CannotRun(format!(
            "there is no AWS profile '{name}': it is neither in ~/.aws/config nor in ~/.aws/credentials, or in the \
             files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name"
        )));
    }

    let options = ConnectionOptions {
        profile: args.profile.as_deref(),
        endpoint_url: args.endpoint_url.as_deref(),
        region: args.region.as_ref().map(|region| region.as_str()),
    };
    Ok(Connection::load(&options, home).await)
}
