// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way into the sandbox of a running instance, for a command of the user's (R259).
//!
//! Whoever enters a user namespace that is its own has every capability there; in a sandbox that has
//! none of its own, nobody but root has those it takes. What is needed is opened before the first
//! namespace is entered, and capabilities are given up before anything of the sandbox runs.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use rustix::fs::{CWD, FsWord, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::InstanceId;
use super::process::{self, Process};
use super::running::{Init, Running};

/// Where the sandbox keeps the user namespace that the others belong to (R83).
const BASE: &str = "run/.userns";

/// The file system that namespaces are files of, `linux/magic.h`.
const NAMESPACES: FsWord = 0x6e73_6673;

/// The namespaces that are entered, in this order; users last.
const KINDS: [(&str, CloneFlags); 5] = [
    ("ipc", CloneFlags::CLONE_NEWIPC),
    ("net", CloneFlags::CLONE_NEWNET),
    ("pid", CloneFlags::CLONE_NEWPID),
    ("mnt", CloneFlags::CLONE_NEWNS),
    ("user", CloneFlags::CLONE_NEWUSER),
];

/// Variables that are found anew, with where the sandbox has what they name.
const ADDRESSES: [(&str, &str, &str); 4] = [
    ("PULSE_SERVER", "unix:", "/run/flatpak/pulse/native"),
    ("PULSE_CLIENTCONFIG", "", "/run/flatpak/pulse/config"),
    ("DBUS_SESSION_BUS_ADDRESS", "unix:path=", "/run/flatpak/bus"),
    ("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=", "/run/dbus/system_bus_socket"),
];

/// Why a sandbox cannot be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntranceError {
    /// It is not up yet, or has ended.
    #[error("cannot enter instance {instance}\nits sandbox is not up yet, or has ended\ntry again")]
    NotUp {
        /// Which.
        instance: InstanceId,
    },
    /// There is no process that may be looked into.
    #[error(
        "cannot enter instance {instance}\n\
         none of its processes lets you look into it\n\
         as root, with 'sudo -E', it can be entered"
    )]
    Closed {
        /// Which.
        instance: InstanceId,
    },
    /// The helper lent the privilege for it.
    #[error(
        "cannot enter instance {instance}\n\
         its sandbox was built with privilege and has no user namespace of yours, \
         so only root may enter it\n\
         enter it with 'sudo -E', or run another instance with the command that you need"
    )]
    NotYours {
        /// Which.
        instance: InstanceId,
    },
    /// A step failed.
    #[error("cannot enter instance {instance}\n{what} failed: {errno}")]
    Step {
        /// Which.
        instance: InstanceId,
        /// What failed.
        what: &'static str,
        /// Why.
        errno: Errno,
    },
}

/// A sandbox with everything open that is needed to enter it.
#[derive(Debug)]
pub struct Entrance {
    instance: InstanceId,
    root: OwnedFd,
    /// The working directory of the process that is joined, if it can be opened.
    directory: Option<OwnedFd>,
    namespaces: Vec<(&'static str, CloneFlags, OwnedFd)>,
    environment: Vec<u8>,
    uid: u32,
    gid: u32,
}

impl Entrance {
    /// Opens the sandbox of an instance.
    ///
    /// # Errors
    /// [`EntranceError`].
    pub fn open(running: &Running) -> Result<Self, EntranceError> {
        let instance = running.id;
        let failed = |what| move |errno| EntranceError::Step { instance, what, errno };
        let not_up = EntranceError::NotUp { instance };
        let Init::Here(init) = running.init().map_err(failed("looking at its first process"))?
        else {
            return Err(not_up);
        };
        let Some(namespace) = running.pid_namespace() else { return Err(not_up) };
        // Where a helper had privilege, pid 1 is closed and its children are not.
        let target = if init.namespace("user").is_ok() {
            Some(init)
        } else {
            process::in_pid_namespace(namespace).into_iter().next()
        };
        let Some(target) = target else {
            return Err(if init_lives(running) {
                EntranceError::Closed { instance }
            } else {
                not_up
            });
        };
        let entrance = Self::of(instance, &target)?;
        // Numbers of namespaces are given again. Whoever is in there while the instance is held is in
        // the instance's.
        if !target.lives().map_err(failed("looking at a process"))? || !init_lives(running) {
            return Err(not_up);
        }
        Ok(entrance)
    }

    fn of(instance: InstanceId, target: &Process) -> Result<Self, EntranceError> {
        let failed = |what| {
            move |errno| match errno {
                Errno::ACCESS | Errno::PERM => EntranceError::Closed { instance },
                errno => EntranceError::Step { instance, what, errno },
            }
        };
        let place = OFlags::PATH | OFlags::DIRECTORY;
        let root = target.open_part("root", place).map_err(failed("opening its root"))?;
        let environment = target.environment().map_err(failed("reading its environment"))?;
        let (uid, gid) = target.ids().map_err(failed("reading its user"))?;

        let mut namespaces = Vec::new();
        let base = base(&root).filter(|base| !is_own(base, "user"));
        let above = base.as_ref().and_then(number);
        if let Some(base) = base {
            namespaces.push(("user", CloneFlags::CLONE_NEWUSER, base));
        }
        for (name, kind) in KINDS {
            let namespace = target
                .open_part(&format!("ns/{name}"), OFlags::RDONLY)
                .map_err(failed("opening a namespace"))?;
            let entered = kind == CloneFlags::CLONE_NEWUSER && number(&namespace) == above;
            if !entered && !is_own(&namespace, name) {
                namespaces.push((name, kind, namespace));
            }
        }
        let directory = target.open_part("cwd", place).ok();
        Ok(Self { instance, root, directory, namespaces, environment, uid, gid })
    }

    /// Has this process enter, for good: its children will be in the sandbox, with the same rights as the
    /// process there. `terminal` is the caller's `TERM`.
    ///
    /// # Errors
    /// [`EntranceError`]. This process is then good for nothing but to end.
    pub fn enter(self, terminal: Option<&OsStr>) -> Result<Inside, EntranceError> {
        let instance = self.instance;
        let failed = |what| move |errno| EntranceError::Step { instance, what, errno };
        if self.namespaces.iter().any(|(_, kind, _)| *kind == CloneFlags::CLONE_NEWUSER) {
            // Root has no number in there, and its owner may do all that is needed.
            become_owner(self.uid, self.gid).map_err(failed("giving up the rights of root"))?;
        }
        for (name, kind, namespace) in &self.namespaces {
            match setns(namespace, *kind) {
                Ok(()) => {}
                Err(nix::errno::Errno::EPERM) => return Err(EntranceError::NotYours { instance }),
                Err(errno) => {
                    let what = match *name {
                        "user" => "entering its user namespace",
                        "mnt" => "entering its mount namespace",
                        _ => "entering a namespace",
                    };
                    return Err(failed(what)(Errno::from_raw_os_error(errno as i32)));
                }
            }
        }
        rustix::process::fchdir(&self.root)
            .and_then(|()| rustix::process::chroot(c"."))
            .map_err(failed("changing to its root"))?;
        let entered = self.directory.as_ref().is_some_and(|at| rustix::process::fchdir(at).is_ok());
        if !entered {
            rustix::process::chdir(c"/").map_err(failed("changing to its root"))?;
        }
        give_up(self.uid, self.gid).map_err(failed("giving up privilege"))?;
        let exists = |path: &str| rustix::fs::stat(path).is_ok();
        let environment = environment(&self.environment, self.uid, terminal, exists);
        Ok(Inside { environment })
    }
}

/// What a command in the sandbox is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// Whether the sandbox of an instance is still there.
fn init_lives(running: &Running) -> bool {
    matches!(running.init(), Ok(Init::Here(_)))
}

/// The user namespace that the sandbox was built in, as the sandbox shows it. Its root belongs to the
/// application, so this may be anything.
fn base(root: &OwnedFd) -> Option<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let look = rustix::fs::openat2(root, BASE, flags, Mode::empty(), within).ok()?;
    is_namespace(&look)?;
    // The same object, now that opening it does nothing else.
    let link = format!("/proc/self/fd/{}", look.as_raw_fd());
    rustix::fs::openat(CWD, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn is_namespace(file: &OwnedFd) -> Option<()> {
    let kind = rustix::fs::fstatfs(file).ok()?.f_type;
    (kind == NAMESPACES).then_some(())
}

/// What a namespace is known by.
fn number(namespace: impl AsFd) -> Option<u64> {
    rustix::fs::fstat(namespace).ok().map(|stat| stat.st_ino)
}

/// Whether this process is in a namespace.
fn is_own(namespace: &OwnedFd, name: &str) -> bool {
    let own = rustix::fs::stat(format!("/proc/self/ns/{name}")).ok().map(|stat| stat.st_ino);
    own.is_some() && own == number(namespace)
}

/// Takes the ids of the sandbox's process, which differ for root alone.
fn become_owner(uid: u32, gid: u32) -> Result<(), Errno> {
    let (own_uid, own_gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if own_uid.as_raw() == uid && own_gid.as_raw() == gid {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Gives up every capability, and ids that are not those of the sandbox's process (root's).
fn give_up(uid: u32, gid: u32) -> Result<(), Errno> {
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1_u64.checked_shl(bit).unwrap_or_default());
        match rustix::thread::capability_is_in_bounding_set(one) {
            Ok(true) => rustix::thread::remove_capability_from_bounding_set(one)?,
            Ok(false) => {}
            // The kernel knows no more.
            Err(_) => break,
        }
    }
    become_owner(uid, gid)?;
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    rustix::thread::set_capabilities(None, sets)?;
    rustix::thread::set_no_new_privs(true)
}

/// The environment of a command: that of the sandbox's process, which may have written anything there,
/// without what names services; those are where the sandbox has them.
fn environment(
    block: &[u8],
    uid: u32,
    terminal: Option<&OsStr>,
    exists: impl Fn(&str) -> bool,
) -> Vec<(OsString, OsString)> {
    let replaced = |name: &[u8]| {
        let bus = name.starts_with(b"DBUS_") && name.ends_with(b"_BUS_ADDRESS");
        bus || name == b"XDG_RUNTIME_DIR"
            || name == b"TERM"
            || ADDRESSES.iter().any(|(variable, ..)| variable.as_bytes() == name)
    };
    let kept = process::variables(block).filter(|(name, _)| !replaced(name.as_bytes()));
    let mut environment: Vec<_> = kept.collect();
    let mut add = |name: &str, value: OsString| environment.push((name.into(), value));
    add("XDG_RUNTIME_DIR", format!("/run/user/{uid}").into());
    for (name, prefix, path) in ADDRESSES {
        if exists(path) {
            add(name, format!("{prefix}{path}").into());
        }
    }
    if let Some(terminal) = terminal {
        add("TERM", terminal.to_owned());
    }
    environment
}

/// Where a command is looked for if the sandbox has no `PATH`.
pub const PATH: &str = "/app/bin:/usr/bin";

impl Inside {
    /// Where a command of this name may be, as `execvp(3)` would look for it.
    #[must_use]
    pub fn candidates(&self, name: &OsStr) -> Vec<std::path::PathBuf> {
        if name.as_bytes().contains(&b'/') {
            return vec![Path::new(name).to_owned()];
        }
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        crate::lookup::candidates(name, path.map_or(OsStr::new(PATH), |(_, path)| path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    #[test]
    fn r259_services_are_where_the_sandbox_has_them() {
        let block = b"A=b\0=x\0nothing\0E=\0PATH=/bin\0TERM=dumb\0XDG_RUNTIME_DIR=/evil\0\
            PULSE_SERVER=x\0PULSE_CLIENTCONFIG=x\0DBUS_SESSION_BUS_ADDRESS=x\0\
            DBUS_STARTER_BUS_ADDRESS=x\0DBUS_X=1\0B=c=d\0";
        let found = environment(block, 1000, Some(OsStr::new("xterm")), |path| {
            path == "/run/flatpak/bus" || path == "/run/flatpak/pulse/native"
        });
        let found: Vec<String> = found
            .iter()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        assert_eq!(
            found,
            [
                "A=b",
                "E=",
                "PATH=/bin",
                "DBUS_X=1",
                "B=c=d",
                "XDG_RUNTIME_DIR=/run/user/1000",
                "PULSE_SERVER=unix:/run/flatpak/pulse/native",
                "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/flatpak/bus",
                "TERM=xterm"
            ]
        );
        let none = environment(b"", 7, None, |_| false);
        assert_eq!(none, [("XDG_RUNTIME_DIR".into(), "/run/user/7".into())]);
    }

    #[test]
    fn commands_are_looked_for_in_the_path_of_the_sandbox() {
        let inside = |entries: &[(&str, &str)]| Inside {
            environment: entries.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
        };
        let found = |inside: &Inside, name: &str| inside.candidates(OsStr::new(name));
        assert_eq!(found(&inside(&[("PATH", "/a:/b")]), "x"), ["/a/x", "/b/x"].map(Path::new));
        assert_eq!(found(&inside(&[]), "x"), ["/app/bin/x", "/usr/bin/x"].map(Path::new));
        assert_eq!(found(&inside(&[]), "./x"), [Path::new("./x")]);
    }

    #[test]
    fn r83_what_is_no_user_namespace_is_not_opened_as_one() {
        let scratch = Scratch::new();
        let root = || super::super::file::open_directory_at(&scratch.0).unwrap();
        assert!(base(&root()).is_none());
        scratch.file("run/.userns", "");
        assert!(base(&root()).is_none());
        std::fs::remove_file(scratch.join("run/.userns")).unwrap();
        symlink("/proc/self/ns/user", scratch.join("run/.userns")).unwrap();
        assert!(base(&root()).is_none());
        std::fs::remove_file(scratch.join("run/.userns")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(root(), "run/.userns", fifo, Mode::RUSR, 0).unwrap();
        assert!(base(&root()).is_none());
    }

    #[test]
    fn r259_a_process_in_our_own_namespaces_needs_none() {
        let own = Process::open(std::process::id()).unwrap().unwrap();
        let entrance = Entrance::of(InstanceId::parse("7").unwrap(), &own).unwrap();
        assert!(entrance.namespaces.is_empty(), "{entrance:?}");
        assert_eq!(entrance.uid, rustix::process::geteuid().as_raw());
    }
}
