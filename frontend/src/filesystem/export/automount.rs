// SPDX-License-Identifier: MIT OR Apache-2.0
//! Directories that an automounter keeps empty until somebody looks into them (R66).

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::ExportError;
use crate::object::Object;

/// `AUTOFS_SUPER_MAGIC`.
const AUTOFS: u64 = 0x0187;

/// How long a place on an automounter is waited for (R66).
const AUTOMOUNT: Duration = Duration::from_millis(200);

/// Has a directory mounted that is an automounter's; otherwise the sandbox would get an empty one
/// that it cannot have mounted.
pub(super) fn wait_for_automount(object: Object, path: &Path) -> Result<Object, ExportError> {
    // The server behind it may never answer. The thread then stays until this process ends.
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let flags = OFlags::PATH.union(OFlags::CLOEXEC).union(OFlags::DIRECTORY);
        let opened = rustix::fs::openat(&object, c".", flags, Mode::empty());
        sender.send(opened.and_then(Object::new)).ok();
    });
    match receiver.recv_timeout(AUTOMOUNT) {
        Ok(Ok(mounted)) if !is_automounter(&mounted) => Ok(mounted),
        Ok(_) | Err(_) => Err(ExportError::Automount { path: path.to_owned() }),
    }
}

pub(super) fn is_automounter(object: &Object) -> bool {
    rustix::fs::fstatfs(object).is_ok_and(|stat| u64::try_from(stat.f_type) == Ok(AUTOFS))
}
