// SPDX-License-Identifier: MIT OR Apache-2.0
//! The closed set of file systems that are mounted: tmpfs, proc, devpts, mqueue; and overlay where the
//! helper lends no privilege (I11).
//!
//! Names and options are literals, or numbers formatted here. Each is made detached.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags};
use stockade_protocol::event::{Call, Failure, Object, Stage};

use crate::caps::{Cap, Caps};
use crate::fault::failed;
use crate::filesystems::attributes::{Attributes, NO_EXEC, NO_SUID, PLAIN, READ_ONLY};

/// Mount attributes, as `mount_setattr(2)` and `fsmount(2)` take them.
pub(crate) mod attributes {
    pub(crate) use rustix::mount::MountAttrFlags as Attributes;

    pub(crate) const NONE: Attributes = Attributes::empty();
    pub(crate) const NO_SUID: Attributes = Attributes::MOUNT_ATTR_NOSUID;
    pub(crate) const PLAIN: Attributes = NO_SUID.union(Attributes::MOUNT_ATTR_NODEV);
    pub(crate) const READ_ONLY: Attributes = Attributes::MOUNT_ATTR_RDONLY;
    pub(crate) const NO_EXEC: Attributes = Attributes::MOUNT_ATTR_NOEXEC;
}

/// What a writable overlay takes besides, in the one call that makes it: from then on the kernel works
/// in the layers with what the call was made with. It makes directories of mode 0 there and goes into
/// them, and copies what is changed with its owner and mode. Nobody is lent this: without privilege it
/// counts for ids that the caller's user namespace has, and otherwise the caller is root.
pub(crate) const OVERLAY: Cap =
    Cap::DAC_OVERRIDE.union(Cap::CHOWN).union(Cap::FOWNER).union(Cap::FSETID);

/// A file system this helper may mount.
#[derive(Clone, Copy)]
pub(crate) enum Kind<'a> {
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
    /// Directories on top of one another: read-only without an upper one and its work directory. They
    /// are named by number, so the working directory has to be that of the descriptors. What their own
    /// mounts forbid is to be forbidden here.
    Overlay { lower: &'a [OwnedFd], upper: &'a [OwnedFd], forbidden: Attributes },
}

/// What the kernel is told about one.
struct Recipe {
    name: &'static CStr,
    attributes: Attributes,
    /// Those without a value are flags.
    options: Vec<(&'static CStr, CString)>,
}

impl Kind<'_> {
    fn recipe(self) -> Recipe {
        let text = |text: String| CString::new(text).unwrap_or_default();
        let octal = |mode: u32| text(format!("{mode:o}"));
        let (name, attributes, options) = match self {
            Self::Tmpfs { mode, size } => {
                let mut options = vec![(c"mode", octal(mode))];
                options.extend(size.map(|size| (c"size", text(size.to_string()))));
                (c"tmpfs", PLAIN, options)
            }
            Self::Devices => (c"tmpfs", NO_SUID | NO_EXEC, vec![(c"mode", octal(0o755))]),
            Self::Devpts => {
                let options = vec![(c"mode", octal(0o620)), (c"ptmxmode", octal(0o666))];
                (c"devpts", NO_SUID | NO_EXEC, options)
            }
            Self::Proc => (c"proc", PLAIN | NO_EXEC, Vec::new()),
            Self::Mqueue => (c"mqueue", PLAIN | NO_EXEC, Vec::new()),
            Self::Overlay { lower, upper, forbidden } => {
                let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
                let list = lower.iter().map(number).collect::<Vec<_>>().join(":");
                let mut options = vec![(c"userxattr", c"".into()), (c"lowerdir", text(list))];
                let given = upper.iter().map(|fd| text(number(fd)));
                options.extend([c"upperdir", c"workdir"].into_iter().zip(given));
                let access = if upper.is_empty() { READ_ONLY } else { attributes::NONE };
                (c"overlay", PLAIN | forbidden | access, options)
            }
        };
        Recipe { name, attributes, options }
    }

    /// Makes one, detached. The capability check of a new procfs in a user namespace looks at what
    /// is mounted in this mount namespace, so this comes before the old root goes.
    pub(crate) fn make(self, caps: &Caps, object: Object) -> Result<OwnedFd, Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let Recipe { name, attributes, options } = self.recipe();
        let context = caps
            .admin(|| rustix::mount::fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC))
            .map_err(fail(Call::Fsopen))?;
        let configure = || -> Result<(), Errno> {
            rustix::mount::fsconfig_set_string(&context, c"source", name)?;
            for (key, value) in &options {
                if value.is_empty() {
                    rustix::mount::fsconfig_set_flag(&context, *key)?;
                } else {
                    rustix::mount::fsconfig_set_string(&context, *key, value)?;
                }
            }
            let writable = matches!(self, Self::Overlay { upper: [_, ..], .. });
            let more = if writable { OVERLAY } else { Cap::empty() };
            caps.with(Cap::SYS_ADMIN | more, || rustix::mount::fsconfig_create(&context))
        };
        configure().map_err(fail(Call::Fsconfig))?;
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        caps.admin(|| rustix::mount::fsmount(&context, flags, attributes))
            .map_err(fail(Call::Fsmount))
    }
}
