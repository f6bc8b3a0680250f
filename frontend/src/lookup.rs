// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where `execvp(3)` would look for a program.

use std::ffi::OsStr;
use std::path::PathBuf;

/// Where a program of this name is looked for: in the directories of `PATH`, in order.
#[must_use]
pub fn candidates(name: &OsStr, path: &OsStr) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in std::env::split_paths(path) {
        let directory =
            if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory };
        let candidate = directory.join(name);
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_the_order_of_path() {
        let found = candidates(OsStr::new("ls"), OsStr::new("/a:/b::/a:rel"));
        assert_eq!(found, ["/a/ls", "/b/ls", "./ls", "rel/ls"].map(PathBuf::from));
    }
}
