// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a build runs on and what it writes to: `/usr`, `/app`, the place of an extension, and the parts of
//! `/var` that are kept (R263).

use std::ffi::OsStr;
use std::path::Path;

use stockade_protocol::request::Access;

use super::point::{Place, prefix};
use super::project::Project;
use super::{BuildError, Options};
use crate::flatpak::choice::{self, ChoiceError};
use crate::flatpak::deploy::Deploy;
use crate::flatpak::extension::relative::Relative;
use crate::flatpak::installation::Installations;
use crate::flatpak::layout::base::link;
use crate::flatpak::lock;
use crate::flatpak::reference::{Kind, Reference};
use crate::flatpak::tree::Tree;
use crate::message::Notice;
use crate::sandbox::Sandbox;

/// What of `/var` is kept from one command to the next.
const KEPT: [(&str, &str); 2] = [("var/lib", "/var/lib"), ("var/tmp", "/var/tmp")];

/// The files of a build.
#[derive(Debug)]
pub(super) struct Base {
    /// What appears at `/usr`.
    pub(super) usr: Tree,
    /// The version that is; none if it is a part of what is built.
    pub(super) runtime: Option<Deploy>,
    /// What appears at `/app`.
    pub(super) app: Option<Tree>,
    /// An extension, with its place in one of the two.
    extension: Option<(Tree, Place)>,
    kept: Vec<(Tree, &'static Path)>,
    access: Access,
}

impl Base {
    /// Finds and opens everything.
    ///
    /// # Errors
    /// [`BuildError`].
    pub(super) fn open(
        project: &Project,
        options: &Options,
        installations: &Installations,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, BuildError> {
        let own = Relative::below(options.sdk_directory.as_deref().unwrap_or("usr"))?;
        let (usr, runtime) = match project.tree(own.as_path())? {
            Some(tree) => (tree, None),
            None => {
                let deploy = find(&project.runtime, installations)?;
                (files(&deploy)?, Some(deploy))
            }
        };
        let built = project.files()?;
        let id = &project.reference.id;
        let (app, extension) = match (project.reference.kind, &project.extends) {
            (Kind::App, _) => (Some(built), None),
            (Kind::Runtime, None) => (None, None),
            (Kind::Runtime, Some((parent, tag))) => {
                let parent = find(parent, installations)?;
                let place = Place::find(&parent, id, tag.as_deref(), notices)?;
                match parent.reference.kind {
                    Kind::App => {
                        let app = files(&parent)?;
                        place.check(&app, prefix(Kind::App), id)?;
                        (Some(app), Some((built, place)))
                    }
                    Kind::Runtime => {
                        place.check(&usr, prefix(Kind::Runtime), id)?;
                        (None, Some((built, place)))
                    }
                }
            }
        };
        let mut kept = Vec::new();
        for (name, place) in KEPT {
            kept.push((project.kept(name)?, Path::new(place)));
        }
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        Ok(Self { usr, runtime, app, extension, kept, access })
    }

    /// Where what is built appears.
    pub(super) fn place(&self, kind: Kind) -> &Path {
        let extension = self.extension.as_ref().map(|(_, place)| place.path.as_path());
        extension.unwrap_or(Path::new(prefix(kind)))
    }

    /// How `/app` is mounted: what is only extended is not what is built.
    pub(super) fn app_access(&self) -> Access {
        if self.extension.is_some() { Access::ReadOnly } else { self.access }
    }

    /// Mounts what extensions are mounted in, and has it locked if it is an installed version (R8).
    ///
    /// # Errors
    /// [`BuildError::Sandbox`].
    pub(super) fn mount(&self, sandbox: &mut Sandbox) -> Result<(), BuildError> {
        let (usr, app) = (Path::new("/usr"), Path::new("/app"));
        match &self.runtime {
            Some(_) => {
                self.usr.bind(usr, sandbox)?;
                lock::hold(sandbox, &self.usr, usr)?;
            }
            None => self.usr.bind_as(self.access, usr, sandbox)?,
        }
        match &self.app {
            Some(files) => {
                files.bind_as(self.app_access(), app, sandbox)?;
                if self.extension.is_some() {
                    lock::hold(sandbox, files, app)?;
                }
            }
            None => sandbox.directory(app, 0o755)?,
        }
        link(&self.usr, Path::new("/"), sandbox)?;
        if let Some((_, Place { empty: Some(empty), .. })) = &self.extension {
            sandbox.tmpfs(empty, 0o755)?;
        }
        for (tree, place) in &self.kept {
            tree.bind_as(Access::ReadWrite, place, sandbox)?;
        }
        Ok(())
    }

    /// Mounts the extension that is built, over a version of it that is installed.
    ///
    /// # Errors
    /// [`BuildError::Sandbox`].
    pub(super) fn mount_extension(&self, sandbox: &mut Sandbox) -> Result<(), BuildError> {
        let Some((files, place)) = &self.extension else { return Ok(()) };
        files.bind_as(self.access, &place.path, sandbox)?;
        // What is covered cannot be locked by its path, and nobody can use it either.
        let is_covered = |path: &[u8]| {
            use std::os::unix::ffi::OsStrExt as _;
            Path::new(OsStr::from_bytes(path)).starts_with(&place.path)
        };
        sandbox.request.supervision.locks.retain(|path| !is_covered(path.as_bytes()));
        Ok(())
    }
}

/// The installed version of that name, from whichever installation.
fn find(reference: &Reference, installations: &Installations) -> Result<Deploy, BuildError> {
    let everywhere: Vec<_> = installations.iter().collect();
    let missing = || ChoiceError::NotInstalled { reference: reference.clone(), commit: None };
    let found = choice::find(&everywhere, reference, None)?;
    Ok(found.ok_or_else(missing)?)
}

fn files(deploy: &Deploy) -> Result<Tree, BuildError> {
    Ok(Tree::of(deploy.files()?, deploy.path.join("files")))
}

#[cfg(test)]
mod tests;
