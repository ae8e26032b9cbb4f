//! Manifests: each file's SHA-256 and its path (RFC 8493, 2.1.3).

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::BagError;

/// Encodes a path for a manifest, in which line ends and percent signs are written as `%0A`, `%0D`
/// and `%25`.
fn encode(path: &str) -> String {
    path.replace('%', "%25").replace('\n', "%0A").replace('\r', "%0D")
}

fn decode(path: &str) -> String {
    path.replace("%0A", "\n").replace("%0a", "\n").replace("%0D", "\r").replace("%0d", "\r").replace("%25", "%")
}

/// The maximum size of a manifest, in bytes: enough for some twelve million files, more than a bag
/// has ever had.
const MAX_MANIFEST_BYTES: u64 = 4 << 30;
/// The maximum length of a line, in bytes: a key has at most 1,024 bytes, each of which may be
/// written as three.
const MAX_LINE_BYTES: u64 = 16 * 1024;

/// Opens a regular file for reading. A bag may come from anybody, and opening a pipe blocks until
/// somebody writes to it.
pub(super) fn open_file(path: &Path, most: u64) -> Result<File, BagError> {
    let metadata = path.symlink_metadata().map_err(BagError::io(path))?;
    if !metadata.is_file() {
        return Err(BagError::form(path, "it is no regular file"));
    }
    if metadata.len() > most {
        return Err(BagError::form(path, format!("it is larger than {most} bytes, which no bag needs")));
    }
    File::open(path).map_err(BagError::io(path))
}

/// The lines of a file, none of them longer than `most` bytes.
pub(super) fn lines(file: File, path: PathBuf, most: u64) -> impl Iterator<Item = Result<String, BagError>> {
    let mut reader = BufReader::new(file);
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        match reader.by_ref().take(most + 1).read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) if line.len() as u64 > most => {
                Some(Err(BagError::form(&path, format!("a line of it is longer than {most} bytes"))))
            }
            Ok(_) => {
                while matches!(line.last(), Some(b'\n' | b'\r')) {
                    line.pop();
                }
                Some(String::from_utf8(line).map_err(|_| BagError::form(&path, "a line of it is not UTF-8")))
            }
            Err(error) => Some(Err(BagError::io(&path)(error))),
        }
    })
}

/// Reads a manifest, one entry at a time: a path in the bag, and the hex SHA-256 of the file there.
pub(super) fn entries(path: &Path) -> Result<impl Iterator<Item = Result<(String, String), BagError>>, BagError> {
    let file = open_file(path, MAX_MANIFEST_BYTES)?;
    let lines = lines(file, path.to_owned(), MAX_LINE_BYTES);
    let path = path.to_owned();
    Ok(lines.map(move |line| {
        let line = line?;
        let parts = line.split_once(char::is_whitespace);
        let (hash, name) = parts.ok_or_else(|| BagError::form(&path, format!("'{line}' is no entry")))?;
        let name = decode(name.trim_start().trim_start_matches("./"));
        // Names must not lead out of the bag, since a bag may come from anybody.
        let leaves = name.starts_with('/') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
        if leaves || hash.len() != 64 {
            return Err(BagError::form(&path, format!("'{line}' is no entry of a file in the bag")));
        }
        Ok((name, hash.to_ascii_lowercase()))
    }))
}

/// Writes one entry.
pub(super) fn write_entry(out: &mut dyn Write, name: &str, hash: &str) -> std::io::Result<()> {
    writeln!(out, "{hash}  {}", encode(name))
}

/// Writes a file that appears under its name only once it is complete.
pub(super) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), BagError> {
    let failed = BagError::io(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(&failed)?;
    let mut file = partial_in(folder).map_err(&failed)?;
    let mut out = BufWriter::new(file.as_file_mut());
    fill(&mut out).and_then(|()| out.flush()).map_err(&failed)?;
    drop(out);
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// The prefix of the names of files that are not complete yet.
pub(super) const PARTIAL: &str = ".ctverify-partial-";

/// Returns whether a file with this name is not complete yet; reports that are being written have a
/// name of their own.
pub(super) fn is_partial(name: &str) -> bool {
    name.starts_with(PARTIAL) || (name.starts_with(".ctverify-") && name.ends_with(".partial"))
}

/// Creates a temporary file in a folder, to be renamed once it is complete. As with any file that a
/// program creates, the umask decides who may read it.
pub(super) fn partial_in(folder: &Path) -> std::io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Computes the SHA-256 of a file, in hex, and its size in bytes.
pub(super) fn hash(path: &Path) -> std::io::Result<(String, u64)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0);
    let mut piece = vec![0; 256 * 1024];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok((hex::encode(hash.finalize()), size));
        }
        hash.update(&piece[..length]);
        size += length as u64;
    }
}

/// The treatment of files that are not complete yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Partial {
    Counts,
    LeftOut,
}

/// Calls `take` with the path in the bag of each file below a folder, sorted by name.
pub(super) fn walk(
    root: &Path,
    below: &str,
    partial: Partial,
    take: &mut dyn FnMut(String) -> Result<(), BagError>,
) -> Result<(), BagError> {
    let path = if below.is_empty() { root.to_owned() } else { root.join(below) };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&path).map_err(BagError::io(&path))? {
        let entry = entry.map_err(BagError::io(&path))?;
        let is_folder = entry.file_type().map_err(BagError::io(&path))?.is_dir();
        let name = entry.file_name().into_string();
        names.push((name.map_err(|_| BagError::form(&entry.path(), "its name is not UTF-8"))?, is_folder));
    }
    names.sort();
    for (name, is_folder) in names {
        let inside = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        if is_folder {
            walk(root, &inside, partial, take)?;
        } else if partial == Partial::Counts || !is_partial(&name) {
            take(inside)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_manifest_and_none_leads_out_of_the_bag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest-sha256.txt");
        let hash = "ab".repeat(32);
        let odd = ["data/a b", "data/50%", "data/line\nbreak\r", "data/%0A"];
        write_whole(&path, |out| odd.iter().try_for_each(|name| write_entry(out, name, &hash))).unwrap();
        let read: Vec<_> = entries(&path).unwrap().map(|entry| entry.unwrap().0).collect();
        assert_eq!(read, odd);
        for name in ["../x", "/etc/passwd", "data/../../x", "data//x"] {
            std::fs::write(&path, format!("{hash}  {name}\n")).unwrap();
            assert!(matches!(entries(&path).unwrap().next(), Some(Err(BagError::Form { .. }))), "{name}");
        }
    }
}
