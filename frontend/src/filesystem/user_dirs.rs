// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the user keeps documents, music, pictures: `user-dirs.dirs` (R62).
//!
//! The file is a shell fragment of which only `KEY="$HOME/PATH"` and `KEY="/PATH"` are understood,
//! as the program that writes it promises.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::locate::tidy;
use super::token::UserDirectory;

/// The directory configured in the text of `user-dirs.dirs`; none where it is unset or the home
/// itself, which is how one is switched off.
#[must_use]
pub fn find(text: &[u8], directory: UserDirectory, home: &Path) -> Option<PathBuf> {
    let found = text
        .split(|byte| *byte == b'\n')
        .filter_map(|line| value(line.trim_ascii(), directory.key()))
        .next_back();
    let path = match found {
        Some(value) => path(value, home)?,
        None if directory == UserDirectory::Desktop => home.join("Desktop"),
        None => return None,
    };
    let path = tidy(&path);
    (path != tidy(home)).then_some(path)
}

/// What stands between the quotes of `KEY="…"`.
fn value<'a>(line: &'a [u8], key: &str) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(key.as_bytes())?.trim_ascii_start();
    let rest = rest.strip_prefix(b"=")?.trim_ascii_start();
    rest.strip_prefix(b"\"")
}

/// The path up to the closing quote, with escapes resolved.
fn path(value: &[u8], home: &Path) -> Option<PathBuf> {
    let (base, rest) = match value.strip_prefix(b"$HOME") {
        Some(rest) if matches!(rest.first(), Some(b'/' | b'"')) => (Some(home), rest),
        Some(_) => return None,
        None => (None, value),
    };
    let mut text = Vec::with_capacity(rest.len());
    let mut bytes = rest.iter();
    loop {
        match bytes.next()? {
            b'"' => break,
            b'\\' => text.push(*bytes.next()?),
            byte => text.push(*byte),
        }
    }
    let path = PathBuf::from(OsString::from_vec(text));
    match base {
        Some(home) => Some(home.join(path.strip_prefix("/").unwrap_or(&path))),
        None => Some(path).filter(|path| path.is_absolute()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOME: &str = "/home/a";

    fn music(text: &str) -> Option<PathBuf> {
        find(text.as_bytes(), UserDirectory::Music, Path::new(HOME))
    }

    #[test]
    fn r62_configured_directories_are_found() {
        assert_eq!(music("# x\nXDG_MUSIC_DIR=\"$HOME/Musik\"\n"), Some("/home/a/Musik".into()));
        assert_eq!(music("XDG_MUSIC_DIR=\"/srv/m \\\"x\\\"/\""), Some("/srv/m \"x\"".into()));
        assert_eq!(music(" XDG_MUSIC_DIR = \"/a\"\nXDG_MUSIC_DIR=\"/b\""), Some("/b".into()));
    }

    #[test]
    fn r62_unset_and_disabled_directories_are_none() {
        for text in [
            "",
            "XDG_MUSIC_DIR=\"$HOME\"",
            "XDG_MUSIC_DIR=\"$HOME/\"",
            "XDG_MUSIC_DIR=\"relative\"",
            "XDG_MUSIC_DIR=\"$HOMER/x\"",
            "XDG_MUSIC_DIR=\"/unfinished",
            "#XDG_MUSIC_DIR=\"/x\"",
        ] {
            assert_eq!(music(text), None, "{text}");
        }
        let desktop = find(b"", UserDirectory::Desktop, Path::new(HOME));
        assert_eq!(desktop, Some("/home/a/Desktop".into()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = [b"XDG_MUSIC_DIR=\"".to_vec(), text].concat();
            if let Some(path) = find(&text, UserDirectory::Music, Path::new(HOME)) {
                prop_assert!(path.is_absolute());
            }
        }
    }
}
