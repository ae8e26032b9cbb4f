//! A configuration file: several trails, one run. What it says are flags, so everything that is told of those holds for it.
//!
//! The command line counts more than the environment, and that more than the file; in the file, what stands at a trail counts more
//! than what stands above all of them.

use std::collections::BTreeMap;
use std::path::Path;

use clap::parser::ValueSource;
use clap::{CommandFactory as _, Parser as _};
use toml::{Table, Value};

use super::args::{Args, Format, VerifyArgs};
use super::exit::Failure;

/// The tables of trails.
const TRAIL: &str = "trail";
/// What a trail is called.
const NAME: &str = "name";

/// One trail of a configuration file.
pub struct Configured {
    /// What it is called there.
    pub name: String,
    /// What is asked.
    pub args: VerifyArgs,
    /// The settings that come from the file, as flags.
    pub from_file: Vec<String>,
    /// Those of the file that the command line or the environment overrule.
    pub overruled: Vec<String>,
}

/// Reads a configuration file; `words` is the command line.
pub fn read(path: &Path, words: &[String]) -> Result<Vec<Configured>, Failure> {
    let wrong = |what: String| Failure::Usage(format!("the configuration {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("can't be read: {error}")))?;
    let mut shared: Table = text.parse().map_err(|error: toml::de::Error| wrong(error.to_string()))?;
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
    for (index, trail) in trails.into_iter().enumerate() {
        let mut settings = shared.clone();
        settings.extend(trail);
        let name = match settings.remove(NAME) {
            None => format!("trail {}", index + 1),
            Some(Value::String(name)) => name,
            Some(_) => return Err(wrong("a name is a text".to_owned())),
        };
        let trail = trail_of(&name, &settings, words).map_err(|what| wrong(format!("'{name}': {what}")))?;
        configured.push(trail);
    }
    check_places(&configured).map_err(wrong)?;
    Ok(configured)
}

fn trail_of(name: &str, settings: &Table, words: &[String]) -> Result<Configured, String> {
    let given = Args::command().try_get_matches_from(words).map_err(|error| plain(&error))?;
    let mut command = Args::command();
    command.build();
    let (mut from_file, mut overruled) = (Vec::new(), Vec::new());
    for (key, value) in settings {
        let flag = key.replace('_', "-");
        let known = command.get_arguments().find(|argument| {
            argument.get_long() == Some(&flag)
                || argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&&*flag))
        });
        let argument = known.filter(|argument| !["config", "help", "version"].contains(&argument.get_id().as_str()));
        let Some(argument) = argument else { return Err(format!("there is no setting '{key}': see ctverify --help")) };
        let source = given.value_source(argument.get_id().as_str());
        let flags = flags(&flag, value, argument.get_action().takes_values())?;
        match source {
            Some(ValueSource::CommandLine | ValueSource::EnvVariable) => overruled.extend(flags),
            _ => from_file.extend(flags),
        }
    }
    let (program, rest) = words.split_first().ok_or("the command line is empty")?;
    let all = [program].into_iter().chain(&from_file).chain(rest);
    let args = Args::try_parse_from(all).map_err(|error| plain(&error))?;
    Ok(Configured { name: name.to_owned(), args: args.verify, from_file, overruled })
}

/// A setting as the flags that say the same.
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

/// Two trails must not write over each other's reports and checkpoints.
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
        let reports = args.reports.report.iter().map(|(_, path)| path.display().to_string());
        let state = args.scheduled.state.iter().map(ToString::to_string);
        for place in reports.chain(state) {
            if let Some(other) = places.insert(place.clone(), name) {
                return Err(format!("'{other}' and '{name}' both write to {place}: give each its own"));
            }
        }
    }
    Ok(())
}

/// What clap says, without its advice on the command line.
fn plain(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}
