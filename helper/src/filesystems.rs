// SPDX-License-Identifier: MIT OR Apache-2.0
//! The closed set of file systems that are mounted: tmpfs, proc, devpts, mqueue (I11).
//!
//! Names and options are literals, or numbers formatted here. Each is made detached.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use stockade_protocol::event::{Call, Failure, Object, Stage};

use crate::caps::{Cap, Caps};
use crate::fault::failed;

/// Mount attributes, as `mount_setattr(2)` takes them.
pub(crate) mod attributes {
    use rustix::mount::MountAttrFlags as Flags;

    pub(crate) const NO_SUID: u64 = bits(Flags::MOUNT_ATTR_NOSUID);
    pub(crate) const PLAIN: u64 = NO_SUID | bits(Flags::MOUNT_ATTR_NODEV);
    pub(crate) const READ_ONLY: u64 = bits(Flags::MOUNT_ATTR_RDONLY);
    pub(crate) const NO_EXEC: u64 = bits(Flags::MOUNT_ATTR_NOEXEC);

    /// All attributes of this API fit 32 bits.
    #[expect(clippy::as_conversions, reason = "From is not const")]
    const fn bits(flags: Flags) -> u64 {
        flags.bits() as u64
    }
}

/// A file system this helper may mount.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// An empty tmpfs. Size in bytes; the kernel's default if absent.
    Tmpfs { mode: u32, size: Option<u64> },
    /// The tmpfs of a private `/dev`: the only one on which device nodes work (I5).
    Devices,
    /// The pseudo-terminals of that `/dev`, always a new instance.
    Devpts,
    /// Processes of the pid namespace that this process is in.
    Proc,
    /// Message queues of this IPC namespace.
    Mqueue,
}

impl Kind {
    fn name(self) -> &'static CStr {
        match self {
            Self::Tmpfs { .. } | Self::Devices => c"tmpfs",
            Self::Devpts => c"devpts",
            Self::Proc => c"proc",
            Self::Mqueue => c"mqueue",
        }
    }

    fn options(self) -> Vec<(&'static CStr, CString)> {
        let octal = |mode: u32| CString::new(format!("{mode:o}")).unwrap_or_default();
        match self {
            Self::Tmpfs { mode, size } => {
                let size = size.map(|size| CString::new(size.to_string()).unwrap_or_default());
                std::iter::once((c"mode", octal(mode))).chain(size.map(|s| (c"size", s))).collect()
            }
            Self::Devices => vec![(c"mode", octal(0o755))],
            Self::Devpts => vec![(c"mode", octal(0o620)), (c"ptmxmode", octal(0o666))],
            Self::Proc | Self::Mqueue => Vec::new(),
        }
    }

    fn attributes(self) -> MountAttrFlags {
        let no_suid = MountAttrFlags::MOUNT_ATTR_NOSUID;
        let no_exec = MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let no_dev = MountAttrFlags::MOUNT_ATTR_NODEV;
        match self {
            Self::Tmpfs { .. } => no_suid | no_dev,
            Self::Devices | Self::Devpts => no_suid | no_exec,
            Self::Proc | Self::Mqueue => no_suid | no_dev | no_exec,
        }
    }

    /// Makes one, detached. The capability check of a new procfs in a user namespace looks at what
    /// is mounted in this mount namespace, so this comes before the old root goes.
    pub(crate) fn make(self, caps: &Caps, object: Object) -> Result<OwnedFd, Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let raised = Cap::SYS_ADMIN;
        let context = caps
            .with(raised, || rustix::mount::fsopen(self.name(), FsOpenFlags::FSOPEN_CLOEXEC))
            .map_err(fail(Call::Fsopen))?;
        let configure = || -> Result<(), Errno> {
            rustix::mount::fsconfig_set_string(&context, c"source", self.name())?;
            for (key, value) in self.options() {
                rustix::mount::fsconfig_set_string(&context, key, &value)?;
            }
            caps.with(raised, || rustix::mount::fsconfig_create(&context))
        };
        configure().map_err(fail(Call::Fsconfig))?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        caps.with(raised, || rustix::mount::fsmount(&context, flags, self.attributes()))
            .map_err(fail(Call::Fsmount))
    }
}
