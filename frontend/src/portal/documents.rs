// SPDX-License-Identifier: MIT OR Apache-2.0
//! The documents portal: shows single files to applications, under
//! `$XDG_RUNTIME_DIR/doc/ID/NAME` (R319-R327).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use zbus::{Fd, OwnedVariant};

use super::{PortalError, Service, during};
use crate::bus::message::Message;
use crate::bus::{BusError, Target};
use crate::caller::Caller;
use crate::message::shown;

const TARGET: Target<'_> = Target {
    destination: "org.freedesktop.portal.Documents",
    path: "/org/freedesktop/portal/documents",
    interface: "org.freedesktop.portal.Documents",
};

/// The version since which there is `AddFull` (R320).
const SEVERAL: u32 = 2;
/// The version since which directories can be documents (R371).
const DIRECTORIES: u32 = 4;
/// The numbers of R321.
const REUSE: u32 = 1;
const PERSISTENT: u32 = 2;
const DIRECTORY: u32 = 8;

/// Which applications may do what with a document.
pub type Applications = BTreeMap<String, Vec<String>>;

/// The portal.
#[derive(Debug)]
pub struct Documents(Service);

/// What a new document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    /// The document that there is of the same file will do.
    pub reuse: bool,
    /// It is there in the next session too.
    pub persistent: bool,
    /// It is a directory with all that is in it.
    pub directory: bool,
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Where the file really is.
    pub origin: PathBuf,
    /// Who may do what with it.
    pub applications: Applications,
}

impl Documents {
    /// The portal of the caller's session. It is started by the first call.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn of(caller: &Caller) -> Result<Self, PortalError> {
        let reached = Service::of(caller, TARGET);
        Ok(Self(during("reach the documents portal", reached)?))
    }

    /// Where documents are (R326).
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn mount_point(&mut self) -> Result<PathBuf, PortalError> {
        let asked = self.0.call("GetMountPoint", &()).and_then(|answer| {
            let (path,): (Vec<u8>,) = answer.body()?;
            Ok(file_name(path))
        });
        during("find out where documents are", asked)
    }

    /// Makes a document of an object for an application, or for none, and gives its id. What `permissions`
    /// are is in R321.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn add(
        &mut self,
        object: BorrowedFd<'_>,
        manner: Manner,
        application: &str,
        permissions: &[&str],
    ) -> Result<String, PortalError> {
        let task = "make a document of the file";
        let version = during(task, self.0.version())?;
        if manner.directory && version < DIRECTORIES {
            return Err(PortalError::Directory { version });
        }
        let Service { bus, target, .. } = &mut self.0;
        if version < SEVERAL {
            let body = (Fd::from(object), manner.reuse, manner.persistent);
            let answer = bus.call(*target, "Add", &body, &[object]);
            let id = during(task, answer.and_then(|answer| id_in(&answer)))?;
            if !permissions.is_empty() {
                self.grant(&id, application, permissions)?;
            }
            return Ok(id);
        }
        let flags =
            [(manner.reuse, REUSE), (manner.persistent, PERSISTENT), (manner.directory, DIRECTORY)];
        let flags = flags.iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
        let body = (vec![Fd::from(object)], flags, application, permissions);
        let answer = bus.call(*target, "AddFull", &body, &[object]).and_then(|answer| {
            let (ids, _): (Vec<String>, BTreeMap<String, OwnedVariant>) = answer.body()?;
            Ok(ids)
        });
        during(task, answer)?.into_iter().next().ok_or(PortalError::Nameless)
    }

    /// Makes a document of a name in a directory, whether there is such a file or not.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn add_named(
        &mut self,
        directory: BorrowedFd<'_>,
        name: &Path,
        reuse: bool,
        persistent: bool,
    ) -> Result<String, PortalError> {
        let Service { bus, target, .. } = &mut self.0;
        let body = (Fd::from(directory), bytes(name), reuse, persistent);
        let added = bus.call(*target, "AddNamed", &body, &[directory]);
        let added = added.and_then(|answer| id_in(&answer));
        during("make a document of the name", added)
    }

    /// Lets an application do more with a document.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn grant(
        &mut self,
        id: &str,
        application: &str,
        permissions: &[&str],
    ) -> Result<(), PortalError> {
        let granted = self.0.call("GrantPermissions", &(id, application, permissions));
        let task = format!("grant {} permissions for the document", shown(application));
        during(task, granted).map(drop)
    }

    /// Lets an application do less with a document.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn revoke(
        &mut self,
        id: &str,
        application: &str,
        permissions: &[&str],
    ) -> Result<(), PortalError> {
        let revoked = self.0.call("RevokePermissions", &(id, application, permissions));
        let task = format!("revoke permissions of {} for the document", shown(application));
        during(task, revoked).map(drop)
    }

    /// Removes a document; the file stays.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn delete(&mut self, id: &str) -> Result<(), PortalError> {
        let deleted = self.0.call("Delete", &(id,));
        during(format!("remove the document {}", shown(id)), deleted).map(drop)
    }

    /// The id of the document that a file is, if it is one.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn lookup(&mut self, path: &Path) -> Result<Option<String>, PortalError> {
        let found = self.0.call("Lookup", &(bytes(path),)).and_then(|answer| id_in(&answer));
        let id = during(format!("look for the document of {}", shown(path)), found)?;
        Ok((!id.is_empty()).then_some(id))
    }

    /// What is known of a document.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn info(&mut self, id: &str) -> Result<Document, PortalError> {
        let found = self.0.call("Info", &(id,)).and_then(|answer| {
            let (origin, applications): (Vec<u8>, Applications) = answer.body()?;
            Ok(Document { origin: file_name(origin), applications })
        });
        during(format!("look up the document {}", shown(id)), found)
    }

    /// The documents that an application sees, or all: their ids, and where the files really are.
    ///
    /// # Errors
    /// [`PortalError`].
    pub fn list(
        &mut self,
        application: Option<&str>,
    ) -> Result<BTreeMap<String, PathBuf>, PortalError> {
        let found = self.0.call("List", &(application.unwrap_or_default(),)).and_then(|answer| {
            let (documents,): (BTreeMap<String, Vec<u8>>,) = answer.body()?;
            Ok(documents.into_iter().map(|(id, origin)| (id, file_name(origin))).collect())
        });
        during("list documents", found)
    }
}

fn id_in(answer: &Message) -> Result<String, BusError> {
    let (id,): (String,) = answer.body()?;
    Ok(id)
}

/// A path of the portal's, which ends with a zero.
fn file_name(mut bytes: Vec<u8>) -> PathBuf {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// A path for the portal.
fn bytes(path: &Path) -> Vec<u8> {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.push(0);
    bytes
}

#[cfg(test)]
pub(crate) mod tests;
