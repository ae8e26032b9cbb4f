//! The parts that make a report evidence: the case, the circumstances of the run, and the key that
//! signs.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::args::{EvidenceArgs, ReportArgs, ReportKind};
use super::exit::Failure;
use super::secrets::{self, without_secrets};
use crate::disk;
use crate::keys::KeySource;
use crate::records::{CaseInfo, CircumstancesRecord};
use crate::report::SignEnvelope;
use crate::sign::{EnvelopeKey, SignError, SshSigner, signature_path};

impl From<SignError> for Failure {
    fn from(error: SignError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// The case in the form of a case file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    case: Option<String>,
    exhibit: Option<String>,
    examiner: Option<String>,
    #[serde(default)]
    notes: Vec<String>,
}

/// Reads the case from the command line and from the file that it names.
pub(super) fn case(args: &EvidenceArgs) -> Result<CaseInfo, Failure> {
    let file = match &args.case_file {
        Some(path) => {
            let wrong = |reason: String| {
                Failure::Usage(format!(
                    "the case file {} is not {{\"case\": …, \"exhibit\": …, \"examiner\": …, \"notes\": […]}}: \
                     {reason}",
                    path.display()
                ))
            };
            let text = disk::read_small(path).map_err(|error| wrong(error.to_string()))?;
            serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?
        }
        None => CaseFile::default(),
    };
    Ok(CaseInfo {
        case: args.case.clone().or(file.case),
        exhibit: args.exhibit.clone().or(file.exhibit),
        examiner: args.examiner.clone().or(file.examiner),
        notes: [file.notes, args.note.clone()].concat(),
    })
}

/// Returns the circumstances of this run, as far as they are known when it begins.
pub(super) fn circumstances(
    args: &EvidenceArgs,
    identity: Option<String>,
    keys: &dyn KeySource,
) -> Result<CircumstancesRecord, Failure> {
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    Ok(CircumstancesRecord {
        build: format!("{}-{}, {profile}", std::env::consts::ARCH, std::env::consts::OS),
        command: without_secrets(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
        host: gethostname::gethostname().into_string().ok(),
        identity,
        keys: Some(keys.origin()),
        clock_ahead_ms: None,
        case: case(args)?,
    })
}

/// The signer of reports.
pub(super) enum Signing {
    /// No signer.
    Nobody,
    /// An SSH key, which signs reports and envelopes.
    Ssh(Box<SshSigner>),
    /// A key in PEM, which signs envelopes alone.
    Pem(PathBuf),
}

impl Signing {
    /// Opens the key of a run, before any work is done.
    pub(super) fn open(args: &ReportArgs) -> Result<Self, Failure> {
        let Some(path) = &args.evidence.sign_key else { return Ok(Self::Nobody) };
        if EnvelopeKey::is_pem(path)? {
            EnvelopeKey::open_pem(path)?;
            if let Some((kind, _)) = args.report.iter().find(|(kind, _)| *kind != ReportKind::Intoto) {
                return Err(Failure::Usage(format!(
                    "a PEM key signs in-toto statements alone, and there is a report {kind:?}: sign it with an SSH key"
                )));
            }
            return Ok(Self::Pem(path.clone()));
        }
        let signer = SshSigner::open(path, || passphrase(path))?;
        if args.report.iter().any(|(kind, _)| *kind == ReportKind::Intoto) {
            EnvelopeKey::of_ssh(&signer)?;
        }
        Ok(Self::Ssh(Box::new(signer)))
    }

    /// Opens the key of a command that signs the custody log of a bag and no report.
    pub(super) fn of_custody(key: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = key else { return Ok(Self::Nobody) };
        if EnvelopeKey::is_pem(path)? {
            return Err(Failure::Usage(format!(
                "{} is a PEM key, which signs in-toto statements alone: a custody log is signed with an SSH key",
                path.display()
            )));
        }
        Ok(Self::Ssh(Box::new(SshSigner::open(path, || passphrase(path))?)))
    }

    /// Rejects a key that has nothing to sign. `bag` is true if the custody log of a bag is added
    /// to.
    pub(super) fn check_use(&self, args: &ReportArgs, bag: bool) -> Result<(), Failure> {
        let signs = match self {
            Self::Nobody => true,
            Self::Ssh(_) => bag || !args.report.is_empty(),
            Self::Pem(_) => !args.report.is_empty(),
        };
        if signs {
            return Ok(());
        }
        Err(Failure::Usage("--sign-key signs reports in files: name one with --report KIND=PATH".to_owned()))
    }

    /// Returns the SSH key, if that is the signer.
    pub(super) fn signer(&self) -> Option<&SshSigner> {
        match self {
            Self::Ssh(signer) => Some(signer),
            Self::Nobody | Self::Pem(_) => None,
        }
    }

    /// Returns the signer of envelopes, if there is one.
    pub(super) fn envelope(&self) -> Result<Option<Box<dyn SignEnvelope>>, SignError> {
        Ok(match self {
            Self::Nobody => None,
            Self::Ssh(signer) => Some(Box::new(Envelope(EnvelopeKey::of_ssh(signer)?))),
            Self::Pem(path) => Some(Box::new(Envelope(EnvelopeKey::open_pem(path)?))),
        })
    }

    /// Signs a report in a file. Returns the path of the signature and the signature.
    pub(super) fn sign(&self, report: &Path) -> io::Result<Option<(PathBuf, String)>> {
        let Self::Ssh(signer) = self else { return Ok(None) };
        let signature = signer.sign(&std::fs::read(report)?).map_err(io::Error::other)?;
        Ok(Some((signature_path(report), signature)))
    }
}

struct Envelope(EnvelopeKey);

impl SignEnvelope for Envelope {
    fn sign(&self, encoded: &[u8]) -> io::Result<(Vec<u8>, String)> {
        self.0.sign(encoded).map_err(io::Error::other)
    }
}

/// Returns the passphrase of a key, from the environment or from a prompt.
fn passphrase(path: &Path) -> io::Result<Zeroizing<String>> {
    if let Some(given) = secrets::passphrase() {
        return Ok(given);
    }
    if !io::stdin().is_terminal() {
        let hint = "it has a passphrase, and nobody can be asked for it: set CTVERIFY_SIGN_PASSPHRASE";
        return Err(io::Error::other(hint));
    }
    rpassword::prompt_password(format!("Passphrase of {}: ", path.display())).map(Zeroizing::new)
}
