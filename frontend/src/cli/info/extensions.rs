// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is told of the extensions of something (R262).

use std::path::Path;

use super::block::Block;
use crate::caller::Caller;
use crate::cli::size::size;
use crate::flatpak::deploy::Deploy;
use crate::flatpak::deploy_data::DeployData;
use crate::flatpak::extension::condition::Circumstances;
use crate::flatpak::extension::{Described, describe};
use crate::flatpak::installation::Installations;
use crate::message::Notice;

/// A block for each extension that is installed for it, in order of priority.
pub(super) fn blocks(
    deploy: &Deploy,
    installations: &Installations,
    caller: &Caller,
    notices: &mut Vec<Notice>,
) -> Vec<Block> {
    let circumstances = Circumstances::new(caller, Path::new("/"));
    let found = describe(deploy, installations, &circumstances, notices);
    found.into_iter().map(|extension| block(extension, installations)).collect()
}

fn block(extension: Described, installations: &Installations) -> Block {
    let data = data(&extension, installations);
    let (origin, size, subpaths) = match data {
        Some(data) => (data.origin, size(data.installed_size), data.subpaths),
        None => ("-".to_owned(), "unknown".to_owned(), Vec::new()),
    };
    let mut block = vec![
        ("Extension", extension.reference.to_string()),
        ("ID", extension.declared.to_string()),
        ("Origin", origin),
        ("Commit", extension.commit.unwrap_or_else(|| "unmaintained".to_owned())),
        ("Installed Size", size),
    ];
    if !subpaths.is_empty() {
        block.push(("Subpaths", subpaths.join(",")));
    }
    block
}

/// What its installation keeps about it; none of one that nobody deployed, or if it is damaged.
fn data(extension: &Described, installations: &Installations) -> Option<DeployData> {
    let commit = Some(extension.commit.as_deref()?);
    let open = |one| Deploy::open(one, &extension.reference, commit).ok().flatten();
    installations.iter().find_map(open)?.data().ok()
}
