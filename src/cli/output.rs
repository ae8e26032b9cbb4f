//! The output of reports: to standard output, or to files that appear only once they are complete.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice as StreamChoice};
use clap::{ColorChoice, ValueEnum as _};
use tempfile::NamedTempFile;

use super::args::{Format, ReportArgs, ReportKind, StandardOutput};
use super::evidence::Signing;
use super::exit::Failure;
use crate::audit::Observer;
use crate::disk::{create, target, write_whole};
use crate::model::printable;
use crate::records::{Allowances, Record};
use crate::report::{
    Annotations, Asff, Csv, CustodyHtml, CustodyJson, Emf, InToto, Json, Jsonl, Junit, Ocsf, Origin, Prometheus,
    Report, Sarif, SignEnvelope, Tampering, Text, TextOptions,
};
use crate::sign::signature_path;

/// The reports of a run.
pub(super) struct Reports {
    /// The report on standard output; `None` if there is none, or once that was closed by its reader while
    /// reports in files are still to be written.
    standard: Option<Box<dyn Report>>,
    /// The annotations that the runner of a GitHub workflow reads from standard error.
    annotations: Option<Annotations<io::Stderr>>,
    /// Each report with its path and the temporary file that is to be renamed to it.
    files: Vec<(PathBuf, Box<dyn Report>, Option<NamedTempFile>)>,
    signing: Arc<Signing>,
    /// The index of the first report that is not signed.
    unsigned: usize,
}

impl Reports {
    /// Opens every report that the command line asks for, before any work is done. `origin` is the
    /// origin of the records; `unsigned` are further reports, which are not signed.
    pub(super) fn open(
        args: &ReportArgs,
        allowed: &Allowances,
        origin: &Origin,
        unsigned: &[(ReportKind, PathBuf)],
        signing: Arc<Signing>,
    ) -> Result<Self, Failure> {
        let text = TextOptions {
            verbose: args.verbose,
            quiet: args.quiet,
            allowed: allowed.clone(),
            ..TextOptions::default()
        };
        let reports = args.report.iter().chain(unsigned).map(|(kind, path)| (*kind, path.as_path()));
        let reports = reports.filter(|(_, path)| !args.uploaded.iter().any(|uploaded| uploaded == path));
        let on_screen = TextOptions { width: terminal_width(), reports: links(reports), ..text.clone() };
        let options = Options { text: on_screen, origin: origin.clone(), signer: None, before: String::new() };
        let standard: Option<Box<dyn Report>> = match (args.standard, args.format) {
            (StandardOutput::Other | StandardOutput::Nothing, _) => None,
            (StandardOutput::Report, Format::Text) => {
                Some(make(ReportKind::Text, io::stdout(), colour_of_standard_output(args.color), options))
            }
            (StandardOutput::Report, Format::Jsonl) => Some(Box::new(Jsonl::new(BufWriter::new(StandardJson::new())))),
            (StandardOutput::Report, Format::Json) => Some(Box::new(Json::new(BufWriter::new(StandardJson::new())))),
        };
        let mut files = Vec::new();
        for (kind, path) in args.report.iter().chain(unsigned) {
            let refused = |error: io::Error| {
                Failure::CannotRun(format!("the report {} can't be written: {error}", path.display()))
            };
            let path = &target(path).map_err(refused)?;
            let (file, writer) = create(path).map_err(|error| {
                Failure::CannotRun(format!("the report {} can't be written: {error}", path.display()))
            })?;
            // A report in a file is written even if standard output is to be quiet.
            let text = TextOptions { quiet: false, ..text.clone() };
            let signer = if *kind == ReportKind::Intoto { signing.envelope()? } else { None };
            let metrics = *kind == ReportKind::Prometheus && path.is_file();
            let before = if metrics { std::fs::read_to_string(path).unwrap_or_default() } else { String::new() };
            let options = Options { text, signer, origin: origin.clone(), before };
            files.push((path.clone(), make(*kind, writer, StreamChoice::Never, options), file));
        }
        let in_workflow = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let annotations = in_workflow.then(|| Annotations::new(io::stderr(), allowed.clone()));
        Ok(Self { standard, annotations, files, signing, unsigned: args.report.len() })
    }

    /// Finishes every report and renames the files to their paths.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let written = |path: &Path| format!("the report {} can't be written", path.display());
        if let Some(mut standard) = self.standard.take() {
            match standard.finish() {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe && !self.files.is_empty() => {}
                finished => finished.map_err(|error| cannot_write_standard(&error))?,
            }
        }
        for (place, (path, mut report, file)) in self.files.into_iter().enumerate() {
            let failed = |error: io::Error| Failure::CannotRun(format!("{}: {error}", written(&path)));
            report.finish().map_err(failed)?;
            drop(report);
            if let Some(file) = file {
                file.as_file().sync_all().map_err(failed)?;
                let signs = place < self.unsigned;
                let signature = if signs { self.signing.sign(file.path()).map_err(failed)? } else { None };
                file.persist(&path).map_err(|error| failed(error.error))?;
                if let Some((_, text)) = signature {
                    let beside = signature_path(&path);
                    write_whole(&beside, text.as_bytes()).map_err(|error| {
                        Failure::CannotRun(format!("the signature {} can't be written: {error}", beside.display()))
                    })?;
                }
            }
        }
        Ok(())
    }
}

impl Observer for Reports {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        if let Some(standard) = &mut self.standard
            && let Err(error) = standard.record(record)
        {
            if error.kind() != io::ErrorKind::BrokenPipe || self.files.is_empty() {
                return Err(io::Error::new(error.kind(), format!("standard output: {error}")));
            }
            self.standard = None;
        }
        if let Some(annotations) = &mut self.annotations {
            // If standard error is closed, nobody reads the annotations.
            let _ = annotations.record(record);
        }
        for (path, report, _) in &mut self.files {
            report.record(record).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        }
        Ok(())
    }
}

/// The minimum width to which lines are wrapped: names are of no use in less.
const NARROWEST: usize = 40;

/// Returns the width of the terminal that standard output is; `None` if it is none.
pub(super) fn terminal_width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(usize::from(width.0).max(NARROWEST))
}

/// Returns the names of the reports as a terminal shows them, as links where it has links (OSC 8);
/// empty if standard output is no terminal.
fn links<'a>(reports: impl Iterator<Item = (ReportKind, &'a Path)>) -> Vec<String> {
    if !io::stdout().is_terminal() {
        return Vec::new();
    }
    let has_links = supports_hyperlinks::on(supports_hyperlinks::Stream::Stdout);
    let shown = |(kind, path): (ReportKind, &Path)| {
        let name = printable(&path.to_string_lossy()).into_owned();
        let url = std::path::absolute(path).ok().and_then(|path| reqwest::Url::from_file_path(path).ok());
        let name = match url.filter(|_| has_links) {
            Some(url) => format!("\u{1b}]8;;{url}\u{1b}\\{name}\u{1b}]8;;\u{1b}\\"),
            None => name,
        };
        let kind = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        format!("{kind:<10} {name}")
    };
    reports.map(shown).collect()
}

/// Returns whether the output of this process is read by a runner of jobs that takes `##[…]` in it
/// for a command.
fn in_job() -> bool {
    ["GITHUB_ACTIONS", "TF_BUILD"].iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Standard output for JSON. If a runner of jobs reads it, the second of two number signs, which
/// occur only in strings, is written as `\u0023`. A parser gets every name as it is.
struct StandardJson {
    out: io::Stdout,
    breaks_commands: bool,
    after_sign: bool,
}

impl StandardJson {
    fn new() -> Self {
        Self { out: io::stdout(), breaks_commands: in_job(), after_sign: false }
    }
}

impl Write for StandardJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.breaks_commands {
            return self.out.write(bytes);
        }
        let mut broken = Vec::with_capacity(bytes.len());
        for byte in bytes {
            match byte {
                b'#' if self.after_sign => broken.extend_from_slice(b"\\u0023"),
                other => broken.push(*other),
            }
            self.after_sign = *byte == b'#';
        }
        self.out.write_all(&broken)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Creates the failure for an error of writing to standard output.
pub(super) fn cannot_write_standard(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::OutputClosed;
    }
    Failure::CannotRun(format!("standard output can't be written: {error}"))
}

/// The options of a report in a file or on standard output.
struct Options {
    text: TextOptions,
    origin: Origin,
    signer: Option<Box<dyn SignEnvelope>>,
    /// The previous content of the file.
    before: String,
}

/// Creates a report. Text is styled, and the styles are stripped if `colour` says so; the other
/// kinds are written byte for byte.
fn make<W: RawStream + AsLockedWrite + Write + 'static>(
    kind: ReportKind,
    out: W,
    colour: StreamChoice,
    options: Options,
) -> Box<dyn Report> {
    let Options { text, origin, signer, before } = options;
    match kind {
        ReportKind::Text => Box::new(Text::new(BufWriter::new(AutoStream::new(out, colour)), text)),
        ReportKind::Tampering => Box::new(Tampering::new(BufWriter::new(out))),
        ReportKind::Jsonl => Box::new(Jsonl::new(BufWriter::new(out))),
        ReportKind::Json => Box::new(Json::new(BufWriter::new(out))),
        ReportKind::Csv => Box::new(Csv::new(BufWriter::new(out))),
        ReportKind::Prometheus => Box::new(Prometheus::new(BufWriter::new(out), &before)),
        ReportKind::Junit => Box::new(Junit::new(BufWriter::new(out))),
        ReportKind::Sarif => Box::new(Sarif::new(BufWriter::new(out))),
        ReportKind::Ocsf => Box::new(Ocsf::new(BufWriter::new(out))),
        ReportKind::Asff => Box::new(Asff::new(BufWriter::new(out))),
        ReportKind::Emf => Box::new(Emf::new(BufWriter::new(out))),
        ReportKind::Html => Box::new(CustodyHtml::new(BufWriter::new(out), origin)),
        ReportKind::Custody => Box::new(CustodyJson::new(BufWriter::new(out), origin)),
        ReportKind::Intoto => Box::new(InToto::new(BufWriter::new(out), origin, signer)),
    }
}

/// Returns the colour setting for standard output, which is resolved by whether it is a terminal.
pub(super) fn colour_of_standard_output(choice: ColorChoice) -> StreamChoice {
    match choice {
        ColorChoice::Always => StreamChoice::Always,
        ColorChoice::Never => StreamChoice::Never,
        // Only a terminal gets colour; NO_COLOR, CLICOLOR and TERM are respected there.
        ColorChoice::Auto if io::stdout().is_terminal() => AutoStream::choice(&io::stdout()),
        ColorChoice::Auto => StreamChoice::Never,
    }
}
