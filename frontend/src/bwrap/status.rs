// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `--info-fd` and `--json-status-fd` are told.

use std::io::Write as _;
use std::os::fd::OwnedFd;

use stockade_protocol::event::{Namespace, NamespaceId};

/// The keys about the start, in the order that callers know.
fn entries(child: u32, namespaces: &[NamespaceId]) -> Vec<String> {
    let mut entries = vec![format!("\"child-pid\": {child}")];
    // That of users is never told.
    let told = namespaces.iter().filter(|made| made.kind != Namespace::User);
    for NamespaceId { kind, inode } in told {
        entries.push(format!("\"{}-namespace\": {inode}", kind.name()));
    }
    entries
}

/// The object for `--info-fd`.
pub(crate) fn info(child: u32, namespaces: &[NamespaceId]) -> String {
    format!("{{\n    {}\n}}\n", entries(child, namespaces).join(",\n    "))
}

/// The first line for `--json-status-fd`.
pub(crate) fn started(child: u32, namespaces: &[NamespaceId]) -> String {
    format!("{{ {} }}\n", entries(child, namespaces).join(", "))
}

/// The last line.
pub(crate) fn exited(code: u8) -> String {
    format!("{{ \"exit-code\": {code} }}\n")
}

/// Writes to a descriptor of the caller's. Nobody reading it any more is not an error.
pub(crate) fn tell(fd: &OwnedFd, text: &str) {
    if let Ok(copy) = fd.try_clone() {
        std::fs::File::from(copy).write_all(text.as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_are_those_that_callers_parse() {
        let made = [(Namespace::Mount, 7), (Namespace::User, 8), (Namespace::Pid, 9)];
        let made = made.map(|(kind, inode)| NamespaceId { kind, inode });
        assert_eq!(
            info(5, &made),
            "{\n    \"child-pid\": 5,\n    \"mnt-namespace\": 7,\n    \"pid-namespace\": 9\n}\n"
        );
        assert_eq!(
            started(5, &made),
            "{ \"child-pid\": 5, \"mnt-namespace\": 7, \"pid-namespace\": 9 }\n"
        );
        assert_eq!(exited(137), "{ \"exit-code\": 137 }\n");
    }
}
