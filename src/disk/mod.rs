//! Files that appear only once they are whole (an earlier file stays until then), small files that are
//! read whole, and buffers that go on in temporary files.

pub(crate) mod spill;

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

/// Returns the path to which a file is written: the target, if `path` is a symbolic link.
///
/// # Errors
///
/// Refuses a symbolic link at `path` that another user owns: in a folder that many can write to, it
/// could lead to a file of the caller's that the other user chose.
pub(crate) fn target(path: &Path) -> io::Result<PathBuf> {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_symlink() => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::MetadataExt;
                let (owner, own) = (metadata.uid(), rustix::process::geteuid().as_raw());
                if owner != own && owner != 0 {
                    return Err(io::Error::other("it is a symbolic link of another user, which is not followed"));
                }
            }
            path.canonicalize().or_else(|_| Ok(path.to_owned()))
        }
        _ => Ok(path.to_owned()),
    }
}

/// The maximum size of a settings file, a key or a signature, in bytes.
const MAX_SMALL_FILE_BYTES: u64 = 1 << 20;

/// Reads a small file whole: settings, a key, a signature. It may be a pipe.
///
/// # Errors
///
/// Refuses a file larger than 1 MiB: a device may never end.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_SMALL_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_SMALL_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {MAX_SMALL_FILE_BYTES} bytes")));
    }
    Ok(content)
}

/// Reads a small file of text: see [`read_small`].
///
/// # Errors
///
/// Refuses a file that is too large, or not in UTF-8.
pub(crate) fn read_small_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read_small(path)?).map_err(|_| io::Error::other("it is not in UTF-8"))
}

/// Writes a file that appears only once it is whole.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let (file, mut writer) = create(path)?;
    writer.write_all(content)?;
    if let Some(file) = file {
        file.as_file().sync_all()?;
        file.persist(path)?;
    }
    Ok(())
}

/// Creates a temporary file beside `path`, to be renamed when it is whole, and returns it with a
/// handle to write to. A pipe or a device is opened itself, without a temporary file.
pub(crate) fn create(path: &Path) -> io::Result<(Option<NamedTempFile>, File)> {
    if path.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    if path.exists() && !path.is_file() {
        return Ok((None, File::options().write(true).open(path)?));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = partial(folder)?;
    let writer = file.reopen()?;
    Ok((Some(file), writer))
}

/// Creates a temporary file in a folder, to be renamed when it is whole.
pub(crate) fn partial(folder: &Path) -> io::Result<NamedTempFile> {
    remove_stale(folder);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL.0).suffix(PARTIAL.1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // The mode of any file that a program creates: the umask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(|error| match folder.is_dir() {
        // Its own message has the name of the temporary file.
        true => io::Error::from(error.kind()),
        false => io::Error::other(format!("there is no folder {}", folder.display())),
    })?;
    // Best effort: if files can't be locked here, a later run can't lock this one either, and
    // leaves it alone.
    let _ = file.as_file().try_lock();
    Ok(file)
}

/// Creates a temporary folder in a folder, for files that are to be moved out of it when they are whole.
/// A run that is killed leaves it.
#[cfg(feature = "cli")]
pub(crate) fn partial_folder(folder: &Path) -> io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(PARTIAL.0).suffix(PARTIAL.1).tempdir_in(folder)
}

/// True if a file or folder of this name is not whole yet, or was left behind by a run that was killed.
pub(crate) fn is_partial(name: &str) -> bool {
    name.starts_with(PARTIAL.0) && name.ends_with(PARTIAL.1)
}

/// The prefix and the suffix in the name of a file that is not whole yet.
const PARTIAL: (&str, &str) = (".ctverify-", ".partial");
/// The age beyond which such a file may count as left behind.
const STALE: Duration = Duration::from_secs(60);

/// Removes partial files that killed runs left behind. A run that is still writing holds a lock.
fn remove_stale(folder: &Path) {
    // Best effort: a file that can't be examined or removed stays.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata().ok().filter(Metadata::is_file).and_then(|file| file.modified().ok()?.elapsed().ok());
        if is_partial(&name) && age.is_some_and(|age| age > STALE) {
            let unlocked = File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if unlocked {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}
