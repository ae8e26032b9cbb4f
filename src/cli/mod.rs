//! The command line interface: arguments, commands, progress, exit codes.

mod args;
mod aws;
mod commands;
mod config;
mod custody;
mod event_output;
mod evidence;
mod exit;
mod logs;
mod notifier;
mod output;
mod paths;
mod place;
mod plan_place;
mod progress;
mod resolve;
mod result_place;
mod secrets;
mod table_folder;
mod unit_tables;
mod uploads;

use std::process::ExitCode;

use args::{Args, Command};
pub use exit::Failure;

/// Parses the command line, runs it, and ends the process with the resulting exit code.
pub fn run() -> ExitCode {
    secrets::without(run_command)
}

fn run_command() -> u8 {
    // clap prints help and its own errors, and exits with 2 on an error, as documented.
    let args = match Args::read(std::env::args_os(), true) {
        Ok(args) => args,
        Err(error) => match first_word_hint(std::env::args().nth(1).as_deref()) {
            Some(hint) => return Failure::Usage(hint).report(),
            None => error.exit(),
        },
    };
    if let Some(logs) = args.logs() {
        logs::begin(logs);
    }
    let outcome = match args.command {
        Some(Command::Demo(demo)) => commands::demo(demo),
        Some(Command::File(file)) => commands::file(&file),
        Some(Command::Event(event)) => commands::event(&event),
        Some(Command::Events(events)) => commands::events(&events),
        Some(Command::Collect(collect)) => commands::collect(&collect),
        Some(Command::Handover(handover)) => commands::handover(&handover),
        Some(Command::Ack(ack)) => commands::ack(&ack),
        Some(Command::Plan(plan)) => commands::plan(&plan),
        Some(Command::Shard(shard)) => commands::shard(&shard),
        Some(Command::Merge(merge)) => commands::merge(&merge),
        Some(Command::Keys(keys)) => commands::keys(&keys),
        Some(Command::Schema) => commands::schema(),
        Some(Command::Completions(completions)) => commands::completions(&completions),
        Some(Command::Man(man)) => commands::man(&man),
        Some(Command::Config(config)) => commands::config_check(config.file()),
        Some(Command::Report(report)) => commands::report(&report),
        Some(Command::VerifyReport(report)) => commands::verify_report(&report),
        None => match &args.verify.config {
            Some(path) => commands::verify_configured(path),
            None => commands::verify(&args.verify),
        },
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

/// Returns what to write in place of a first word that is none of a command's.
fn first_word_hint(word: Option<&str>) -> Option<String> {
    let word = word?;
    if word.starts_with("arn:") {
        return Some(format!("a trail is named with a flag: --trail-arn {word}"));
    }
    let is_official = word == "validate-logs" || word == "cloudtrail";
    is_official.then(|| {
        format!(
            "'{word}' belongs to the AWS CLI: here, 'ctverify --trail-arn ARN --start TIME' verifies, without a command"
        )
    })
}
