//! Secrets from the environment: taken out of it before anything else is done, since other processes inherit it,
//! such as a `credential_process` of the AWS configuration.

use std::sync::OnceLock;

use zeroize::Zeroizing;

/// The variable that holds the passphrase of a signing key.
pub const PASSPHRASE: &str = "CTVERIFY_SIGN_PASSPHRASE";
/// The variable that holds the secret of webhooks, where no file does.
pub const WEBHOOK: &str = "CTVERIFY_WEBHOOK_SECRET";

/// Their values, as the process was started with them.
static TAKEN: OnceLock<[Option<Zeroizing<String>>; 2]> = OnceLock::new();

/// Runs the program without these variables, and ends it with the exit code that it gives. To be called before any
/// thread is started.
pub fn without(run: impl FnOnce() -> u8) -> std::process::ExitCode {
    let value = |name: &str| std::env::var(name).ok().map(Zeroizing::new);
    TAKEN.get_or_init(|| [value(PASSPHRASE), value(WEBHOOK)]);
    temp_env::with_vars_unset([PASSPHRASE, WEBHOOK], || {
        // The variables are not put back: other threads may be reading the environment.
        std::process::exit(i32::from(run()))
    })
}

/// The passphrase of a signing key.
pub fn passphrase() -> Option<Zeroizing<String>> {
    TAKEN.get().and_then(|taken| taken[0].clone())
}

/// The secret of webhooks.
pub fn webhook() -> Option<Zeroizing<String>> {
    TAKEN.get().and_then(|taken| taken[1].clone())
}
