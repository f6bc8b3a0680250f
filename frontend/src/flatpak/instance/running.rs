// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instances that run, whoever started them: what their directories say (R141, R142, R257).

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::process::Process;
use super::{INFO, InstanceId, Instances, PID, REFERENCE, SANDBOX_INFO, collection, file, lock};
use crate::flatpak::reference::Reference;
use crate::keyfile::KeyFile;

/// Most bytes that are read of a file: of `info`, which has environments and command lines in it, and
/// of the others, which have some numbers.
const INFO_BYTES: u64 = 8 << 20;
const NUMBER_BYTES: u64 = 64 << 10;

/// An instance that has a process outside.
#[derive(Debug)]
pub struct Running {
    /// Its number.
    pub id: InstanceId,
    /// The process outside that stands for it.
    pub pid: u32,
    /// What it is, as its `.flatpak-info` says; empty if that cannot be read.
    pub info: KeyFile,
    path: PathBuf,
    directory: OwnedFd,
}

/// What `bwrapinfo.json` says (R142).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SandboxInfo {
    child_pid: u32,
    pid_namespace: Option<u64>,
}

/// Pid 1 of a sandbox.
#[derive(Debug)]
pub enum Init {
    /// It is not there yet, or has not said so.
    NotYet,
    /// It has ended.
    Gone,
    /// It is this process, as long as its handle can be used.
    Here(Process),
}

impl Running {
    /// Reads an instance. None if it has no process.
    pub(super) fn open(instances: &Instances, id: InstanceId) -> Option<Self> {
        let name = id.to_string();
        let directory = file::open_directory(&instances.directory, &name).ok()?;
        let pid = file::read(&directory, PID, NUMBER_BYTES).ok()?;
        let pid = std::str::from_utf8(&pid).ok()?.trim().parse().ok().filter(|pid| *pid > 0)?;
        let info = read_info(&directory).unwrap_or_default();
        Some(Self { id, pid, info, path: instances.path.join(name), directory })
    }

    /// Its directory on the host.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of its application, or of the runtime that runs by itself (R13).
    #[must_use]
    pub fn name(&self) -> Option<String> {
        name(&self.info)
    }

    /// The name of its application; none for a runtime.
    #[must_use]
    pub fn application(&self) -> Option<String> {
        self.info.string("Application", "name").ok()?
    }

    /// What it runs on.
    #[must_use]
    pub fn runtime(&self) -> Option<Reference> {
        let text = |group| self.info.string(group, "runtime").ok().flatten();
        Reference::parse(&text("Application").or_else(|| text("Runtime"))?).ok()
    }

    /// A value about the instance itself, such as `branch` (R240).
    #[must_use]
    pub fn detail(&self, key: &str) -> Option<String> {
        self.info.string("Instance", key).ok()?
    }

    fn sandbox_info(&self) -> Option<SandboxInfo> {
        let text = file::read(&self.directory, SANDBOX_INFO, NUMBER_BYTES).ok()?;
        let info: SandboxInfo = serde_json::from_slice(&text).ok()?;
        (info.child_pid > 0).then_some(info)
    }

    /// The number of pid 1 of the sandbox, as the instance says it. It may belong to somebody else by
    /// now.
    #[must_use]
    pub fn child(&self) -> Option<u32> {
        self.sandbox_info().map(|info| info.child_pid)
    }

    /// The number of the sandbox's pid namespace, as the instance says it.
    #[must_use]
    pub fn pid_namespace(&self) -> Option<u64> {
        self.sandbox_info()?.pid_namespace
    }

    fn reference(&self) -> Result<OwnedFd, Errno> {
        file::open(&self.directory, REFERENCE, OFlags::RDONLY)
    }

    /// Pid 1 of the sandbox (R258). Its number may have been given to another process meanwhile
    /// (CVE-2026-34079), so a process that has it counts only if it is in the pid namespace of the
    /// instance, or is where nobody may look pid 1 of some, and if the instance is held when its handle
    /// is already there: who holds it is pid 1, or a process that ends before pid 1 has.
    ///
    /// # Errors
    /// The errno of what failed.
    pub fn init(&self) -> Result<Init, Errno> {
        let Some(said) = self.sandbox_info() else { return Ok(Init::NotYet) };
        let Some(process) = Process::open(said.child_pid)? else { return Ok(Init::Gone) };
        let belongs = match process.namespace("pid") {
            Ok(namespace) => said.pid_namespace == Some(namespace),
            // Init of a helper with privilege is not to be looked into.
            Err(Errno::ACCESS | Errno::PERM) => process.is_first_of_namespace()?,
            Err(_) => false,
        };
        if !belongs {
            return Ok(Init::Gone);
        }
        let reference = match self.reference() {
            Err(Errno::NOENT) => return Ok(Init::Gone),
            opened => opened?,
        };
        if lock::is_held(&reference)? {
            return Ok(Init::Here(process));
        }
        // Other builders report pid 1 before it has taken the lock.
        let young = collection::is_young(&reference)?;
        Ok(if young { Init::NotYet } else { Init::Gone })
    }
}

/// Reads what an instance is.
pub(super) fn read_info(directory: &OwnedFd) -> Result<KeyFile, Errno> {
    let bytes = file::read(directory, INFO, INFO_BYTES)?;
    KeyFile::parse(&bytes).map_err(|_| Errno::INVAL)
}

/// The name of what runs.
pub(super) fn name(info: &KeyFile) -> Option<String> {
    let text = |group| info.string(group, "name").ok().flatten();
    text("Application").or_else(|| text("Runtime"))
}

/// The instances that are called so: one by its number, or all of an application (R258).
#[must_use]
pub fn called(instances: Vec<Running>, name: &str) -> Vec<Running> {
    let fits = |one: &Running| one.id.to_string() == name || one.name().as_deref() == Some(name);
    instances.into_iter().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::owner;
    use super::super::{Instance, Instances};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use stockade_protocol::event::{Namespace, NamespaceId};

    fn start(instances: &Instances, info: &str) -> Instance {
        let instance = instances.allocate().unwrap();
        instance.write_info(info.as_bytes()).unwrap();
        instance.write_pid(std::process::id()).unwrap();
        instance
    }

    fn namespace(name: &str) -> u64 {
        let own = Process::open(std::process::id()).unwrap().unwrap();
        own.namespace(name).unwrap()
    }

    #[test]
    fn r257_instances_with_a_pid_are_listed() {
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let app = start(
            &instances,
            "[Application]\nname=org.a.B\nruntime=runtime/org.a.P/x86_64/1\n[Instance]\nbranch=beta\n",
        );
        let runtime =
            start(&instances, "[Runtime]\nname=org.a.P\nruntime=runtime/org.a.P/x86_64/1\n");
        let _none = instances.allocate().unwrap();
        let odd = start(&instances, "no key file");
        let all = instances.running();
        assert_eq!(all.len(), 3);
        let find = |id| instances.running().into_iter().find(|one| one.id == id).unwrap();
        let found = find(app.id());
        assert_eq!(found.pid, std::process::id());
        assert_eq!(
            (found.application(), found.name()),
            (Some("org.a.B".into()), Some("org.a.B".into()))
        );
        assert_eq!(found.runtime().unwrap().to_string(), "runtime/org.a.P/x86_64/1");
        assert_eq!((found.detail("branch"), found.detail("arch")), (Some("beta".into()), None));
        assert_eq!((found.child(), found.pid_namespace()), (None, None));
        let found = find(runtime.id());
        assert_eq!((found.application(), found.name()), (None, Some("org.a.P".into())));
        assert_eq!(find(odd.id()).name(), None);
        for (name, count) in [("org.a.B", 1), ("org.a.P", 1), ("org.a", 0), ("", 0)] {
            assert_eq!(called(instances.running(), name).len(), count, "{name}");
        }
        assert_eq!(called(instances.running(), &odd.id().to_string()).len(), 1);
        fs::write(odd.path().join("pid"), "x").unwrap();
        assert_eq!(instances.running().len(), 2);
    }

    #[test]
    fn r258_pid_1_is_the_one_that_holds_the_instance() {
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let with = |child: u32, inode: u64| {
            let instance = start(&instances, "[Application]\nname=org.a.B\n");
            let made = [NamespaceId { kind: Namespace::Pid, inode }];
            instance.write_started(child, &made).unwrap();
            let found = instances.running().into_iter().find(|one| one.id == instance.id());
            (instance, found.unwrap())
        };
        let own = namespace("pid");
        let (held, found) = with(std::process::id(), own);
        assert_eq!((found.child(), found.pid_namespace()), (Some(std::process::id()), Some(own)));
        assert!(matches!(found.init().unwrap(), Init::Here(_)));
        // Nobody holds it: it has not begun, or it has ended.
        drop(held);
        assert!(matches!(found.init().unwrap(), Init::NotYet));
        let reference = fs::File::options().write(true).open(found.path().join(".ref")).unwrap();
        reference.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(matches!(found.init().unwrap(), Init::Gone));
        // The number was given to somebody else.
        let (_held, found) = with(std::process::id(), own + 1);
        assert!(matches!(found.init().unwrap(), Init::Gone));
        // There is no such process.
        let (_held, found) = with(i32::MAX.unsigned_abs(), own);
        assert!(matches!(found.init().unwrap(), Init::Gone));
        // It has not said.
        let silent = start(&instances, "");
        let found = called(instances.running(), &silent.id().to_string()).remove(0);
        assert!(matches!(found.init().unwrap(), Init::NotYet));
        fs::write(silent.path().join("bwrapinfo.json"), "{\"child-pid\": 1").unwrap();
        assert!(matches!(found.init().unwrap(), Init::NotYet));
    }
}
