//! Reports of an estimate, for people and for machines.

use std::io::{self, Write};

use indicatif::{DecimalBytes, HumanCount};
use serde_json::json;

use super::text_style::{DIM, HEAD, counted};
use crate::model::{Estimate, Prices};

/// Writes an estimate for people.
pub fn estimate_text(out: &mut impl Write, estimate: &Estimate, prices: &Prices) -> io::Result<()> {
    let Estimate { digests, digest_bytes, sampled_digests, log_files, log_file_bytes, requests, seconds, .. } =
        estimate;
    writeln!(out, "{HEAD}What this run would read{HEAD:#}")?;
    let of = counted(estimate.chains, "chain");
    writeln!(out, "  digests    {} of {of}, {}", HumanCount(*digests), DecimalBytes(*digest_bytes))?;
    let from = counted(*sampled_digests, "digest");
    let size = DecimalBytes(*log_file_bytes);
    writeln!(
        out,
        "  log files  about {}, to read about {size} of them  {DIM}(guessed from {from}){DIM:#}",
        HumanCount(*log_files)
    )?;
    let (gets, lists) = (HumanCount(requests.get), HumanCount(requests.list));
    writeln!(out, "  requests   about {gets} GET and {lists} LIST")?;
    writeln!(out, "  time       about {}", duration(*seconds))?;
    let (charge, transfer) = (estimate.request_dollars(prices), estimate.transfer_dollars(prices));
    writeln!(
        out,
        "  S3 charges about ${charge:.4} for the requests, and ${transfer:.4} for transfer out of the bucket's \
         region, if it leaves it"
    )?;
    let spent = estimate.spent;
    writeln!(
        out,
        "{DIM}this estimate itself: {} read, {} listed{DIM:#}",
        counted(spent.get, "object"),
        counted(spent.list, "page")
    )
}

/// Writes an estimate as one JSON object.
pub fn estimate_json(out: &mut impl Write, estimate: &Estimate, prices: &Prices) -> io::Result<()> {
    let requests = |requests: crate::model::Requests| json!({ "get": requests.get, "list": requests.list, "other": requests.other });
    let record = json!({
        "record": "estimate",
        "chains": estimate.chains,
        "digests": estimate.digests,
        "digest_bytes": estimate.digest_bytes,
        "sampled_digests": estimate.sampled_digests,
        "log_files": estimate.log_files,
        "log_file_bytes": estimate.log_file_bytes,
        "requests": requests(estimate.requests),
        "seconds": estimate.seconds,
        "request_dollars": estimate.request_dollars(prices),
        "transfer_dollars": estimate.transfer_dollars(prices),
        "spent": requests(estimate.spent),
    });
    writeln!(out, "{record}")
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "a second".to_owned(),
        s if s < 120.0 => format!("{s:.0} seconds"),
        s if s < 7200.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}
