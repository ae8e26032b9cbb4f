//! Values that flags take.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Command};

use crate::audit::SampleSize;
use crate::model::{Depth, GapCause, IdError, Region};

/// Seeds stay within what every JSON reader can hold exactly.
pub(crate) const MAX_SEED: u64 = (1 << 53) - 1;

/// A parser of values, with suggestions that shells complete.
#[derive(Debug, Clone)]
pub(crate) struct Suggested<T: 'static> {
    pub parse: fn(&str) -> Result<T, String>,
    pub suggestions: fn() -> Vec<String>,
}

impl<T: Clone + Send + Sync + 'static> TypedValueParser for Suggested<T> {
    type Value = T;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<T, clap::Error> {
        self.parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.suggestions)().into_iter().map(PossibleValue::new)))
    }
}

/// Something that S3 charges for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Price {
    Get,
    List,
    Gigabyte,
}

pub(super) fn parse_price(text: &str) -> Result<(Price, f64), String> {
    let (name, dollars) = text.split_once('=').ok_or("write a price as get=0.0004")?;
    let price = match name {
        "get" => Price::Get,
        "list" => Price::List,
        "gb" => Price::Gigabyte,
        _ => return Err(format!("there is no price '{name}': choose get, list or gb")),
    };
    let dollars: f64 = dollars.parse().map_err(|_| format!("'{dollars}' is no number of dollars"))?;
    if dollars.is_finite() && dollars >= 0.0 { Ok((price, dollars)) } else { Err("a price is not negative".to_owned()) }
}

/// A region, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RegionChoice {
    All,
    One(Region),
}

impl std::str::FromStr for RegionChoice {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if text == "all" { Ok(Self::All) } else { text.parse().map(Self::One) }
    }
}

/// One kind of finding that is kept out of the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowance {
    EveryGap,
    Gap(GapCause),
    Unlisted,
    Sample,
}

pub(super) fn parse_sample(text: &str) -> Result<SampleSize, String> {
    let wrong = || "write a number of log files, such as 2000, or a share of them, such as 5%".to_owned();
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(SampleSize::Percent(percent)),
            Ok(_) => Err("a share lies above 0% and goes up to 100%".to_owned()),
            Err(_) => Err(wrong()),
        },
        None => match text.parse() {
            Ok(0) => Err("a sample has at least one log file".to_owned()),
            Ok(files) => Ok(SampleSize::Files(files)),
            Err(_) => Err(wrong()),
        },
    }
}

pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    match parse_sample(text)? {
        SampleSize::Percent(percent) => Ok(percent),
        SampleSize::Files(_) => Err("write a share, such as 5%".to_owned()),
    }
}

pub(super) fn parse_depth(text: &str) -> Result<Depth, String> {
    let found = Depth::ALL.iter().find(|depth| depth.as_str() == text);
    found.copied().ok_or_else(|| "choose chain, presence or content".to_owned())
}

pub(super) fn depth_suggestions() -> Vec<String> {
    Depth::ALL.iter().map(ToString::to_string).collect()
}

pub(super) fn allowance_suggestions() -> Vec<String> {
    let causes = GapCause::ALL.iter().map(|cause| format!("gap:{cause}"));
    ["gap", "unlisted", "sample"].into_iter().map(str::to_owned).chain(causes).collect()
}

pub(super) fn parse_allowance(text: &str) -> Result<Allowance, String> {
    match text.split_once(':') {
        None if text == "gap" => Ok(Allowance::EveryGap),
        None if text == "unlisted" => Ok(Allowance::Unlisted),
        None if text == "sample" => Ok(Allowance::Sample),
        Some(("gap", cause)) => {
            let found = GapCause::ALL.iter().find(|known| known.as_str() == cause);
            found.copied().map(Allowance::Gap).ok_or_else(|| {
                let known: Vec<&str> = GapCause::ALL.iter().map(|cause| cause.as_str()).collect();
                format!("there is no gap cause '{cause}': choose one of {}", known.join(", "))
            })
        }
        _ => Err(format!("'{text}' can't be allowed: choose gap, gap:CAUSE, unlisted or sample")),
    }
}
