// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the repository of an installation tells about what is installed. Only for people: nothing runs
//! differently for it, so what is missing or damaged is left out.

use super::deploy::is_commit;
use super::directory::{Directory, DirectoryError};
use super::gvariant::{self, ANY, NUMBER, Part, TEXT};
use super::installation::Installation;
use super::reference::Reference;
use crate::keyfile::KeyFile;

/// Most bytes of its configuration: a remote takes some lines.
const CONFIGURATION: usize = 1 << 20;

/// Most bytes of a file that names a version.
const REFERENCE: usize = 4096;

/// Most bytes of the description of a version: it holds a copy of the metadata.
const COMMIT: usize = 4 << 20;

/// `(a{sv}aya(say)sstayay)`: more, parent, related, subject, body, time, tree.
const PARTS: [Part; 8] = [ANY, TEXT, TEXT, TEXT, TEXT, NUMBER, TEXT, TEXT];

/// A repository.
#[derive(Debug)]
pub struct Repository {
    directory: Option<Directory>,
    configuration: KeyFile,
}

/// What whoever made a version said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    /// The version before it.
    pub parent: Option<String>,
    /// What changed, in a line.
    pub subject: String,
    /// When it was made, in seconds since 1970.
    pub time: u64,
}

impl Repository {
    /// Opens the repository of an installation.
    ///
    /// # Errors
    /// If the installation cannot be read.
    pub fn open(installation: &Installation) -> Result<Self, DirectoryError> {
        let root = installation.open()?;
        let directory = root.map(|root| root.below("repo")).transpose()?.flatten();
        let bytes =
            directory.as_ref().and_then(|found| found.read("config", CONFIGURATION).ok()?);
        let configuration = bytes.and_then(|bytes| KeyFile::parse(&bytes).ok()).unwrap_or_default();
        Ok(Self { directory, configuration })
    }

    /// The collection that a remote belongs to.
    #[must_use]
    pub fn collection(&self, origin: &str) -> Option<String> {
        self.configuration.string(&format!("remote \"{origin}\""), "collection-id").ok().flatten()
    }

    /// The newest version that is known of something from a remote.
    #[must_use]
    pub fn latest(&self, origin: &str, reference: &Reference) -> Option<String> {
        if origin.contains('/') {
            return None;
        }
        let path = format!("refs/remotes/{origin}/{reference}");
        let bytes = self.directory.as_ref()?.read(path, REFERENCE).ok()??;
        let commit = str_of(&bytes)?.trim_end();
        is_commit(commit).then(|| commit.to_owned())
    }

    /// What is said of a version.
    #[must_use]
    pub fn version(&self, commit: &str) -> Option<Version> {
        let (folder, name) =
            Some(commit).filter(|commit| is_commit(commit))?.split_at_checked(2)?;
        let path = format!("objects/{folder}/{name}.commit");
        let bytes = self.directory.as_ref()?.read(path, COMMIT).ok()??;
        version(&bytes)
    }
}

fn str_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn version(bytes: &[u8]) -> Option<Version> {
    let [_, parent, _, subject, _, time, _, _] = gvariant::tuple(bytes, &PARTS)?;
    let parent: String = parent.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Version {
        parent: is_commit(&parent).then_some(parent),
        subject: gvariant::text(subject)?.to_owned(),
        time: gvariant::big_endian(time)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::deploy::tests::{COMMIT as NAME, installation};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use proptest::prelude::*;

    /// Written by OSTree 2022.7 for an application.
    const OBJECT: &[u8] = include_bytes!("repository/commit");

    #[test]
    fn what_is_said_of_a_version() {
        let scratch = Scratch::new();
        let (folder, name) = NAME.split_at(2);
        scratch.file(&format!("i/repo/objects/{folder}/{name}.commit"), OBJECT);
        let repository = Repository::open(&installation(&scratch, "i")).unwrap();
        let expected = Version { parent: None, subject: "a subject".into(), time: 1_767_323_045 };
        assert_eq!(repository.version(NAME), Some(expected));
        assert_eq!(repository.version(&"f".repeat(64)), None);
        assert_eq!(repository.version("../../secret"), None);
    }

    #[test]
    fn what_is_known_of_a_remote() {
        let scratch = Scratch::new();
        scratch.file("i/repo/config", "[remote \"one\"]\ncollection-id=org.example\n");
        let reference = Reference::parse("app/org.example.App/x86_64/stable").unwrap();
        scratch.file(&format!("i/repo/refs/remotes/one/{reference}"), format!("{NAME}\n"));
        scratch.file(&format!("i/repo/refs/remotes/two/{reference}"), "nonsense");
        let repository = Repository::open(&installation(&scratch, "i")).unwrap();
        assert_eq!(repository.collection("one").as_deref(), Some("org.example"));
        assert_eq!(repository.collection("two"), None);
        assert_eq!(repository.latest("one", &reference).as_deref(), Some(NAME));
        assert_eq!(repository.latest("two", &reference), None);
        assert_eq!(repository.latest("../remotes/one", &reference), None);
    }

    #[test]
    fn an_installation_without_a_repository_tells_nothing() {
        let scratch = Scratch::new();
        let repository = Repository::open(&installation(&scratch, "i")).unwrap();
        assert_eq!((repository.version(NAME), repository.collection("one")), (None, None));
    }

    proptest! {
        /// A byte that changed gives another version or none, and never ends the program.
        #[test]
        fn changed_bytes_are_survived(place in 0..OBJECT.len(), byte in any::<u8>()) {
            let mut bytes = OBJECT.to_vec();
            bytes[place] = byte;
            if let Some(version) = version(&bytes) {
                prop_assert!(version.subject.len() < bytes.len());
            }
        }
    }
}
