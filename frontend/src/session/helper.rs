// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a launcher asks for: where the copies of the host's files are, and the
//! socket of p11-kit (R254).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use zbus::Variant;
use zbus::fdo;

use super::VERSION;
use crate::message::shown;

/// The object.
pub(super) const PATH: &str = "/org/freedesktop/Flatpak/SessionHelper";

/// Tells what there is.
#[derive(Debug)]
pub(super) struct SessionHelper {
    /// Where the copies are.
    pub(super) directory: PathBuf,
    /// The socket of p11-kit's server, if there is one.
    pub(super) certificates: Option<PathBuf>,
}

#[zbus::interface(name = "org.freedesktop.Flatpak.SessionHelper")]
impl SessionHelper {
    #[zbus(out_args("data"))]
    fn request_session(&self) -> fdo::Result<BTreeMap<String, Variant<'static>>> {
        let mut data = BTreeMap::from([("path".to_owned(), text(&self.directory)?)]);
        if let Some(socket) = &self.certificates {
            data.insert("pkcs11-socket".to_owned(), text(socket)?);
        }
        Ok(data)
    }

    #[zbus(property(emits_changed_signal = "const"), name = "version")]
    fn version(&self) -> u32 {
        VERSION
    }
}

fn text(path: &Path) -> fdo::Result<Variant<'static>> {
    path.to_str().map(|text| Variant::from(text.to_owned())).ok_or_else(|| {
        fdo::Error::Failed(format!(
            "cannot tell where the copies are\n{} is no text in UTF-8\n\
             have XDG_RUNTIME_DIR name another directory",
            shown(path)
        ))
    })
}
