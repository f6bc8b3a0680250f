// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that is installed, with what is known of it.

use super::deploy::{self, Deploy, DeployError};
use super::deploy_data::DeployData;
use super::directory::DirectoryError;
use super::installation::{Installation, Owner};
use super::metadata::Metadata;
use super::reference::{Kind, Reference};
use super::repository::Repository;
use crate::message::Notice;

/// Something that is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub reference: Reference,
    /// Which version.
    pub commit: String,
    /// The newest version that is known, if it is another one.
    pub latest: Option<String>,
    /// Whose installation has it.
    pub owner: Owner,
    /// Whether an application runs in this branch where none is named.
    pub is_current: bool,
    /// What an application runs on.
    pub runtime: Option<Reference>,
    /// What the installation keeps about it.
    pub data: DeployData,
}

/// Everything of these kinds in these installations. What cannot be used is told and left out.
#[must_use]
pub fn inventory(installations: &[&Installation], kinds: &[Kind]) -> (Vec<Item>, Vec<Notice>) {
    let (mut items, mut notices) = (Vec::new(), Vec::new());
    for installation in installations {
        let repository = match Repository::open(installation) {
            Ok(repository) => repository,
            Err(error) => {
                notices.push(Notice::Warning(error.to_string()));
                continue;
            }
        };
        for kind in kinds {
            let references = deploy::installed(installation, *kind).unwrap_or_else(|error| {
                notices.push(Notice::Warning(error.to_string()));
                Vec::new()
            });
            for reference in references {
                match item(installation, &reference, &repository) {
                    Ok(item) => items.extend(item),
                    Err(error) => notices.push(Notice::Warning(error.to_string())),
                }
            }
        }
    }
    (items, notices)
}

fn item(
    installation: &Installation,
    reference: &Reference,
    repository: &Repository,
) -> Result<Option<Item>, DeployError> {
    // It may have been removed since it was found.
    let Some(deploy) = Deploy::open(installation, reference, None)? else { return Ok(None) };
    let data = deploy.data()?;
    let latest = repository.latest(&data.origin, reference);
    let runtime = match reference.kind {
        // A damaged name is told by whoever runs it.
        Kind::App => Metadata::read(Kind::App, &deploy.metadata).ok().and_then(|said| said.runtime),
        Kind::Runtime => None,
    };
    Ok(Some(Item {
        reference: reference.clone(),
        latest: latest.filter(|latest| *latest != deploy.commit),
        commit: deploy.commit,
        owner: installation.owner.clone(),
        is_current: is_current(installation, reference)?,
        runtime,
        data,
    }))
}

fn is_current(installation: &Installation, reference: &Reference) -> Result<bool, DirectoryError> {
    let current = match reference.kind {
        Kind::App => deploy::current(installation, &reference.id)?,
        Kind::Runtime => None,
    };
    Ok(current
        .is_some_and(|(arch, branch)| (&arch, &branch) == (&reference.arch, &reference.branch)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::deploy::tests::{COMMIT, install, installation};
    use super::super::deploy_data::tests::APP;
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    /// Installs something, with the data of a real application.
    pub(crate) fn install_whole(scratch: &Scratch, name: &str, reference: &str, metadata: &str) {
        install(scratch, name, reference, metadata);
        scratch.file(&format!("{name}/{reference}/{COMMIT}/deploy"), APP);
    }

    #[test]
    fn what_is_known_of_what_is_installed() {
        let scratch = Scratch::new();
        let stable = "app/org.example.App/x86_64/stable";
        let metadata = "[Application]\nruntime=org.example.Platform/x86_64/1\n";
        install_whole(&scratch, "i", stable, metadata);
        install_whole(&scratch, "i", "app/org.example.App/x86_64/beta", metadata);
        install_whole(&scratch, "i", "runtime/org.example.Platform/x86_64/1", "[Runtime]\n");
        install(&scratch, "i", "app/org.example.Broken/x86_64/stable", metadata);
        symlink("x86_64/stable", scratch.join("i/app/org.example.App/current")).unwrap();
        let newest = "f".repeat(64);
        scratch.file(&format!("i/repo/refs/remotes/local/{stable}"), &newest);
        let here = installation(&scratch, "i");

        let (items, notices) = inventory(&[&here], &[Kind::App, Kind::Runtime]);
        let said: Vec<_> = items
            .iter()
            .map(|item| format!("{} {} {}", item.reference, item.is_current, item.latest.is_some()))
            .collect();
        let expected = [
            "app/org.example.App/x86_64/beta false false",
            "app/org.example.App/x86_64/stable true true",
            "runtime/org.example.Platform/x86_64/1 false false",
        ];
        assert_eq!(said, expected);
        assert_eq!(items[0].runtime.as_ref().unwrap().branch.as_str(), "1");
        assert_eq!(notices.len(), 1, "the broken one");
    }
}
