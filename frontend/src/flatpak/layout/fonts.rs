// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fonts of the host and of the user, and what fontconfig has to know to use the host's caches
//! for them (R116, R117).

use std::path::Path;

use rustix::fs::FileType;
use stockade_protocol::request::Operation;

use super::{Host, add_file, show, show_users};
use crate::message::{Notice, is_hidden};
use crate::sandbox::{Sandbox, SandboxError, sandbox_path};

/// Fonts of the host, and where they appear.
const SYSTEM: [(&str, &str); 2] =
    [("/usr/share/fonts", "/run/host/fonts"), ("/usr/local/share/fonts", "/run/host/local-fonts")];

/// Where a host may keep the cache for its fonts.
const CACHES: [&str; 2] = ["var/cache/fontconfig", "usr/lib/fontconfig/cache"];

const CACHE: &str = "/run/host/fonts-cache";
const USER_FONTS: &str = "/run/host/user-fonts";
const USER_CACHE: &str = "/run/host/user-fonts-cache";

/// Adds fonts and caches.
pub(super) fn prepare(
    host: &Host<'_>,
    sandbox: &mut Sandbox,
    notices: &mut Vec<Notice>,
) -> Result<(), SandboxError> {
    let mut map = String::new();
    for (path, place) in SYSTEM {
        let source = host.root.join(path.trim_start_matches('/'));
        if show(&source, FileType::Directory, place, sandbox)? {
            remap(Path::new(path), place, &mut map);
        }
    }
    let mut cached = false;
    for path in CACHES {
        cached = cached || show(&host.root.join(path), FileType::Directory, CACHE, sandbox)?;
    }
    if !cached {
        empty(CACHE, sandbox)?;
    }

    let caller = host.caller;
    let data = caller.data_home();
    for (directory, name) in [(data.as_path(), "fonts"), (caller.home.as_path(), ".fonts")] {
        if show_users(directory, name, USER_FONTS, sandbox, notices)? {
            remap(&directory.join(name), USER_FONTS, &mut map);
            break;
        }
    }
    if !show_users(&caller.cache_home(), "fontconfig", USER_CACHE, sandbox, notices)? {
        empty(USER_CACHE, sandbox)?;
    }

    tell(&map, sandbox)
}

/// Adds none of it, and says so.
pub(super) fn without(sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    tell("", sandbox)
}

/// Adds the document that fontconfig reads.
fn tell(map: &str, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let text = format!(
        "<?xml version=\"1.0\"?>\n\
         <!DOCTYPE fontconfig SYSTEM \"urn:fontconfig:fonts.dtd\">\n\
         <fontconfig>\n{map}</fontconfig>\n"
    );
    add_file("/run/host/font-dirs.xml", text, sandbox)
}

/// A directory that stays empty: fontconfig would fill one that it can write to.
fn empty(path: &str, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let path = Path::new(path);
    sandbox.tmpfs(path, 0o755)?;
    sandbox.push(Operation::RemountReadOnly { path: sandbox_path(path)? });
    Ok(())
}

/// R117: the caches call the directory `path`. One that XML cannot hold is not in them for us.
fn remap(path: &Path, place: &str, map: &mut String) {
    let Some(path) = path.to_str().filter(|path| !path.contains(is_hidden)) else {
        return;
    };
    map.push_str("\t<remap-dir as-path=\"");
    for c in path.chars() {
        match c {
            '&' => map.push_str("&amp;"),
            '<' => map.push_str("&lt;"),
            '>' => map.push_str("&gt;"),
            '"' => map.push_str("&quot;"),
            '\'' => map.push_str("&apos;"),
            c => map.push(c),
        }
    }
    map.push_str("\">");
    map.push_str(place);
    map.push_str("</remap-dir>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r117_a_path_adds_nothing_but_itself() {
        let mut map = String::new();
        remap(Path::new("/a\"><x y='&'/>"), "/p", &mut map);
        let escaped = "/a&quot;&gt;&lt;x y=&apos;&amp;&apos;/&gt;";
        assert_eq!(map, format!("\t<remap-dir as-path=\"{escaped}\">/p</remap-dir>\n"));
        remap(Path::new("/a\nb"), "/p", &mut map);
        assert_eq!(map.lines().count(), 1);
    }
}
