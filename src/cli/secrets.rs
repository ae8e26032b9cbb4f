//! Secrets from the environment. They are removed from it before anything else is done, since other
//! processes inherit it, such as a `credential_process` of the AWS configuration.

use std::sync::OnceLock;

use zeroize::Zeroizing;

/// The variable that holds the passphrase of a signing key.
pub(super) const PASSPHRASE: &str = "CTVERIFY_SIGN_PASSPHRASE";
/// The variable that holds the secret of webhooks, if no file does.
pub(super) const WEBHOOK: &str = "CTVERIFY_WEBHOOK_SECRET";

/// The values of the variables when the process was started.
static TAKEN: OnceLock<[Option<Zeroizing<String>>; 2]> = OnceLock::new();

/// Runs the program without these variables, and ends the process with the exit code that `run`
/// returns. Must be called before any thread is started.
pub(super) fn without(run: impl FnOnce() -> u8) -> std::process::ExitCode {
    let value = |name: &str| std::env::var(name).ok().map(Zeroizing::new);
    TAKEN.get_or_init(|| [value(PASSPHRASE), value(WEBHOOK)]);
    temp_env::with_vars_unset([PASSPHRASE, WEBHOOK], || {
        // The variables are not put back: other threads may be reading the environment.
        std::process::exit(i32::from(run()))
    })
}

/// Returns the passphrase of a signing key, if it was set.
pub(super) fn passphrase() -> Option<Zeroizing<String>> {
    TAKEN.get().and_then(|taken| taken[0].clone())
}

/// Returns the secret of webhooks, if it was set.
pub(super) fn webhook() -> Option<Zeroizing<String>> {
    TAKEN.get().and_then(|taken| taken[1].clone())
}

/// Removes the targets of webhooks from a command line, because their paths are secrets.
pub(super) fn without_secrets(words: impl Iterator<Item = String>) -> Vec<String> {
    let shown = |word: &str| match word.find("webhook:") {
        Some(at) => format!("{}webhook:…", &word[..at]),
        None => word.to_owned(),
    };
    words.map(|word| shown(&word)).collect()
}
