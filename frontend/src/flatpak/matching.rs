// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people mean by a name, among what is installed.

use super::deploy;
use super::directory::DirectoryError;
use super::installation::Installation;
use super::reference::{Kind, Reference, Wanted};

/// Why a name does not mean one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// Nothing that is installed is called so.
    #[error("{} not installed\nsee 'stockade list --all' for what is", whole(wanted))]
    None {
        /// What was looked for.
        wanted: Wanted,
    },
    /// Several things are.
    #[error(
        "cannot tell which {} is meant\nthere are {}\nname one of them",
        wanted.id,
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Several {
        /// What was looked for.
        wanted: Wanted,
        /// What there is.
        found: Vec<Reference>,
    },
    /// An installation cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// A name with the words that Flatpak has for what is open in it.
fn whole(wanted: &Wanted) -> String {
    let open = "*unspecified*";
    let arch = wanted.arch.as_ref().map_or(open, |arch| arch.as_str());
    let branch = wanted.branch.as_ref().map_or(open, |branch| branch.as_str());
    format!("{}/{arch}/{branch}", wanted.id)
}

/// Whether something is what was meant.
#[must_use]
pub fn is_meant(wanted: &Wanted, found: &Reference) -> bool {
    wanted.id == found.id
        && wanted.kind.is_none_or(|kind| kind == found.kind)
        && wanted.arch.as_ref().is_none_or(|arch| *arch == found.arch)
        && wanted.branch.as_ref().is_none_or(|branch| *branch == found.branch)
}

/// The one thing that is meant, in the first of the installations that has it.
///
/// # Errors
/// [`MatchError`], if there is none or more than one.
pub fn the_one<'a>(
    wanted: &Wanted,
    installations: &[&'a Installation],
) -> Result<(&'a Installation, Reference), MatchError> {
    let mut found: Vec<(&Installation, Reference)> = Vec::new();
    for installation in installations {
        for kind in [Kind::App, Kind::Runtime] {
            for reference in deploy::installed_as(installation, kind, &wanted.id)? {
                let known = found.iter().any(|(_, known)| *known == reference);
                if !known && is_meant(wanted, &reference) {
                    found.push((installation, reference));
                }
            }
        }
    }
    match <[_; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(none) if none.is_empty() => Err(MatchError::None { wanted: wanted.clone() }),
        Err(several) => Err(MatchError::Several {
            wanted: wanted.clone(),
            found: several.into_iter().map(|(_, reference)| reference).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::deploy::tests::{install, installation};
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::ffi::OsStr;

    #[test]
    fn a_name_means_one_thing_or_is_refused() {
        let scratch = Scratch::new();
        for (place, name) in [
            ("i", "app/org.example.App/x86_64/stable"),
            ("i", "app/org.example.App/x86_64/beta"),
            ("j", "app/org.example.App/x86_64/stable"),
            ("j", "runtime/org.example.App/i386/stable"),
        ] {
            install(&scratch, place, name, "[Application]\n");
        }
        let (first, second) = (installation(&scratch, "i"), installation(&scratch, "j"));
        let meant = |name: &str| {
            let wanted = Wanted::parse(OsStr::new(name)).unwrap();
            match the_one(&wanted, &[&first, &second]) {
                Ok((place, found)) => {
                    let place = place.path.file_name().unwrap().to_str().unwrap();
                    format!("{place} {found}")
                }
                Err(error) => error.to_string().lines().next().unwrap().to_owned(),
            }
        };
        assert_eq!(meant("org.example.App//beta"), "i app/org.example.App/x86_64/beta");
        assert_eq!(meant("app/org.example.App//stable"), "i app/org.example.App/x86_64/stable");
        assert_eq!(meant("org.example.App/i386"), "j runtime/org.example.App/i386/stable");
        assert_eq!(meant("runtime/org.example.App"), "j runtime/org.example.App/i386/stable");
        assert_eq!(meant("org.example.App"), "cannot tell which org.example.App is meant");
        assert_eq!(
            meant("org.example.Nope"),
            "org.example.Nope/*unspecified*/*unspecified* not installed"
        );
    }
}
