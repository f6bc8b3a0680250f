// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the file system of a sandbox is made of, as far as a picture shows it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use stockade_protocol::request::{self, Destination, Operation};
use stockade_protocol::text::SandboxPath;

use super::grant::{Grant, Subject};
use super::risk::Risk;
use super::thing::Thing;
use crate::filesystem::export::Seen;
use crate::filesystem::token::{Access, Place};
use crate::flatpak::context::area::Area;
use crate::flatpak::file_access::Visible;
use crate::sandbox::Sandbox;

/// What can be done at a place of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// Something of the host that can be read.
    Read,
    /// Something of the host that can be changed.
    Write,
    /// Something that belongs to the sandbox alone.
    Private,
    /// Nothing: what is there on the host is covered.
    Hidden,
    /// A symlink.
    Link,
}

impl Use {
    /// What people read.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read-only",
            Self::Write => "read and write",
            Self::Private => "its own",
            Self::Hidden => "hidden",
            Self::Link => "link",
        }
    }
}

/// A place of the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where in the sandbox.
    pub path: PathBuf,
    /// What can be done there.
    pub access: Use,
    /// What it is, if the path does not say it.
    pub what: &'static str,
    /// How much is at stake there.
    pub risk: Risk,
}

impl Mount {
    /// A place that is part of every sandbox of its kind.
    #[must_use]
    pub fn own(path: impl Into<PathBuf>, access: Use, what: &'static str) -> Self {
        Self { path: path.into(), access, what, risk: Risk::Low }
    }
}

/// What an application sees of the host.
#[must_use]
pub fn of_application(visible: &Visible, subject: &Subject<'_>) -> Vec<Mount> {
    let mount = |(path, seen): (&Path, Seen)| {
        let (access, risk) = match seen {
            Seen::Granted(access) => (used(access), risk(path, access, subject)),
            Seen::Hidden => (Use::Hidden, Risk::Low),
            Seen::Link => (Use::Link, Risk::Low),
        };
        Mount { path: path.to_owned(), access, what: "", risk }
    };
    visible.iter().map(mount).collect()
}

/// The devices of an application with these grants.
#[must_use]
pub fn devices(grants: &[Grant]) -> Vec<Mount> {
    let mut mounts = vec![Mount::own("/dev", Use::Private, "harmless devices")];
    for grant in grants {
        let Thing::Named(Area::Devices, name) = &grant.thing else { continue };
        let (path, what) = match name.as_str() {
            "all" => ("/dev", "every device"),
            "dri" => ("/dev/dri", "the graphics card"),
            "kvm" => ("/dev/kvm", "virtual machines"),
            "shm" => ("/dev/shm", "shared memory of all programs"),
            "input" => ("/dev/input", "input devices"),
            "usb" => ("/dev/bus/usb", "USB devices"),
            _ => continue,
        };
        mounts.push(Mount {
            path: path.into(),
            access: Use::Write,
            what,
            risk: grant.judgement.risk,
        });
    }
    mounts
}

/// What a sandbox of `exec` is made of.
#[must_use]
pub fn of_sandbox(sandbox: &Sandbox, subject: &Subject<'_>) -> Vec<Mount> {
    let operations = sandbox.request.operations.iter().enumerate();
    operations
        .filter_map(|(index, operation)| {
            let at = |destination: &Destination| path(&destination.path);
            let own = |destination, what| Some(Mount::own(at(destination), Use::Private, what));
            match operation {
                Operation::Bind(bind) => {
                    let path = at(&bind.destination);
                    let source = sandbox.source_of(index).unwrap_or(&path);
                    let access = match bind.access {
                        request::Access::ReadOnly => Access::ReadOnly,
                        request::Access::ReadWrite | request::Access::Device => Access::ReadWrite,
                    };
                    let risk = risk(source, access, subject);
                    Some(Mount { access: used(access), what: "", risk, path })
                }
                Operation::Tmpfs { destination, .. } => {
                    own(destination, "its own, empty, in memory")
                }
                Operation::Proc { destination, .. } => own(destination, "its own processes"),
                Operation::Devices { destination, .. } => own(destination, "harmless devices"),
                Operation::Mqueue { destination } => own(destination, "its own message queues"),
                Operation::Directory { destination, .. } => own(destination, "its own, empty"),
                Operation::Symlink { destination, .. } => {
                    Some(Mount::own(at(destination), Use::Link, ""))
                }
                Operation::File { destination, .. } | Operation::Data { destination, .. } => {
                    own(destination, "a file made for it")
                }
                Operation::Overlay { .. }
                | Operation::UserNamespace { .. }
                | Operation::Chmod { .. }
                | Operation::RemountReadOnly { .. } => None,
            }
        })
        .collect()
}

fn path(path: &SandboxPath) -> PathBuf {
    let mut whole = PathBuf::from("/");
    whole.extend(path.components().map(OsStr::from_bytes));
    whole
}

const fn used(access: Access) -> Use {
    match access {
        Access::ReadOnly => Use::Read,
        Access::ReadWrite | Access::Create => Use::Write,
    }
}

/// How much is at stake at a path of the host.
fn risk(path: &Path, access: Access, subject: &Subject<'_>) -> Risk {
    let device = |word: &str| Thing::Named(Area::Devices, word.to_owned());
    let place = |place| Thing::Place(place, access);
    let own = subject.app.map(|app| subject.home.join(".var/app").join(app));
    let thing = match path.to_str() {
        _ if own.is_some_and(|own| path.starts_with(own)) => return Risk::Low,
        Some("/dev") => device("all"),
        Some("/dev/dri") => device("dri"),
        Some("/dev/kvm") => device("kvm"),
        Some("/dev/shm") => device("shm"),
        Some("/dev/input") => device("input"),
        Some("/dev/bus/usb") => device("usb"),
        Some("/run/host/root" | "/") => place(Place::HostRoot),
        Some("/run/host/etc") => place(Place::HostEtc),
        _ if path.starts_with("/run/host") => place(Place::HostOs),
        _ if path.starts_with("/dev") => return Risk::Low,
        _ => {
            let below = path.strip_prefix("/").unwrap_or(path);
            place(Place::Path(below.to_string_lossy().into_owned()))
        }
    };
    subject.judge(&thing).map_or(Risk::Low, |judgement| judgement.risk)
}
