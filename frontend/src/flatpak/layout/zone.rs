// SPDX-License-Identifier: MIT OR Apache-2.0
//! The time zone of the host (R113).

use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use super::{Host, add_file};
use crate::filesystem::locate::tidy;
use crate::flatpak::tree::{Tree, is_file};
use crate::sandbox::{Sandbox, SandboxError};

/// Where descriptions of time zones are, on the host unless `TZDIR` says otherwise, and inside.
const ZONES: &str = "/usr/share/zoneinfo";

/// The same below a runtime's files.
const RUNTIME_ZONES: &str = "share/zoneinfo";

/// The zone of a host that does not say.
const DEFAULT: &str = "UTC";

/// Longest name of a zone, and largest file that could hold one, in bytes.
const NAME_BYTES: usize = 255;

/// Adds the zone's name, its description if there is one, and the host's descriptions in place of
/// the runtime's if both have some.
pub(super) fn show(usr: &Tree, host: &Host<'_>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let zones = host.caller.path_variable("TZDIR").map(tidy);
    let zones = zones.unwrap_or_else(|| host.root.join(ZONES.trim_start_matches('/')));
    match Tree::open(&zones).ok().filter(|_| usr.has_directory(RUNTIME_ZONES)) {
        Some(zones) => {
            zones.bind(Path::new(ZONES), sandbox)?;
            add(&of(host), true, sandbox)
        }
        None => name(usr, host, sandbox),
    }
}

/// Adds the zone's name, and its description if the runtime has one.
pub(super) fn name(usr: &Tree, host: &Host<'_>, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    let zone = of(host);
    let described = usr.find(&Path::new(RUNTIME_ZONES).join(&zone)).is_ok_and(is_file);
    add(&zone, described, sandbox)
}

fn add(zone: &str, described: bool, sandbox: &mut Sandbox) -> Result<(), SandboxError> {
    if described {
        let target = PathBuf::from(format!("..{ZONES}/{zone}"));
        sandbox.symlink(&target, Path::new("/etc/localtime"))?;
    }
    add_file("/etc/timezone", format!("{zone}\n"), sandbox)
}

/// The zone of the host.
fn of(host: &Host<'_>) -> String {
    current(host.root, host.caller.path_variable("TZDIR"))
}

/// The name of the zone of the host whose files are below `root`, and whose descriptions of zones are
/// in `zones` if not where they usually are.
pub(crate) fn current(root: &Path, zones: Option<&Path>) -> String {
    let link = std::fs::read_link(root.join("etc/localtime")).ok();
    let zones = tidy(zones.unwrap_or(Path::new(ZONES)));
    choose(link.as_deref(), &zones, &written(&root.join("etc/timezone")))
}

/// The beginning of a file that holds a name.
fn written(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    let most = u64::try_from(NAME_BYTES).unwrap_or_default();
    if let Ok(file) = std::fs::File::open(path)
        && file.take(most).read_to_end(&mut text).is_err()
    {
        text.clear();
    }
    text
}

/// The zone that the symlink `/etc/localtime` names below the directory `zones`, or else the one
/// that is written in `/etc/timezone`.
fn choose(localtime: Option<&Path>, zones: &Path, written: &[u8]) -> String {
    let linked = localtime.map(absolute);
    let linked = linked.as_deref().and_then(|target| target.strip_prefix(zones).ok());
    let linked = linked.and_then(|zone| checked(zone.as_os_str().as_bytes()));
    let zone = linked.or_else(|| checked(written.trim_ascii()));
    zone.unwrap_or(DEFAULT).to_owned()
}

/// The target of a symlink in `/etc`, without looking at what is on the way.
fn absolute(target: &Path) -> PathBuf {
    let mut path = PathBuf::from("/etc");
    for component in target.components() {
        match component {
            Component::RootDir => path = "/".into(),
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// A text as the name of a zone, such as `Etc/GMT+1`: it becomes part of a path.
fn checked(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= NAME_BYTES)?;
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
    let fits = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(letter);
    text.split('/').all(fits).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r113_the_zone_comes_from_the_link_then_the_file() {
        let cases: [(Option<&str>, &str, &str, &str); 17] = [
            (Some("/usr/share/zoneinfo/Europe/Paris"), ZONES, "Asia/Tokyo", "Europe/Paris"),
            (Some("../usr/share/zoneinfo/Etc/GMT+1"), ZONES, "", "Etc/GMT+1"),
            (
                Some("../usr/share//zoneinfo/./America/Port-au-Prince"),
                ZONES,
                "",
                "America/Port-au-Prince",
            ),
            (Some("/tz/Asia/Tokyo"), "/tz", "Europe/Paris", "Asia/Tokyo"),
            (Some("/tz/Asia/Tokyo"), ZONES, "Europe/Paris\n", "Europe/Paris"),
            (Some("/usr/share/zoneinfo"), ZONES, "Europe/Paris", "Europe/Paris"),
            (Some("/usr/share/zoneinfo-x/Europe/Paris"), ZONES, "", "UTC"),
            (Some("/usr/share/zoneinfo/../secret"), ZONES, "", "UTC"),
            (Some("/usr/share/zoneinfo/a b"), ZONES, "Asia/Tokyo", "Asia/Tokyo"),
            (Some("/usr/share/zoneinfo/a\nb"), ZONES, "", "UTC"),
            (None, ZONES, "  Asia/Tokyo \n", "Asia/Tokyo"),
            (None, ZONES, "", "UTC"),
            (None, ZONES, "/etc/passwd", "UTC"),
            (None, ZONES, "../../etc/passwd", "UTC"),
            (None, ZONES, "Asia/../Tokyo", "UTC"),
            (None, ZONES, "Asia//Tokyo", "UTC"),
            (None, ZONES, "Asia/Tokyo\nsecond line", "UTC"),
        ];
        for (link, zones, written, expected) in cases {
            let zone = choose(link.map(Path::new), Path::new(zones), written.as_bytes());
            assert_eq!(zone, expected, "{link:?} {written:?}");
        }
        assert_eq!(choose(None, Path::new(ZONES), b"Asia/\xff"), "UTC");
        assert_eq!(choose(None, Path::new(ZONES), &[b'a'; 256]), "UTC");
    }
}
