// SPDX-License-Identifier: MIT OR Apache-2.0
//! The description of one sandbox while it is being made: the request and the descriptors that
//! travel with it, kept in step.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use stockade_protocol::limits;
use stockade_protocol::request::{
    Access, Bind, Content, Demand, Destination, FdIndex, Group, Init, Namespaces, Operation, Pass,
    Payload, Propagation, Request, SourceKind, Supervision, UserNamespace,
};
use stockade_protocol::text::{SandboxPath, SymlinkTarget, TextFault};

use crate::message::shown;
use crate::object::Object;

/// Permission bits of directories that have to be made on the way to a destination.
const PARENTS: u32 = 0o755;

/// A request with its descriptors.
#[derive(Debug)]
pub struct Sandbox {
    /// What the helper is told. Descriptor slots are filled through the methods of [`Sandbox`].
    pub request: Request,
    descriptors: Vec<OwnedFd>,
    /// Host path of each bind's source by operation index, for messages.
    sources: Vec<(usize, PathBuf)>,
}

/// Why something could not be put into a sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The host object could not be opened.
    #[error("cannot open {}\n{errno}", shown(path))]
    Open {
        /// Host path.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A path of the sandbox breaks a rule.
    #[error("cannot use {} as a path in the sandbox\n{fault}", shown(path))]
    Path {
        /// The path as given.
        path: PathBuf,
        /// The rule.
        fault: TextFault,
    },
    /// There are more descriptors than the protocol carries.
    #[error("cannot put more than {} host objects into one sandbox", limits::DESCRIPTORS)]
    TooMany,
}

impl Sandbox {
    /// A sandbox with nothing in it: every namespace new, no operation, no program yet, everything
    /// ended together with payload and caller.
    #[must_use]
    pub fn new() -> Self {
        Self {
            request: Request {
                namespaces: Namespaces {
                    user: UserNamespace::Default,
                    limit_user_namespaces: true,
                    pid: Demand::Required,
                    ipc: Demand::Required,
                    net: Demand::Required,
                    uts: Demand::Required,
                    cgroup: Demand::Optional,
                    hostname: None,
                },
                operations: Vec::new(),
                payload: Payload {
                    programs: Vec::new(),
                    interpreter: None,
                    arguments: Vec::new(),
                    environment: Vec::new(),
                    directories: Vec::new(),
                    set_pwd: true,
                    umask: 0o022,
                    limits: Vec::new(),
                    pass: Vec::new(),
                    filters: Vec::new(),
                    landlock: None,
                    group: Group::Own { terminal: None },
                    capabilities: 0,
                    new_keyring: true,
                    blocked_signals: 0,
                    ignored_signals: 0,
                },
                supervision: Supervision {
                    init: Init::Reaper,
                    end_with_payload: true,
                    end_with_caller: true,
                    locks: Vec::new(),
                    held: Vec::new(),
                    gates: Vec::new(),
                },
                follow_links: false,
            },
            descriptors: Vec::new(),
            sources: Vec::new(),
        }
    }

    /// The descriptors in the order of their indexes.
    #[must_use]
    pub fn descriptors(&self) -> &[OwnedFd] {
        &self.descriptors
    }

    /// Closes the descriptors, once they are sent. What is left is for messages.
    pub fn close_descriptors(&mut self) {
        self.descriptors = Vec::new();
    }

    /// The host path behind an operation, if it is a bind.
    #[must_use]
    pub fn source_of(&self, operation: usize) -> Option<&Path> {
        let at = self.sources.binary_search_by_key(&operation, |(index, _)| *index).ok()?;
        self.sources.get(at).map(|(_, path)| path.as_path())
    }

    /// Adds a descriptor and gives its index, to be put into exactly one slot.
    ///
    /// # Errors
    /// [`SandboxError::TooMany`].
    pub fn add_descriptor(&mut self, fd: OwnedFd) -> Result<FdIndex, SandboxError> {
        if self.descriptors.len() >= limits::DESCRIPTORS {
            return Err(SandboxError::TooMany);
        }
        let index = u32::try_from(self.descriptors.len()).map_err(|_| SandboxError::TooMany)?;
        self.descriptors.push(fd);
        Ok(FdIndex(index))
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: Operation) {
        self.request.operations.push(operation);
    }

    /// Binds the host object at `source`, following symlinks, to `destination`.
    ///
    /// # Errors
    /// If it cannot be opened, or the destination breaks a rule.
    pub fn bind(
        &mut self,
        source: &Path,
        destination: &Path,
        access: Access,
    ) -> Result<(), SandboxError> {
        let fd = open_path(source)?;
        self.bind_descriptor(fd, source, destination, access)
    }

    /// Binds the object behind an `O_PATH` descriptor. `name` is what messages call it.
    ///
    /// # Errors
    /// If its type cannot be found out, or the destination breaks a rule.
    pub fn bind_descriptor(
        &mut self,
        fd: OwnedFd,
        name: &Path,
        destination: &Path,
        access: Access,
    ) -> Result<(), SandboxError> {
        let object =
            Object::new(fd).map_err(|errno| SandboxError::Open { path: name.to_owned(), errno })?;
        self.bind_object(object, name.to_owned(), destination, access)
    }

    /// Binds an object that was looked at already. `name` is what messages call it.
    ///
    /// # Errors
    /// If the destination breaks a rule.
    pub fn bind_object(
        &mut self,
        object: Object,
        name: PathBuf,
        destination: &Path,
        access: Access,
    ) -> Result<(), SandboxError> {
        self.bind_at(object, name, place(destination)?, access, Propagation::Private)
    }

    /// The same at a destination whose missing parents have permissions of their own, with later
    /// mounts of the host if asked for.
    ///
    /// # Errors
    /// If there are too many descriptors.
    pub fn bind_at(
        &mut self,
        object: Object,
        name: PathBuf,
        destination: Destination,
        access: Access,
        propagation: Propagation,
    ) -> Result<(), SandboxError> {
        let directory = object.kind() == FileType::Directory;
        let kind = if directory { SourceKind::Directory } else { SourceKind::File };
        let source = self.add_descriptor(object.into_descriptor())?;
        self.sources.push((self.request.operations.len(), name));
        self.push(Operation::Bind(Bind { source, kind, destination, access, propagation }));
        Ok(())
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// If the path breaks a rule.
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<(), SandboxError> {
        let destination = place(path)?;
        self.push(Operation::Directory { destination, mode });
        Ok(())
    }

    /// Mounts an empty tmpfs.
    ///
    /// # Errors
    /// If the path breaks a rule.
    pub fn tmpfs(&mut self, path: &Path, mode: u32) -> Result<(), SandboxError> {
        let destination = place(path)?;
        self.push(Operation::Tmpfs { destination, mode, size: None });
        Ok(())
    }

    /// Makes a symlink at `path` that says `target`.
    ///
    /// # Errors
    /// If the path or the target breaks a rule.
    pub fn symlink(&mut self, target: &Path, path: &Path) -> Result<(), SandboxError> {
        use std::os::unix::ffi::OsStrExt;
        let destination = place(path)?;
        let target = SymlinkTarget::new(target.as_os_str().as_bytes())
            .map_err(|fault| SandboxError::Path { path: target.to_owned(), fault })?;
        self.push(Operation::Symlink { destination, target });
        Ok(())
    }

    /// Makes a file with these bytes.
    ///
    /// # Errors
    /// If the path breaks a rule.
    pub fn file(&mut self, path: &Path, mode: u32, bytes: Vec<u8>) -> Result<(), SandboxError> {
        let destination = place(path)?;
        self.push(Operation::File { destination, mode, content: Content::Bytes(bytes) });
        Ok(())
    }

    /// Lets the payload inherit `fd` under the number `target`.
    ///
    /// # Errors
    /// [`SandboxError::TooMany`].
    pub fn pass(&mut self, fd: OwnedFd, target: u32) -> Result<(), SandboxError> {
        let source = self.add_descriptor(fd)?;
        self.request.payload.pass.push(Pass { source, target });
        Ok(())
    }
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

/// A checked path of the sandbox.
///
/// # Errors
/// The rule that `path` breaks.
pub fn sandbox_path(path: &Path) -> Result<SandboxPath, SandboxError> {
    use std::os::unix::ffi::OsStrExt;
    SandboxPath::new(path.as_os_str().as_bytes())
        .map_err(|fault| SandboxError::Path { path: path.to_owned(), fault })
}

/// A destination whose missing parents are ordinary directories.
///
/// # Errors
/// The rule that `path` breaks.
pub fn place(path: &Path) -> Result<Destination, SandboxError> {
    Ok(Destination { path: sandbox_path(path)?, parents: PARENTS })
}

/// Opens a host object for binding, following symlinks, without triggering automounts.
///
/// # Errors
/// The errno of `openat(2)`.
pub fn open_path(path: &Path) -> Result<OwnedFd, SandboxError> {
    rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| SandboxError::Open { path: path.to_owned(), errno })
}
