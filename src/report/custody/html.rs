//! The custody report as one page that fetches nothing, runs only its own script, and can be
//! printed.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, Value as Shown, context};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Report, quoted};
use super::facts::{Facts, Gathering, Origin};
use super::file_list::{FileList, STATUSES};
use super::overview::Overview;
use super::timeline::Timeline;
use super::words;
use crate::debug::opaque_debug;
use crate::model::{GapCause, ObjectRef, printable};
use crate::records::Record;

const TEMPLATE: &str = include_str!("custody.html");
const MACROS: &str = include_str!("macros.html");
const STYLE: &str = include_str!("custody.css");
const SCRIPT: &str = include_str!("custody.js");
/// The placeholders of the list of files in the rendered page.
const NAMES: &str = "@@NAMES@@";
const HASHES: &str = "@@HASHES@@";

/// The number of characters at the end of a name that always stay in sight: CloudTrail's names differ
/// there.
const TAIL: usize = 26;
/// The maximum number of gaps of a cause that the page lists.
const GAPS: usize = 200;
/// The same for a cause that is no finding, such as that of the newest two hours of each chain.
const HARMLESS_GAPS: usize = 10;

/// The custody report for people.
pub struct CustodyHtml<W> {
    out: W,
    gathering: Gathering,
    files: FileList,
}

opaque_debug!(CustodyHtml<W>);

impl<W: Write> CustodyHtml<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W, origin: Origin) -> Self {
        Self { out, gathering: Gathering::new(origin), files: FileList::new() }
    }
}

/// The gaps of one cause, for the template.
#[derive(Debug, Serialize)]
struct Cause {
    name: &'static str,
    meaning: &'static str,
    is_finding: bool,
    found: u64,
    gaps: Vec<Value>,
    left_out: u64,
}

/// Returns the gaps by cause, with the numbers of those that are findings.
fn causes(facts: &Facts, gathering: &Gathering) -> Vec<Cause> {
    let of_gaps = facts.findings.iter().filter(|finding| finding["record"] == "gap");
    let numbers: HashMap<&str, &Value> =
        of_gaps.filter_map(|finding| Some((finding["id"].as_str()?, &finding["number"]))).collect();
    let of_cause = |cause: &GapCause| {
        let all = facts.gaps.iter().filter(|gap| gap["cause"] == cause.as_str());
        let shown = if cause.is_finding() { GAPS } else { HARMLESS_GAPS };
        let gaps: Vec<Value> = all.clone().take(shown).cloned().collect();
        let found = all.count() as u64 + gathering.gaps_left_out(*cause);
        let numbered = |mut gap: Value| {
            if let Some(number) = gap["id"].as_str().and_then(|id| numbers.get(id)) {
                gap["number"] = (*number).clone();
            }
            gap
        };
        let left_out = found - gaps.len() as u64;
        let gaps = gaps.into_iter().map(numbered).collect();
        Cause {
            name: cause.as_str(),
            meaning: words::gap_cause(*cause),
            is_finding: cause.is_finding(),
            found,
            gaps,
            left_out,
        }
    };
    GapCause::ALL.iter().map(of_cause).filter(|cause| cause.found > 0).collect()
}

/// Escapes text for HTML.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// Returns a name as HTML that breaks after slashes, and elsewhere only where a part does not fit.
fn breakable(text: &str) -> Shown {
    let whole = printable(text);
    let parts = whole.split_inclusive('/').map(|part| format!("<span>{}</span>", escape(part)));
    Shown::from_safe_string(parts.collect())
}

/// Returns the name of the object of a record.
fn object_name(record: &Shown) -> String {
    let part =
        |name| record.get_attr(name).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    ObjectRef::new(part("bucket"), part("key")).to_string()
}

/// Returns a name as HTML that is cut in its middle where there is no room, and is copied whole.
fn cut(record: &Shown) -> Shown {
    let whole = printable(&object_name(record)).into_owned();
    let at = whole.char_indices().rev().nth(TAIL - 1).map_or(0, |(index, _)| index);
    let (head, tail) = whole.split_at(at);
    let (head, tail, whole) = (escape(head), escape(tail), escape(&whole));
    Shown::from_safe_string(format!(
        "<span class=\"cut\" title=\"{whole}\"><span class=\"head\">{head}</span><span class=\"tail\">{tail}</span></span>"
    ))
}

/// Writes text as a string of CSS.
fn css_string(text: &str) -> String {
    let mut string = String::from("\"");
    for character in text.chars() {
        match character {
            plain if plain.is_ascii_alphanumeric() || " .,:-/()".contains(plain) => string.push(plain),
            other => {
                // Writing to a String can't fail.
                let _ = write!(string, "\\{:x} ", u32::from(other));
            }
        }
    }
    string.push('"');
    string
}

/// Returns the style with what stands at the foot of each printed page: the case and the hash of the
/// records.
fn style(facts: &Facts) -> String {
    let case = facts.case.case.as_ref().map(|case| format!("Case {} · ", printable(case))).unwrap_or_default();
    let foot = format!("{case}SHA-256 of the records {}", facts.records.sha256);
    format!("{STYLE}@page {{ @bottom-left {{ content: {}; }} }}\n", css_string(&foot))
}

/// Escapes JSON for a script element, in which nothing may look like its end, or like a comment.
fn for_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Returns the hash by which a content security policy names a script or a style.
fn policy_hash(text: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())))
}

impl<W: Write> Report for CustodyHtml<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.gathering.take(record)?;
        self.files.take(record)
    }

    fn finish(&mut self) -> io::Result<()> {
        let facts = self.gathering.facts()?;
        let page = self.page(&facts).map_err(|error| io::Error::other(format!("the page can't be made: {error:#}")))?;
        let missing = || io::Error::other("the page has no place for the list of files");
        // No name can be taken for one of these placeholders: both come after everything that was
        // rendered from names.
        let (page, end) = page.rsplit_once(HASHES).ok_or_else(missing)?;
        let (head, between) = page.rsplit_once(NAMES).ok_or_else(missing)?;
        self.out.write_all(head.as_bytes())?;
        self.files.write(&mut self.out, between)?;
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

impl<W: Write> CustodyHtml<W> {
    /// Renders the page, with placeholders in place of the list of files.
    fn page(&self, facts: &Facts) -> Result<String, minijinja::Error> {
        let mut environment = Environment::new();
        // Names come from the bucket, so characters that would change how a line is written are
        // escaped, before HTML is escaped.
        environment.add_filter("shown", |text: &str| printable(text).into_owned());
        environment.add_filter("quoted", |words: Vec<String>| quoted(&words));
        environment.add_filter("breakable", breakable);
        environment.add_filter("object", |record: Shown| breakable(&object_name(&record)));
        environment.add_filter("cut", |record: Shown| cut(&record));
        environment.add_filter("capitalize_first", |text: &str| {
            text.char_indices().map(|(at, c)| if at == 0 { c.to_ascii_uppercase() } else { c }).collect::<String>()
        });
        environment.add_template("macros.html", MACROS)?;
        environment.add_template("custody.html", TEMPLATE)?;
        let gathering = &self.gathering;
        let overview = Overview::of(&gathering.chains, &gathering.findings);
        let period = gathering.period();
        let timeline = period.and_then(|(from, to)| Timeline::draw(&gathering.findings, from, to));
        let origin = json!({ "schema": facts.schema, "records": facts.records, "made_with": facts.made_with });
        let style = style(facts);
        environment.get_template("custody.html")?.render(context! {
            facts,
            kinds => gathering.findings.by_kind(),
            has_pictures => overview.sections.iter().any(|section| section.picture.is_some()),
            overview,
            timeline,
            causes => causes(facts, gathering),
            list => json!({ "digests": self.files.digests(), "log_files": self.files.log_files() }),
            key_count => facts.examination.public_keys.values().map(|keys| keys.len()).sum::<usize>(),
            interrupted => gathering.is_interrupted(),
            goes_on => gathering.goes_on(),
            warnings_left_out => gathering.left_out.warnings,
            tampering_left_out => gathering.left_out.tampering,
            tampering_unreadable => gathering.tampering_unreadable(),
            acknowledged_left_out => gathering.left_out.acknowledged,
            mended_left_out => gathering.left_out.mended,
            counts_log_files => facts.examination.depth == "content" && facts.counts.not_read == 0,
            valid_digests => facts.counts.digests.iter().any(|(status, count)| *status == "valid" && *count > 0),
            signer => facts.examination.settings.iter().find(|setting| setting.name == "--signer").map(|setting| &setting.value),
            log_in_part => facts.warnings.iter().any(|warning| warning["code"] == "custody_not_signed"),
            origin => for_script(&origin.to_string()),
            statuses => json!(STATUSES).to_string(),
            title => facts.title(),
            style_hash => policy_hash(&style),
            script_hash => policy_hash(SCRIPT),
            style,
            script => SCRIPT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_a_style_is_one_string() {
        assert_eq!(css_string("Case 2026-117"), "\"Case 2026-117\"");
        assert_eq!(css_string("a\"}</style>\u{e9}"), "\"a\\22 \\7d \\3c /style\\3e \\e9 \"");
    }
}
