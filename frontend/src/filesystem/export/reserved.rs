// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places of the sandbox where nothing of the host's can be exported (R66).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use super::ExportError;

/// Places that belong to the sandbox itself: neither they, nor what is in them, nor what they are
/// in can be exported. Flatpak's `/app` and `/.flatpak-info` are not among them, because a sandbox
/// that has the host as its runtime does not make them.
const RESERVED: [&str; 6] = ["/dev", "/etc", "/proc", "/run/host", "/run/stockade", "/usr"];

/// Places that are symlinks or copies of the runtime's: what is in them cannot be exported.
const RESERVED_INSIDE: [&str; 6] = ["/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin"];

/// R66. A path that merely begins with the same letters is another path.
pub(super) fn check_reserved(path: &Path) -> Result<(), ExportError> {
    // Nearly every path differs from all of these in its first name, which is soon compared.
    let first = path.components().find_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::RootDir | Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
            None
        }
    });
    let near = |place: &&&str| first.is_none_or(|name| begins_with(place, name));
    let mut places = RESERVED.iter().chain(&RESERVED_INSIDE).filter(near);
    if let Some(reserved) = places.find(|place| path.starts_with(place)) {
        return Err(ExportError::Reserved { path: path.to_owned(), reserved });
    }
    let mut places = RESERVED.iter().filter(near);
    if let Some(reserved) = places.find(|place| Path::new(place).starts_with(path)) {
        return Err(ExportError::AboveReserved { path: path.to_owned(), reserved });
    }
    Ok(())
}

/// Whether `name` is the first in the absolute path `place`.
fn begins_with(place: &str, name: &OsStr) -> bool {
    let names = place.as_bytes().strip_prefix(b"/");
    let rest = names.and_then(|names| names.strip_prefix(name.as_bytes()));
    matches!(rest, Some([] | [b'/', ..]))
}

/// Whether a directory of this path can be given to the sandbox (R66).
#[must_use]
pub fn is_reserved(path: &Path) -> bool {
    check_reserved(path).is_err()
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
                "(/|//|/\\./)(usr|us|usrx|bin|lib|lib64|run|host|hos|stockade|dev|\\.\\.|a)",
                0..4,
            )
        ) {
            let text = if names.is_empty() { String::from("/") } else { names.concat() };
            let path = Path::new(&text);
            let inside = RESERVED.iter().chain(&RESERVED_INSIDE).any(|it| path.starts_with(it));
            let above = RESERVED.iter().any(|place| Path::new(place).starts_with(path));
            prop_assert_eq!(is_reserved(path), inside || above, "{}", text);
        }
    }
}
