// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `flatpak run` says to bubblewrap for a graphical application, as recorded (`flatpak.list`, a
//! word on each line), with stand-ins for what only the recording machine had: `@DIR/NAME` and
//! `@FILE/NAME` are made in a scratch directory, `@DATA/N` is a descriptor with N bytes, `@SECCOMP` one
//! with a filter. Left out are the descriptors that tell Flatpak about the instance.

use std::fs;
use std::io;
use std::path::Path;

use crate::bubblewrap::Arguments;

const LIST: &str = include_str!("../flatpak.list");

/// The arguments, with their sources made in `directory`; `payload` is the program to run.
///
/// # Errors
/// If a source cannot be made.
pub fn arguments(directory: &Path, payload: &Path, filter: &[u8]) -> io::Result<Arguments> {
    let mut out = Arguments::default();
    for word in LIST.lines() {
        if let Some(name) = word.strip_prefix("@DIR/") {
            let place = directory.join(name);
            fs::create_dir_all(&place)?;
            // What Flatpak locks.
            fs::write(place.join(".ref"), "")?;
            out.path(&place);
        } else if let Some(name) = word.strip_prefix("@FILE/") {
            let place = directory.join(name);
            fs::create_dir_all(place.parent().unwrap_or(directory))?;
            fs::write(&place, name)?;
            out.path(&place);
        } else if let Some(size) = word.strip_prefix("@DATA/") {
            let size = size.parse().map_err(io::Error::other)?;
            out.descriptor(&vec![b'x'; size])?;
        } else if word == "@SECCOMP" {
            out.descriptor(filter)?;
        } else {
            out.word(word);
        }
    }
    fs::copy(payload, directory.join("app/payload"))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_some_fifty_binds() {
        let binds = |word: &&str| word.starts_with("--") && word.contains("bind");
        let count = LIST.lines().filter(binds).count();
        assert!((45..=65).contains(&count), "{count}");
    }
}
