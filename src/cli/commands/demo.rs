//! The demo: unpacks the sample trail in the binary, verifies it, and shows how to tamper with it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;

use include_dir::{Dir, include_dir};

use crate::cli::args::{Args, DemoArgs};
use crate::cli::exit::Failure;
use crate::report::quoted;

static SAMPLE: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/testdata/sample-trail");

/// Unpacks the sample into a new folder, verifies it, and prints commands that tamper with it, so
/// that the next run finds that.
pub(crate) fn demo(args: DemoArgs) -> Result<u8, Failure> {
    let dir = args.dir;
    let shown = dir.display();
    let failed = |error: std::io::Error| Failure::CannotRun(format!("the demo can't be unpacked to {shown}: {error}"));
    match std::fs::create_dir(&dir) {
        Ok(()) => SAMPLE.extract(&dir).map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && is_demo(&dir) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            return Err(Failure::Usage(format!("{shown} exists and is no demo: name a new folder")));
        }
        Err(error) => return Err(failed(error)),
    }
    let keys = dir.join("keys.json");
    let mut out = anstream::stdout();
    let command = quoted(&["ctverify", "--from", &shown.to_string(), "--keys", &keys.display().to_string()]);
    let say = |out: &mut dyn Write, text: String| {
        out.write_all(text.as_bytes()).map_err(|error| Failure::CannotRun(format!("standard output: {error}")))
    };
    say(&mut out, format!("$ {command}\n\n"))?;
    let arguments: [&OsStr; 5] =
        ["ctverify".as_ref(), "--from".as_ref(), dir.as_os_str(), "--keys".as_ref(), keys.as_os_str()];
    // Environment variables for the jobs of this machine do not apply to the demo.
    let args = Args::read(arguments, false).map_err(|error| Failure::Usage(error.to_string()))?;
    let code = super::verify(&args.verify)?;
    let path = |below| {
        let file = first_file(SAMPLE.path(), &SAMPLE, below).unwrap_or_default();
        quoted(&[&format!("{shown}/{file}")])
    };
    let (log, digest) = (path("/CloudTrail/"), path("/CloudTrail-Digest/"));
    say(
        &mut out,
        format!(
            "\nThese are a day's logs of two regions, signed with keys made for this demo. Now tamper with them:\n\n\
             \x20 a log file is edited     echo | gzip > {log}\n\
             \x20 a log file is deleted    rm {log}\n\
             \x20 a digest is deleted      rm {digest}\n\n\
             and verify again:           {command}\n"
        ),
    )?;
    Ok(code)
}

/// Returns whether a folder is an earlier demo: it has the public keys that were made for it.
fn is_demo(dir: &Path) -> bool {
    let own = SAMPLE.files().find(|file| file.path().file_name() == Some("keys.json".as_ref()));
    own.is_some_and(|own| std::fs::read(dir.join("keys.json")).is_ok_and(|keys| keys == own.contents()))
}

/// Returns the path of a file of the sample, as an example of what to tamper with.
fn first_file(root: &Path, dir: &Dir<'_>, below: &str) -> Option<String> {
    let mut files: Vec<String> = dir
        .files()
        .map(|file| file.path().strip_prefix(root).unwrap_or(file.path()).display().to_string())
        .filter(|path| path.contains(below) && path.ends_with(".json.gz"))
        .collect();
    files.sort();
    files.into_iter().nth(1).or_else(|| dir.dirs().find_map(|dir| first_file(root, dir, below)))
}
