// SPDX-License-Identifier: MIT OR Apache-2.0
//! Keeps the copies current: watches the host's files, and what they are links to (R255, inotify(7)).
//!
//! After each change everything is looked at again and watched anew. What changes while nothing is
//! watched is seen by that look.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::{Errno, retry_on_intr};

use super::copies::Copies;
use crate::message;

/// The most symlinks that are followed, as by the kernel.
const LINKS: usize = 40;

/// How long a change is waited for to be complete, and the next ones with it.
const QUIET: Duration = Duration::from_millis(100);

/// How often everything is looked at where nothing can be watched.
const WITHOUT: Duration = Duration::from_secs(10);

/// What is of interest in a directory.
const ENTRIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// What is of interest in a file, which may be changed under another name too.
const CONTENT: WatchFlags =
    WatchFlags::MODIFY.union(WatchFlags::CLOSE_WRITE).union(WatchFlags::ATTRIB);

/// Keeps copies current.
#[derive(Debug)]
pub struct Keeper {
    copies: Copies,
    first: SyncSender<()>,
}

/// The moment from which all copies are there.
#[derive(Debug)]
pub struct First(Receiver<()>);

impl First {
    /// Waits for it.
    pub fn wait(self) {
        // An error would be the end of the other side, which does not end.
        self.0.recv().ok();
    }
}

impl Keeper {
    /// A keeper of these copies, and the moment of its first look.
    #[must_use]
    pub fn new(copies: Copies) -> (Self, First) {
        let (first, receiver) = sync_channel(1);
        (Self { copies, first }, First(receiver))
    }

    /// Does so for as long as the process lives.
    pub fn keep(mut self) {
        loop {
            let watch = Watch::new(&self.copies.sources());
            self.copies.refresh();
            // Asked for once only.
            self.first.try_send(()).ok();
            if let Err(errno) = watch.and_then(|watch| watch.wait()) {
                message::error(&format!(
                    "cannot watch the host's network files\n{errno}\n\
                     they are looked at every {} seconds; see 'sysctl fs.inotify' for the limits",
                    WITHOUT.as_secs()
                ));
                std::thread::sleep(WITHOUT);
            }
        }
    }
}

/// Files that are watched.
struct Watch {
    inotify: OwnedFd,
    /// What counts in each directory; anything where there is no list.
    names: BTreeMap<i32, BTreeSet<OsString>>,
}

impl Watch {
    fn new(files: &[PathBuf]) -> Result<Self, Errno> {
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut watch = Self { inotify, names: BTreeMap::new() };
        for file in files {
            for path in chain(file) {
                watch.add_entry(&path)?;
            }
            match add_watch(&watch.inotify, file, CONTENT) {
                Ok(_) | Err(Errno::NOENT | Errno::ACCESS | Errno::LOOP | Errno::NOTDIR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(watch)
    }

    /// Watches for an entry of its directory; or, without one, for the first directory that is missing.
    fn add_entry(&mut self, path: &Path) -> Result<(), Errno> {
        let mut path = path;
        while let (Some(directory), Some(name)) = (path.parent(), path.file_name()) {
            match add_watch(&self.inotify, directory, ENTRIES) {
                Ok(number) => {
                    self.names.entry(number).or_default().insert(name.to_owned());
                    return Ok(());
                }
                Err(Errno::NOENT | Errno::ACCESS | Errno::LOOP | Errno::NOTDIR) => path = directory,
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Waits for a change, and for what belongs to it.
    fn wait(&self) -> Result<(), Errno> {
        loop {
            retry_on_intr(|| {
                let mut ready = [PollFd::new(&self.inotify, PollFlags::IN)];
                rustix::event::poll(&mut ready, None::<&Timespec>)
            })?;
            if self.has_changed()? {
                std::thread::sleep(QUIET);
                return Ok(());
            }
        }
    }

    /// Reads what has happened. Whether anything of it counts.
    fn has_changed(&self) -> Result<bool, Errno> {
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.inotify, &mut space);
        let mut changed = false;
        loop {
            let event = match events.next() {
                Ok(event) => event,
                Err(Errno::WOULDBLOCK) => return Ok(changed),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            let names = self.names.get(&event.wd());
            // Without a name it is about the file or directory itself, or there were too many.
            changed |= match (names, name) {
                (Some(names), Some(name)) => names.contains(name),
                (_, None) | (None, Some(_)) => !event.events().contains(ReadFlags::IGNORED),
            };
        }
    }
}

/// A path and what it leads to through symlinks, the last steps only.
fn chain(path: &Path) -> Vec<PathBuf> {
    let mut chain = vec![path.to_owned()];
    while let Some(last) = chain.last().filter(|_| chain.len() <= LINKS)
        && let Ok(target) = std::fs::read_link(last)
    {
        let directory = last.parent().unwrap_or(Path::new("/"));
        let next = directory.join(target);
        chain.push(next);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;
    use std::sync::mpsc;

    /// Watches a file while `change` happens. Whether it is noticed within `patience`.
    fn notices(file: &Path, patience: Duration, change: impl FnOnce()) -> bool {
        let watch = Watch::new(&[file.to_owned()]).unwrap();
        let (sender, receiver) = mpsc::channel();
        change();
        std::thread::spawn(move || sender.send(watch.wait()));
        receiver.recv_timeout(patience).is_ok()
    }

    const LONG: Duration = Duration::from_secs(20);
    const SHORT: Duration = Duration::from_millis(300);

    #[test]
    fn r255_every_way_to_change_a_file_is_noticed() {
        let scratch = Scratch::new();
        let file = scratch.join("etc/resolv.conf");
        scratch.directory("etc");
        assert!(notices(&file, LONG, || drop(scratch.file("etc/resolv.conf", "made"))));
        assert!(notices(&file, LONG, || drop(scratch.file("etc/resolv.conf", "written"))));
        let new = scratch.file("etc/new", "renamed");
        assert!(notices(&file, LONG, || std::fs::rename(&new, &file).unwrap()));
        let other = scratch.join("other");
        std::fs::hard_link(&file, &other).unwrap();
        assert!(notices(&file, LONG, || std::fs::write(&other, "elsewhere").unwrap()));
        assert!(notices(&file, LONG, || std::fs::remove_file(&file).unwrap()));
        assert!(!notices(&file, SHORT, || drop(scratch.file("etc/unrelated", ""))));
    }

    #[test]
    fn r255_so_are_changes_of_what_it_is_a_link_to() {
        let scratch = Scratch::new();
        scratch.directory("etc");
        let file = scratch.join("etc/resolv.conf");
        symlink("../run/link", &file).unwrap();
        // The directory is not there yet, nor what is in it.
        assert!(notices(&file, LONG, || drop(scratch.directory("run"))));
        assert!(notices(&file, LONG, || symlink("a/real", scratch.join("run/link")).unwrap()));
        assert!(notices(&file, LONG, || drop(scratch.directory("run/a"))));
        assert!(notices(&file, LONG, || drop(scratch.file("run/a/real", "made"))));
        assert!(notices(&file, LONG, || drop(scratch.file("run/a/real", "written"))));
        assert!(notices(&file, LONG, || {
            std::fs::remove_file(scratch.join("run/link")).unwrap();
        }));
        assert!(!notices(&file, SHORT, || drop(scratch.file("run/a/real", "no longer"))));
    }

    #[test]
    fn r255_links_in_a_circle_have_an_end() {
        let scratch = Scratch::new();
        let file = scratch.join("a");
        symlink("b", &file).unwrap();
        symlink("a", scratch.join("b")).unwrap();
        assert!(chain(&file).len() > LINKS);
        assert!(notices(&file, LONG, || std::fs::remove_file(&file).unwrap()));
    }
}
