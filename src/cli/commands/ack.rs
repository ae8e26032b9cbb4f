//! Acknowledging the findings of a scheduled audit.

use std::collections::BTreeSet;
use std::io::{self, Write};

use super::verify::{runtime, shut_down};
use crate::checkpoint::{Kept, Name, Place};
use crate::cli::args::AckArgs;
use crate::cli::aws::connect;
use crate::cli::custody::now;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::model::{Acknowledgement, ChainId, Checkpoint, FindingId, Open, OpenPoint, printable};
use crate::records::format_time as time;
use crate::store::S3;

/// Acknowledges findings, revokes acknowledgements, or lists both.
pub(crate) fn ack(args: &AckArgs) -> Result<u8, Failure> {
    let lists = args.ids.is_empty() && !args.all;
    if lists && (args.revoke || args.reason.is_some()) {
        let what = "no finding is named: give its ID, which reports have beside it, or --all";
        return Err(Failure::Usage(what.to_owned()));
    }
    let acknowledgement = match &args.reason {
        _ if lists || args.revoke => None,
        Some(reason) if !reason.trim().is_empty() => {
            Some(Acknowledgement { by: args.by.clone(), at: now(), reason: reason.clone() })
        }
        _ => {
            let what = "an acknowledgement needs a reason, which later reports state: --reason TEXT";
            return Err(Failure::Usage(what.to_owned()));
        }
    };
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let kept = open(args).await?;
        let mut checkpoint = kept.base().clone();
        if lists {
            return list(&mut io::stdout().lock(), &checkpoint).map_err(|error| cannot_write_standard(&error));
        }
        let changed = change(&mut checkpoint, args, acknowledgement.as_ref())?;
        kept.save(checkpoint).await?;
        say(&mut io::stdout().lock(), args, &changed).map_err(|error| cannot_write_standard(&error))
    });
    shut_down(runtime);
    done.map(|()| 0)
}

/// Opens the checkpoint.
async fn open(args: &AckArgs) -> Result<Kept, Failure> {
    let place = match &args.state {
        Name::File(path) => Place::File(path.clone()),
        Name::Object(object) => {
            let config = connect(&args.aws, "us-east-1").await?;
            Place::Object(Box::new(S3::new(config, object.to_string())), object.clone())
        }
    };
    let missing = || Failure::Usage(format!("there is no checkpoint {}: a run with --state makes it", args.state));
    Kept::load(place).await?.ok_or_else(missing)
}

/// Changes the acknowledgements of the findings that the arguments name, and returns a line about
/// each. If one of them can't be changed, none is.
fn change(
    checkpoint: &mut Checkpoint,
    args: &AckArgs,
    acknowledgement: Option<&Acknowledgement>,
) -> Result<Vec<String>, Failure> {
    let mut changed = Vec::new();
    let mut named: BTreeSet<FindingId> = args.ids.iter().copied().collect();
    let mut done: BTreeSet<FindingId> = BTreeSet::new();
    for (chain, checkpoint) in &mut checkpoint.chains {
        for point in checkpoint.open.iter_mut().filter(|point| point.since.is_some()) {
            let is_named = args.ids.contains(&point.id);
            named.remove(&point.id);
            match (&point.acknowledged, acknowledgement) {
                (Some(known), Some(_)) if is_named && !done.contains(&point.id) => {
                    let (id, by, at) = (point.id, who(known), time(known.at));
                    let what = format!("{id} was acknowledged {by} at {at} already: --revoke {id} undoes that");
                    return Err(Failure::Usage(what));
                }
                (None, None) if is_named && !done.contains(&point.id) => {
                    return Err(Failure::Usage(format!("{} is not acknowledged: nothing is to be revoked", point.id)));
                }
                (None, Some(_)) | (Some(_), None) if is_named || args.all => {
                    point.acknowledged = acknowledgement.cloned();
                    // Each digest that contradicts a chain is a point of the same finding.
                    if done.insert(point.id) {
                        changed.push(format!("{}  {}", point.id, title(chain, point)));
                    }
                }
                _ => {}
            }
        }
        let counted = checkpoint.counted.iter_mut().filter(|_| args.all);
        for group in counted.filter(|group| group.acknowledged.is_some() != acknowledgement.is_some()) {
            group.acknowledged = acknowledgement.cloned();
            let (count, what) = (group.count, &group.what);
            changed.push(format!("{count} of {what}, of which the checkpoint has no names, in {chain}"));
        }
    }
    if let Some(unknown) = named.first() {
        return Err(Failure::Usage(format!(
            "{} has no open finding {unknown}: 'ctverify ack --state {0}' lists those that it has. What later runs \
             do not report again, such as a gap left by logging that was off, needs no acknowledgement",
            args.state
        )));
    }
    Ok(changed)
}

fn say(out: &mut impl Write, args: &AckArgs, changed: &[String]) -> io::Result<()> {
    let done = if args.revoke { "revoked the acknowledgement of" } else { "acknowledged" };
    match changed.len() {
        0 => {
            return writeln!(out, "nothing to do: no finding is {}", if args.revoke { "acknowledged" } else { "open" });
        }
        1 => writeln!(out, "{done} 1 finding in {}:", printable(&args.state.to_string()))?,
        count => writeln!(out, "{done} {count} findings in {}:", printable(&args.state.to_string()))?,
    }
    for line in changed {
        writeln!(out, "  {}", printable(line))?;
    }
    if !args.revoke && args.by.is_none() {
        writeln!(out, "The acknowledgement has no name: --by gives it.")?;
    }
    Ok(())
}

/// Lists the findings that are open, and those that are acknowledged.
fn list(out: &mut impl Write, checkpoint: &Checkpoint) -> io::Result<()> {
    let points = || {
        let of_chain = |(chain, kept): (&'_ _, &'_ crate::model::ChainCheckpoint)| -> Vec<(ChainId, OpenPoint)> {
            let chain: &ChainId = chain;
            kept.open.iter().filter(|point| point.since.is_some()).map(|point| (chain.clone(), point.clone())).collect()
        };
        checkpoint.chains.iter().flat_map(of_chain)
    };
    let mut is_empty = true;
    for (heading, is_acknowledged) in [("Open", false), ("Acknowledged", true)] {
        let lines: Vec<_> = points().filter(|(_, point)| point.acknowledged.is_some() == is_acknowledged).collect();
        let counted = checkpoint.chains.iter().flat_map(|(chain, kept)| kept.counted.iter().map(move |of| (chain, of)));
        let counted: Vec<_> = counted.filter(|(_, group)| group.acknowledged.is_some() == is_acknowledged).collect();
        if lines.is_empty() && counted.is_empty() {
            continue;
        }
        is_empty = false;
        writeln!(out, "{heading}")?;
        let mut shown = BTreeSet::new();
        for (chain, point) in lines.into_iter().filter(|(_, point)| shown.insert(point.id)) {
            let since = point.since.map(time).unwrap_or_default();
            writeln!(out, "  {}  {}", point.id, printable(&title(&chain, &point)))?;
            writeln!(out, "                    reported since {since}")?;
            reason(out, point.acknowledged.as_ref())?;
        }
        for (chain, group) in counted {
            let what = format!("{} of {}, of which the checkpoint has no names, in {chain}", group.count, group.what);
            writeln!(out, "  {}", printable(&what))?;
            reason(out, group.acknowledged.as_ref())?;
        }
    }
    if is_empty {
        writeln!(out, "no finding is open or acknowledged")?;
    }
    Ok(())
}

fn reason(out: &mut impl Write, acknowledgement: Option<&Acknowledgement>) -> io::Result<()> {
    let Some(known) = acknowledgement else { return Ok(()) };
    let text = format!("acknowledged {} at {}: {}", who(known), time(known.at), known.reason);
    writeln!(out, "                    {}", printable(&text))
}

fn who(known: &Acknowledgement) -> String {
    known.by.as_deref().map_or("by somebody who gave no name".to_owned(), |by| format!("by {by}"))
}

/// Names a finding in one line.
fn title(chain: &ChainId, point: &OpenPoint) -> String {
    let title = point.what.title();
    match &point.what {
        Open::Digest { object, .. } | Open::LogFile { object, .. } | Open::Unlisted { object } => {
            format!("{title}  {object}")
        }
        Open::Gap { from, to, .. } => format!("{title}  {} to {}  {chain}", time(*from), time(*to)),
        Open::Contradicted { object, .. } => format!("{title}  {chain}  {object}"),
        Open::TailCut => format!("{title}  {chain}"),
    }
}
