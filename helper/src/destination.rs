// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where things go: paths of the request, looked up beneath the new root and made where they are
//! missing (I7).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode as Bits, OFlags, ResolveFlags};
use rustix::io::Errno;
use stockade_protocol::event::{Call, Failure, Hint, Object, Stage};
use stockade_protocol::request::{Destination, SourceKind};

use crate::fault::{because, failed};
use crate::root::{FILE, Root, bits};
use crate::sources::glance;

/// How often a lookup is repeated that the kernel gave up because something was renamed meanwhile.
const PATIENCE: u32 = 64;

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// How directories and mount points are opened: for their place only, which takes no more than
/// search permission on what is above (T03).
pub(crate) const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// How files are opened that may be anything: nobody waits for a FIFO, or gets a terminal.
pub(crate) const OPEN: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// How files are made.
pub(crate) const MAKE: OFlags = OPEN.union(OFlags::WRONLY).union(OFlags::CREATE);

/// A directory of the sandbox, by its path.
pub(crate) struct Neighbourhood {
    path: Vec<u8>,
    pub(crate) directory: OwnedFd,
    /// Whether it is on a tmpfs: there a look-up of an entry asks nobody.
    quick: bool,
}

/// Where a mount goes.
pub(crate) enum Target {
    /// Onto what stands there.
    Present(OwnedFd),
    /// Onto a directory that was just made: this entry of the neighbourhood. It is not followed should
    /// it have become a link.
    Made(CString),
    /// Onto what was just made and opened, or what others have put in its place meanwhile.
    Opened(OwnedFd),
}

impl Root<'_> {
    /// Looks up a path beneath the root: magic links are refused, and symlinks too unless the request
    /// allows them; then they stay inside (T03, T68).
    pub(crate) fn lookup(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let links =
            if self.follow { ResolveFlags::NO_MAGICLINKS } else { ResolveFlags::NO_SYMLINKS };
        let within = ResolveFlags::IN_ROOT | links;
        let mode = bits(if flags.contains(OFlags::CREATE) { FILE } else { 0 });
        let mut tries =
            (0..PATIENCE).map(|_| rustix::fs::openat2(&self.fd, path, flags, mode, within));
        // Something was renamed in a directory that others can write, openat2(2).
        tries.find(|tried| !matches!(tried, Err(Errno::AGAIN))).unwrap_or(Err(Errno::AGAIN))
    }

    /// The place of a destination, made with these permission bits if nothing stands there.
    pub(crate) fn mount_point(
        &mut self,
        destination: &Destination,
        kind: SourceKind,
        mode: u32,
        object: Object,
    ) -> Result<Target, Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let mismatch = because(Stage::Build, Call::Open, object, Hint::DestinationKind);
        if let Some((parent, name, quick)) = self.parent(destination, object)? {
            let regular = FileType::RegularFile;
            let (call, made) = match kind {
                SourceKind::Directory => {
                    (Call::Mkdir, rustix::fs::mkdirat(parent, &name, bits(mode)))
                }
                SourceKind::File => {
                    (Call::Mknod, rustix::fs::mknodat(parent, &name, regular, bits(mode), 0))
                }
            };
            match made {
                Ok(()) if quick && mode & 0o6000 == 0 && kind == SourceKind::Directory => {
                    return Ok(Target::Made(name));
                }
                Ok(()) => {
                    return child(parent, &name).map(Target::Opened).map_err(fail(Call::Open));
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(fail(call)(errno)),
            }
        }
        // Something is there, perhaps a symlink to something in the sandbox.
        let flags = match kind {
            SourceKind::Directory => PATH | OFlags::DIRECTORY,
            SourceKind::File => PATH,
        };
        let path = destination.path.as_c_str();
        match self.lookup(path, flags) {
            Ok(found) if kind == SourceKind::File && is_directory(found.as_fd(), object)? => {
                Err(mismatch(Errno::ISDIR))
            }
            Ok(found) => Ok(Target::Present(found)),
            // A link that leads nowhere: what it names is made, beneath the root.
            Err(Errno::NOENT) if kind == SourceKind::File => {
                let made = self.lookup(path, MAKE).map_err(fail(Call::Open))?;
                let stat = rustix::fs::fstat(&made).map_err(fail(Call::Stat))?;
                let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                if regular { Ok(Target::Present(made)) } else { Err(mismatch(Errno::INVAL)) }
            }
            Err(Errno::NOTDIR) => Err(mismatch(Errno::NOTDIR)),
            Err(errno) => Err(fail(Call::Open)(errno)),
        }
    }

    /// The directory that a destination lies in, made with its parents where they are missing, the
    /// last component, and whether looking that up is quick; none for the root itself.
    pub(crate) fn parent(
        &mut self,
        destination: &Destination,
        object: Object,
    ) -> Result<Option<(BorrowedFd<'_>, CString, bool)>, Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let names: Vec<&[u8]> = destination.path.components().collect();
        let Some((last, above)) = names.split_last() else { return Ok(None) };
        let path = [b"/", above.join(&b'/').as_slice()].concat();
        let near = match self.neighbourhood.take().filter(|near| near.path == path) {
            Some(near) => near,
            None => {
                let directory = self.directory(above, destination.parents, object)?;
                let statfs = rustix::fs::fstatfs(&directory).map_err(fail(Call::Statfs))?;
                let quick = statfs.f_type == TMPFS_MAGIC;
                Neighbourhood { path, directory, quick }
            }
        };
        let name = CString::new(*last).map_err(|_| fail(Call::Open)(Errno::INVAL))?;
        let near = self.neighbourhood.insert(near);
        Ok(Some((near.directory.as_fd(), name, near.quick)))
    }

    /// Opens a directory, made with its parents where they are missing.
    fn directory(&self, names: &[&[u8]], mode: u32, object: Object) -> Result<OwnedFd, Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        // From the inside out to what exists, then back in, making what does not.
        let mut present = names.len();
        let mut directory = loop {
            let existing = names.get(..present).unwrap_or_default();
            match self.lookup(&joined(existing), PATH | OFlags::DIRECTORY) {
                Ok(found) => break found,
                Err(Errno::NOENT) if present > 0 => present = present.saturating_sub(1),
                Err(errno) => return Err(fail(Call::Open)(errno)),
            }
        };
        for name in names.get(present..).unwrap_or_default() {
            let name = CString::new(*name).map_err(|_| fail(Call::Open)(Errno::INVAL))?;
            rustix::fs::mkdirat(&directory, &name, bits(mode)).map_err(fail(Call::Mkdir))?;
            directory = child(directory.as_fd(), &name).map_err(fail(Call::Open))?;
        }
        Ok(directory)
    }
}

/// Whether this is a directory.
fn is_directory(fd: BorrowedFd<'_>, object: Object) -> Result<bool, Failure> {
    let stat = glance(fd).map_err(failed(Stage::Build, Call::Stat, object))?;
    Ok(FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory)
}

/// Opens an entry that was just made. Should somebody have replaced it, no link is followed.
pub(crate) fn child(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, name, PATH, Bits::empty(), within)
}

/// The path of these components relative to the root; `.` if there are none.
fn joined(names: &[&[u8]]) -> CString {
    let path = names.join(&b'/');
    let path = if path.is_empty() { b".".to_vec() } else { path };
    CString::new(path).unwrap_or_else(|_| CString::from(c"."))
}
