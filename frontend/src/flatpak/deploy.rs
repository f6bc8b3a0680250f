// SPDX-License-Identifier: MIT OR Apache-2.0
//! One version of an application or runtime as it lies in an installation (R4-R7).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::deploy_data::{self, DeployData, DeployDataError};
use super::directory::{Directory, DirectoryError};
use super::installation::Installation;
use super::reference::{Arch, Branch, Id, Kind, Reference};
use crate::keyfile::{KeyFile, KeyFileError};
use crate::message::shown;

/// How many hexadecimal digits a version has.
const DIGITS: usize = 64;

/// Most bytes of a file with metadata: it holds lists of permissions and extensions.
pub(super) const METADATA_BYTES: usize = 1 << 20;

/// A deployed version, opened once: what is read and mounted comes from this directory, whatever its
/// path leads to later.
#[derive(Debug)]
pub struct Deploy {
    /// What it is a version of.
    pub reference: Reference,
    /// Which version: 64 hexadecimal digits.
    pub commit: String,
    /// Where it is installed.
    pub installation: Installation,
    /// Its directory on the host, for messages and `.flatpak-info`.
    pub path: PathBuf,
    /// The same directory, `O_PATH`.
    pub directory: OwnedFd,
    /// What it says of itself.
    pub metadata: KeyFile,
}

/// Why something that is installed cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeployError {
    /// A part of it cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// A part of it is not there.
    #[error("cannot use {reference}\n{} is missing\ninstall it again", shown(path))]
    Missing {
        /// What is incomplete.
        reference: Reference,
        /// What it lacks.
        path: PathBuf,
    },
    /// The metadata is none.
    #[error("cannot understand {}\n{source}\ninstall {reference} again", shown(path))]
    Metadata {
        /// What is damaged.
        reference: Reference,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyFileError,
    },
    /// The metadata holds a byte that some readers take for its end (T70, CVE-2021-43860).
    #[error("cannot trust {}\nit has a NUL in it\ndo not use {reference}", shown(path))]
    Nul {
        /// What is not to be trusted.
        reference: Reference,
        /// Where it is.
        path: PathBuf,
    },
    /// What the installation keeps about it is damaged.
    #[error("cannot understand {}\n{source}\ninstall {reference} again", shown(path))]
    Data {
        /// What is damaged.
        reference: Reference,
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        source: DeployDataError,
    },
}

/// The version a directory holds: its name, without the parts it is limited to (R4).
fn commit_in(name: &str) -> Option<&str> {
    let (commit, parts) = name.split_at_checked(DIGITS)?;
    (is_commit(commit) && (parts.is_empty() || parts.starts_with('-'))).then_some(commit)
}

/// Whether a text names a version: 64 hexadecimal digits, the letters small.
#[must_use]
pub fn is_commit(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Deploy {
    /// Opens the version of `reference` that is in use, or a certain one, which may have been removed
    /// while it was running (R7). None if it is not installed.
    ///
    /// # Errors
    /// [`DeployError`], if it is installed and cannot be used.
    pub fn open(
        installation: &Installation,
        reference: &Reference,
        commit: Option<&str>,
    ) -> Result<Option<Self>, DeployError> {
        let Some(root) = installation.open()? else { return Ok(None) };
        let branch = root.below(place(reference))?;
        let found = match (commit, branch) {
            (None, None) => None,
            (None, Some(branch)) => active(&branch)?,
            (Some(commit), _) if !is_commit(commit) => None,
            (Some(commit), branch) => {
                let beside = branch.map(|branch| branch.below(commit)).transpose()?.flatten();
                let found = match beside {
                    Some(found) => Some(found),
                    None => root.below(format!(".removed/{}-{commit}", reference.id))?,
                };
                found.map(|directory| (commit.to_owned(), directory))
            }
        };
        let Some((commit, directory)) = found else { return Ok(None) };
        Self::read(installation, reference, commit, directory).map(Some)
    }

    fn read(
        installation: &Installation,
        reference: &Reference,
        commit: String,
        directory: Directory,
    ) -> Result<Self, DeployError> {
        let path = directory.path().join("metadata");
        let reference = reference.clone();
        let Some(bytes) = directory.read("metadata", METADATA_BYTES)? else {
            return Err(DeployError::Missing { reference, path });
        };
        if bytes.contains(&0) {
            return Err(DeployError::Nul { reference, path });
        }
        let metadata = match KeyFile::parse(&bytes) {
            Ok(metadata) => metadata,
            Err(source) => return Err(DeployError::Metadata { reference, path, source }),
        };
        let installation = installation.clone();
        let path = directory.path().to_owned();
        let directory = directory.into_descriptor();
        Ok(Self { reference, commit, installation, path, directory, metadata })
    }

    /// Its directory, with which its files are read.
    ///
    /// # Errors
    /// [`DeployError::Directory`], if no more files can be opened.
    pub fn open_directory(&self) -> Result<Directory, DeployError> {
        Ok(Directory::of(&self.directory, &self.path)?)
    }

    /// The files that become `/app` or `/usr`: an `O_PATH` descriptor (R5).
    ///
    /// # Errors
    /// If there are none.
    pub fn files(&self) -> Result<OwnedFd, DeployError> {
        let files = self.open_directory()?.below("files")?;
        files.map(Directory::into_descriptor).ok_or_else(|| self.missing("files"))
    }

    /// What the installation keeps about it (R6).
    ///
    /// # Errors
    /// If that is missing or damaged.
    pub fn data(&self) -> Result<DeployData, DeployError> {
        let bytes = self.open_directory()?.read("deploy", deploy_data::BYTES)?;
        let bytes = bytes.ok_or_else(|| self.missing("deploy"))?;
        DeployData::parse(&bytes).map_err(|source| DeployError::Data {
            reference: self.reference.clone(),
            path: self.path.join("deploy"),
            source,
        })
    }

    /// The file with the metadata as it stands.
    ///
    /// # Errors
    /// If it is gone.
    pub fn metadata_file(&self) -> Result<Vec<u8>, DeployError> {
        let bytes = self.open_directory()?.read("metadata", METADATA_BYTES)?;
        bytes.ok_or_else(|| self.missing("metadata"))
    }

    fn missing(&self, name: &str) -> DeployError {
        let path = self.path.join(name);
        DeployError::Missing { reference: self.reference.clone(), path }
    }
}

/// Where the versions of something lie in an installation.
fn place(reference: &Reference) -> PathBuf {
    let id = kind_place(reference.kind).join(reference.id.as_str());
    id.join(reference.arch.as_str()).join(reference.branch.as_str())
}

fn kind_place(kind: Kind) -> &'static Path {
    Path::new(kind.word())
}

/// The version that is in use (R7), which lies beside the link that names it.
fn active(branch: &Directory) -> Result<Option<(String, Directory)>, DirectoryError> {
    let Some(target) = branch.link("active")? else { return Ok(None) };
    let Some(commit) = target.to_str().and_then(commit_in) else { return Ok(None) };
    Ok(branch.below(&target)?.map(|directory| (commit.to_owned(), directory)))
}

/// The architecture and branch of an application that are used where none is named (R4, R12). None if
/// it is not installed.
///
/// # Errors
/// [`DirectoryError`].
pub fn current(
    installation: &Installation,
    id: &Id,
) -> Result<Option<(Arch, Branch)>, DirectoryError> {
    let Some(root) = installation.open()? else { return Ok(None) };
    let link = root.link(kind_place(Kind::App).join(id.as_str()).join("current"))?;
    Ok(link.and_then(|target| {
        let (arch, branch) = target.to_str()?.split_once('/')?;
        Some((Arch::new(arch).ok()?, Branch::new(branch).ok()?))
    }))
}

/// Everything of a kind that an installation has, in order.
///
/// # Errors
/// [`DirectoryError`].
pub fn installed(
    installation: &Installation,
    kind: Kind,
) -> Result<Vec<Reference>, DirectoryError> {
    let Some(root) = installation.open()? else { return Ok(Vec::new()) };
    let Some(ids) = root.below(kind_place(kind))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for id in ids.names()?.into_iter().filter_map(|name| Id::new(name).ok()) {
        found.extend(branches(&ids, kind, &id)?);
    }
    Ok(found)
}

/// Everything of a kind and name that an installation has, in order.
///
/// # Errors
/// [`DirectoryError`].
pub fn installed_as(
    installation: &Installation,
    kind: Kind,
    id: &Id,
) -> Result<Vec<Reference>, DirectoryError> {
    let Some(root) = installation.open()? else { return Ok(Vec::new()) };
    let Some(ids) = root.below(kind_place(kind))? else { return Ok(Vec::new()) };
    branches(&ids, kind, id)
}

fn branches(ids: &Directory, kind: Kind, id: &Id) -> Result<Vec<Reference>, DirectoryError> {
    let mut found = Vec::new();
    // There may be links and files among them.
    let Ok(Some(arches)) = ids.below(id.as_str()) else { return Ok(found) };
    for arch in arches.names()?.into_iter().filter_map(|name| Arch::new(name).ok()) {
        let Ok(Some(branches)) = arches.below(arch.as_str()) else { continue };
        for branch in branches.names()?.into_iter().filter_map(|name| Branch::new(name).ok()) {
            let Ok(Some(versions)) = branches.below(branch.as_str()) else { continue };
            if active(&versions)?.is_some() {
                let (id, arch) = (id.clone(), arch.clone());
                found.push(Reference { kind, id, arch, branch });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::directory::Reason;
    use super::super::installation::Owner;
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    /// A version.
    pub(crate) const COMMIT: &str =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    /// An installation of the user in a scratch directory.
    pub(crate) fn installation(scratch: &Scratch, name: &str) -> Installation {
        Installation { owner: Owner::User, path: scratch.join(name), display_name: None }
    }

    /// Installs something with this metadata in a directory called `name`.
    pub(crate) fn install(scratch: &Scratch, name: &str, reference: &str, metadata: &str) {
        let branch = format!("{name}/{reference}");
        scratch.file(&format!("{branch}/{COMMIT}/metadata"), metadata);
        scratch.directory(&format!("{branch}/{COMMIT}/files"));
        symlink(COMMIT, scratch.join(&format!("{branch}/active"))).unwrap();
    }

    const APP: &str = "app/org.example.App/x86_64/stable";
    const METADATA: &str = "[Application]\nname=org.example.App\n";

    fn app() -> Reference {
        Reference::parse(APP).unwrap()
    }

    fn opened(scratch: &Scratch) -> Result<Option<Deploy>, DeployError> {
        Deploy::open(&installation(scratch, "i"), &app(), None)
    }

    #[test]
    fn r5_what_is_active_is_opened() {
        let scratch = Scratch::new();
        install(&scratch, "i", APP, METADATA);
        scratch.file(&format!("i/{APP}/{COMMIT}/deploy"), super::super::deploy_data::tests::APP);
        let deploy = opened(&scratch).unwrap().unwrap();
        assert_eq!((deploy.commit.as_str(), &deploy.reference), (COMMIT, &app()));
        assert_eq!(deploy.path, scratch.join(&format!("i/{APP}/{COMMIT}")));
        assert_eq!(
            deploy.metadata.string("Application", "name").unwrap().unwrap(),
            "org.example.App"
        );
        assert_eq!(deploy.data().unwrap().origin, "local");
        // What was opened stays, whatever the path leads to later.
        std::fs::rename(scratch.join("i"), scratch.join("j")).unwrap();
        assert!(deploy.files().is_ok());
    }

    #[test]
    fn r3_an_installation_that_does_not_exist_is_empty() {
        let scratch = Scratch::new();
        assert!(opened(&scratch).unwrap().is_none());
        let none = installation(&scratch, "i");
        assert_eq!(installed(&none, Kind::App), Ok(vec![]));
        assert_eq!(current(&none, &app().id), Ok(None));
    }

    #[test]
    fn r4_a_version_may_be_a_part() {
        let scratch = Scratch::new();
        let branch = scratch.directory(&format!("i/{APP}"));
        scratch.file(&format!("i/{APP}/{COMMIT}-dede_DE/metadata"), METADATA);
        symlink(format!("{COMMIT}-dede_DE"), branch.join("active")).unwrap();
        let deploy = opened(&scratch).unwrap().unwrap();
        assert_eq!(deploy.commit, COMMIT);
        assert!(deploy.path.ends_with(format!("{COMMIT}-dede_DE")));
    }

    #[test]
    fn r7_active_is_the_name_of_a_directory_beside_it() {
        let scratch = Scratch::new();
        let branch = scratch.directory(&format!("i/{APP}"));
        let elsewhere = scratch.file(&format!("elsewhere/{COMMIT}/metadata"), METADATA);
        let elsewhere = elsewhere.parent().unwrap().to_str().unwrap().to_owned();
        let upwards = format!("../{COMMIT}");
        for target in [&elsewhere, &upwards, "..", ".", "x", &format!("{COMMIT}/.."), COMMIT] {
            symlink(target, branch.join("active")).unwrap();
            assert!(opened(&scratch).unwrap().is_none(), "{target}");
            std::fs::remove_file(branch.join("active")).unwrap();
        }
        // A name that is one, of a link that leads away.
        symlink(COMMIT, branch.join("active")).unwrap();
        symlink(elsewhere, branch.join(COMMIT)).unwrap();
        let Err(DeployError::Directory(error)) = opened(&scratch) else { panic!() };
        assert_eq!(error.reason, Reason::Link);
    }

    #[test]
    fn r7_a_certain_version_may_have_been_removed() {
        let scratch = Scratch::new();
        install(&scratch, "i", APP, METADATA);
        let (other, gone) = ("a".repeat(64), "b".repeat(64));
        scratch.file(&format!("i/.removed/org.example.App-{gone}/metadata"), METADATA);
        scratch.file("i/secret/metadata", METADATA);
        let open = |commit: &str| {
            let found = Deploy::open(&installation(&scratch, "i"), &app(), Some(commit)).unwrap();
            found.map(|deploy| deploy.commit)
        };
        assert_eq!(open(COMMIT).as_deref(), Some(COMMIT));
        assert_eq!(open(&gone), Some(gone));
        for commit in [&other, "", "abc", "../../../../../secret", &COMMIT.to_uppercase()] {
            assert_eq!(open(commit), None, "{commit}");
        }
    }

    #[test]
    fn t69_nothing_of_a_version_is_a_link() {
        let scratch = Scratch::new();
        install(&scratch, "i", APP, METADATA);
        let version = scratch.join(&format!("i/{APP}/{COMMIT}"));
        std::fs::remove_dir(version.join("files")).unwrap();
        symlink("/etc", version.join("files")).unwrap();
        let error = opened(&scratch).unwrap().unwrap().files().unwrap_err();
        assert!(matches!(error, DeployError::Directory(_)), "{error}");
        std::fs::remove_file(version.join("files")).unwrap();
        let error = opened(&scratch).unwrap().unwrap().files().unwrap_err();
        assert!(matches!(error, DeployError::Missing { .. }), "{error}");
        std::fs::rename(version.join("metadata"), scratch.join("m")).unwrap();
        symlink(scratch.join("m"), version.join("metadata")).unwrap();
        assert!(matches!(opened(&scratch), Err(DeployError::Directory(_))));
        std::fs::remove_file(version.join("metadata")).unwrap();
        assert!(matches!(opened(&scratch), Err(DeployError::Missing { .. })));
    }

    #[test]
    fn r25_t70_metadata_that_is_none_is_an_error() {
        let scratch = Scratch::new();
        install(&scratch, "i", APP, "nonsense");
        assert!(matches!(opened(&scratch), Err(DeployError::Metadata { .. })));
        let hidden = format!("{METADATA}x=\0\n");
        scratch.file(&format!("i/{APP}/{COMMIT}/metadata"), hidden);
        assert!(matches!(opened(&scratch), Err(DeployError::Nul { .. })));
        scratch.file(&format!("i/{APP}/{COMMIT}/metadata"), METADATA);
        scratch.file(&format!("i/{APP}/{COMMIT}/deploy"), "nonsense");
        let error = opened(&scratch).unwrap().unwrap().data().unwrap_err();
        assert!(matches!(error, DeployError::Data { .. }), "{error}");
    }

    #[test]
    fn r12_the_current_branch() {
        let scratch = Scratch::new();
        let place = scratch.directory("i/app/org.example.App");
        let read = || current(&installation(&scratch, "i"), &app().id).unwrap();
        assert_eq!(read(), None);
        for (target, expected) in [
            ("x86_64/stable", Some("x86_64/stable")),
            ("../x86_64/stable", None),
            ("x86_64/stable/..", None),
            ("x86_64/..", None),
            ("/x86_64/stable", None),
            ("stable", None),
        ] {
            symlink(target, place.join("current")).unwrap();
            let found = read().map(|(arch, branch)| format!("{arch}/{branch}"));
            assert_eq!(found.as_deref(), expected, "{target}");
            std::fs::remove_file(place.join("current")).unwrap();
        }
    }

    #[test]
    fn everything_installed_is_found() {
        let scratch = Scratch::new();
        let other = "app/org.example.App/i386/beta";
        for reference in [APP, other, "runtime/org.example.Platform/x86_64/1"] {
            install(&scratch, "i", reference, METADATA);
        }
        // Half removed, no names, and not what they should be.
        scratch.directory("i/app/org.example.Gone/x86_64/stable");
        scratch.directory("i/app/wrong/x86_64/stable");
        scratch.file("i/app/org.example.File", "");
        symlink("org.example.App", scratch.join("i/app/org.example.Link")).unwrap();
        let found = installed(&installation(&scratch, "i"), Kind::App).unwrap();
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [other, APP]);
        let named = installed_as(&installation(&scratch, "i"), Kind::App, &app().id);
        assert_eq!(named.unwrap(), found);
    }
}
