// SPDX-License-Identifier: MIT OR Apache-2.0
//! `file:` URIs of this machine, and back.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// The path in a `file:` URI of this machine, RFC 8089.
pub(super) fn file_of(uri: &OsStr) -> Option<PathBuf> {
    let bytes = uri.as_bytes();
    let (scheme, rest) = bytes.split_at_checked(5)?;
    if !scheme.eq_ignore_ascii_case(b"file:") {
        return None;
    }
    let path = match rest.strip_prefix(b"//") {
        Some(rest) => rest.strip_prefix(b"localhost").unwrap_or(rest),
        None => rest,
    };
    if !path.starts_with(b"/") || path.contains(&b'#') {
        return None;
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => match bytes
                .next()
                .and_then(digit)?
                .checked_mul(16)?
                .checked_add(bytes.next().and_then(digit)?)?
            {
                // These would make it another path than it seems to be.
                0 | b'/' => return None,
                byte => byte,
            },
            byte => byte,
        };
        decoded.push(byte);
    }
    Some(PathBuf::from(OsString::from_vec(decoded)))
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// An absolute path as a URI, with everything escaped that RFC 3986 reserves.
pub(super) fn uri_of(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut uri = String::from("file://");
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(byte) {
            uri.push(char::from(*byte));
        } else {
            // Writing to a string does not fail.
            write!(uri, "%{byte:02X}").ok();
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn uris_that_name_no_file_of_this_machine_are_none() {
        let file = |uri: &str| file_of(OsStr::new(uri));
        assert_eq!(file("file:/a"), Some("/a".into()));
        assert_eq!(file("FILE://localhost/a%2Fb"), None);
        assert_eq!(file("file://localhost/a%41"), Some("/aA".into()));
        for uri in [
            "",
            "file",
            "file:",
            "file:a",
            "file://host/a",
            "file:///a%0",
            "file:///a%zz",
            "file:///%00",
            "file:///a#b",
            "file://localhosts/a",
            "http:///a",
        ] {
            assert_eq!(file(uri), None, "{uri}");
        }
    }

    proptest! {
        #[test]
        fn a_path_as_a_uri_is_the_same_path(
            name in prop::collection::vec(any::<u8>().prop_filter("no NUL", |it| *it != 0), 0..30)
        ) {
            let path = Path::new("/").join(OsString::from_vec([b"x".to_vec(), name].concat()));
            let uri = uri_of(&path);
            prop_assert!(uri.is_ascii());
            prop_assert_eq!(file_of(OsStr::new(&uri)), Some(path));
        }
    }
}
