// SPDX-License-Identifier: MIT OR Apache-2.0
//! A build directory and what its metadata say is built in it (R263).
//!
//! What was built before wrote into `files` and `var`: below the build directory no symlink is followed.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::BuildError;
use crate::caller::Caller;
use crate::filesystem::locate::{descend, tidy};
use crate::flatpak::deploy::METADATA_BYTES;
use crate::flatpak::directory::Directory;
use crate::flatpak::extension::relative::Relative;
use crate::flatpak::metadata::{self, Metadata};
use crate::flatpak::reference::{Branch, Id, Kind, Reference};
use crate::flatpak::tree::Tree;
use crate::keyfile::KeyFile;

/// The branch of what is built, which is named only when it is exported: none that an extension would
/// have by chance.
const BRANCH: &str = "nobranch";

/// Permission bits of directories that are made.
const MODE: u32 = 0o755;

/// What is built, and where.
#[derive(Debug)]
pub(super) struct Project {
    directory: Directory,
    /// What it is called.
    pub(super) reference: Reference,
    /// What it says of itself.
    pub(super) metadata: KeyFile,
    /// The file that says it.
    pub(super) file: PathBuf,
    /// What it is built on.
    pub(super) runtime: Reference,
    /// What it extends, and the tag of the place there.
    pub(super) extends: Option<(Reference, Option<String>)>,
}

impl Project {
    /// Opens a build directory. Its metadata are in the file `metadata`; it is built on the runtime in the
    /// place of the SDK if `on_runtime` is set.
    ///
    /// # Errors
    /// [`BuildError`].
    pub(super) fn open(
        path: &Path,
        metadata: Option<&str>,
        on_runtime: bool,
        caller: &Caller,
    ) -> Result<Self, BuildError> {
        let here = caller.directory.as_deref().unwrap_or(Path::new(""));
        let path = tidy(&here.join(path));
        let name = Relative::below(metadata.unwrap_or("metadata"))?;
        let missing = |missing: &Path| BuildError::NotInitialized {
            path: path.clone(),
            missing: missing.as_os_str().to_owned(),
        };
        let directory = Directory::open(&path)?.ok_or_else(|| missing(name.as_path()))?;
        let bytes = directory.read(name.as_path(), METADATA_BYTES)?;
        let bytes = bytes.ok_or_else(|| missing(name.as_path()))?;
        let file = path.join(name.as_path());
        let metadata = KeyFile::parse(&bytes)
            .map_err(|error| BuildError::Syntax { path: file.clone(), error })?;
        Self::read(directory, metadata, file, on_runtime)
    }

    fn read(
        directory: Directory,
        metadata: KeyFile,
        file: PathBuf,
        on_runtime: bool,
    ) -> Result<Self, BuildError> {
        let unnamed = |what| BuildError::Unnamed { path: file.clone(), what };
        let has = |kind: &Kind| metadata.group(metadata::group(*kind)).is_some();
        let kind = [Kind::App, Kind::Runtime].into_iter().find(has);
        let kind = kind.ok_or_else(|| unnamed("application and no runtime"))?;
        let name = metadata.string(metadata::group(kind), "name")?;
        let id = Id::new(name.ok_or_else(|| unnamed("name"))?)?;
        let own = Metadata::read(kind, &metadata)?;
        let runtime = if on_runtime {
            own.runtime.ok_or_else(|| unnamed("runtime"))?
        } else {
            own.sdk.ok_or_else(|| unnamed("SDK"))?
        };
        let (arch, branch) = (runtime.arch.clone(), Branch::new(BRANCH)?);
        let parent = metadata.string("ExtensionOf", "ref")?.filter(|_| kind == Kind::Runtime);
        let extends = match parent {
            Some(parent) => {
                Some((Reference::parse(&parent)?, metadata.string("ExtensionOf", "tag")?))
            }
            None => None,
        };
        let reference = Reference { kind, id, arch, branch };
        Ok(Self { directory, reference, metadata, file, runtime, extends })
    }

    /// What is built.
    ///
    /// # Errors
    /// If there is no directory for it.
    pub(super) fn files(&self) -> Result<Tree, BuildError> {
        let missing = || BuildError::NotInitialized {
            path: self.directory.path().to_owned(),
            missing: OsString::from("files"),
        };
        self.tree("files")?.ok_or_else(missing)
    }

    /// A directory of it, such as an SDK of its own, if there is one of this name.
    ///
    /// # Errors
    /// [`BuildError::Directory`].
    pub(super) fn tree(&self, name: impl AsRef<Path>) -> Result<Option<Tree>, BuildError> {
        let found = self.directory.below(name)?;
        Ok(found.map(|found| {
            let path = found.path().to_owned();
            Tree::of(found.into_descriptor(), path)
        }))
    }

    /// What is kept of `/var` from one command to the next; made if it is missing.
    ///
    /// # Errors
    /// [`BuildError::Open`].
    pub(super) fn kept(&self, name: &str) -> Result<Tree, BuildError> {
        let path = self.directory.path().join(name);
        match descend(self.directory.as_fd(), Path::new(name), MODE) {
            Ok(descriptor) => Ok(Tree::of(descriptor, path)),
            Err(errno) => Err(BuildError::Open { path, errno }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn open(
        scratch: &Scratch,
        metadata: Option<&str>,
        on_runtime: bool,
    ) -> Result<Project, BuildError> {
        let mut caller = caller(&scratch.0, &[]);
        caller.directory = Some(scratch.0.clone());
        Project::open(Path::new("work"), metadata, on_runtime, &caller)
    }

    fn project(text: &str) -> Result<Project, BuildError> {
        let scratch = Scratch::new();
        scratch.file("work/metadata", text);
        open(&scratch, None, false)
    }

    #[test]
    fn r263_an_application_is_built_on_its_sdk_or_its_runtime() {
        let scratch = Scratch::new();
        let text = "[Application]\nname=a.b.C\nruntime=a.b.P/x/1\nsdk=a.b.S/y/2\n";
        scratch.file("work/metadata", text);
        scratch.file("work/other", text.replace("a.b.C", "a.b.D"));
        let built = open(&scratch, None, false).unwrap();
        assert_eq!(built.reference.to_string(), "app/a.b.C/y/nobranch");
        assert_eq!(built.runtime.to_string(), "runtime/a.b.S/y/2");
        let built = open(&scratch, Some("other"), true).unwrap();
        assert_eq!(built.reference.to_string(), "app/a.b.D/x/nobranch");
        assert_eq!(built.runtime.to_string(), "runtime/a.b.P/x/1");
        assert!(built.extends.is_none());
        assert_eq!(built.file, scratch.join("work/other"));
    }

    #[test]
    fn r263_an_extension_says_what_it_extends() {
        let text = "[Runtime]\nname=a.b.C.D\nsdk=a.b.S/x/1\n[ExtensionOf]\nref=app/a.b.C/x/1\n";
        let (parent, tag) = project(text).unwrap().extends.unwrap();
        assert_eq!((parent.to_string().as_str(), tag), ("app/a.b.C/x/1", None));
        let (_, tag) = project(&format!("{text}tag=t\n")).unwrap().extends.unwrap();
        assert_eq!(tag.as_deref(), Some("t"));
        // An application extends nothing.
        assert!(project(&text.replace("Runtime", "Application")).unwrap().extends.is_none());
        let error = project(&text.replace("app/a.b.C/x/1", "../x")).unwrap_err();
        assert!(matches!(error, BuildError::Reference(_)), "{error}");
    }

    #[test]
    fn what_is_no_build_directory_is_told() {
        let scratch = Scratch::new();
        for name in ["work", "work/metadata"] {
            let error = open(&scratch, None, false).unwrap_err();
            assert!(matches!(error, BuildError::NotInitialized { .. }), "{name}: {error}");
            assert_eq!(error.to_string().lines().count(), 3, "{error}");
            scratch.directory("work");
        }
        for text in ["[Other]\n", "[Application]\n", "[Application]\nname=a.b.C\n"] {
            let error = project(text).unwrap_err();
            assert!(matches!(error, BuildError::Unnamed { .. }), "{text}: {error}");
        }
        assert!(matches!(project("nonsense"), Err(BuildError::Syntax { .. })));
        for name in ["/etc/passwd", "../metadata", "."] {
            let error = open(&scratch, Some(name), false).unwrap_err();
            assert!(matches!(error, BuildError::Part(_)), "{name}: {error}");
        }
    }

    #[test]
    fn t68_nothing_below_the_build_directory_is_a_symlink() {
        let scratch = Scratch::new();
        scratch.file("work/metadata", "[Application]\nname=a.b.C\nsdk=a.b.S/x/1\n");
        let built = open(&scratch, None, false).unwrap();
        assert!(matches!(built.files(), Err(BuildError::NotInitialized { .. })));
        assert!(built.tree("usr").unwrap().is_none());
        let secret = scratch.directory("secret");
        for name in ["files", "var", "usr"] {
            symlink(&secret, scratch.join(&format!("work/{name}"))).unwrap();
        }
        assert!(matches!(built.files(), Err(BuildError::Directory(_))));
        assert!(matches!(built.tree("usr"), Err(BuildError::Directory(_))));
        assert!(matches!(built.kept("var/tmp"), Err(BuildError::Open { .. })));
        std::fs::remove_file(scratch.join("work/var")).unwrap();
        assert_eq!(built.kept("var/tmp").unwrap().path(), scratch.join("work/var/tmp"));
        assert!(scratch.join("work/var/tmp").is_dir() && !secret.join("tmp").exists());
    }
}
