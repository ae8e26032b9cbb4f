//! Errors about bags that can't be used.

use std::path::{Path, PathBuf};

/// The reason why a bag can't be filled, read or added to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BagError {
    /// A file of the bag can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: std::io::Error,
    },
    /// The folder is not a bag and is not empty.
    #[error("{} is not empty, and no bag that was begun by 'ctverify collect': name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// The bag holds the objects of another source.
    #[error("{} is a bag of {held}, and not of {wanted}: name another folder", path.display())]
    OtherSource {
        /// The bag.
        path: PathBuf,
        /// The source and trail of which the bag holds objects.
        held: String,
        /// The source and trail that were to be collected.
        wanted: String,
    },
    /// The file is no ZIP file with a bag in it, or can't be unpacked.
    #[error("{} can't be read as a bag in a ZIP file: {reason}", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// A description of the fault.
        reason: String,
    },
    /// There is no bag in the folder.
    #[error("{} is no bag: it has neither bagit.txt nor another file of a bag beside data/objects", .0.display())]
    NoBag(PathBuf),
    /// Another run is filling the bag.
    #[error("{} is being filled by another run: wait for its end", .0.display())]
    InUse(PathBuf),
    /// The bag was changed after it was closed.
    #[error("{} was changed since it was closed, so nothing is added to it: {what}", path.display())]
    Altered {
        /// The bag.
        path: PathBuf,
        /// The first change that was found.
        what: String,
    },
    /// The bag was never closed.
    #[error(
        "{} is half a bag: it has no manifest: its collection was not finished, or the manifest was removed. \
         Run the same 'ctverify collect' again; it goes on where it stopped",
        .0.display()
    )]
    Half(PathBuf),
    /// A file of the bag does not have the required form.
    #[error("{} is not what a bag's file of that name is: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// A description of the fault.
        reason: String,
    },
}

impl BagError {
    pub(super) fn io(path: &Path) -> impl Fn(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path: path.clone(), error }
    }

    pub(super) fn form(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Form { path: path.to_owned(), reason: reason.to_string() }
    }
}
