//! Closing a bag: its manifests and its description.

use jiff::Timestamp;

use super::manifest::{self, Partial, write_whole};
use super::{
    BagError, BagWriter, DECLARATION, INFO, MANIFEST, OBJECTS_LIST, README, SOURCE, TAG_MANIFEST, objects_list,
};
use crate::records::CaseInfo;
use crate::sync::lock;

/// The content of `bag-info.txt`.
#[derive(Debug, Clone, Default)]
pub struct BagInfo {
    /// The case that the bag belongs to.
    pub case: CaseInfo,
    /// The source of the objects.
    pub source: String,
    /// The range of time, as text for people.
    pub range: String,
}

/// The number of files of a bag's payload, and of their bytes.
struct Payload {
    files: u64,
    bytes: u64,
}

/// The name of the manifest until the bag is complete.
const WAITING: &str = ".ctverify-partial-manifest";

impl BagWriter {
    /// Closes the bag: every file in it gets its entry in a manifest.
    ///
    /// # Errors
    ///
    /// Fails if a file of the bag can't be read or written. The bag then has no manifest, and is
    /// not complete.
    pub fn close(&self, info: &BagInfo) -> Result<(), BagError> {
        self.open_up()?;
        let payload = self.write_payload_manifest()?;
        write_whole(&self.root.join(DECLARATION), |out| {
            out.write_all(b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")
        })?;
        self.write_info(info, &payload)?;
        let (waiting, manifest) = (self.root.join(WAITING), self.root.join(MANIFEST));
        std::fs::rename(&waiting, &manifest).map_err(BagError::io(&manifest))?;
        self.write_tag_manifest()
    }

    /// Writes the manifest of the payload under the name [`WAITING`].
    fn write_payload_manifest(&self) -> Result<Payload, BagError> {
        let collected = lock(&self.collected);
        objects_list::tidy(&self.root.join(OBJECTS_LIST), &collected)?;
        let mut payload = Payload { files: 0, bytes: 0 };
        let waiting = self.root.join(WAITING);
        let mut trouble = Ok(());
        write_whole(&waiting, |out| {
            trouble = manifest::walk(&self.root, "data", Partial::LeftOut, &mut |name| {
                let path = self.root.join(&name);
                let (hash, size) = match collected.get(&name) {
                    Some(known) => (hex::encode(known.sha256), known.size),
                    None => manifest::hash(&path).map_err(BagError::io(&path))?,
                };
                payload.files += 1;
                payload.bytes += size;
                manifest::write_entry(out, &name, &hash).map_err(BagError::io(&waiting))
            });
            Ok(())
        })?;
        trouble.map(|()| payload)
    }

    fn write_info(&self, info: &BagInfo, payload: &Payload) -> Result<(), BagError> {
        let CaseInfo { case, exhibit, examiner, .. } = &info.case;
        let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
        let version = format!("ctverify {}", env!("CARGO_PKG_VERSION"));
        let oxum = format!("{}.{}", payload.bytes, payload.files);
        let description = format!("AWS CloudTrail digest and log files of {}, {}", info.source, info.range);
        let lines = [
            ("Bagging-Date", Some(&today)),
            ("Bag-Software-Agent", Some(&version)),
            ("Payload-Oxum", Some(&oxum)),
            ("External-Description", Some(&description)),
            ("External-Identifier", case.as_ref()),
            ("Internal-Sender-Identifier", exhibit.as_ref()),
            ("Contact-Name", examiner.as_ref()),
        ];
        write_whole(&self.root.join(INFO), |out| {
            let known = lines.iter().filter_map(|(name, value)| Some((name, (*value)?)));
            // A value must not have line breaks: each stands on one line.
            known
                .map(|(name, value)| (name, value.replace(['\n', '\r'], " ")))
                .try_for_each(|(name, value)| writeln!(out, "{name}: {value}"))
        })
    }

    fn write_tag_manifest(&self) -> Result<(), BagError> {
        let readme = Some(README).filter(|name| self.root.join(name).is_file());
        let tags = [DECLARATION, INFO, MANIFEST, SOURCE].into_iter().chain(readme).map(|name| {
            let path = self.root.join(name);
            manifest::hash(&path).map(|(hash, _)| (name, hash)).map_err(BagError::io(&path))
        });
        let tags: Vec<(&str, String)> = tags.collect::<Result<_, _>>()?;
        write_whole(&self.root.join(TAG_MANIFEST), |out| {
            tags.iter().try_for_each(|(name, hash)| manifest::write_entry(out, name, hash))
        })
    }
}
