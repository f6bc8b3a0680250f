// SPDX-License-Identifier: MIT OR Apache-2.0
//! The usage and the version, in the shapes that callers look at.

use std::ffi::OsStr;

use super::option::OPTIONS;
use crate::message::shown;

/// The release whose behaviour this program has. Callers compare it with the one they need.
const VERSION: &str = "bubblewrap 0.12.0";

/// The usage. `name` is what this program was started as.
pub(crate) fn usage(name: &OsStr) -> String {
    let mut text = format!("usage: {} [OPTIONS...] [--] COMMAND [ARGS...]\n\n", shown(name));
    for option in &OPTIONS {
        let mut left = String::from(option.name);
        for operand in option.operands {
            left.push(' ');
            left.push_str(operand);
        }
        text.push_str(&format!("    {left:<34} {}\n", option.help));
    }
    text
}

/// The version.
pub(crate) fn version() -> String {
    format!("{VERSION}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_find_what_they_look_for() {
        let text = usage(OsStr::new("/usr/bin/bwrap"));
        assert!(text.starts_with("usage: /usr/bin/bwrap [OPTIONS...] [--] COMMAND [ARGS...]\n"));
        assert!(text.contains("\n    --argv0 VALUE ") && text.contains("\n    --perms OCTAL "));
        let version = version();
        let words: Vec<_> = version.split_whitespace().collect();
        assert_eq!(words.first(), Some(&"bubblewrap"));
        assert_eq!(words.len(), 2);
    }
}
