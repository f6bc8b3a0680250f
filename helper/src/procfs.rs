// SPDX-License-Identifier: MIT OR Apache-2.0
//! The host's procfs, reached once through a literal and made sure of (T50).

use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, ResolveFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// `PROC_SUPER_MAGIC` of `linux/magic.h`.
const PROC_MAGIC: i64 = 0x9fa0;

/// The procfs of the caller's mount namespace.
pub(crate) struct Procfs(OwnedFd);

impl Procfs {
    /// Opens `/proc`. `ENOTSUP` means that something else is mounted there, `ESRCH` that it shows another
    /// pid namespace where a child is to be named by its number (`numbered`).
    pub(crate) fn open(numbered: bool) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty())?;
        if rustix::fs::fstatfs(&fd)?.f_type != PROC_MAGIC {
            return Err(Errno::NOTSUP);
        }
        // One of another pid namespace would name other processes by our children's pids. `self` is
        // always this one.
        let mut buffer = [0; 16];
        let length = rustix::fs::readlinkat_raw(&fd, c"self", &mut buffer)?;
        let pid = rustix::process::getpid().as_raw_nonzero().to_string();
        let same = buffer.get(..length) == Some(pid.as_bytes());
        if same || !numbered { Ok(Self(fd)) } else { Err(Errno::SRCH) }
    }

    /// Whether the caller is kept from a part of it, by a mount on one of its own entries or those of
    /// `sys`, or by an option. The kernel asks the same (`mount_too_revealing` in `fs/namespace.c`),
    /// but not in the initial user namespace, and of mounts only about those that another user namespace
    /// than this one made. The mount table is not read for it: whoever may mount FUSE file systems can
    /// make that as long as they like (T40).
    pub(crate) fn is_restricted(&self) -> Result<bool, Errno> {
        for place in [c".", c"sys"] {
            let directory = match self.open_file(place, OFlags::RDONLY | OFlags::DIRECTORY) {
                Err(Errno::XDEV | Errno::NOENT) => return Ok(true),
                opened => Self(opened?),
            };
            // Small, so that few processes are listed for nothing.
            let mut buffer = [MaybeUninit::uninit(); 1024];
            let mut entries = RawDir::new(&directory.0, &mut buffer);
            while let Some(entry) = entries.next() {
                let entry = entry?;
                let name = entry.file_name();
                match name.to_bytes() {
                    // What follows are processes, of which a new one shows its own.
                    [b'0'..=b'9', ..] => break,
                    [b'.', ..] | b"xen" | b"openprom" => continue,
                    _ => {}
                }
                let how = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
                let covered = match rustix::fs::statx(&directory.0, name, how, StatxFlags::empty())
                {
                    // SELinux minds a look at some of them. The way there takes three times as long.
                    Err(Errno::ACCESS) => directory.open_file(name, OFlags::PATH).is_err(),
                    looked => looked?.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
                };
                if covered {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Opens a file of it for writing. `path` is one of ours.
    pub(crate) fn open_for_writing(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        self.open_file(path, OFlags::WRONLY)
    }

    /// Opens a file of it. No mount on top of it is crossed.
    fn open_file(&self, path: &CStr, access: OFlags) -> Result<OwnedFd, Errno> {
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let within = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.0, path, flags, Mode::empty(), within)
    }

    /// Opens an entry of it as a place. `path` is one of ours; a magic link is followed.
    pub(crate) fn entry(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat(&self.0, path, flags, Mode::empty())
    }

    /// Sets how many user namespaces may be below the one this process is in, `namespaces(7)`.
    pub(crate) fn limit_user_namespaces(&self, number: &CStr) -> Result<(), Errno> {
        let fd = self.open_for_writing(c"sys/user/max_user_namespaces")?;
        rustix::io::write(&fd, number.to_bytes()).map(drop)
    }

    /// The path of an open object as this process sees it, up to `buffer`'s size.
    pub(crate) fn path_of<'a>(
        &self,
        fd: BorrowedFd<'_>,
        buffer: &'a mut [u8],
    ) -> Result<&'a [u8], Errno> {
        let length = rustix::fs::readlinkat_raw(&self.0, &link(fd)?, &mut *buffer)?;
        buffer.get(..length).ok_or(Errno::NAMETOOLONG)
    }

    /// Changes the permission bits of an object that is held by an `O_PATH` descriptor, which
    /// `fchmod(2)` does not take before Linux 6.6.
    pub(crate) fn chmod(&self, fd: BorrowedFd<'_>, mode: Mode) -> Result<(), Errno> {
        rustix::fs::chmodat(&self.0, &link(fd)?, mode, AtFlags::empty())
    }

    /// The inode number behind a namespace link of this process.
    pub(crate) fn namespace(&self, name: &str) -> Result<u64, Errno> {
        let path = format!("self/ns/{name}");
        rustix::fs::statat(&self.0, path, AtFlags::empty()).map(|stat| stat.st_ino)
    }
}

/// The link of a descriptor, relative to `/proc`.
fn link(fd: BorrowedFd<'_>) -> Result<CString, Errno> {
    CString::new(format!("self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::INVAL)
}
