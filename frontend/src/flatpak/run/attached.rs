// SPDX-License-Identifier: MIT OR Apache-2.0
//! Extensions of what is run, and the library cache that belongs to all of it.

use std::os::fd::AsFd as _;
use std::path::Path;

use super::{Opened, RunError};
use crate::caller::Caller;
use crate::flatpak::data::DataDirectory;
use crate::flatpak::deploy::Deploy;
use crate::flatpak::extension::condition::Circumstances;
use crate::flatpak::extension::{Extensions, Parent};
use crate::flatpak::installation::Installations;
use crate::flatpak::library_cache::key::{Ingredients, Key};
use crate::flatpak::library_cache::{self, configuration};
use crate::flatpak::lock;
use crate::flatpak::tree::Tree;
use crate::flatpak::variables::Libraries;
use crate::message::Notice;
use crate::sandbox::Sandbox;

/// The extensions of an application and its runtime.
pub(super) struct Attached {
    pub(super) app: Option<Extensions>,
    pub(super) runtime: Extensions,
}

impl Attached {
    pub(super) fn find(
        opened: &Opened,
        installations: &Installations,
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Self {
        let circumstances = Circumstances::new(caller, Path::new("/"));
        let mut find = |deploy: &Deploy, files: &Tree, prefix: &Path| {
            let Deploy { reference, metadata, .. } = deploy;
            let files = Tree::as_fd(files);
            let parent = Parent { reference, metadata, files, prefix, is_writable: false };
            Extensions::find(parent, installations, &circumstances, notices)
        };
        let app = opened.app.as_ref().zip(opened.base.app.as_ref());
        let app = app.map(|(app, files)| find(app, files, &opened.base.app_prefix()));
        let runtime = find(&opened.runtime, &opened.base.runtime, &opened.base.runtime_prefix());
        Self { app, runtime }
    }

    /// The library cache, made if there is none; none where the runtime cannot have one (R224, R225).
    pub(super) fn cache(
        &self,
        opened: &Opened,
        data: Option<&DataDirectory>,
        caller: &Caller,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<library_cache::Cache>, RunError> {
        if opened.base.is_replaced() || !library_cache::is_possible(&opened.base.runtime) {
            return Ok(None);
        }
        let directory = match data {
            Some(data) => library_cache::Directory::of_application(data, data.path()),
            None => library_cache::Directory::temporary(caller),
        }?;
        let (app, runtime) = (self.app.as_ref().and_then(Extensions::info), self.runtime.info());
        let key = Key::new(Ingredients {
            app_commit: opened.app.as_ref().map(|app| app.commit.as_str()),
            runtime_commit: &opened.runtime.commit,
            app_extensions: app.as_deref(),
            runtime_extensions: runtime.as_deref(),
        });
        if let Some(cache) = directory.find(&key)? {
            return Ok(Some(cache));
        }
        let mut sandbox = Sandbox::new();
        opened.base.mount(&mut sandbox)?;
        self.mount(opened, true, &mut sandbox)?;
        Ok(Some(directory.make(&key, sandbox, library_cache::run, notices)?))
    }

    /// Mounts them, and has everything locked that is in use (R8).
    pub(super) fn mount(
        &self,
        opened: &Opened,
        cached: bool,
        sandbox: &mut Sandbox,
    ) -> Result<(), RunError> {
        if let Some(files) = &opened.base.app {
            lock::hold(sandbox, files, &opened.base.app_prefix())?;
        }
        lock::hold(sandbox, &opened.base.runtime, &opened.base.runtime_prefix())?;
        for extensions in self.app.iter().chain([&self.runtime]) {
            extensions.mount(sandbox)?;
        }
        if cached {
            for extensions in self.app.iter().chain([&self.runtime]) {
                extensions.configure(sandbox)?;
            }
            configuration::mount(sandbox, &opened.base.runtime)?;
        }
        Ok(())
    }

    /// Where libraries are searched for without a cache.
    pub(super) fn searched(&self) -> Libraries {
        let app = self.app.as_ref().map(Extensions::library_directories).unwrap_or_default();
        Libraries::Searched { app, runtime: self.runtime.library_directories() }
    }
}
