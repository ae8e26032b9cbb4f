//! A random part of the log files, chosen so that the same seed chooses the same files again.

use std::collections::HashSet;

use crate::audit::digests::identity::rank;
use crate::audit::emit::step::Step;
use crate::audit::log_files::judge::Task;
use crate::audit::request::SampleRequest;
use crate::model::ObjectRef;
use crate::records::Sample;

/// The sample that was chosen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub sample: Sample,
    /// The number of log files that it was chosen from.
    pub total: u64,
}

impl SampleRequest {
    /// Chooses among the log files that the listing shows, and drops the others. Log files that it
    /// does not show are looked for in any case.
    pub(crate) fn choose(&self, steps: &mut Vec<Step>) -> Chosen {
        let candidates = steps.iter().filter_map(candidate);
        let mut ranked: Vec<(u64, &ObjectRef)> =
            candidates.map(|task| (rank(self.seed, &task.object.to_string()), &task.object)).collect();
        let total = ranked.len() as u64;
        let files = self.size.of(total);
        ranked.sort_unstable();
        let chosen: HashSet<ObjectRef> = ranked
            .into_iter()
            .take(usize::try_from(files).unwrap_or(usize::MAX))
            .map(|(_, object)| object.clone())
            .collect();
        steps.retain(|step| candidate(step).is_none_or(|task| chosen.contains(&task.object)));
        Chosen { sample: Sample { files, seed: self.seed }, total }
    }
}

fn candidate(step: &Step) -> Option<&Task> {
    match step {
        Step::LogFile(_, task) if task.is_candidate => Some(task),
        _ => None,
    }
}
