// SPDX-License-Identifier: MIT OR Apache-2.0
//! The icons of the host and of the user (R118).

use rustix::fs::FileType;

use super::{Host, show, show_users};
use crate::message::Notice;
use crate::sandbox::{Sandbox, SandboxError};

/// Adds them, where they exist.
pub(super) fn prepare(
    host: &Host<'_>,
    sandbox: &mut Sandbox,
    notices: &mut Vec<Notice>,
) -> Result<(), SandboxError> {
    let system = host.root.join("usr/share/icons");
    show(&system, FileType::Directory, "/run/host/share/icons", sandbox)?;
    let data = host.caller.data_home();
    show_users(&data, "icons", "/run/host/user-share/icons", sandbox, notices)?;
    Ok(())
}
