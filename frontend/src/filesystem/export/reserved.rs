// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places of the sandbox where nothing of the host's can be exported (R66).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use super::ExportError;

/// Places of a sandbox where nothing of the host's can be exported.
#[derive(Clone, Copy, Debug)]
pub struct Reserved {
    /// Neither they, nor what is in them, nor what they are in.
    whole: &'static [&'static str],
    /// Symlinks or copies of the runtime's: neither they nor what is in them.
    inside: &'static [&'static str],
}

impl Reserved {
    /// Where the host is the runtime. Flatpak's `/app` and `/.flatpak-info` are not among them,
    /// because such a sandbox does not have them.
    pub const HOST: Self = Self {
        whole: &["/dev", "/etc", "/proc", "/run/host", "/run/stockade", "/usr"],
        inside: &["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"],
    };

    /// Where an application has a runtime of its own (R66).
    pub const APPLICATION: Self = Self {
        whole: &[
            "/.flatpak-info",
            "/app",
            "/dev",
            "/etc",
            "/proc",
            "/run/flatpak",
            "/run/host",
            "/usr",
        ],
        inside: &["/bin", "/lib", "/lib32", "/lib64", "/sbin"],
    };

    /// R66. A path that merely begins with the same letters is another path.
    pub(super) fn check(self, path: &Path) -> Result<(), ExportError> {
        // Nearly every path differs from all of these in its first name, which is soon compared.
        let first = path.components().find_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::RootDir
            | Component::CurDir
            | Component::ParentDir
            | Component::Prefix(_) => None,
        });
        let near = |place: &&&str| first.is_none_or(|name| begins_with(place, name));
        let mut places = self.whole.iter().chain(self.inside).filter(near);
        if let Some(reserved) = places.find(|place| path.starts_with(place)) {
            return Err(ExportError::Reserved { path: path.to_owned(), reserved });
        }
        let mut places = self.whole.iter().filter(near);
        if let Some(reserved) = places.find(|place| Path::new(place).starts_with(path)) {
            return Err(ExportError::AboveReserved { path: path.to_owned(), reserved });
        }
        Ok(())
    }

    /// Whether an object of this path cannot be given to the sandbox (R66).
    #[must_use]
    pub fn refuses(self, path: &Path) -> bool {
        self.check(path).is_err()
    }
}

/// Whether `name` is the first in the absolute path `place`.
fn begins_with(place: &str, name: &OsStr) -> bool {
    let names = place.as_bytes().strip_prefix(b"/");
    let rest = names.and_then(|names| names.strip_prefix(name.as_bytes()));
    matches!(rest, Some([] | [b'/', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The first name decides nothing that the whole path would not.
        #[test]
        fn r66_reserved_places_are_told_by_whole_names(
            names in prop::collection::vec(
                "(/|//|/\\./)(usr|us|usrx|app|bin|lib|lib64|run|host|hos|stockade|flatpak|dev|\\.\\.|a)",
                0..4,
            )
        ) {
            let text = if names.is_empty() { String::from("/") } else { names.concat() };
            let path = Path::new(&text);
            for reserved in [Reserved::HOST, Reserved::APPLICATION] {
                let mut inside = reserved.whole.iter().chain(reserved.inside);
                let inside = inside.any(|it| path.starts_with(it));
                let above = reserved.whole.iter().any(|place| Path::new(place).starts_with(path));
                prop_assert_eq!(reserved.refuses(path), inside || above, "{}", text);
            }
        }
    }
}
