// SPDX-License-Identifier: MIT OR Apache-2.0
//! Requests for the helper with the descriptors that travel along, without the frontend's help.

use std::fs::{self, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use stockade_protocol::request::{
    Access, Bind, Content, Demand, Destination, FdIndex, Group, Init, Namespaces, Operation,
    Payload, Propagation, Request, SourceKind, Supervision, UserNamespace,
};
use stockade_protocol::text::{Argument, Program, SandboxPath, SymlinkTarget, Variable};

use crate::Fixture;

/// A request and its descriptors.
#[derive(Debug)]
pub struct Spec {
    /// What is asked for.
    pub request: Request,
    /// What [`FdIndex`] counts.
    pub descriptors: Vec<OwnedFd>,
}

impl Spec {
    /// An empty root and every namespace new; `program` is run without any argument.
    ///
    /// # Panics
    /// If `program` is no path.
    #[must_use]
    pub fn empty(program: &str) -> Self {
        let request = Request {
            namespaces: Namespaces {
                user: UserNamespace::Default,
                limit_user_namespaces: false,
                pid: Demand::Required,
                ipc: Demand::Required,
                net: Demand::Required,
                uts: Demand::Required,
                cgroup: Demand::Optional,
                hostname: None,
            },
            operations: Vec::new(),
            payload: Payload {
                programs: vec![Program::new(program).expect("a program")],
                interpreter: None,
                arguments: vec![Argument::new(program).expect("an argument")],
                environment: vec![Variable::new("PATH=/usr/bin:/bin").expect("a variable")],
                directories: vec![SandboxPath::root()],
                set_pwd: true,
                umask: 0o022,
                limits: Vec::new(),
                pass: Vec::new(),
                filters: Vec::new(),
                landlock: None,
                group: Group::Inherit,
                capabilities: 0,
                new_keyring: false,
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
            follow_links: true,
        };
        Self { request, descriptors: Vec::new() }
    }

    /// The host's `/usr` read-only, with the links or directories beside it that programs need, and
    /// proc, dev and tmp of its own.
    #[must_use]
    pub fn system(program: &str) -> Self {
        let mut spec = Self::empty(program);
        spec.bind("/usr", "/usr", Access::ReadOnly);
        for name in ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"] {
            match fs::read_link(name) {
                Ok(target) => {
                    spec.symlink(target.to_str().expect("the system's links are text"), name);
                }
                Err(_) if Path::new(name).exists() => spec.bind(name, name, Access::ReadOnly),
                Err(_) => {}
            }
        }
        spec.push(Operation::Proc { destination: place("/proc"), protect: true });
        spec.push(Operation::Devices { destination: place("/dev"), console: None });
        spec.tmpfs("/tmp");
        spec
    }

    /// [`Spec::system`] that runs a shell command.
    #[must_use]
    pub fn shell(script: &str) -> Self {
        Self::system("/bin/sh").args(["-c", script])
    }

    /// [`Spec::system`] that runs one of the tests' own programs.
    #[must_use]
    pub fn tool(fixture: &Fixture, name: &str) -> Self {
        let path = format!("/{name}");
        let mut spec = Self::system(&path);
        spec.bind(fixture.program(name), &path, Access::ReadOnly);
        spec
    }

    /// Adds arguments of the program.
    ///
    /// # Panics
    /// If one contains a NUL byte.
    #[must_use]
    pub fn args<'a>(mut self, arguments: impl IntoIterator<Item = &'a str>) -> Self {
        let arguments = arguments.into_iter().map(|a| Argument::new(a).expect("an argument"));
        self.request.payload.arguments.extend(arguments);
        self
    }

    /// Adds an operation.
    pub fn push(&mut self, operation: Operation) {
        self.request.operations.push(operation);
    }

    /// Adds a descriptor.
    ///
    /// # Panics
    /// Above `u32::MAX` of them.
    pub fn add(&mut self, fd: OwnedFd) -> FdIndex {
        self.descriptors.push(fd);
        FdIndex(u32::try_from(self.descriptors.len() - 1).expect("not that many"))
    }

    /// Binds a host path, opened as the running process, symlinks followed.
    pub fn bind(&mut self, source: impl AsRef<Path>, destination: &str, access: Access) {
        let source = source.as_ref();
        let kind = if source.is_dir() { SourceKind::Directory } else { SourceKind::File };
        self.bind_descriptor(open_path(source), kind, destination, access);
    }

    /// Binds what is behind a descriptor.
    pub fn bind_descriptor(
        &mut self,
        fd: OwnedFd,
        kind: SourceKind,
        destination: &str,
        access: Access,
    ) {
        let source = self.add(fd);
        self.push(Operation::Bind(Bind {
            source,
            kind,
            destination: place(destination),
            access,
            propagation: Propagation::Private,
        }));
    }

    /// Mounts a tmpfs.
    pub fn tmpfs(&mut self, path: &str) {
        self.push(Operation::Tmpfs { destination: place(path), mode: 0o755, size: None });
    }

    /// Makes a directory.
    pub fn directory(&mut self, path: &str) {
        self.push(Operation::Directory { destination: place(path), mode: 0o755 });
    }

    /// Makes a file.
    pub fn file(&mut self, path: &str, content: Content) {
        self.push(Operation::File { destination: place(path), mode: 0o644, content });
    }

    /// Makes a symlink.
    ///
    /// # Panics
    /// If `target` is no target.
    pub fn symlink(&mut self, target: &str, path: &str) {
        let target = SymlinkTarget::new(target).expect("a target");
        self.push(Operation::Symlink { destination: place(path), target });
    }
}

/// A destination with ordinary parents.
///
/// # Panics
/// If `path` breaks a rule.
#[must_use]
pub fn place(path: &str) -> Destination {
    Destination { path: sandbox_path(path), parents: 0o755 }
}

/// A path of the sandbox.
///
/// # Panics
/// If `path` breaks a rule.
#[must_use]
pub fn sandbox_path(path: &str) -> SandboxPath {
    SandboxPath::new(path).expect("a path of the sandbox")
}

/// Opens a path with `O_PATH`, symlinks followed.
///
/// # Panics
/// If it cannot be opened.
#[track_caller]
#[must_use]
pub fn open_path(path: impl AsRef<Path>) -> OwnedFd {
    open(path.as_ref(), libc::O_PATH)
}

/// Opens a path with `O_PATH` and without following a symlink at its end.
///
/// # Panics
/// If it cannot be opened.
#[track_caller]
#[must_use]
pub fn open_link(path: impl AsRef<Path>) -> OwnedFd {
    open(path.as_ref(), libc::O_PATH | libc::O_NOFOLLOW)
}

/// Opens a path for reading.
///
/// # Panics
/// If it cannot be opened.
#[track_caller]
#[must_use]
pub fn open_read(path: impl AsRef<Path>) -> OwnedFd {
    open(path.as_ref(), 0)
}

#[track_caller]
fn open(path: &Path, flags: i32) -> OwnedFd {
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file.into(),
        Err(error) => panic!("cannot open {}: {error}", path.display()),
    }
}
