// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name of a scope, in the form by which desktops tell applications apart:
//! `app-LAUNCHER-NAME-INSTANCE.scope` (R151, <https://systemd.io/DESKTOP_ENVIRONMENTS/>).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use crate::message::shown;

/// The most characters of a unit's name (`systemd.unit(5)`).
const MOST: usize = 255;

/// A scope that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    name: String,
    description: String,
}

impl Scope {
    /// The scope of one instance of the application or sandbox `name`, started by `launcher`.
    ///
    /// The end of a name that is too long for systemd is left out; the instance tells scopes apart.
    #[must_use]
    pub fn new(launcher: &str, name: &OsStr, instance: &str) -> Self {
        let front = format!("app-{}-", escaped(launcher.as_bytes()));
        let back = format!("-{}.scope", escaped(instance.as_bytes()));
        let room = MOST.saturating_sub(front.len()).saturating_sub(back.len());
        let mut middle = String::new();
        for byte in name.as_bytes() {
            let next = escape(*byte);
            if middle.len().saturating_add(next.len()) > room {
                break;
            }
            middle.push_str(&next);
        }
        Self { name: format!("{front}{middle}{back}"), description: shown(name).to_string() }
    }

    /// The name of the unit.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What people read in lists of units.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| escape(*byte)).collect()
}

/// R151: `-` separates the parts, `/` and others mean something to systemd or to the file system.
fn escape(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b":_.".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("\\x{byte:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(launcher: &str, name: &[u8], instance: &str) -> String {
        Scope::new(launcher, OsStr::from_bytes(name), instance).name
    }

    #[test]
    fn r151_parts_are_escaped() {
        assert_eq!(
            name("flatpak", b"org.example.App", "1234567890"),
            "app-flatpak-org.example.App-1234567890.scope"
        );
        assert_eq!(name("flatpak", b"a-b_c:d", "1"), "app-flatpak-a\\x2db_c:d-1.scope");
        assert_eq!(
            name("stockade", b"../a b\n\\", "7"),
            "app-stockade-..\\x2fa\\x20b\\x0a\\x5c-7.scope"
        );
        assert_eq!(
            name("stockade", "é\u{202e}".as_bytes(), "7"),
            "app-stockade-\\xc3\\xa9\\xe2\\x80\\xae-7.scope"
        );
        assert_eq!(name("stockade", b"@%I", "7"), "app-stockade-\\x40\\x25I-7.scope");
    }

    #[test]
    fn r151_a_long_name_is_cut_between_characters_and_keeps_its_instance() {
        let long = name("stockade", &[b'a'; 300], "4194304");
        assert_eq!(long.len(), MOST);
        assert!(long.ends_with("aa-4194304.scope"));
        let long = name("stockade", &[b'-'; 300], "4194304");
        assert!(long.len() <= MOST && long.len() > MOST - 4);
        assert!(long.ends_with("\\x2d\\x2d-4194304.scope"));
    }

    #[test]
    fn people_do_not_read_escape_sequences() {
        let scope = Scope::new("stockade", OsStr::from_bytes(b"a\x1b[2K\xff"), "1");
        assert_eq!(scope.description(), "a\\u{1b}[2K\\xff");
    }

    proptest! {
        #[test]
        fn r151_whatever_the_name_systemd_can_take_it(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let name = name("flatpak", &bytes, "1");
            prop_assert!(name.len() <= MOST);
            prop_assert!(name.starts_with("app-flatpak-") && name.ends_with("-1.scope"));
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte)));
            prop_assert_eq!(name.matches('-').count(), 3);
        }
    }
}
