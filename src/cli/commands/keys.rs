//! A file of the public keys of many regions, for runs that ask nothing of AWS.

use std::collections::BTreeSet;
use std::io::Write as _;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::verify::{interruption, runtime, shut_down};
use crate::aws::Connection;
use crate::cli::args::{KeysArgs, RegionChoice};
use crate::cli::aws::connect;
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::disk::write_whole;
use crate::keys::{KeySet, KeySource as _, KeySourceError, ListPublicKeys, listing};
use crate::model::{Region, TimeArgument, printable};
use crate::records::format_time as time;
use crate::trail::regions_of;
use crate::verify::sha256;

/// The start of the month in which CloudTrail was introduced. No key is older.
const CLOUDTRAIL_BEGAN: Timestamp = Timestamp::constant(1_383_264_000, 0);
/// The number of regions that are asked at once.
const AT_ONCE: usize = 8;

/// Asks CloudTrail for public keys, and writes them to a file.
pub(crate) fn keys(args: &KeysArgs) -> Result<u8, Failure> {
    let now = now();
    let resolve =
        |at: Option<TimeArgument>, default| at.map_or(Ok(default), |at| at.resolve(now)).map_err(Failure::Usage);
    let (from, to) = (resolve(args.start, CLOUDTRAIL_BEGAN)?, resolve(args.end, now)?);
    if from >= to {
        return Err(Failure::Usage(format!("--start {} is not before --end {}", time(from), time(to))));
    }
    let shown = args.output.display().to_string();
    if args.output.symlink_metadata().is_ok() {
        return Err(Failure::Usage(format!("--output {shown} is there already: name another file, or move it away")));
    }
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = write(args, (from, to), now) => done,
            () = interruption() => Err(Failure::Interrupted),
        }
    });
    shut_down(runtime);
    done.map(|()| 0)
}

async fn write(args: &KeysArgs, (from, to): (Timestamp, Timestamp), now: Timestamp) -> Result<(), Failure> {
    let named: BTreeSet<Region> = args
        .regions
        .iter()
        .filter_map(|region| match region {
            RegionChoice::One(region) => Some(region.clone()),
            RegionChoice::All => None,
        })
        .collect();
    let first = named.first().map_or("us-east-1", |region| region.as_str()).to_owned();
    let config = connect(&args.aws, &first).await?;
    let partition = named.first().cloned().or_else(|| config.region());
    let partition = partition.map_or("aws".to_owned(), |region| region.partition().to_owned());
    let is_all = args.regions.contains(&RegionChoice::All);
    let asked: BTreeSet<Region> = if is_all { regions_of(&partition).chain(named.clone()).collect() } else { named };
    let source = ListPublicKeys::new(config.clone(), partition);
    let answers: Vec<(Region, Result<KeySet, KeySourceError>)> = stream::iter(asked)
        .map(|region| async {
            let answer = source.keys(&region, from, to).await;
            (region, answer)
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    let endpoint = endpoint_of(&config);
    let (mut file, mut count, mut left_out) = (Map::new(), 0, Vec::new());
    for (region, answer) in answers {
        match answer {
            Ok(set) => {
                count += set.listed.len();
                let mut keys = listing(&set.listed);
                keys["Asked"] = json!({
                    "StartTime": time(from), "EndTime": time(to), "Endpoint": endpoint, "At": time(now),
                });
                file.insert(region.to_string(), keys);
            }
            // Regions that the account has not enabled take no credentials.
            Err(error) if is_all => left_out.push(error.to_string()),
            Err(error) => return Err(Failure::CannotRun(format!("{error}; no file was written"))),
        }
    }
    if count == 0 {
        let reasons =
            if left_out.is_empty() { "no region has a key of that time".to_owned() } else { left_out.join("; ") };
        return Err(Failure::CannotRun(format!("no public key was obtained, and no file was written: {reasons}")));
    }
    let failed =
        |error: std::io::Error| Failure::CannotRun(format!("{} can't be written: {error}", args.output.display()));
    let regions = file.len();
    let mut bytes = serde_json::to_vec_pretty(&Value::Object(file)).map_err(|error| failed(error.into()))?;
    bytes.push(b'\n');
    write_whole(&args.output, &bytes).map_err(failed)?;
    let hash = sha256(&bytes);
    let mut text = format!(
        "{}: {count} public keys of {regions} regions, for digests from {} to {}\nSHA-256 {hash}, from {endpoint}\n",
        args.output.display(),
        time(from),
        time(to),
    );
    for reason in left_out {
        text += &format!("left out: {}\n", printable(&reason));
    }
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| cannot_write_standard(&error))
}

/// Describes where CloudTrail was asked.
fn endpoint_of(config: &Connection) -> String {
    config.endpoint("CloudTrail").unwrap_or_else(|| "the endpoint of AWS in each region".to_owned())
}
