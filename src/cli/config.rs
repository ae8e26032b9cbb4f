//! The configuration file, which describes a run over several trails. Its settings are flags, so
//! the documentation of the flags applies to them.
//!
//! The command line takes precedence over the environment, and the environment over the file;
//! within the file, a setting of a trail takes precedence over a shared one.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use clap::parser::ValueSource;
use toml::{Table, Value};

use super::args::{Args, Format, VerifyArgs, definition};
use super::exit::Failure;
use crate::checkpoint::Name;
use crate::disk;

/// The name of the tables of trails.
const TRAIL: &str = "trail";
/// The name of the setting that names a trail.
const NAME: &str = "name";

/// One trail of a configuration file.
pub(super) struct Configured {
    /// The name of the trail in the file.
    pub name: String,
    /// The arguments for the trail.
    pub args: VerifyArgs,
    /// The settings that come from the file, as flags.
    pub from_file: Vec<String>,
    /// The settings of the file that the command line or the environment overrides.
    pub overruled: Vec<String>,
}

/// Reads a configuration file; `words` is the command line.
pub(super) fn read(path: &Path, words: &[OsString]) -> Result<Vec<Configured>, Failure> {
    let wrong = |what: String| Failure::Usage(format!("the configuration {}: {what}", path.display()));
    let text = disk::read_small_text(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let mut shared: Table = text.parse().map_err(|error: toml::de::Error| wrong(in_one_line(&error, &text)))?;
    let trails = match shared.remove(TRAIL) {
        None => vec![Table::new()],
        Some(Value::Array(trails)) if !trails.is_empty() => trails
            .into_iter()
            .map(|trail| match trail {
                Value::Table(table) => Ok(table),
                _ => Err(wrong("write each trail as a table: [[trail]]".to_owned())),
            })
            .collect::<Result<_, _>>()?,
        Some(_) => return Err(wrong("write each trail as a table: [[trail]]".to_owned())),
    };
    let mut configured = Vec::new();
    let command = definition(true);
    let shared = by_argument(&command, shared).map_err(&wrong)?;
    for (index, trail) in trails.into_iter().enumerate() {
        let mut settings = shared.clone();
        settings.extend(by_argument(&command, trail).map_err(&wrong)?);
        let name = match settings.remove(NAME) {
            None => format!("trail {}", index + 1),
            Some(Value::String(name)) => name,
            Some(_) => return Err(wrong("a name is a text".to_owned())),
        };
        let trail = trail_of(path, &name, &settings, words).map_err(|what| wrong(format!("'{name}': {what}")))?;
        configured.push(trail);
    }
    check_places(&configured).map_err(wrong)?;
    Ok(configured)
}

fn trail_of(path: &Path, name: &str, settings: &Table, words: &[OsString]) -> Result<Configured, String> {
    let command = definition(true);
    let given = command.clone().try_get_matches_from(words).map_err(|error| plain(&error))?;
    let (mut from_file, mut overruled) = (Vec::new(), Vec::new());
    for (id, value) in settings {
        let Some(argument) = command.get_arguments().find(|argument| argument.get_id().as_str() == id) else {
            continue;
        };
        let flags = flags(argument.get_long().unwrap_or_default(), value, argument.get_action().takes_values())?;
        match given.value_source(id) {
            Some(ValueSource::CommandLine | ValueSource::EnvVariable) => overruled.extend(flags),
            _ => from_file.extend(flags),
        }
    }
    let (program, rest) = words.split_first().ok_or("the command line is empty")?;
    let of_file = from_file.iter().map(OsString::from);
    let all = [program.clone()].into_iter().chain(of_file).chain(rest.iter().cloned());
    let mut args = Args::read(all, true).map_err(|error| plain(&error))?;
    let is_of_file = |name: &str| {
        let is_flag =
            |flag: &String| *flag == name || flag.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        from_file.iter().any(is_flag)
    };
    for setting in args.verify.reports.settings.iter_mut().filter(|setting| is_of_file(&setting.name)) {
        setting.from = path.display().to_string();
    }
    Ok(Configured { name: name.to_owned(), args: args.verify, from_file, overruled })
}

/// Sorts settings by the argument that they set, since a flag may have several names.
fn by_argument(command: &clap::Command, settings: Table) -> Result<Table, String> {
    let mut found = Table::new();
    for (key, value) in settings {
        if key == NAME {
            found.insert(key, value);
            continue;
        }
        let flag = key.replace('_', "-");
        let known = command.get_arguments().find(|argument| {
            argument.get_long() == Some(&flag)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&&*flag))
        });
        let argument = known.filter(|argument| !["config", "help", "version"].contains(&argument.get_id().as_str()));
        let Some(argument) = argument else { return Err(format!("there is no setting '{key}': see ctverify --help")) };
        if found.insert(argument.get_id().to_string(), value).is_some() {
            return Err(format!("'{key}' is there twice, under two names"));
        }
    }
    Ok(found)
}

/// Converts a setting to the equivalent flags.
fn flags(flag: &str, value: &Value, takes_values: bool) -> Result<Vec<String>, String> {
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Float(number) => Ok(number.to_string()),
        Value::Datetime(time) => Ok(time.to_string()),
        Value::Boolean(_) | Value::Array(_) | Value::Table(_) => {
            Err(format!("'{flag}' takes a text, a number, or a list of those"))
        }
    };
    match value {
        Value::Boolean(wanted) if !takes_values => Ok(wanted.then(|| format!("--{flag}")).into_iter().collect()),
        _ if !takes_values => Err(format!("'{flag}' is true or false")),
        Value::Array(values) => values.iter().map(|value| Ok(format!("--{flag}={}", text(value)?))).collect(),
        value => Ok(vec![format!("--{flag}={}", text(value)?)]),
    }
}

/// Checks that two trails do not overwrite each other's reports and checkpoints.
fn check_places(configured: &[Configured]) -> Result<(), String> {
    let is_json = |trail: &Configured| trail.args.reports.format == Format::Json;
    if configured.len() > 1 && configured.iter().any(is_json) {
        return Err(
            "json is one document, and each trail has its own: choose the format jsonl, or a report json=PATH for each"
                .to_owned(),
        );
    }
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for Configured { name, args, .. } in configured {
        let whole = |path: &Path| std::path::absolute(path).unwrap_or(path.to_owned()).display().to_string();
        let reports = args.reports.report.iter().map(|(_, path)| whole(path));
        let state = args.scheduled.state.iter().map(|name| match name {
            Name::File(path) => whole(path),
            Name::Object(object) => object.to_string(),
        });
        for place in reports.chain(state) {
            if let Some(other) = places.insert(place.clone(), name) {
                return Err(format!("'{other}' and '{name}' both write to {place}: give each its own"));
            }
        }
    }
    Ok(())
}

/// Returns the message of a TOML error with its line.
fn in_one_line(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1)).unwrap_or_default();
    format!("{line}{}", error.message())
}

/// Returns the message of clap without its advice on the command line.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").to_owned()
}
