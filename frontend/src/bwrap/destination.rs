// SPDX-License-Identifier: MIT OR Apache-2.0
//! Destinations as typed become paths of the sandbox.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use stockade_protocol::request::Destination;
use stockade_protocol::text::SandboxPath;

use super::message::Fault;
use crate::message::shown;

/// A path of the sandbox: relative ones begin at its root, and `..` leads no further up than that.
pub(crate) fn path(typed: &OsStr) -> Result<SandboxPath, Fault> {
    let mut names: Vec<&[u8]> = Vec::new();
    for name in typed.as_bytes().split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    let bytes = [b"/", names.join(&b'/').as_slice()].concat();
    SandboxPath::new(bytes).map_err(|fault| {
        Fault::new(format!("Can't use {} as a path in the sandbox: {fault}", shown(typed)))
    })
}

/// A destination. Missing parents get permissions that fit those of what is made: nobody else sees
/// what is nobody else's.
pub(crate) fn destination(typed: &OsStr, mode: u32) -> Result<Destination, Fault> {
    let group = if mode & 0o070 == 0 { 0 } else { 0o050 };
    let others = if mode & 0o007 == 0 { 0 } else { 0o005 };
    Ok(Destination { path: path(typed)?, parents: 0o700 | group | others })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_leads_to_a_place_in_the_sandbox() {
        for (typed, meant) in [
            ("/usr", "/usr"),
            ("usr/", "/usr"),
            ("//usr//lib/./x/", "/usr/lib/x"),
            ("/", "/"),
            ("", "/"),
            ("..", "/"),
            ("/../../etc/../x", "/x"),
        ] {
            assert_eq!(path(OsStr::new(typed)).unwrap().as_bytes(), meant.as_bytes(), "{typed}");
        }
        let long = "/a".repeat(2000);
        assert!(path(OsStr::new(&long)).is_err());
    }

    #[test]
    fn parents_are_as_private_as_what_they_lead_to() {
        let parents = |mode| destination(OsStr::new("/a"), mode).unwrap().parents;
        assert_eq!(parents(0), 0o700);
        assert_eq!(parents(0o755), 0o755);
        assert_eq!(parents(0o600), 0o700);
        assert_eq!(parents(0o640), 0o750);
    }
}
