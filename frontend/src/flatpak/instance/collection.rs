// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cleaning up after instances that have ended (R145).
//!
//! Nobody tells when a sandbox ends: its lock goes with it. A file that was just made may not be
//! locked yet, so only what has some age is taken for left.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;

use super::application::TEMPORARY;
use super::running::{self, Running};
use super::{
    INFO, InstanceId, Instances, PID, REFERENCE, SANDBOX_INFO, file, lock, removal, shared_memory,
};
use crate::flatpak::reference::Id;

/// How old a `.ref` has to be.
const AGE: Duration = Duration::from_secs(3);

impl Instances {
    /// Removes instances that have ended, and what was shared by those of an application that has none
    /// any more. What cannot be removed stays for the next time.
    pub fn collect(&self) {
        self.collect_with(Path::new(shared_memory::HOST));
    }

    fn collect_with(&self, shared_memory: &Path) {
        // Root looks, and leaves cleaning up to whose they are.
        if !self.own {
            return;
        }
        for id in self.ids() {
            if let Ok(Some(Some(application))) = self.collect_one(id) {
                self.collect_shared(&application, shared_memory).ok();
            }
        }
    }

    /// The numbers of all directories that look like instances, in order.
    pub(super) fn ids(&self) -> Vec<InstanceId> {
        let Ok(entries) = Dir::read_from(&self.directory) else { return Vec::new() };
        let id = |entry: rustix::fs::DirEntry| {
            entry.file_name().to_str().ok().and_then(InstanceId::parse)
        };
        let mut ids: Vec<_> = entries.filter_map(Result::ok).filter_map(id).collect();
        ids.sort_unstable();
        ids
    }

    /// Removes an instance if it has ended. Gives the name of its application.
    fn collect_one(&self, id: InstanceId) -> Result<Option<Option<Id>>, Errno> {
        let name = id.to_string();
        let directory = file::open_directory(&self.directory, &name)?;
        let Some(_held) = left(&directory)? else { return Ok(None) };
        let info = running::read_info(&directory).ok();
        let application = info.and_then(|info| Id::new(running::name(&info)?).ok());
        removal::remove(&self.directory, &id.private())?;
        // The lock goes last: what is interrupted before is found again.
        for file in [PID, INFO, SANDBOX_INFO] {
            removal::remove(&directory, file)?;
        }
        removal::remove(&self.directory, &name)?;
        Ok(Some(application))
    }

    /// Removes what the instances of an application have shared, if there is none any more. Its directory
    /// and its lock stay, for one that is just starting.
    fn collect_shared(&self, id: &Id, shared_memory: &Path) -> Result<(), Errno> {
        let directory = file::open_directory(&self.directory, id.as_str())?;
        let Some(_held) = left(&directory)? else { return Ok(()) };
        shared_memory::remove(&directory, id, self.uid, shared_memory)?;
        removal::remove(&directory, TEMPORARY)
    }
}

/// The lock of a directory that nobody uses any more.
fn left(directory: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let reference = file::open(directory, REFERENCE, OFlags::RDWR)?;
    if is_young(&reference)? || !lock::try_exclusive(&reference)? {
        return Ok(None);
    }
    Ok(Some(reference))
}

/// Whether a `.ref` was just made.
pub(super) fn is_young(reference: &OwnedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(reference)?;
    let written = u64::try_from(stat.st_mtime).unwrap_or_default();
    let written = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(written));
    let age = written.and_then(|written| SystemTime::now().duration_since(written).ok());
    Ok(age.is_none_or(|age| age <= AGE))
}

impl Instances {
    /// The instances that run, after what has ended was collected (R257). One that ends just now is left
    /// out.
    #[must_use]
    pub fn running(&self) -> Vec<Running> {
        self.collect();
        self.ids().into_iter().filter_map(|id| Running::open(self, id)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::application::ApplicationDirectory;
    use super::super::tests::owner;
    use super::super::{Instance, InstanceId};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    const APP: &str = "org.example.App";

    /// Makes a `.ref` old enough.
    fn age(directory: &Path) {
        let file = fs::File::options().write(true).open(directory.join(".ref")).unwrap();
        file.set_modified(SystemTime::now().checked_sub(Duration::from_secs(5)).unwrap()).unwrap();
    }

    struct Place {
        scratch: Scratch,
        instances: Instances,
        host: PathBuf,
    }

    impl Place {
        fn new() -> Self {
            let scratch = Scratch::new();
            let instances = Instances::create(&owner(&scratch)).unwrap();
            let host = scratch.directory("shm");
            Self { scratch, instances, host }
        }

        fn start(&self) -> (Instance, ApplicationDirectory) {
            let instance = self.instances.allocate().unwrap();
            instance.write_info(format!("[Application]\nname={APP}\n").as_bytes()).unwrap();
            let id = Id::new(APP).unwrap();
            (instance, ApplicationDirectory::create(&self.instances, &id).unwrap())
        }

        fn application(&self, name: &str) -> PathBuf {
            self.scratch.join("run/.flatpak").join(APP).join(name)
        }

        /// What is called like an instance or its private directory.
        fn numbers(&self) -> usize {
            let entries = fs::read_dir(self.scratch.join("run/.flatpak")).unwrap();
            let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
            let digit = |name: &String| name.starts_with(|c: char| c.is_ascii_digit());
            entries.map(name).filter_map(|name| name.into_string().ok()).filter(digit).count()
        }
    }

    #[test]
    fn r145_what_has_ended_is_collected_when_it_is_three_seconds_old() {
        let place = Place::new();
        let (instance, application) = place.start();
        let (_, memory) = application.shared_memory(&place.host).unwrap();
        place.scratch.file(&format!("run/.flatpak/{APP}/tmp/x"), "");
        let path = instance.path().to_owned();
        age(&path);
        age(&place.application(""));
        place.instances.collect_with(&place.host);
        assert_eq!(place.numbers(), 2, "it runs");

        drop((instance, application));
        fs::File::options()
            .write(true)
            .open(path.join(".ref"))
            .unwrap()
            .set_modified(SystemTime::now())
            .unwrap();
        place.instances.collect_with(&place.host);
        assert_eq!(place.numbers(), 2, "it is too young");

        age(&path);
        place.instances.collect_with(&place.host);
        assert_eq!(place.numbers(), 0);
        assert!(!memory.exists() && !place.application("tmp").exists());
        assert!(fs::symlink_metadata(place.application("dev-shm")).is_err());
        assert!(place.application(".ref").exists() && place.application("xdg-run").exists());
        // And it can start again.
        let (_instance, _application) = place.start();
        assert!(place.application("tmp").exists());
    }

    #[test]
    fn r145_what_another_instance_uses_stays() {
        let place = Place::new();
        let (first, application) = place.start();
        let (_second, _kept) = place.start();
        let path = first.path().to_owned();
        drop((first, application));
        age(&path);
        age(&place.application(""));
        place.instances.collect_with(&place.host);
        assert_eq!(place.numbers(), 2);
        assert!(!path.exists() && place.application("tmp").exists());
    }

    #[test]
    fn r145_odd_directories_do_no_harm() {
        let place = Place::new();
        let kept = place.scratch.file("elsewhere/.ref", "");
        age(kept.parent().unwrap());
        symlink("../../elsewhere", place.scratch.join("run/.flatpak/7")).unwrap();
        symlink("../../elsewhere", place.scratch.join("run/.flatpak/8-private")).unwrap();
        // Its name leads out of the directory.
        place.scratch.file("run/.flatpak/8/info", "[Application]\nname=../../elsewhere\n");
        place.scratch.file("run/.flatpak/8/.ref", "");
        age(&place.scratch.join("run/.flatpak/8"));
        place.scratch.directory("run/.flatpak/9");
        place.instances.collect_with(&place.host);
        assert!(kept.exists());
        assert!(!place.scratch.join("run/.flatpak/8").exists());
        assert_eq!(place.instances.ids(), ["7", "9"].map(|n| InstanceId::parse(n).unwrap()));
    }
}
