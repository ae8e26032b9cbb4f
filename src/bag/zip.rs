//! Packing a bag into one file.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;

use zip::write::{SimpleFileOptions, ZipWriter};
use zip::{CompressionMethod, DateTime};

use super::BagError;
use super::manifest::{Partial, partial_in, walk};

/// Packs the bag at `root` into the ZIP file `target`, in a folder with the bag's name. The content
/// is stored as it is, because it is compressed already; the same bag gives the same bytes.
///
/// # Errors
///
/// Fails if a file of the bag can't be read, or `target` can't be written.
pub fn zip(root: &Path, target: &Path) -> Result<(), BagError> {
    let failed = BagError::io(target);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = partial_in(folder).map_err(&failed)?;
    let top = root.file_name().map_or_else(|| "bag".into(), |name| name.to_string_lossy());
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
        .large_file(true);
    let pack = || -> Result<(), BagError> {
        let mut archive = ZipWriter::new(BufWriter::new(file.as_file()));
        walk(root, "", Partial::LeftOut, &mut |name| {
            let path = root.join(&name);
            let mut content = BufReader::new(File::open(&path).map_err(BagError::io(&path))?);
            archive.start_file(format!("{top}/{name}"), options).map_err(|error| failed(error.into()))?;
            io::copy(&mut content, &mut archive).map_err(BagError::io(&path)).map(|_| ())
        })?;
        let mut out = archive.finish().map_err(|error| failed(error.into()))?;
        out.flush().map_err(&failed)
    };
    pack()?;
    file.as_file().sync_all().map_err(&failed)?;
    file.persist(target).map_err(|error| failed(error.error))?;
    Ok(())
}
