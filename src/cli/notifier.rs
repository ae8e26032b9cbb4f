//! Notices: decides whether one is due, and sends it to its targets.

use zeroize::Zeroizing;

use super::args::{NoticeArgs, NotifyOn, VerifyArgs};
use super::aws::connect;
use super::exit::Failure;
use super::secrets::{self, WEBHOOK as SECRET};
use crate::aws::Connection;
use crate::disk;
use crate::model::Verdict;
use crate::notice::{Notice, Secret, Target, send};
use crate::report::Brief;

/// Sends notices about the findings of a run.
pub(super) struct Notifier {
    targets: Vec<Target>,
    on: NotifyOn,
    secret: Option<Secret>,
    config: Connection,
}

impl Notifier {
    /// Creates the notifier that the command line asks for; `None` if it names no target. A fault
    /// in the arguments is reported before any work is done.
    pub(super) async fn new(args: &VerifyArgs) -> Result<Option<Self>, Failure> {
        let NoticeArgs { notify, notify_on, webhook_secret_file } = &args.notices;
        if notify.is_empty() {
            return Ok(None);
        }
        let targets = targets(notify)?;
        let hooks = targets.iter().any(|target| matches!(target, Target::Webhook(_)));
        let secret = match webhook_secret_file {
            Some(path) => {
                let text = disk::read_small_text(path).map_err(|error| {
                    Failure::Usage(format!("the secret in {} can't be read: {error}", path.display()))
                })?;
                Some((path.display().to_string(), Zeroizing::new(text)))
            }
            None => secrets::webhook().map(|text| (SECRET.to_owned(), text)),
        };
        let secret = secret.filter(|_| hooks).map(|(place, text)| {
            Secret::read(&text)
                .map_err(|reason| Failure::Usage(format!("the webhook secret in {place} is none: {reason}")))
        });
        let secret = secret.transpose()?;
        if hooks && secret.is_none() {
            return Err(Failure::Usage(format!(
                "a webhook is signed, so that its receiver can trust it: give --webhook-secret-file FILE, or \
                 set {SECRET}"
            )));
        }
        let config = connect(&args.source.aws, "us-east-1").await?;
        Ok(Some(Self { targets, on: *notify_on, secret, config }))
    }

    /// Sends a notice, if one is due.
    pub(super) async fn notify(&self, brief: &Brief) -> Result<(), Failure> {
        let Some(summary) = brief.summary() else { return Ok(()) };
        let due = match self.on {
            NotifyOn::Change => brief.is_news(),
            NotifyOn::Violation => summary.verdict == Verdict::Violated,
        };
        if !due {
            return Ok(());
        }
        let notice = Notice {
            subject: brief.subject(),
            text: brief.text(),
            json: brief.json(),
            verdict: summary.verdict.as_str(),
            id: brief.id(),
        };
        tracing::info!(targets = self.targets.len(), "a notice is sent");
        let sent = send(&notice, &self.targets, &self.config, self.secret.as_ref()).await;
        sent.map_err(|error| Failure::CannotRun(format!("{error}; the reports that were asked for are written")))
    }
}

/// Parses the targets of notices. They are not parsed by clap, which would show them in its errors: they
/// may be secrets.
pub(super) fn targets(notify: &[String]) -> Result<Vec<Target>, Failure> {
    let wrong = |reason: String| Failure::Usage(format!("--notify: {reason}"));
    notify.iter().map(|text| text.parse().map_err(wrong)).collect()
}
