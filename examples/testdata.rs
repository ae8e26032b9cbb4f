//! Makes `testdata/` anew: the sample trail, and a folder for each defect with its expected
//! records.
//!
//! ```sh
//! cargo run --example testdata
//! ```
//!
//! The same code always makes the same folders. Read the difference before you commit it: expected
//! records are what the promise demands, not what the program happens to say.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ctverify::audit::{Audit, AuditRequest};
use ctverify::events::TrailCalls;
use ctverify::keys::KeyFile;
use ctverify::records::{Record, write_record};
use ctverify::store::Folder;
use ctverify_testkit::{TrailSpec, defects};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    let sample = root.join("sample-trail");
    fs::create_dir_all(&sample)?;
    let regions = vec!["us-east-1".to_owned(), "eu-west-1".to_owned()];
    TrailSpec { regions, hours: 24, events: 12, busy_percent: 40, ..TrailSpec::default() }
        .forge()
        .write_with_keys(&sample)?;
    for defect in defects::ALL {
        let dir = root.join(defect.name);
        let mut trail = defects::small_trail();
        (defect.apply)(&mut trail);
        fs::create_dir_all(&dir)?;
        trail.write_with_keys(&dir)?;
        fs::write(dir.join("about.txt"), format!("{}\n", defect.about))?;
        fs::write(dir.join("expected.jsonl"), records(&dir)?)?;
    }
    Ok(())
}

/// Returns all records of a folder but those of the run itself, which depend on the machine and the
/// time.
fn records(dir: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let folder = Folder::open(dir, None)?;
    let keys = KeyFile::open(&dir.join("keys.json"))?;
    let request = AuditRequest::builder(jiff::Timestamp::now()).locations(folder.locations()).build()?;
    let mut audit = Audit::new(Arc::new(folder), Arc::new(keys), request);
    audit.logging_events = Some(Arc::new(TrailCalls));
    let mut lines = Vec::new();
    let mut observer = |record: &Record| match record {
        Record::Run(_) | Record::Summary(_) => Ok(()),
        other => {
            write_record(other, &mut lines)?;
            lines.push(b'\n');
            Ok(())
        }
    };
    tokio::runtime::Runtime::new()?.block_on(audit.run(&mut observer, std::future::pending()))?;
    Ok(lines)
}
