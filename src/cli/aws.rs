//! The connection to AWS that the command line asks for.

use super::args::SourceArgs;
use crate::aws::{Connection, ConnectionOptions};

/// Loads the AWS configuration. Every call knows its region or learns it from the bucket; `home` is
/// the default region, if the configuration names none.
pub(super) async fn connect(args: &SourceArgs, home: &str) -> Connection {
    let options = ConnectionOptions {
        profile: args.profile.as_deref(),
        endpoint_url: args.endpoint_url.as_deref(),
        region: args.region.as_ref().map(|region| region.as_str()),
    };
    Connection::load(&options, home).await
}
