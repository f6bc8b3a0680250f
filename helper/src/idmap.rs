// SPDX-License-Identifier: MIT OR Apache-2.0
//! The id maps of a user namespace: one user and one group each (T33).

use std::ffi::CString;

use rustix::io::Errno;

use crate::caps::{Cap, Caps};
use crate::procfs::Procfs;

/// One user and one group, as seen inside and outside.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdMap {
    pub(crate) inside: (u32, u32),
    pub(crate) outside: (u32, u32),
}

impl IdMap {
    /// Writes the maps of the process that `/proc/NAME` is. `setgroups` is denied first: a process
    /// could otherwise drop a group that a file's mode is held against.
    ///
    /// `raised` is what the kernel asks of a writer: CAP_SYS_ADMIN over the namespace, and, where
    /// the ids are not the writer's own effective ones, CAP_SETUID and CAP_SETGID over its parent.
    pub(crate) fn write(
        self,
        procfs: &Procfs,
        name: &str,
        caps: &Caps,
        raised: Cap,
    ) -> Result<(), Errno> {
        let ((uid, gid), (outer_uid, outer_gid)) = (self.inside, self.outside);
        let files = [
            ("setgroups", String::from("deny")),
            ("gid_map", format!("{gid} {outer_gid} 1")),
            ("uid_map", format!("{uid} {outer_uid} 1")),
        ];
        for (file, text) in files {
            let path = CString::new(format!("{name}/{file}")).map_err(|_| Errno::INVAL)?;
            // Three capabilities at most, for the reason given above; the kernel looks at those of
            // the moment of opening and of writing, so both are inside.
            caps.with(raised, || {
                let fd = procfs.open_for_writing(&path)?;
                rustix::io::write(&fd, text.as_bytes()).map(drop)
            })?;
        }
        Ok(())
    }
}
