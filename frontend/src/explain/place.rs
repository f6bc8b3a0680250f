// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is thought of places on the host (R54-R65).
//!
//! A directory is as risky as the riskiest of what is known to be in it: a configuration that names
//! programs to run, secrets, sockets.

mod known;

use std::path::{Component, Path};

use super::judgement::Ability::{Read, Talk, Write};
use super::judgement::{Ability, Judgement};
use super::risk::Risk;
use crate::filesystem::token::{Access, Place};
use known::{HOME, Known, RUNTIME, SHELL, SYSTEM};

/// What is thought of a place, for a user with this home and this runtime directory.
#[must_use]
pub fn judge(place: &Place, access: Access, home: &Path, runtime: &Path) -> Judgement {
    let writes = access != Access::ReadOnly;
    let broad = |read, write, object: &str, reason| {
        told(if writes { write } else { read }, object, access, reason)
    };
    let personal = &["--filesystem=xdg-download"];
    match place {
        Place::Host => broad(
            Risk::High,
            Risk::NoSandbox,
            "all your files, and disks that you plug in",
            if writes { SHELL } else { KEYS_AMONG_ALL },
        )
        .or(ONE, personal)
        .or_portal(DIALOG),
        Place::HostRoot => told(
            Risk::NoSandbox,
            "all of the host's files, sockets of services included",
            access,
            "the session bus and other sockets are among them, and those can be used even if read-only",
        )
        .or("the operating system alone", &["--filesystem=host-os:ro"]),
        Place::HostOs => broad(
            Risk::Low,
            Risk::Low,
            "the operating system in /run/host",
            "everyone can read that, and only the administrator can change it",
        ),
        Place::HostEtc => broad(
            Risk::Medium,
            Risk::Medium,
            "the system's configuration in /run/host/etc",
            "it tells who uses the machine and what is installed",
        ),
        Place::Home(below) => below_home(below, access, place),
        Place::Config(below) => below_home(&format!(".config/{below}"), access, place),
        Place::Data(below) => below_home(&format!(".local/share/{below}"), access, place),
        Place::Cache(below) => below_home(&format!(".cache/{below}"), access, place),
        Place::Runtime(below) => below_runtime(below, access),
        Place::UserDirectory(directory, below) => {
            let object = if below.is_empty() { directory.key() } else { below.as_str() };
            let object = if below.is_empty() {
                format!("your directory {}", words_of(object))
            } else {
                format!("{place}")
            };
            let narrow = told(Risk::Medium, object, access, "your own files are there");
            if writes { narrow.or("reading alone, with ':ro' behind the place", &[]) } else { narrow }
        }
        Place::Path(path) => by_path(&Path::new("/").join(path), access, home, runtime, place),
    }
}

/// What would do instead of everything.
const ONE: &str = "one directory";
/// What applications have anyway.
const DIALOG: &str = "single files, which the file dialog of the portal hands out without a grant";

const KEYS_AMONG_ALL: &str =
    "keys, passwords and the sessions of your browser are among them, to be read and sent away";

/// The name in the middle of `XDG_…_DIR`, as people read it.
fn words_of(key: &str) -> String {
    let word = key.strip_prefix("XDG_").and_then(|key| key.strip_suffix("_DIR")).unwrap_or(key);
    word.to_ascii_lowercase()
}

fn below_home(below: &str, access: Access, place: &Place) -> Judgement {
    let below = Path::new(below);
    let writes = access != Access::ReadOnly;
    if below.components().next().is_none() {
        let (risk, reason) =
            if writes { (Risk::NoSandbox, SHELL) } else { (Risk::High, KEYS_AMONG_ALL) };
        return told(risk, "your whole home directory", access, reason)
            .or(ONE, &["--filesystem=xdg-download"])
            .or_portal(DIALOG);
    }
    look_up(HOME, below, access, format!("{place}"))
        .unwrap_or_else(|| ordinary(format!("{place}"), access, "your own files are there"))
}

fn below_runtime(below: &str, access: Access) -> Judgement {
    let mut judgement = look_up(RUNTIME, Path::new(below), access, format!("xdg-run/{below}"))
        .unwrap_or_else(|| {
            let reason = "a program of your session answers there, or keeps its files";
            told(Risk::Medium, format!("xdg-run/{below}"), access, reason)
        });
    judgement.abilities = &[Talk];
    judgement.effect = format!("It can reach {} of your session", judgement.object);
    judgement
}

fn by_path(path: &Path, access: Access, home: &Path, runtime: &Path, place: &Place) -> Judgement {
    if home.starts_with(path) {
        let whole = Place::Home(String::new());
        let mut judgement = below_home("", access, &whole);
        judgement.object = format!("{place}, with your whole home directory");
        judgement.effect = effect(&judgement.object, access);
        return judgement;
    }
    if let Ok(below) = path.strip_prefix(home) {
        return below_home(&below.to_string_lossy(), access, place);
    }
    let below = path.strip_prefix(runtime).or_else(|_| {
        // /run/user/1000, whatever the variable says.
        let parts: Vec<_> = path.components().take(4).collect();
        let user = [
            Component::RootDir,
            Component::Normal("run".as_ref()),
            Component::Normal("user".as_ref()),
        ];
        match parts.strip_prefix(&user) {
            Some([id]) => path.strip_prefix(Path::new("/run/user").join(id)),
            Some(_) | None => path.strip_prefix(runtime),
        }
    });
    if let Ok(below) = below {
        return below_runtime(&below.to_string_lossy(), access);
    }
    // Only where it is named: in a granted /tmp it is covered (R97).
    if path.starts_with("/tmp/.X11-unix") {
        return told(
            Risk::NoSandbox,
            format!("{place}"),
            access,
            "it is X11: every window and every key",
        );
    }
    let below = path.strip_prefix("/").unwrap_or(path);
    look_up(SYSTEM, below, access, format!("{place}"))
        .unwrap_or_else(|| ordinary(format!("{place}"), access, "it was named by its path"))
}

/// The worst that is known of a place, of what is in it, or of what it is in.
fn look_up(table: &[Known], below: &Path, access: Access, object: String) -> Option<Judgement> {
    let known = table
        .iter()
        .filter(|known| below.starts_with(known.path) || Path::new(known.path).starts_with(below));
    let risk = |known: &Known| if access == Access::ReadOnly { known.read } else { known.write };
    let worst = known.min_by_key(|known| risk(known))?;
    let inside = Path::new(worst.path) != below && Path::new(worst.path).starts_with(below);
    let named = if inside { format!("{object}, with {} in it", worst.path) } else { object };
    Some(told(risk(worst), named, access, worst.why))
}

fn ordinary(object: String, access: Access, reason: &'static str) -> Judgement {
    match access {
        Access::ReadOnly => told(Risk::Low, object, access, reason),
        Access::ReadWrite | Access::Create => told(Risk::Medium, object, access, reason)
            .or("reading alone, with ':ro' behind the place", &[]),
    }
}

fn told(risk: Risk, object: impl Into<String>, access: Access, reason: &'static str) -> Judgement {
    let object = object.into();
    let abilities: &[Ability] = match access {
        Access::ReadOnly => &[Read],
        Access::ReadWrite | Access::Create => &[Read, Write],
    };
    let effect = effect(&object, access);
    Judgement::new(risk, object, abilities, effect, reason)
}

fn effect(object: &str, access: Access) -> String {
    match access {
        Access::ReadOnly => format!("It can read {object}"),
        Access::ReadWrite => format!("It can read and change {object}"),
        Access::Create => {
            format!("It can read and change {object}, which is made if it is missing")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::token;
    use std::ffi::OsStr;

    fn judged(token: &str, access: Access) -> Judgement {
        let (place, _) = token::parse(OsStr::new(token)).unwrap();
        judge(&place, access, Path::new("/home/a"), Path::new("/run/user/7"))
    }

    #[test]
    fn places_have_the_risk_they_should() {
        use Risk::{High, Low, Medium, NoSandbox};
        for (token, read, write) in [
            ("host", High, NoSandbox),
            ("host-root", NoSandbox, NoSandbox),
            ("host-os", Low, Low),
            ("host-etc", Medium, Medium),
            ("home", High, NoSandbox),
            ("~/.bashrc", Low, NoSandbox),
            ("~/.ssh", High, NoSandbox),
            ("~/.ssh/config", High, NoSandbox),
            ("~/.gnupg", High, High),
            ("~/Projects", Low, Medium),
            ("~/.var/app/org.example.Other", High, High),
            ("~/.var", High, High),
            ("xdg-config", High, NoSandbox),
            ("xdg-config/autostart", Low, NoSandbox),
            ("xdg-config/app", Low, Medium),
            ("xdg-data", High, NoSandbox),
            ("xdg-data/flatpak/overrides", Low, NoSandbox),
            ("xdg-cache", Medium, High),
            ("xdg-cache/app", Low, Medium),
            ("xdg-download", Medium, Medium),
            ("xdg-documents/letters", Medium, Medium),
            ("xdg-run/bus", NoSandbox, NoSandbox),
            ("xdg-run/systemd/private", NoSandbox, NoSandbox),
            ("xdg-run/podman/podman.sock", NoSandbox, NoSandbox),
            ("xdg-run/pipewire-0", High, High),
            ("xdg-run/gvfsd", High, High),
            ("xdg-run/other", Medium, Medium),
            ("/run/user/7/bus", NoSandbox, NoSandbox),
            ("/run/user/1000/systemd", NoSandbox, NoSandbox),
            ("/home", High, NoSandbox),
            ("/home/a", High, NoSandbox),
            ("/home/a/.profile", Low, NoSandbox),
            ("/home/b", High, High),
            ("/tmp", High, High),
            ("/tmp/.X11-unix", NoSandbox, NoSandbox),
            ("/tmp/app", High, High),
            ("/run/docker.sock", NoSandbox, NoSandbox),
            ("/var/run", NoSandbox, NoSandbox),
            ("/run/media", Medium, High),
            ("/srv/data", Medium, Medium),
            ("/data", Low, Medium),
        ] {
            assert_eq!(judged(token, Access::ReadOnly).risk, read, "{token}:ro");
            assert_eq!(judged(token, Access::ReadWrite).risk, write, "{token}");
            assert_eq!(judged(token, Access::Create).risk, write, "{token}:create");
        }
    }

    #[test]
    fn reading_is_never_worse_than_writing() {
        for known in HOME.iter().chain(RUNTIME).chain(SYSTEM) {
            assert!(known.write <= known.read, "{}", known.path);
        }
    }

    #[test]
    fn what_is_in_a_directory_is_told() {
        let config = judged("xdg-config", Access::ReadWrite);
        assert!(config.object.starts_with("xdg-config, with .config/"), "{}", config.object);
        let above = judged("/home", Access::ReadOnly);
        assert_eq!(above.effect, "It can read /home, with your whole home directory");
    }

    #[test]
    fn r53_names_are_shown_escaped() {
        // What a metadata file cannot have, a caller may make of it.
        let place = Place::Path("srv/\u{202e}x\u{1b}".to_owned());
        let judged = judge(&place, Access::ReadOnly, Path::new("/h"), Path::new("/r"));
        assert_eq!(judged.object, "/srv/\\u{202e}x\\u{1b}");
    }
}
