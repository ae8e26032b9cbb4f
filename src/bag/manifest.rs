//! Manifests: each file's SHA-256 and its path (RFC 8493, 2.1.3).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::BagError;

/// Files by their path in the bag, with the hex SHA-256 of each.
pub(super) type Manifest = BTreeMap<String, String>;

/// In a manifest, line ends and percent signs of a path are written as `%0A`, `%0D`, `%25`.
fn encode(path: &str) -> String {
    path.replace('%', "%25").replace('\n', "%0A").replace('\r', "%0D")
}

fn decode(path: &str) -> String {
    path.replace("%0A", "\n").replace("%0a", "\n").replace("%0D", "\r").replace("%0d", "\r").replace("%25", "%")
}

/// Reads a manifest.
pub(super) fn read(path: &Path) -> Result<Manifest, BagError> {
    let file = File::open(path).map_err(BagError::io(path))?;
    let mut manifest = Manifest::new();
    for line in BufReader::new(file).lines() {
        let line = line.map_err(BagError::io(path))?;
        let parts = line.split_once(char::is_whitespace);
        let (hash, name) = parts.ok_or_else(|| BagError::form(path, format!("'{line}' is no entry")))?;
        let name = decode(name.trim_start().trim_start_matches("./"));
        // Names lead nowhere else: a bag may come from anybody.
        let leaves = name.starts_with('/') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
        if leaves || hash.len() != 64 {
            return Err(BagError::form(path, format!("'{line}' is no entry of a file in the bag")));
        }
        manifest.insert(name, hash.to_ascii_lowercase());
    }
    Ok(manifest)
}

/// Writes a manifest; it appears only when it is whole.
pub(super) fn write(path: &Path, manifest: &Manifest) -> Result<(), BagError> {
    write_whole(path, |out| {
        for (name, hash) in manifest {
            writeln!(out, "{hash}  {}", encode(name))?;
        }
        Ok(())
    })
}

/// Writes a file that appears only when it is whole.
pub(super) fn write_whole(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), BagError> {
    let failed = BagError::io(path);
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(&failed)?;
    let mut file = NamedTempFile::with_prefix_in(PARTIAL, folder).map_err(&failed)?;
    let mut out = BufWriter::new(file.as_file_mut());
    fill(&mut out).and_then(|()| out.flush()).map_err(&failed)?;
    drop(out);
    file.as_file().sync_all().map_err(&failed)?;
    readable(file.path()).map_err(&failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// How the names of files begin that are not whole yet.
pub(super) const PARTIAL: &str = ".ctverify-partial-";

/// Temporary files are for their owner alone; what a bag holds is read by whoever it is handed to.
pub(super) fn readable(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    }
    let _ = path;
    Ok(())
}

/// The SHA-256 of a file, in hex, and its size.
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

/// The files below a folder, as paths in the bag; those that are not whole yet are left out.
pub(super) fn files(root: &Path, below: &str) -> Result<Vec<String>, BagError> {
    let mut found = Vec::new();
    let mut pending = vec![PathBuf::from(below)];
    while let Some(folder) = pending.pop() {
        let path = root.join(&folder);
        for entry in std::fs::read_dir(&path).map_err(BagError::io(&path))? {
            let entry = entry.map_err(BagError::io(&path))?;
            let inside = folder.join(entry.file_name());
            let kind = entry.file_type().map_err(BagError::io(&path))?;
            let name = inside.to_str().map(str::to_owned);
            let name = name.ok_or_else(|| BagError::form(&inside, "its name is not UTF-8"))?;
            if kind.is_dir() {
                pending.push(inside);
            } else if !entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
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
        let manifest: Manifest = odd.iter().map(|name| ((*name).to_owned(), hash.clone())).collect();
        write(&path, &manifest).unwrap();
        assert_eq!(read(&path).unwrap(), manifest);
        for name in ["../x", "/etc/passwd", "data/../../x", "data//x"] {
            std::fs::write(&path, format!("{hash}  {name}\n")).unwrap();
            assert!(matches!(read(&path), Err(BagError::Form { .. })), "{name}");
        }
    }
}
