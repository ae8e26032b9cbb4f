//! The check of a file of public keys against those that CloudTrail publishes (`--check-keys`).

use std::path::Path;

use jiff::Timestamp;

use crate::cli::args::SourceArgs;
use crate::cli::aws::connect;
use crate::cli::exit::Failure;
use crate::keys::{KeyFile, ListPublicKeys, unpublished};
use crate::model::{KeysFrom, WarningCode};
use crate::records::{KeysAsked, WarningRecord};

/// Describes a file of keys for the run record.
pub(crate) fn keys_of_file(file: &KeyFile, path: &Path, source: KeysFrom) -> KeysAsked {
    let path = Some(path.display().to_string());
    KeysAsked { source, path, sha256: file.sha256(), regions: file.regions() }
}

/// Compares a file of keys with those that CloudTrail publishes. A key that it does not publish
/// can't be trusted.
pub(crate) async fn check_keys(args: &SourceArgs) -> Result<Vec<WarningRecord>, Failure> {
    if !args.check_keys {
        return Ok(Vec::new());
    }
    let Some(path) = &args.keys else {
        let what =
            "--check-keys compares the keys of a bag or of a file with CloudTrail's: give --from BAG or --keys FILE";
        return Err(Failure::Usage(what.to_owned()));
    };
    let file = KeyFile::open(path)?;
    let regions = file.regions();
    if regions.is_empty() {
        return Err(Failure::Usage(format!(
            "{} does not say whose keys it has, so they can't be compared with CloudTrail's: make it {{REGION: \
             keys, …}}",
            path.display()
        )));
    }
    let partition = regions[0].partition().to_owned();
    let authority = ListPublicKeys::new(connect(&args.aws, regions[0].as_str()).await?, partition);
    let mut found = Vec::new();
    for region in regions {
        // If the check can't be made, the run fails: no warnings would look like a passed check.
        let failed = |error: crate::keys::KeySourceError| Failure::CannotRun(format!("--check-keys: {error}"));
        let foreign = unpublished(&file, &authority, &region, Timestamp::now()).await.map_err(failed)?;
        found.extend(foreign.iter().map(|key| {
            let detail = format!(
                "the public key {} of {region} in {} is none that CloudTrail publishes there: what rests on it \
                 proves nothing",
                key.fingerprint,
                path.display()
            );
            WarningRecord { code: WarningCode::KeyNotPublished, bucket: None, key: None, detail }
        }));
    }
    Ok(found)
}
