//! The timeline of a report: defects and gaps on one axis of time, with a lane for each chain.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::super::finding::Severity;
use super::numbered::Findings;
use crate::model::{ChainId, begin_of_day, later};

/// The maximum number of lanes. The chains with the gravest findings come first.
const LANES: usize = 24;
/// The maximum number of labels on the axis.
const TICKS: i64 = 9;

/// The measures of the drawing, in units of its view box.
const WIDTH: f64 = 1000.0;
const LEFT: f64 = 210.0;
const RIGHT: f64 = 20.0;
const TOP: u32 = 26;
const LANE: u32 = 22;
/// The distance below which two marks of one kind would cover each other.
const APART: f64 = 9.0;
/// The minimum width of a bar.
const NARROW: f64 = 4.0;

/// The drawing, for a template.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    pub height: u32,
    pub ticks: Vec<Tick>,
    pub lanes: Vec<Lane>,
    /// The number of chains with findings that have no lane.
    pub further_chains: usize,
    /// The number of findings that have no time.
    pub without_time: usize,
    /// The number of findings that are not spelled out, and have no mark of their own.
    pub without_entry: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Tick {
    pub x: String,
    pub label: String,
}

/// The lane of one chain.
#[derive(Debug, Serialize)]
pub(super) struct Lane {
    pub label: String,
    pub y: u32,
    pub marks: Vec<Mark>,
}

/// A finding on the timeline: a bar if it takes time, otherwise a point.
#[derive(Debug, Serialize)]
pub(super) struct Mark {
    pub x: String,
    /// The width of a bar; null for a point.
    pub width: Option<String>,
    pub severity: &'static str,
    /// The number of the finding.
    pub number: usize,
    pub title: String,
}

impl Timeline {
    /// Draws the findings between `from` and `to`. `None` if there is nothing to draw.
    pub(super) fn draw(findings: &Findings, from: Timestamp, to: Timestamp) -> Option<Self> {
        let seconds = (to.as_second() - from.as_second()).max(1) as f64;
        let position = |time: Timestamp| {
            let share = (time.as_second() - from.as_second()) as f64 / seconds;
            LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
        };
        let mut indexes: HashMap<Arc<ChainId>, usize> = HashMap::new();
        let mut lanes: Vec<Lane> = Vec::new();
        // The places of the points that were drawn, by lane and severity.
        let mut drawn: HashSet<(usize, bool, i64)> = HashSet::new();
        let mut without_time = 0;
        for (severity, entry) in findings.entries() {
            let (Some(chain), Some((begin, end))) = (&entry.chain, entry.period) else {
                without_time += 1;
                continue;
            };
            let next = indexes.len();
            let lane = *indexes.entry(chain.clone()).or_insert(next);
            if lane >= LANES {
                continue;
            }
            if lane == lanes.len() {
                let label = format!("{} {}", chain.account, chain.region);
                let y = TOP + u32::try_from(lane).unwrap_or(0) * LANE;
                lanes.push(Lane { label, y, marks: Vec::new() });
            }
            // A group of findings is drawn over its whole time, as a gap is.
            let is_bar = entry.record["record"] == "gap" || !entry.record["more"].is_null();
            let (left, right) = (position(begin), position(end));
            let x = if is_bar { left } else { f64::midpoint(left, right) };
            if !is_bar && !drawn.insert((lane, severity == Severity::Violation, (x / APART) as i64)) {
                continue;
            }
            let severity = if severity == Severity::Violation { "violated" } else { "inconclusive" };
            if let Some(lane) = lanes.get_mut(lane) {
                lane.marks.push(Mark {
                    x: format!("{x:.1}"),
                    width: is_bar.then(|| format!("{:.1}", (right - left).max(NARROW))),
                    severity,
                    number: entry.number,
                    title: title(&entry.record),
                });
                // The events that stopped and started the logging stand where they happened.
                let events = [&entry.record["explained_by"], &entry.record["ended_by"]].into_iter();
                lane.marks.extend(events.filter_map(|event| {
                    let at = event["event_time"].as_str()?.parse().ok()?;
                    let by = event["arn"].as_str().map(|arn| format!(" by {arn}")).unwrap_or_default();
                    let title = format!("{}{by}", event["event_name"].as_str()?);
                    let x = format!("{:.1}", position(at));
                    Some(Mark { x, width: None, severity, number: entry.number, title })
                }));
            }
        }
        if lanes.is_empty() {
            return None;
        }
        // Bars lie below points, which would be hidden otherwise.
        lanes.iter_mut().for_each(|lane| lane.marks.sort_by_key(|mark| mark.width.is_none()));
        Some(Self {
            height: TOP + u32::try_from(lanes.len()).unwrap_or(0) * LANE + 8,
            ticks: ticks(from, to)
                .into_iter()
                .map(|(at, label)| Tick { x: format!("{:.1}", position(at)), label })
                .collect(),
            further_chains: indexes.len().saturating_sub(lanes.len()),
            lanes,
            without_time,
            without_entry: findings.without_entry(),
        })
    }
}

/// Names a finding in a few words.
fn title(record: &serde_json::Value) -> String {
    let text = |name: &str| record[name].as_str().unwrap_or_default();
    match text("record") {
        "gap" => format!("gap, {}", text("cause")),
        "chain" => text("fault").to_owned(),
        "digest" => format!("{} digest file", text("status")),
        _ => format!("{} log file", text("status")),
    }
}

/// Returns the labelled times of the axis: full hours or days, few enough to stand side by side.
fn ticks(from: Timestamp, to: Timestamp) -> Vec<(Timestamp, String)> {
    let hours = (to.as_second() - from.as_second()) / 3600;
    let steps = [1, 3, 6, 12, 24, 48, 7 * 24, 14 * 24, 30 * 24, 90 * 24, 180 * 24];
    let step = steps.into_iter().find(|step| hours / step < TICKS).unwrap_or(hours / TICKS);
    let form = if step < 24 { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    let mut time = begin_of_day(from);
    let mut ticks = Vec::new();
    while time <= to && ticks.len() <= 2 * TICKS as usize {
        if time >= from {
            ticks.push((time, time.to_zoned(TimeZone::UTC).strftime(form).to_string()));
        }
        let next = later(time, SignedDuration::from_hours(step.max(1)));
        if next <= time {
            break;
        }
        time = next;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_has_full_hours_or_days() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (from, to, first, count) in [
            ("2026-03-01T00:25:00Z", "2026-03-01T06:25:00Z", "03-01 01:00", 6),
            ("2026-02-28T23:30:00Z", "2026-03-02T00:30:00Z", "03-01 00:00", 9),
            ("2026-02-28T23:30:00Z", "2026-03-31T00:30:00Z", "2026-03-07", 4),
            ("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2025-01-01", 5),
            ("2026-03-01T00:25:00Z", "2026-03-01T00:25:00Z", "", 0),
        ] {
            let ticks = ticks(at(from), at(to));
            assert_eq!(ticks.len(), count, "{from}: {ticks:?}");
            assert_eq!(ticks.first().map_or("", |(_, label)| label), first, "{from}");
        }
    }
}
