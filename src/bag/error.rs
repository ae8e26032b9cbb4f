//! Why a bag can't be used.

use std::path::{Path, PathBuf};

/// Why a bag can't be filled, read or added to.
#[derive(Debug, thiserror::Error)]
pub enum BagError {
    /// A file of it can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The folder is no bag and holds something.
    #[error("{} is not empty, and no bag that was begun by 'ctverify collect': name a new folder", .0.display())]
    NotEmpty(PathBuf),
    /// It is a bag of something else.
    #[error("{} is a bag of {held}, and not of {wanted}: name another folder", path.display())]
    OtherSource {
        /// The bag.
        path: PathBuf,
        /// What it holds.
        held: String,
        /// What was to be collected.
        wanted: String,
    },
    /// There is no bag.
    #[error("{} is no bag: it has neither bagit.txt nor another file of a bag beside data/objects", .0.display())]
    NoBag(PathBuf),
    /// Somebody fills it at the same time.
    #[error("{} is being filled by another run: wait for its end", .0.display())]
    InUse(PathBuf),
    /// It was changed since it was closed.
    #[error("{} was changed since it was closed, so nothing is added to it: {what}", path.display())]
    Altered {
        /// The bag.
        path: PathBuf,
        /// What was found first.
        what: String,
    },
    /// It was never finished.
    #[error(
        "{} is half a bag: it has no manifest, because its collection was not finished. Run the same 'ctverify collect' again; it goes on where it stopped",
        .0.display()
    )]
    Half(PathBuf),
    /// A file of it does not have the form that it must have.
    #[error("{} is not what a bag's file of that name is: {reason}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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
