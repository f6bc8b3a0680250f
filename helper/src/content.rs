// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and symlinks with what they hold.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, retry_on_intr};
use stockade_protocol::event::{Call, Failure, Hint, Object, Stage};
use stockade_protocol::limits;
use stockade_protocol::request::{Content, Destination};
use stockade_protocol::text::SymlinkTarget;

use crate::descriptors::Descriptors;
use crate::destination::MAKE;
use crate::fault::{because, failed};
use crate::root::{Root, bits};

/// File systems whose regular files are not files: `linux/magic.h`, procfs, sysfs, cgroup, cgroup2,
/// debugfs, tracefs, securityfs, bpf, configfs, selinuxfs, efivarfs.
#[rustfmt::skip]
const PSEUDO: [i64; 11] = [
    0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270, 0x6462_6720, 0x7472_6163, 0x7363_6673, 0xcafe_4a11,
    0x6265_6570, 0xf97c_ff8c, 0xde5e_81e4,
];

impl Root<'_> {
    /// Makes or empties a regular file, and fills it.
    ///
    /// The file may be one of the caller's, in a bound directory. Opening and writing it happens with
    /// the caller's ids and an empty effective set, and only if it is a regular file, so that
    /// no kernel object that judges its writer is written to (T06).
    pub(crate) fn write_file(
        &mut self,
        destination: &Destination,
        mode: u32,
        content: &Content,
        descriptors: &mut Descriptors,
        object: Object,
    ) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let Some((parent, name, _)) = self.parent(destination, object)? else {
            return Err(fail(Call::Open)(Errno::ISDIR));
        };
        let file = rustix::fs::openat(parent, &name, MAKE | OFlags::NOFOLLOW, bits(mode));
        let file = file.map_err(fail(Call::Open))?;
        let stat = rustix::fs::fstat(&file).map_err(fail(Call::Stat))?;
        let statfs = rustix::fs::fstatfs(&file).map_err(fail(Call::Statfs))?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || PSEUDO.contains(&statfs.f_type) {
            let other = Hint::DestinationKind;
            return Err(because(Stage::Build, Call::Open, object, other)(Errno::INVAL));
        }
        rustix::fs::ftruncate(&file, 0).map_err(fail(Call::Write))?;
        fill(file.as_fd(), content, descriptors, object)
    }

    /// Makes a symlink, unless the same one is there.
    pub(crate) fn symlink(
        &mut self,
        destination: &Destination,
        target: &SymlinkTarget,
        object: Object,
    ) -> Result<(), Failure> {
        let Some((parent, name, _)) = self.parent(destination, object)? else {
            return Err(failed(Stage::Build, Call::Symlink, object)(Errno::EXIST));
        };
        match rustix::fs::symlinkat(target.as_c_str(), parent, &name) {
            Err(Errno::EXIST) => {
                let mut buffer = [0; limits::SYMLINK_BYTES];
                let length = rustix::fs::readlinkat_raw(parent, &name, &mut buffer);
                let same =
                    length.is_ok_and(|length| buffer.get(..length) == Some(target.as_bytes()));
                if same {
                    Ok(())
                } else {
                    let other = Hint::DestinationKind;
                    Err(because(Stage::Build, Call::Symlink, object, other)(Errno::EXIST))
                }
            }
            result => result.map_err(failed(Stage::Build, Call::Symlink, object)),
        }
    }
}

/// Writes what a file is to hold.
pub(crate) fn fill(
    file: BorrowedFd<'_>,
    content: &Content,
    descriptors: &mut Descriptors,
    object: Object,
) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    match content {
        Content::Bytes(bytes) => write_all(file, bytes).map_err(fail(Call::Write)),
        Content::Descriptor(fd) => {
            let source = descriptors.take(*fd).map_err(fail(Call::Dup))?;
            copy(source.as_fd(), file, object)
        }
    }
}

/// Writes everything.
fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match retry_on_intr(|| rustix::io::write(file, rest))? {
            0 => return Err(Errno::NOSPC),
            count => rest = rest.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Copies what a descriptor yields, up to the limit. The descriptor is read as it is: one that was
/// not opened for reading is refused by the kernel (T05).
fn copy(source: BorrowedFd<'_>, file: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
    let mut buffer = [0; 16 * 1024];
    let mut left = limits::CONTENT_BYTES;
    loop {
        let count = retry_on_intr(|| rustix::io::read(source, &mut buffer)).map_err(failed(
            Stage::Build,
            Call::Read,
            object,
        ))?;
        if count == 0 {
            return Ok(());
        }
        let size = u64::try_from(count).unwrap_or(u64::MAX);
        left = left.checked_sub(size).ok_or_else(|| {
            because(Stage::Build, Call::Read, object, Hint::ContentTooLarge)(Errno::FBIG)
        })?;
        let bytes = buffer.get(..count).unwrap_or_default();
        write_all(file, bytes).map_err(failed(Stage::Build, Call::Write, object))?;
    }
}
