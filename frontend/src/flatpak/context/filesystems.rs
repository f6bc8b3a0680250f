// SPDX-License-Identifier: MIT OR Apache-2.0
//! The places a layer grants or takes back (R48, R54-R56).

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::Form;
use crate::filesystem::token::{self, Access, Place, Suffix, TokenError};
use crate::message::{Notice, shown};

/// The old spelling of `host:reset`.
const RESET: &str = "host-reset";

/// Places by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filesystems {
    /// Nothing that layers below grant counts.
    reset: bool,
    /// How each place is granted; none where it is taken back.
    places: BTreeMap<Place, Option<Access>>,
}

impl Filesystems {
    /// Adds an item of a list, with `!` in front where it takes back.
    ///
    /// # Errors
    /// [`TokenError`]: it is no place.
    pub fn read(&mut self, item: &str, notices: &mut Vec<Notice>) -> Result<(), TokenError> {
        match item.strip_prefix('!') {
            Some(place) => self.deny(place, notices),
            None => self.allow(item, notices),
        }
    }

    /// Grants a place, as `--filesystem` does.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn allow(&mut self, token: &str, notices: &mut Vec<Notice>) -> Result<(), TokenError> {
        let (place, suffix) = token::take_apart(OsStr::new(token))?;
        let access = match suffix {
            Ok(None) => Access::ReadWrite,
            Ok(Some(Suffix::Access(access))) => access,
            Ok(Some(Suffix::Reset)) => {
                return Err(TokenError::Suffix { suffix: "reset".to_owned() });
            }
            Err(error) => {
                notices.push(ignored(token, &error));
                Access::ReadWrite
            }
        };
        self.places.insert(place, Some(access));
        Ok(())
    }

    /// Takes a place back, as `--nofilesystem` does: that place and no other, or every one that
    /// layers below grant.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn deny(&mut self, token: &str, notices: &mut Vec<Notice>) -> Result<(), TokenError> {
        if token == RESET {
            self.reset();
            return Ok(());
        }
        let (place, suffix) = token::take_apart(OsStr::new(token))?;
        match suffix {
            Ok(None) => {}
            Ok(Some(Suffix::Reset)) if place == Place::Host => {
                self.reset();
                return Ok(());
            }
            Ok(Some(Suffix::Reset)) => {
                return Err(TokenError::Suffix { suffix: "reset".to_owned() });
            }
            Ok(Some(Suffix::Access(_))) => notices.push(Notice::Warning(format!(
                "taking '{}' back takes it back however it was granted\n\
                 what stands behind the colon is ignored",
                shown(token)
            ))),
            Err(error) => notices.push(ignored(token, &error)),
        }
        self.places.insert(place, None);
        Ok(())
    }

    fn reset(&mut self) {
        self.reset = true;
        self.places.insert(Place::Host, None);
    }

    /// Puts a layer above this one (R47, R48).
    pub fn merge(&mut self, upper: &Self) {
        if upper.reset {
            self.reset = true;
            self.places.clear();
        }
        let places = upper.places.iter().map(|(place, access)| (place.clone(), *access));
        self.places.extend(places);
    }

    /// The places that are granted.
    pub fn granted(&self) -> impl Iterator<Item = (&Place, Access)> {
        self.places.iter().filter_map(|(place, access)| access.map(|access| (place, access)))
    }

    /// Whether nothing that layers below grant counts.
    #[must_use]
    pub fn resets(&self) -> bool {
        self.reset
    }

    /// The places that are taken back.
    pub fn denied(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|(_, access)| access.is_none()).map(|(place, _)| place)
    }

    /// As it is written.
    #[must_use]
    pub fn items(&self, form: Form) -> Vec<String> {
        let mut items = Vec::new();
        if form == Form::Stored {
            // First, because reading it takes `host` back.
            items.extend(self.reset.then(|| "!host:reset".to_owned()));
            items.extend(self.denied().map(|place| format!("!{place}")));
        }
        items.extend(self.granted().map(|(place, access)| granted(place, access)));
        items
    }
}

/// A granted place with its suffix.
pub(super) fn granted(place: &Place, access: Access) -> String {
    let suffix = match access {
        Access::ReadOnly => ":ro",
        Access::ReadWrite => "",
        Access::Create => ":create",
    };
    format!("{place}{suffix}")
}

fn ignored(token: &str, error: &TokenError) -> Notice {
    let reason = error.to_string();
    let reason = reason.lines().next().unwrap_or_default();
    Notice::Warning(format!("ignoring a part of '{}'\n{reason}", shown(token)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(list: &str) -> Filesystems {
        let (mut places, mut notices) = (Filesystems::default(), Vec::new());
        for item in list.split(';') {
            places.read(item, &mut notices).unwrap();
        }
        assert_eq!(notices, []);
        places
    }

    fn merged(lower: &str, upper: &str) -> String {
        let mut places = read(lower);
        places.merge(&read(upper));
        places.items(Form::Stored).join(";")
    }

    #[test]
    fn r47_the_entry_of_the_upper_layer_replaces() {
        assert_eq!(merged("home;/a:ro", "home:ro;/b:create"), "home:ro;/a:ro;/b:create");
        assert_eq!(merged("home/x", "!~/x"), "!~/x");
    }

    #[test]
    fn r48_only_the_same_place_is_taken_back() {
        assert_eq!(merged("home;xdg-config/app", "!home"), "!home;xdg-config/app");
    }

    #[test]
    fn r48_reset_drops_the_layers_below() {
        for reset in ["!host:reset", "!host-reset"] {
            assert_eq!(merged("home;host", &format!("/a;{reset}")), "!host:reset;!host;/a");
            assert_eq!(merged("home", &format!("{reset};host:ro")), "!host:reset;host:ro");
        }
        assert_eq!(merged("!host:reset", "home"), "!host:reset;!host;home");
        assert_eq!(read("!host:reset;host;home").items(Form::Flattened), ["host", "home"]);
    }

    #[test]
    fn r54_unknown_suffixes_are_ignored_with_a_warning() {
        let (mut places, mut notices) = (Filesystems::default(), Vec::new());
        places.read("home:r0", &mut notices).unwrap();
        places.read("!/a:ro", &mut notices).unwrap();
        places.read("!/b:r0", &mut notices).unwrap();
        assert_eq!(places.items(Form::Stored).join(";"), "!/a;!/b;home");
        assert_eq!(notices.len(), 3);
    }

    #[test]
    fn r55_what_is_no_place_is_refused() {
        for item in ["/", "/a/..", "x", "", "!", "!..", "host:reset", "host-reset", "!home:reset"] {
            let mut places = Filesystems::default();
            assert!(places.read(item, &mut Vec::new()).is_err(), "{item}");
            assert_eq!(places, Filesystems::default(), "{item}");
        }
    }

    #[test]
    fn r24_colons_and_backslashes_are_written_so_that_they_are_read() {
        let places = read(r"/a\:b\\c:ro");
        assert_eq!(places.items(Form::Stored), [r"/a\:b\\c:ro"]);
        assert_eq!(read(&places.items(Form::Stored).join(";")), places);
    }
}
