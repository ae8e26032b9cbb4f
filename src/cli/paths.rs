//! The check that no output of a run overwrites an input, another output, or what is examined. It
//! is made before anything is read.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use super::args::{
    CollectArgs, CopyArgs, EventArgs, EventsArgs, FileArgs, MergeArgs, RemakeArgs, ReportArgs, ReportKind, SourceArgs,
    VerifyArgs,
};
use super::commands::is_standard_input;
use super::exit::Failure;
use crate::checkpoint::Name;
use crate::disk;
use crate::sign::signature_path;

/// A path of the command line, with the words that name it in a message.
struct Named {
    name: String,
    path: PathBuf,
}

/// The paths of a command line, by what the run does with them.
#[derive(Default)]
struct Paths {
    /// Files that the run writes.
    outputs: Vec<Named>,
    /// Files that the run reads.
    inputs: Vec<Named>,
    /// Folders in which nothing may be written.
    folders: Vec<Named>,
}

/// Checks the paths of a verification.
pub(super) fn check_verify(args: &VerifyArgs) -> Result<(), Failure> {
    of_verify(args).check()
}

/// Checks the paths of a verification without looking whether they can be written, as this machine may
/// not be the one on which they are.
pub(super) fn compare_verify(args: &VerifyArgs) -> Result<(), Failure> {
    of_verify(args).compare()
}

/// Checks the paths of a verification of single files.
pub(super) fn check_file(args: &FileArgs) -> Result<(), Failure> {
    let mut paths = Paths::default();
    paths.add_source(&args.copy, &args.source);
    paths.add_outputs(&args.reports);
    paths.check()
}

/// Checks the paths of a collection.
pub(super) fn check_collect(args: &CollectArgs) -> Result<(), Failure> {
    let mut paths = of_verify(&args.verify);
    paths.outputs.extend(args.zip.iter().map(|path| Named::new("--zip", path)));
    paths.add_folder_of_output("--output", &args.output, &args.verify.copy)?;
    paths.check()
}

/// Checks the paths of a run that emits events, whose verification has the arguments `verification`.
pub(super) fn check_events(args: &EventsArgs, verification: &VerifyArgs) -> Result<(), Failure> {
    let mut paths = of_verify(verification);
    if let Some(parquet) = &args.parquet {
        paths.add_folder_of_output("--parquet", parquet, &args.copy)?;
    }
    paths.outputs.extend(args.output.iter().map(|path| Named::new("--output", path)));
    paths.check()
}

/// Checks the paths of a run that proves or compares single events.
pub(super) fn check_event(args: &EventArgs) -> Result<(), Failure> {
    let mut paths = of_verify(&args.verification());
    paths.outputs.extend(args.output.iter().map(|path| Named::new("--output", path)));
    paths.inputs.extend(args.matched.iter().map(|path| Named::new("--match", path)));
    paths.check()
}

/// Checks the paths of a merge.
pub(super) fn check_merge(args: &MergeArgs, reports: &ReportArgs) -> Result<(), Failure> {
    let mut paths = Paths::default();
    let plan = Path::new(&args.plan);
    let folder = if plan.is_dir() { plan } else { plan.parent().unwrap_or(plan) };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    paths.folders.push(Named::new("--plan", folder));
    paths.folders.push(Named::new("--results", Path::new(&args.results)));
    if let Some(Name::File(path)) = &args.checkpoint {
        paths.outputs.push(Named::new("--checkpoint", path));
    }
    paths.add_outputs(reports);
    paths.check()
}

/// Checks the paths of reports that are made of saved records.
pub(super) fn check_report(args: &RemakeArgs) -> Result<(), Failure> {
    let mut paths = Paths::default();
    if !is_standard_input(&args.records) {
        paths.inputs.push(Named::new("the records", &args.records));
    }
    paths.add_outputs(&args.reports);
    paths.check()
}

fn of_verify(args: &VerifyArgs) -> Paths {
    let mut paths = Paths::default();
    paths.add_source(&args.copy, &args.source);
    let inputs = [("--config", &args.config), ("--signer", &args.signer)];
    paths.inputs.extend(inputs.into_iter().filter_map(|(name, path)| Some(Named::new(name, path.as_deref()?))));
    if let Some(Name::File(path)) = &args.scheduled.state {
        paths.outputs.push(Named::new("--state", path));
    }
    paths.add_outputs(&args.reports);
    paths
}

impl Named {
    fn new(name: impl Into<String>, path: &Path) -> Self {
        Self { name: name.into(), path: path.to_owned() }
    }
}

impl Paths {
    fn add_source(&mut self, copy: &CopyArgs, args: &SourceArgs) {
        self.folders.extend(copy.from.iter().map(|path| Named::new("--from", path)));
        self.inputs.extend(copy.from.iter().filter(|path| path.is_file()).map(|path| Named::new("--from", path)));
        self.inputs.extend(args.keys.iter().map(|path| Named::new("--keys", path)));
    }

    /// Adds a folder that the run makes, and in which nothing else may be written.
    fn add_folder_of_output(&mut self, name: &str, folder: &Path, copy: &CopyArgs) -> Result<(), Failure> {
        if let Some(from) = copy.from.as_ref().filter(|from| is_inside(folder, from)) {
            return Err(Failure::Usage(format!(
                "{name} {} lies in the folder of --from {}, which is left as it is: give it another path",
                folder.display(),
                from.display()
            )));
        }
        self.folders.push(Named::new(name, folder));
        Ok(())
    }

    fn add_outputs(&mut self, args: &ReportArgs) {
        let evidence = &args.evidence;
        let inputs = [("--case-file", &evidence.case_file), ("--sign-key", &evidence.sign_key)];
        self.inputs.extend(inputs.into_iter().filter_map(|(name, path)| Some(Named::new(name, path.as_deref()?))));
        for (kind, path) in &args.report {
            let name = format!("--report {}", name_of(*kind));
            if evidence.sign_key.is_some() && *kind != ReportKind::Intoto {
                self.outputs.push(Named::new(format!("the signature of {name}"), &signature_path(path)));
            }
            self.outputs.push(Named::new(name, path));
        }
    }

    fn check(&self) -> Result<(), Failure> {
        self.compare()?;
        // Found out now, and not after hours of reading.
        for output in self
            .outputs
            .iter()
            .filter(|output| ["--state", "--checkpoint", "--zip", "--output"].contains(&&*output.name))
        {
            let tried = disk::target(&output.path).and_then(|path| disk::create(&path).map(drop));
            if let Err(error) = tried {
                return Err(Failure::CannotRun(format!(
                    "{} {} can't be written: {error}",
                    output.name,
                    output.path.display()
                )));
            }
        }
        Ok(())
    }

    /// Compares the paths with each other.
    fn compare(&self) -> Result<(), Failure> {
        for (index, output) in self.outputs.iter().enumerate() {
            if output.path == Path::new("-") {
                return Err(Failure::Usage(format!(
                    "{}=- names no file: choose what standard output gets with --format, or write ./- for a file of \
                     that name",
                    output.name
                )));
            }
            // Everything may be written to a device, such as /dev/null, at once.
            if output.path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir()) {
                continue;
            }
            let shown = output.path.display();
            if let Some(input) = self.inputs.iter().find(|input| is_same(&input.path, &output.path)) {
                let (name, input) = (&output.name, &input.name);
                return Err(Failure::Usage(format!(
                    "{name} would overwrite {shown}, which {input} names: give it another path"
                )));
            }
            if let Some(other) = self.outputs[..index].iter().find(|other| is_same(&other.path, &output.path)) {
                let (name, other) = (&output.name, &other.name);
                return Err(Failure::Usage(format!(
                    "{other} and {name} both write to {shown}: give each its own path"
                )));
            }
            if let Some(folder) = self.folders.iter().find(|folder| is_inside(&output.path, &folder.path)) {
                return Err(Failure::Usage(format!(
                    "{} would write {shown} into the folder of {}, which is left as it is: give it another path",
                    output.name, folder.name
                )));
            }
        }
        Ok(())
    }
}

/// The word for a kind of report on the command line.
fn name_of(kind: ReportKind) -> String {
    use clap::ValueEnum as _;
    kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Returns whether two paths lead to the same file, which need not exist.
fn is_same(one: &Path, other: &Path) -> bool {
    match (one.metadata(), other.metadata()) {
        (Ok(first), Ok(second)) => is_same_file(&first, &second).unwrap_or_else(|| whole(one) == whole(other)),
        _ => whole(one) == whole(other),
    }
}

/// Returns whether two files are the same, by links too; `None` where that is unknown.
#[cfg(unix)]
fn is_same_file(one: &Metadata, other: &Metadata) -> Option<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Some((one.dev(), one.ino()) == (other.dev(), other.ino()))
}

#[cfg(not(unix))]
fn is_same_file(_: &Metadata, _: &Metadata) -> Option<bool> {
    None
}

/// Returns whether a path lies in a folder, which need not exist.
fn is_inside(path: &Path, folder: &Path) -> bool {
    !folder.is_file() && whole(path).starts_with(whole(folder))
}

/// Returns the path without links, as far as it exists.
fn whole(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or(path.to_owned());
    for ancestor in absolute.ancestors() {
        if let (Ok(found), Ok(rest)) = (ancestor.canonicalize(), absolute.strip_prefix(ancestor)) {
            return if rest.as_os_str().is_empty() { found } else { found.join(rest) };
        }
    }
    absolute
}
