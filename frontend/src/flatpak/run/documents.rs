// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents portal, as much of it as one application has: a directory of its own, and files that are
//! put there for it (R100, R230, R231).

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::caller::Caller;
use crate::flatpak::beneath::{self, Links};
use crate::flatpak::forward::{self, DocumentKind};
use crate::flatpak::reference::Id;
use crate::message::{Notice, shown};
use crate::portal::documents::{Documents, Manner};
use crate::sandbox::{SandboxError, open_path};

/// Where it is in the runtime directory.
const DIRECTORY: &str = "doc";

/// What an application may do with a file that the user gives it.
const PERMISSIONS: [&str; 2] = ["read", "write"];

/// The portal with regard to an application.
#[derive(Debug)]
pub(super) struct Portal {
    documents: Documents,
    application: Id,
    directory: OwnedFd,
    /// In the sandbox.
    mount_point: PathBuf,
}

impl Portal {
    /// Finds the portal, which is started for that. There may be none on this machine or in this session; if
    /// there is and it does not work, that is worth a warning.
    pub(super) fn find(id: &Id, caller: &Caller, notices: &mut Vec<Notice>) -> Option<Self> {
        let mut warn = |text: String| {
            let text = format!("{text}\nthe application starts without documents");
            notices.push(Notice::Warning(text));
        };
        let asked = Documents::of(caller).and_then(|mut documents| {
            let mount_point = documents.mount_point()?;
            Ok((documents, mount_point))
        });
        let (documents, mount_point) = match asked {
            Ok(found) => found,
            Err(error) if error.is_absent() => return None,
            Err(error) => {
                warn(error.to_string());
                return None;
            }
        };
        // R326. Who only pretends to be that service, or finds a way to be it, must not choose what an
        // application sees.
        let expected = caller.runtime_directory().join(DIRECTORY);
        if mount_point != expected {
            warn(format!(
                "cannot use the documents portal\nit says that it is at {}, and belongs at {}",
                shown(&mount_point),
                shown(&expected)
            ));
            return None;
        }
        // It is there for every id, and made by nobody (R327).
        let below = Path::new(DIRECTORY).join("by-app").join(id.as_str());
        let opened = open_path(&caller.runtime_directory()).and_then(|directory| {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let path = expected.join("by-app").join(id.as_str());
            beneath::open(&directory, &below, flags, Links::Refused)
                .map_err(|errno| SandboxError::Open { path, errno })
        });
        match opened {
            Ok(directory) => Some(Self {
                documents,
                application: id.clone(),
                directory,
                mount_point: caller.sandbox_runtime_directory().join(DIRECTORY),
            }),
            Err(error) => {
                warn(error.to_string());
                None
            }
        }
    }

    /// What is mounted for the application.
    pub(super) fn into_directory(self) -> OwnedFd {
        self.directory
    }
}

impl forward::Documents for Portal {
    fn add(&mut self, object: BorrowedFd<'_>, kind: DocumentKind) -> Result<String, String> {
        let directory = match kind {
            DocumentKind::Directory => true,
            DocumentKind::File => false,
        };
        let manner = Manner { reuse: true, persistent: false, directory };
        let added = self.documents.add(object, manner, self.application.as_str(), &PERMISSIONS);
        added.map_err(|error| error.reason())
    }

    fn mount_point(&self) -> &Path {
        &self.mount_point
    }
}

#[cfg(test)]
mod tests;
