// SPDX-License-Identifier: MIT OR Apache-2.0
//! Places that are known to hold more than files.

use crate::explain::risk::Risk;

/// What is known of a place: its path, the risks of reading and of writing, and why.
pub(super) struct Known {
    pub(super) path: &'static str,
    pub(super) read: Risk,
    pub(super) write: Risk,
    pub(super) why: &'static str,
}

const fn known(path: &'static str, read: Risk, write: Risk, why: &'static str) -> Known {
    Known { path, read, write, why }
}

pub(super) const SHELL: &str =
    "your shell or session runs what is written there, outside the sandbox";
const STARTED: &str = "what is put there is started outside the sandbox";
const OVERRIDES: &str = "permissions of applications are kept there, its own among them";
const KEYS: &str = "keys and passwords are kept there";
const BROWSER: &str = "a browser keeps its passwords and sessions there";
const OTHERS: &str = "other applications keep their files there";
const SETTINGS: &str = "all settings of the desktop are in it, and some name programs to run";

/// Below the home.
pub(super) const HOME: &[Known] = {
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
pub(super) const RUNTIME: &[Known] = {
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
pub(super) const SYSTEM: &[Known] = {
    use Risk::{High, Low, Medium, NoSandbox};
    &[
        known(
            "tmp",
            High,
            High,
            "other programs keep files and sockets there, those of agents among them",
        ),
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
