//! Counts of events by the values of their fields.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::str::FromStr;

use serde::Serialize;
use serde_json::{Map, Value};

use super::event::Event;
use super::output::Proof;
use crate::model::{printable, spreadsheet_cell};

/// The maximum number of groups: some 20 MB. A field that differs in every event, such as `eventID`,
/// gives nothing to count.
const MAX_GROUPS: usize = 100_000;

/// A field by which events are counted: a path in the record, such as `userIdentity.arn`, or one of the
/// short names [`CountField::SHORT`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CountField(String);

impl CountField {
    /// Short names for what events have in different fields: the account and region (those of the log
    /// file where the event names none), who acted, and the day and hour of the event in UTC.
    pub const SHORT: [&str; 6] = ["account", "region", "actor", "category", "day", "hour"];

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn value(&self, event: &Event<'_>, proof: &Proof<'_>) -> Option<String> {
        let day = |length| {
            let text = event.time()?.start.to_string();
            text.get(..length).map(str::to_owned)
        };
        match self.0.as_str() {
            "account" => Some(event.account().map_or_else(|| proof.account.to_owned(), Into::into)),
            "region" => Some(event.text("awsRegion").map_or_else(|| proof.region.to_owned(), Into::into)),
            "actor" => event.actor().map(Into::into),
            "category" => event.category().map(Into::into),
            "day" => day("2026-03-01".len()),
            "hour" => day("2026-03-01T00".len()),
            path => event.at(path).map(Into::into),
        }
    }
}

impl FromStr for CountField {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.split('.').any(str::is_empty) {
            return Err(format!(
                "'{text}' names no field: write the path of one in the record, such as eventName or \
                 userIdentity.arn, or one of {}",
                Self::SHORT.join(", ")
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The events of one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The number of events.
    pub count: u64,
    /// The time of the first one, as its record has it.
    pub first: Option<String>,
    /// The time of the last one.
    pub last: Option<String>,
}

/// The fields by which events are counted, and the groups found so far.
#[derive(Debug, Clone, Default)]
pub struct CountBy {
    fields: Vec<CountField>,
    groups: BTreeMap<Vec<Option<String>>, Counted>,
}

impl CountBy {
    /// Begins to count by these fields.
    pub fn new(fields: Vec<CountField>) -> Self {
        Self { fields, groups: BTreeMap::new() }
    }

    /// The same fields without any group.
    pub(super) fn without_groups(&self) -> Self {
        Self::new(self.fields.clone())
    }

    /// Counts one event.
    ///
    /// # Errors
    ///
    /// Fails if there are too many groups.
    pub(super) fn add(&mut self, event: &Event<'_>, proof: &Proof<'_>) -> io::Result<()> {
        let values = self.fields.iter().map(|field| field.value(event, proof)).collect();
        let time = event.time_text().map(String::from);
        self.groups.entry(values).or_default().add(&Counted { count: 1, first: time.clone(), last: time });
        self.check_groups()
    }

    fn check_groups(&self) -> io::Result<()> {
        if self.groups.len() <= MAX_GROUPS {
            return Ok(());
        }
        let names: Vec<&str> = self.fields.iter().map(CountField::as_str).collect();
        Err(io::Error::other(format!(
            "more than {MAX_GROUPS} different values of {}: count by fields with fewer",
            names.join(", ")
        )))
    }

    /// Makes a group for a chain whose events may be counted by account and region alone, so that one
    /// without events has a row.
    pub fn add_chain(&mut self, account: &str, region: &str) {
        let of_chain = |field: &CountField| match field.as_str() {
            "account" => Some(account.to_owned()),
            "region" => Some(region.to_owned()),
            _ => None,
        };
        let values: Option<Vec<String>> = self.fields.iter().map(of_chain).collect();
        if let Some(values) = values {
            self.groups.entry(values.into_iter().map(Some).collect()).or_default();
        }
    }

    /// Adds the groups of another count by the same fields.
    ///
    /// # Errors
    ///
    /// Fails if there are too many groups.
    pub(super) fn merge(&mut self, other: Self) -> io::Result<()> {
        for (values, counted) in other.groups {
            self.groups.entry(values).or_default().add(&counted);
        }
        self.check_groups()
    }

    /// Writes the groups, the largest first, as JSON objects on lines.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
    pub fn write_jsonl(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            count: u64,
            first: &'a Option<String>,
            last: &'a Option<String>,
            by: Map<String, Value>,
        }
        for (values, Counted { count, first, last }) in self.sorted() {
            let names = self.fields.iter().map(|field| field.as_str().to_owned());
            let by = names.zip(values.iter().map(|value| value.clone().map_or(Value::Null, Value::String))).collect();
            serde_json::to_writer(&mut *out, &Line { count: *count, first, last, by })?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes the groups, the largest first, as rows for spreadsheets.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
    pub fn write_csv(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(out);
        let names = self.fields.iter().map(|field| spreadsheet_cell(field.as_str()).into_owned());
        rows.write_record(["count", "first", "last"].map(str::to_owned).into_iter().chain(names))?;
        for (values, Counted { count, first, last }) in self.sorted() {
            let times = [first, last].map(|time| time.as_deref().unwrap_or_default());
            let cells = times.into_iter().chain(values.iter().map(|value| value.as_deref().unwrap_or_default()));
            let cells = cells.map(|cell| spreadsheet_cell(cell).into_owned());
            rows.write_record(std::iter::once(count.to_string()).chain(cells))?;
        }
        rows.flush()
    }

    /// Writes the groups, the largest first, as a table for people.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
    pub fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = |text: &Option<String>| text.as_deref().map_or("-".into(), |text| printable(text).into_owned());
        let widths: Vec<usize> = (0..self.fields.len())
            .map(|index| {
                let cells = self.groups.keys().map(|values| shown(&values[index]).chars().count());
                cells.max().unwrap_or_default().max(self.fields[index].as_str().len())
            })
            .collect();
        let row = |out: &mut dyn Write, count: &str, times: [&str; 2], cells: &[String]| {
            let padded = |(cell, width): (&String, &usize)| format!("{cell:width$}  ", width = *width);
            let cells: String = cells.iter().zip(&widths).map(padded).collect();
            writeln!(out, "{}", format!("{count:>10}  {:20}  {:20}  {cells}", times[0], times[1]).trim_end())
        };
        let names: Vec<String> = self.fields.iter().map(|field| field.as_str().to_uppercase()).collect();
        row(out, "COUNT", ["FIRST", "LAST"], &names)?;
        for (values, Counted { count, first, last }) in self.sorted() {
            let cells: Vec<String> = values.iter().map(shown).collect();
            row(out, &count.to_string(), [&shown(first), &shown(last)], &cells)?;
        }
        Ok(())
    }

    /// The groups, the largest first, and those of one size by their values.
    fn sorted(&self) -> Vec<(&Vec<Option<String>>, &Counted)> {
        let mut groups: Vec<_> = self.groups.iter().collect();
        groups.sort_by_key(|(_, counted)| std::cmp::Reverse(counted.count));
        groups
    }
}

impl Counted {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        // Times of one form are in the order of their texts.
        if other.first.is_some() && (self.first.is_none() || other.first < self.first) {
            self.first.clone_from(&other.first);
        }
        self.last = self.last.take().max(other.last.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(fields: &[&str], records: &[&str]) -> CountBy {
        let mut all = CountBy::new(fields.iter().map(|field| field.parse().unwrap()).collect());
        for record in records {
            let mut one = all.without_groups();
            one.add(&Event::parse(record).unwrap(), &Proof::example()).unwrap();
            all.merge(one).unwrap();
        }
        all
    }

    fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const RECORDS: [&str; 4] = [
        r#"{"eventTime":"2026-03-01T10:59:00Z","eventName":"A","userIdentity":{"arn":"=x"}}"#,
        r#"{"eventTime":"2026-03-01T09:00:00Z","eventName":"A","awsRegion":"us-east-1"}"#,
        r#"{"eventTime":"2026-03-02T00:00:00Z","eventName":"B","recipientAccountId":"2"}"#,
        r#"{"eventName":"A"}"#,
    ];

    #[test]
    fn groups_have_their_number_and_times() {
        let lines = text(|out| counted(&["eventName"], &RECORDS).write_jsonl(out));
        assert_eq!(
            lines,
            "{\"count\":3,\"first\":\"2026-03-01T09:00:00Z\",\"last\":\"2026-03-01T10:59:00Z\",\"by\":{\"eventName\":\"A\"}}\n\
             {\"count\":1,\"first\":\"2026-03-02T00:00:00Z\",\"last\":\"2026-03-02T00:00:00Z\",\"by\":{\"eventName\":\"B\"}}\n"
        );
        let days = text(|out| counted(&["day", "hour"], &RECORDS).write_csv(out));
        assert!(days.contains("1,2026-03-01T09:00:00Z,2026-03-01T09:00:00Z,2026-03-01,2026-03-01T09\n"), "{days}");
        let arns = text(|out| counted(&["actor"], &RECORDS).write_csv(out));
        assert!(arns.contains(",'=x\n"), "{arns}");
    }

    #[test]
    fn a_chain_without_events_has_a_row() {
        let mut counts = counted(&["account", "region"], &RECORDS);
        counts.add_chain("111122223333", "eu-west-1");
        counts.add_chain("3", "eu-west-1");
        let table = text(|out| counts.write_table(out));
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["COUNT", "FIRST", "LAST", "ACCOUNT", "REGION"]);
        assert_eq!(rows[1], ["2", "2026-03-01T10:59:00Z", "2026-03-01T10:59:00Z", "111122223333", "eu-west-1"]);
        assert_eq!(rows[4], ["0", "-", "-", "3", "eu-west-1"]);
        assert_eq!(rows.len(), 5);
        let mut by_name = counted(&["account", "eventName"], &RECORDS[..1]);
        by_name.add_chain("3", "eu-west-1");
        assert_eq!(by_name.groups.len(), 1, "a chain has no event name");
    }

    #[test]
    fn fields_have_names() {
        for wrong in ["", " ", ".", "a..b", "a."] {
            assert!(wrong.parse::<CountField>().is_err(), "{wrong}");
        }
    }
}
