// SPDX-License-Identifier: MIT OR Apache-2.0
//! Telling an instance that another version of its application was installed (R251).
//!
//! What is installed is looked at whenever the directory changes that says which version is used (R4).
//! Updates are neither looked for nor made here: nothing of Stockade installs.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::{Errno, retry_on_intr};

use super::parent::Parent;
use crate::flatpak::choice;
use crate::flatpak::installation::{Installation, Installations};
use crate::flatpak::reference::Reference;

/// What changes in a directory when another version is used.
const CHANGES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR);

/// The installation and the version that an instance came from.
#[derive(Clone, Debug)]
pub struct Watched {
    installation: Installation,
    reference: Reference,
    /// The version that runs.
    running: String,
}

/// Another version than the one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The version that runs.
    pub running: String,
    /// The one that is installed.
    pub installed: String,
}

impl Watched {
    /// Finds the installation of an instance. None if it is of none, as what is only being tried out.
    #[must_use]
    pub fn new(parent: &Parent, installations: &Installations) -> Option<Self> {
        let files = parent.app_files.as_ref()?;
        let installation = installations.iter().find(|one| files.starts_with(&one.path))?;
        Some(Self {
            installation: installation.clone(),
            reference: parent.reference.clone(),
            running: parent.commit.clone()?,
        })
    }

    /// Where the installation says which version is used.
    fn directory(&self) -> PathBuf {
        self.installation.path.join(self.reference.to_string())
    }

    /// The version that is installed by now, if it is another one.
    #[must_use]
    pub fn update(&self) -> Option<Update> {
        let found = choice::find(&[&self.installation], &self.reference, None).ok()??;
        let update = Update { running: self.running.clone(), installed: found.commit };
        (update.installed != update.running).then_some(update)
    }

    /// Calls `tell` for each new version, until the other end of `ended` is closed or the
    /// application is removed.
    ///
    /// # Errors
    /// The errno of `inotify(7)` or `poll(2)`.
    pub fn watch(&self, ended: &OwnedFd, mut tell: impl FnMut(Update)) -> Result<(), Errno> {
        let watch = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        add_watch(&watch, self.directory(), CHANGES)?;
        let mut told = None;
        loop {
            // The first look is taken when nothing can be missed any more.
            let update = self.update();
            if update != told {
                if let Some(update) = update.clone() {
                    tell(update);
                }
                told = update;
            }
            let mut fds = [
                PollFd::from_borrowed_fd(watch.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
            ];
            retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
            let [changed, ended] = fds;
            if !ended.revents().is_empty() {
                return Ok(());
            }
            if !changed.revents().is_empty() && !is_there_still(&watch)? {
                return Ok(());
            }
        }
    }
}

/// Reads all that was noticed. False if the directory has gone.
fn is_there_still(watch: &OwnedFd) -> Result<bool, Errno> {
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut reader = Reader::new(watch, &mut space);
    let mut there = true;
    loop {
        match reader.next() {
            Ok(event) => there &= !event.events().contains(ReadFlags::IGNORED),
            Err(Errno::AGAIN) => return Ok(there),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::deploy::tests::{COMMIT, install};
    use crate::spawn::parent::tests::parent;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;

    const METADATA: &str =
        "[Application]\nname=org.example.App\nruntime=org.example.Platform/x86_64/1\n";

    #[test]
    fn r251_an_instance_is_told_once_of_each_other_version() {
        let scratch = Scratch::new();
        let name = "app/org.example.App/x86_64/stable";
        install(&scratch, "inst", name, METADATA);
        let path = |name| scratch.join(name).to_str().unwrap().to_owned();
        let variables = [("FLATPAK_USER_DIR", path("inst")), ("FLATPAK_SYSTEM_DIR", path("none"))];
        let variables = variables.each_ref().map(|(name, path)| (*name, path.as_str()));
        let (installations, _) = Installations::discover(&caller(&scratch.0, &variables));
        let mut parent = parent("");
        assert!(Watched::new(&parent, &installations).is_none());
        parent.app_files = Some(scratch.join(&format!("inst/{name}/{COMMIT}/files")));
        parent.commit = Some(COMMIT.to_owned());
        let watched = Watched::new(&parent, &installations).unwrap();
        assert_eq!(watched.update(), None);

        let (ended, end) = rustix::pipe::pipe().unwrap();
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            watched.watch(&ended, |update| sender.send(update).unwrap())
        });
        let other = "c".repeat(64);
        let directory = scratch.join(&format!("inst/{name}"));
        let deployed = |commit: &str| {
            if !directory.join(commit).exists() {
                std::fs::rename(directory.join(COMMIT), directory.join(commit)).unwrap();
            }
            symlink(commit, directory.join("new")).unwrap();
            std::fs::rename(directory.join("new"), directory.join("active")).unwrap();
        };
        deployed(&other);
        let expected = Update { running: COMMIT.to_owned(), installed: other };
        assert_eq!(receiver.recv().unwrap(), expected);
        drop(end);
        thread.join().unwrap().unwrap();
        assert!(receiver.recv().is_err());
    }
}
