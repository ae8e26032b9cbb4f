//! The help on one screen: the commonest uses, the commands, and the flags by group.

use clap::Command;

/// The width of the screen that the text fits.
const WIDTH: usize = 80;
/// The column in which the names of flags begin.
const COLUMN: usize = 23;

const USES: &str = "\
Prove that AWS CloudTrail log files are the ones CloudTrail delivered

  ctverify --trail-arn ARN --start 7d      a trail: every account and region
  ctverify --from DIR --keys keys.json     a local copy, offline
  ctverify --trail-arn ARN --state FILE    a nightly audit, from the last run on
";

/// The commands that print something about the program, which share a line.
const PRINTED: [&str; 3] = ["schema", "completions", "man"];

const END: &str = "
Exit codes: 0 verified, 1 violated, 2 wrong command line or file,
            3 inconclusive, 4 could not run, 130 interrupted
'ctverify help' explains every flag, 'ctverify COMMAND --help' a command.
";

/// Returns the help for a command line as clap knows it.
pub(super) fn overview(command: &Command) -> String {
    let mut text = format!("{USES}\nCommands\n");
    for command in command.get_subcommands().filter(|command| !PRINTED.contains(&command.get_name())) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        text += &format!("  {:<width$}{}\n", command.get_name(), about.trim_end_matches('.'), width = COLUMN - 2);
    }
    text += &format!("  {}  Print what they name\n", PRINTED.join(", "));
    text += "\nFlags\n";
    let mut groups: Vec<(&str, Vec<String>)> = Vec::new();
    for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
        let Some(long) = argument.get_long() else { continue };
        let heading = argument.get_help_heading().unwrap_or("Options");
        let flag = match argument.get_short() {
            Some(short) => format!("-{short}/--{long}"),
            None => format!("--{long}"),
        };
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, flags)) => flags.push(flag),
            None => groups.push((heading, vec![flag])),
        }
    }
    for (heading, flags) in groups {
        let mut line = format!("  {heading:<width$}", width = COLUMN - 2);
        for flag in flags {
            if line.len() + flag.len() + 1 > WIDTH {
                text += &format!("{}\n", line.trim_end());
                line = " ".repeat(COLUMN);
            }
            line += &format!("{flag} ");
        }
        text += &format!("{}\n", line.trim_end());
    }
    text + END
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overview_fits_a_screen_and_names_every_flag() {
        let command = crate::cli::args::definition(false);
        let text = overview(&command);
        assert!(text.lines().count() <= 42 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        for name in command.get_subcommands().map(Command::get_name) {
            assert!(text.contains(&format!("  {name} ")) || PRINTED.contains(&name), "{name}");
        }
        assert!(PRINTED.iter().all(|name| command.find_subcommand(name).is_some()));
        for long in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(text.contains(&format!("--{long}")), "{long}");
        }
    }
}
