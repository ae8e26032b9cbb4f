//! The commands that print completions for shells, and man pages.

use std::io::Write as _;

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::args::{Args, CompletionsArgs, ManArgs};
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;

/// Prints the completions for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "ctverify", &mut script);
    std::io::stdout().write_all(&script).map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}

/// Prints a man page.
pub(crate) fn man(args: &ManArgs) -> Result<u8, Failure> {
    let mut whole = Args::command();
    whole.build();
    let command = match &args.command {
        None => whole,
        Some(name) => {
            let found = whole.find_subcommand(name).cloned();
            found.ok_or_else(|| Failure::Usage(format!("there is no command '{name}': see ctverify --help")))?
        }
    };
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(|error| cannot_write_standard(&error))?;
    std::io::stdout().write_all(&page).map_err(|error| cannot_write_standard(&error))?;
    Ok(0)
}
