//! The custody report as one page that fetches nothing, runs only its own script, and can be
//! printed.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{Environment, context};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::SpooledTempFile;

use super::super::{Report, quoted};
use super::facts::{Gathering, Origin};
use crate::debug::opaque_debug;
use crate::model::{ObjectRef, printable};
use crate::records::Record;

const TEMPLATE: &str = include_str!("custody.html");
const STYLE: &str = include_str!("custody.css");
const SCRIPT: &str = include_str!("custody.js");
/// The placeholder of the list of files in the rendered page.
const ROWS: &str = "@@ROWS@@";
const FOLDERS: &str = "@@FOLDERS@@";

/// The number of bytes of the list of files that are kept in memory.
const SPOOL_BYTES: usize = 4 * 1024 * 1024;

/// The custody report for people.
pub struct CustodyHtml<W> {
    out: W,
    gathering: Gathering,
    rows: SpooledTempFile,
    any: bool,
    /// Each folder once, with its index in `names`.
    folders: HashMap<String, usize>,
    names: Vec<String>,
}

opaque_debug!(CustodyHtml<W>);

impl<W: Write> CustodyHtml<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W, origin: Origin) -> Self {
        let rows = SpooledTempFile::new(SPOOL_BYTES);
        let gathering = Gathering::new(origin);
        Self { out, gathering, rows, any: false, folders: HashMap::new(), names: Vec::new() }
    }

    /// Writes one row: status, whether it is a digest, folder, name, actual hash, and the expected
    /// hash if that differs.
    fn row(&mut self, record: &Record) -> io::Result<()> {
        let (status, kind, object, found, expected) = match record {
            Record::Digest(digest) => (digest.status.as_str(), 1, &digest.object, digest.sha256, None),
            Record::LogFile(file) => {
                let other = file.expected_sha256.filter(|hash| file.actual_sha256 != Some(*hash));
                (file.status.as_str(), 0, &file.object, file.actual_sha256, other)
            }
            _ => return Ok(()),
        };
        let (folder, name) = split(object);
        let next = self.folders.len();
        let folder = *self.folders.entry(folder).or_insert_with_key(|folder| {
            self.names.push(folder.clone());
            next
        });
        let hash = |hash: Option<crate::model::Sha256Hash>| hash.map(|hash| hash.to_string());
        let row = json!([status, kind, folder, name, hash(found), hash(expected)]);
        if self.any {
            self.rows.write_all(b",\n")?;
        }
        self.any = true;
        self.rows.write_all(for_script(&row.to_string()).as_bytes())
    }
}

/// Returns the folder and the name of an object, as they are shown.
fn split(object: &ObjectRef) -> (String, String) {
    let whole = object.to_string();
    let (folder, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
    (printable(folder).into_owned(), printable(name).into_owned())
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
        self.row(record)
    }

    fn finish(&mut self) -> io::Result<()> {
        let facts = self.gathering.facts()?;
        let pictures: Vec<_> = self.gathering.chains.iter().map(|chain| chain.calendar.picture()).collect();
        let mut environment = Environment::new();
        // Names come from the bucket, so characters that would change how a line is written are
        // escaped, before HTML is escaped.
        environment.add_filter("shown", |text: &str| printable(text).into_owned());
        environment.add_filter("quoted", |words: Vec<String>| quoted(&words));
        let findings = grouped(&facts.findings, &self.gathering.finding_groups);
        let warnings = grouped(&facts.warnings, &self.gathering.warning_groups);
        let origin = json!({ "schema": facts.schema, "records": facts.records, "made_with": facts.made_with });
        let origin = for_script(&origin.to_string());
        let page = environment
            .add_template("custody.html", TEMPLATE)
            .and_then(|()| environment.get_template("custody.html"))
            .and_then(|template| {
                template.render(context! {
                    facts, findings, warnings, pictures, origin, title => facts.title(), style => STYLE, script => SCRIPT, rows => ROWS, folders => FOLDERS,
                    style_hash => policy_hash(STYLE), script_hash => policy_hash(SCRIPT),
                })
            })
            .map_err(|error| io::Error::other(format!("the page can't be made: {error:#}")))?;
        let missing = || io::Error::other("the page has no place for the list of files");
        // No name can be taken for one of these placeholders: both come after everything that was
        // rendered from names.
        let (page, end) = page.rsplit_once(ROWS).ok_or_else(missing)?;
        let (head, between) = page.rsplit_once(FOLDERS).ok_or_else(missing)?;
        self.out.write_all(head.as_bytes())?;
        self.out.write_all(for_script(&serde_json::to_string(&self.names)?).as_bytes())?;
        self.out.write_all(between.as_bytes())?;
        self.rows.seek(SeekFrom::Start(0))?;
        io::copy(&mut self.rows, &mut self.out)?;
        self.out.write_all(end.as_bytes())?;
        self.out.flush()
    }
}

/// Returns the first record of each group, with the objects of the others as `others`.
fn grouped(records: &[Value], groups: &[Option<String>]) -> Vec<Value> {
    let mut first: HashMap<&str, usize> = HashMap::new();
    let mut found: Vec<Value> = Vec::new();
    for (record, group) in records.iter().zip(groups) {
        let known = group.as_deref().and_then(|group| first.get(group)).and_then(|index| found.get_mut(*index));
        if let Some(Value::Object(known)) = known {
            let other = json!({ "bucket": record["bucket"], "key": record["key"], "id": record["id"] });
            if let Value::Array(others) = known.entry("others").or_insert_with(|| json!([])) {
                others.push(other);
            }
            continue;
        }
        if let Some(group) = group {
            first.insert(group, found.len());
        }
        found.push(record.clone());
    }
    found
}
