// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a launcher asks for: where the copies of the host's files are (R254).

use std::collections::BTreeMap;
use std::path::PathBuf;

use zbus::Variant;
use zbus::fdo;

use super::VERSION;
use crate::message::shown;

/// The object.
pub(super) const PATH: &str = "/org/freedesktop/Flatpak/SessionHelper";

/// Tells where the copies are.
#[derive(Debug)]
pub(super) struct SessionHelper {
    directory: PathBuf,
}

impl SessionHelper {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory }
    }
}

#[zbus::interface(name = "org.freedesktop.Flatpak.SessionHelper")]
impl SessionHelper {
    #[zbus(out_args("data"))]
    fn request_session(&self) -> fdo::Result<BTreeMap<String, Variant<'static>>> {
        let path = self.directory.to_str().map(str::to_owned).ok_or_else(|| {
            fdo::Error::Failed(format!(
                "cannot tell where the copies are\n{} is no text in UTF-8\n\
                 have XDG_RUNTIME_DIR name another directory",
                shown(&self.directory)
            ))
        })?;
        Ok(BTreeMap::from([("path".to_owned(), Variant::from(path))]))
    }

    #[zbus(property(emits_changed_signal = "const"), name = "version")]
    fn version(&self) -> u32 {
        VERSION
    }
}
