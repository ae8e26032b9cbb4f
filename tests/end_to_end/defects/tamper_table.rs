//! The table in docs/official-client.md of what happened, what ctverify says and what the official client says: made
//! by running both.

use std::collections::BTreeSet;

use ctverify_testkit::{Server, ServerOptions, defects};

use crate::sources::official_client::official_output;
use crate::support::{Run, ctverify_at, range_of, records};

const BEGIN: &str = "<!-- tamper table: made by the tests -->\n";
const END: &str = "<!-- end of the tamper table -->";
const UPDATE: &str = "CTVERIFY_UPDATE_DOCS";

fn ours(run: &Run) -> String {
    let mut said = BTreeSet::new();
    for (kind, word) in [("digest", "digest"), ("log_file", "log file")] {
        for record in run.of(kind) {
            let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
            if !matches!(text("status").as_str(), "valid" | "intact") && text("fault") != "listed_by_invalid_digest" {
                said.insert(format!("{word} `{}` ({})", text("status"), text("fault")));
            }
        }
    }
    said.extend(run.of("warning").iter().map(|warning| format!("warning `{}`", warning["code"].as_str().unwrap())));
    if said.is_empty() {
        said.extend(run.gaps().iter().map(|cause| format!("gap `{cause}`")));
    }
    column(said, run.code)
}

fn theirs(code: i32, text: &str) -> String {
    let mut said = BTreeSet::new();
    for line in text.lines() {
        let mut parts = line.split('\t');
        if let (Some(kind), Some(_), Some(verdict)) = (parts.next(), parts.next(), parts.next())
            && verdict.starts_with("INVALID")
        {
            let kind = if kind == "Log file" { "log file" } else { "digest" };
            said.insert(format!("{kind} {verdict}"));
        }
    }
    column(said, code)
}

fn column(said: BTreeSet<String>, code: i32) -> String {
    let said = if said.is_empty() { "all valid".to_owned() } else { said.into_iter().collect::<Vec<_>>().join(", ") };
    format!("{said}; exit {code}")
}

#[test]
fn the_docs_show_what_both_say_of_every_defect() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/official-client.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let mut table = "| what happened | `ctverify` | `aws cloudtrail validate-logs` |\n|---|---|---|\n".to_owned();
    for defect in defects::ALL {
        let mut trail = defects::small_trail();
        (defect.apply)(&mut trail);
        let server = Server::start(&trail, ServerOptions::default());
        let run = records(ctverify_at(&server).args(range_of(&trail)));
        let official = official_output(&server, &trail, &[]);
        let theirs = match official {
            Some((code, text)) => theirs(code, &text),
            // Without the official client, its column in the page is taken as it is.
            None => {
                let line = shown.lines().find(|line| line.contains(defect.about)).unwrap_or_default();
                line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default().to_owned()
            }
        };
        table += &format!("| {} | {} | {theirs} |\n", defect.about, ours(&run));
    }
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(shown, table, "docs/official-client.md is out of date: run the tests once with {UPDATE}=1");
    }
}
