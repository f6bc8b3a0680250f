// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which application a process of this user belongs to, as services find out who calls them (R331, R332).
//!
//! What the root of the process says has to be what its instance says of itself on the host, where no
//! sandbox can write (R128, R242): a root that somebody made up has no instance.

use std::ffi::OsString;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::process::{self, Process};
use super::running::Running;
use super::starting::ENVIRONMENT;
use super::{INFO, InstanceId, Instances, file};
use crate::keyfile::KeyFile;

/// What every sandbox of an application has in its root.
const INFO_OF_THE_ROOT: &str = ".flatpak-info";

/// Most bytes that are read of it, and of an environment.
const MOST_BYTES: u64 = 16 << 20;

/// The instance of a process.
#[derive(Debug)]
pub struct Identity {
    /// The instance.
    pub running: Running,
    /// The environment that its launcher had (R99); none if it did not say.
    pub environment: Option<Vec<(OsString, OsString)>>,
}

/// Why it is not known whom a process belongs to. It is then nobody, and not the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// It has ended.
    #[error("process {0} has ended")]
    Gone(u32),
    /// It cannot be looked into.
    #[error("process {pid} cannot be looked into: {errno}")]
    Closed {
        /// Its number.
        pid: u32,
        /// Why.
        errno: Errno,
    },
    /// What it says of itself is not what a launcher has written.
    #[error(
        "the root of process {0} has a .flatpak-info that is not that of an instance which runs"
    )]
    Odd(u32),
}

impl Identity {
    /// Looks at a process. None if it is in no sandbox of an application.
    ///
    /// The number has to be that of the process for sure: as long as the connection to the bus is there
    /// that the number was told for, it is held by a proxy of the sandbox or by the application itself.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn of_process(instances: &Instances, pid: u32) -> Result<Option<Self>, IdentityError> {
        let closed = |errno| IdentityError::Closed { pid, errno };
        let gone = IdentityError::Gone(pid);
        let process = Process::open(pid).map_err(closed)?.ok_or(gone)?;
        let root = process.open_part("root", OFlags::PATH | OFlags::DIRECTORY).map_err(closed)?;
        let said = match file::read(&root, INFO_OF_THE_ROOT, MOST_BYTES) {
            Err(Errno::NOENT) => None,
            Err(Errno::LOOP | Errno::INVAL | Errno::FBIG) => return Err(IdentityError::Odd(pid)),
            read => Some(read.map_err(closed)?),
        };
        // The root was its own only if it has the number still.
        if !process.lives().map_err(closed)? {
            return Err(gone);
        }
        let Some(said) = said else { return Ok(None) };
        Self::said(instances, &said).map(Some).ok_or(IdentityError::Odd(pid))
    }

    /// The instance that describes itself with these bytes.
    fn said(instances: &Instances, said: &[u8]) -> Option<Self> {
        let info = KeyFile::parse(said).ok()?;
        let number = info.string("Instance", "instance-id").ok()??;
        let id = InstanceId::parse(&number)?;
        let directory = file::open_directory(&instances.directory, &id.to_string()).ok()?;
        if file::read(&directory, INFO, MOST_BYTES).ok()? != said {
            return None;
        }
        let running = Running::open(instances, id)?;
        Some(Self { running, environment: environment(instances, id) })
    }
}

/// R99.
fn environment(instances: &Instances, id: InstanceId) -> Option<Vec<(OsString, OsString)>> {
    let private = file::open_directory(&instances.directory, &id.private()).ok()?;
    let block = file::read(&private, ENVIRONMENT, MOST_BYTES).ok()?;
    Some(process::variables(&block).collect())
}

#[cfg(test)]
mod tests {
    use super::super::tests::owner;
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;

    #[test]
    fn r332_a_process_of_the_host_is_in_no_sandbox() {
        let scratch = Scratch::new();
        let instances = Instances::create(&owner(&scratch)).unwrap();
        let own = Identity::of_process(&instances, std::process::id());
        assert!(own.unwrap().is_none());
        // There is no such number.
        let gone = Identity::of_process(&instances, u32::MAX).unwrap_err();
        assert_eq!(gone, IdentityError::Gone(u32::MAX));
    }

    #[test]
    fn r332_r242_only_what_the_instance_says_counts() {
        let scratch = Scratch::new();
        let caller = owner(&scratch);
        let instances = Instances::create(&caller).unwrap();
        let instance = instances.allocate().unwrap();
        let info =
            format!("[Application]\nname=org.a.B\n[Instance]\ninstance-id={}\n", instance.id());
        let found = |said: &str| Identity::said(&instances, said.as_bytes());
        assert!(found(&info).is_none());
        instance.write_info(info.as_bytes()).unwrap();
        instance.write_pid(std::process::id()).unwrap();
        let identity = found(&info).unwrap();
        assert_eq!((identity.running.id, identity.environment), (instance.id(), None));
        instance.write_environment(&caller).unwrap();
        let environment = found(&info).unwrap().environment.unwrap();
        assert_eq!(environment, caller.environment);
        for wrong in [
            info.replace("org.a.B", "org.a.Other"),
            format!("{info}[Context]\nshared=network;\n"),
            info.replace("instance-id=", "instance-id=../"),
            String::new(),
        ] {
            assert!(found(&wrong).is_none(), "{wrong}");
        }
        // What is in the place of the file is not followed.
        fs::rename(instance.path().join("info"), scratch.join("info")).unwrap();
        std::os::unix::fs::symlink(scratch.join("info"), instance.path().join("info")).unwrap();
        assert!(found(&info).is_none());
    }
}
