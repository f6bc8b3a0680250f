// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is thought of places on the host (R54-R65).
//!
//! A directory is as risky as the riskiest of what is known to be in it: a configuration that names
//! programs to run, secrets, sockets.

use std::path::{Component, Path};

use super::judgement::Ability::{Read, Talk, Write};
use super::judgement::{Ability, Judgement};
use super::risk::Risk;
use crate::filesystem::token::{Access, Place};

/// What is known of a place: its path, the risks of reading and of writing, and why.
struct Known {
    path: &'static str,
    read: Risk,
    write: Risk,
    why: &'static str,
}

const fn known(path: &'static str, read: Risk, write: Risk, why: &'static str) -> Known {
    Known { path, read, write, why }
}

const SHELL: &str = "your shell or session runs what is written there, outside the sandbox";
const STARTED: &str = "what is put there is started outside the sandbox";
const OVERRIDES: &str = "permissions of applications are kept there, its own among them";
const KEYS: &str = "keys and passwords are kept there";
const BROWSER: &str = "a browser keeps its passwords and sessions there";
const OTHERS: &str = "other applications keep their files there";
const SETTINGS: &str = "all settings of the desktop are in it, and some name programs to run";

/// Below the home.
const HOME: &[Known] = {
    use Risk::{High, Low, Medium, NoSandbox};
    &[
        known(".bashrc", Low, NoSandbox, SHELL),
        known(".bash_profile", Low, NoSandbox, SHELL),
        known(".bash_login", Low, NoSandbox, SHELL),
        known(".bash_logout", Low, NoSandbox, SHELL),
        known(".bash_aliases", Low, NoSandbox, SHELL),
        known(".profile", Low, NoSandbox, SHELL),
        known(".zshrc", Low, NoSandbox, SHELL),
        known(".zshenv", Low, NoSandbox, SHELL),
        known(".zprofile", Low, NoSandbox, SHELL),
        known(".zlogin", Low, NoSandbox, SHELL),
        known(".cshrc", Low, NoSandbox, SHELL),
        known(".tcshrc", Low, NoSandbox, SHELL),
        known(".login", Low, NoSandbox, SHELL),
        known(".pam_environment", Low, NoSandbox, SHELL),
        known(".xprofile", Low, NoSandbox, SHELL),
        known(".xsession", Low, NoSandbox, SHELL),
        known(".xsessionrc", Low, NoSandbox, SHELL),
        known(".xinitrc", Low, NoSandbox, SHELL),
        known(".vimrc", Low, NoSandbox, STARTED),
        known(".emacs", Low, NoSandbox, STARTED),
        known(".emacs.d", Low, NoSandbox, STARTED),
        known(".gitconfig", Low, NoSandbox, STARTED),
        known(".config/git", Low, NoSandbox, STARTED),
        known(".config/nvim", Low, NoSandbox, STARTED),
        known(".config/fish", Low, NoSandbox, SHELL),
        known(".config/autostart", Low, NoSandbox, STARTED),
        known(".config/systemd", Low, NoSandbox, STARTED),
        known(".config/environment.d", Low, NoSandbox, SHELL),
        known(".config/plasma-workspace", Low, NoSandbox, STARTED),
        known(".config/sway", Low, NoSandbox, STARTED),
        known(".config/i3", Low, NoSandbox, STARTED),
        known(".config/hypr", Low, NoSandbox, STARTED),
        known(".config/kglobalshortcutsrc", Low, NoSandbox, STARTED),
        known(".config/mimeapps.list", Low, High, "it says which program opens a file"),
        known(".config/dconf", Medium, High, SETTINGS),
        known(".local/bin", Low, NoSandbox, STARTED),
        known("bin", Low, NoSandbox, STARTED),
        known(".cargo", High, NoSandbox, STARTED),
        known(".local/share/applications", Low, NoSandbox, STARTED),
        known(".local/share/systemd", Low, NoSandbox, STARTED),
        known(".local/share/dbus-1", Low, NoSandbox, STARTED),
        known(".local/share/gnome-shell", Low, NoSandbox, STARTED),
        known(".local/share/plasma", Low, NoSandbox, STARTED),
        known(".local/share/nautilus", Low, NoSandbox, STARTED),
        known(".local/share/kio", Low, NoSandbox, STARTED),
        known(".local/share/flatpak/overrides", Low, NoSandbox, OVERRIDES),
        known(".local/share/flatpak", Low, NoSandbox, "applications are installed there"),
        known(".local/share/stockade", High, High, OTHERS),
        known(".var/app", High, High, OTHERS),
        known(".ssh", High, NoSandbox, KEYS),
        known(".gnupg", High, High, KEYS),
        known(".local/share/keyrings", High, High, KEYS),
        known(".local/share/kwalletd", High, High, KEYS),
        known(".password-store", High, High, KEYS),
        known(".aws", High, High, KEYS),
        known(".kube", High, High, KEYS),
        known(".docker", High, High, KEYS),
        known(".netrc", High, High, KEYS),
        known(".git-credentials", High, High, KEYS),
        known(".config/gh", High, High, KEYS),
        known(".config/gcloud", High, High, KEYS),
        known(".mozilla", High, High, BROWSER),
        known(".cache/mozilla", Medium, High, BROWSER),
        known(".config/google-chrome", High, High, BROWSER),
        known(".config/chromium", High, High, BROWSER),
        known(".thunderbird", High, High, "your mail is kept there"),
        known(".bash_history", Medium, Medium, "the commands you typed are in it"),
    ]
};

const SOCKET_RUNS: &str = "the program at this socket starts others outside the sandbox";

/// Below the runtime directory. What matters there are sockets, which are talked to whether they can
/// be written or not.
const RUNTIME: &[Known] = {
    use Risk::{High, Low, Medium, NoSandbox};
    &[
        known("bus", NoSandbox, NoSandbox, "it is the session bus, without a filter"),
        known("dbus-1", NoSandbox, NoSandbox, "it leads to the session bus"),
        known("systemd", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("docker.sock", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("podman", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("libvirt", NoSandbox, NoSandbox, SOCKET_RUNS),
        known(
            "pulse",
            NoSandbox,
            NoSandbox,
            "it is the sound server, which loads modules for whoever asks",
        ),
        known("sway-ipc", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("i3", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("hypr", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("doc", High, High, "files that were handed out to other applications are there"),
        known("gnupg", High, High, "the GnuPG agent signs and decrypts for whoever asks"),
        known("keyring", High, High, "your keyring answers there"),
        known("gvfs", High, High, "network shares that you opened are there"),
        known("gvfsd", High, High, "it reaches files through a service outside the sandbox"),
        known("dconf", High, High, "it goes with changing the settings of your desktop"),
        known("app", High, High, "other applications meet their services there"),
        known(
            "pipewire-0",
            High,
            High,
            "it is sound, microphone, camera and screen, without asking",
        ),
        known(
            "pipewire-0-manager",
            High,
            High,
            "it is sound, microphone, camera and screen, without asking",
        ),
        known("at-spi", High, High, "it reads other windows and presses keys in them"),
        known("discord-ipc-0", Medium, Medium, "another program answers there"),
        known(
            "wayland-0",
            Medium,
            Medium,
            "it is the Wayland compositor, past what keeps applications apart",
        ),
        known("speech-dispatcher", Low, Low, "it reads text aloud"),
    ]
};

/// From the root.
const SYSTEM: &[Known] = {
    use Risk::{High, Low, Medium, NoSandbox};
    &[
        known(
            "tmp",
            High,
            High,
            "other programs keep files and sockets there, those of X11 and of agents among them",
        ),
        known("tmp/.X11-unix", NoSandbox, NoSandbox, "it is X11: every window and every key"),
        known("var/tmp", Medium, Medium, "other programs keep files there"),
        known("var/lib", Low, Medium, "services of the system keep their files there"),
        known("var/lib/docker", High, NoSandbox, "containers are kept there"),
        known("var/lib/flatpak", Low, NoSandbox, "applications are installed there"),
        known("var/log", Medium, Medium, "services write there what they do"),
        known("var/run/docker.sock", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/docker.sock", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/podman", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/containerd", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/libvirt", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("var/run/libvirt", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/systemd", NoSandbox, NoSandbox, SOCKET_RUNS),
        known("run/snapd.socket", High, High, "it installs software, if your account may"),
        known("run/dbus", High, High, "it is the system bus, without a filter"),
        known("run/media", Medium, High, "disks and sticks that you plug in appear there"),
        known("media", Medium, High, "disks and sticks that you plug in appear there"),
        known("mnt", Medium, High, "disks are mounted there"),
        known("home", High, High, "the homes of all users are there"),
        known("root", High, High, "it is the home of the administrator"),
        known("boot", Low, Medium, "the kernel is there"),
        known("sys", Low, Medium, "the hardware is steered there"),
        known("opt", Low, Medium, "programs are installed there"),
        known("srv", Medium, Medium, "servers keep their files there"),
    ]
};

/// What is thought of a place, for a user with this home and this runtime directory.
#[must_use]
pub fn judge(place: &Place, access: Access, home: &Path, runtime: &Path) -> Judgement {
    let writes = access != Access::ReadOnly;
    let broad = |read, write, object: &str, reason| {
        told(if writes { write } else { read }, object, access, reason)
    };
    let personal = &["--filesystem=xdg-download"];
    let dialog = "single files, which the file dialog of the portal hands out without a grant; \
                  or one directory";
    match place {
        Place::Host => broad(
            Risk::High,
            Risk::NoSandbox,
            "all your files, and disks that you plug in",
            if writes { SHELL } else { KEYS_AMONG_ALL },
        )
        .or(dialog, personal),
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
    let dialog = "single files, which the file dialog of the portal hands out without a grant; \
                  or one directory";
    if below.components().next().is_none() {
        let (risk, reason) =
            if writes { (Risk::NoSandbox, SHELL) } else { (Risk::High, KEYS_AMONG_ALL) };
        return told(risk, "your whole home directory", access, reason)
            .or(dialog, &["--filesystem=xdg-download"]);
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
            ("/tmp", NoSandbox, NoSandbox),
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
