// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which distribution this is, only to name the command that installs something.

use super::finding::Remedy;
use super::root::Root;

/// How this machine installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distribution {
    Apt,
    Dnf,
    /// Fedora with an image-based system.
    RpmOstree,
    Zypper,
    Pacman,
    Apk,
    /// One whose package manager is not known here.
    Unknown,
}

impl Distribution {
    pub(super) fn find(root: &Root) -> Self {
        let text = root.read("etc/os-release").or_else(|| root.read("usr/lib/os-release"));
        let text = text.unwrap_or_default();
        let image = root.exists("run/ostree-booted");
        let ids = field(&text, "ID").into_iter().chain(field(&text, "ID_LIKE"));
        let known = ids.flat_map(str::split_ascii_whitespace).find_map(|id| match id {
            "debian" | "ubuntu" => Some(Self::Apt),
            "fedora" | "rhel" | "centos" => Some(if image { Self::RpmOstree } else { Self::Dnf }),
            "suse" | "opensuse" => Some(Self::Zypper),
            "arch" => Some(Self::Pacman),
            "alpine" => Some(Self::Apk),
            _ => None,
        });
        known.unwrap_or(Self::Unknown)
    }

    /// Installs `package`, which has the same name everywhere.
    pub(super) fn install(self, package: &str) -> Remedy {
        let command = match self {
            Self::Apt => format!("sudo apt install {package}"),
            Self::Dnf => format!("sudo dnf install {package}"),
            Self::RpmOstree => format!("sudo rpm-ostree install {package}"),
            Self::Zypper => format!("sudo zypper install {package}"),
            Self::Pacman => format!("sudo pacman -S {package}"),
            Self::Apk => format!("sudo apk add {package}"),
            Self::Unknown => return Remedy::advice(format!("install the package {package}")),
        };
        Remedy::new(format!("install {package}"), [command])
    }

    /// Adds `argument` to the kernel's command line.
    pub(super) fn boot_argument(self, argument: &str) -> Remedy {
        let what = format!("start the kernel with {argument}, then reboot");
        match self {
            Self::Apt => Remedy::new(
                what,
                [
                    format!(
                        "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {argument}\"' | \
                         sudo tee /etc/default/grub.d/stockade.cfg"
                    ),
                    "sudo update-grub".to_owned(),
                ],
            ),
            Self::Dnf => {
                Remedy::new(what, [format!("sudo grubby --update-kernel=ALL --args={argument}")])
            }
            Self::RpmOstree => {
                Remedy::new(what, [format!("sudo rpm-ostree kargs --append={argument}")])
            }
            Self::Zypper | Self::Pacman | Self::Apk | Self::Unknown => Remedy::advice(what),
        }
    }
}

/// The value of a variable of `os-release(5)`, without its quotes.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(name)?.strip_prefix('=')?;
        Some(value.trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::super::root::fake::Machine;
    use super::*;

    fn with(text: &str) -> Distribution {
        Distribution::find(&Machine::new(&[("etc/os-release", text)]).root())
    }

    #[test]
    fn the_package_manager_follows_from_os_release() {
        assert_eq!(with("NAME=x\nID=debian\n"), Distribution::Apt);
        assert_eq!(with("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), Distribution::Apt);
        assert_eq!(with("ID=rocky\nID_LIKE='rhel centos fedora'\n"), Distribution::Dnf);
        assert_eq!(with("ID_LIKE=\"suse opensuse\"\nID=sles\n"), Distribution::Zypper);
        assert_eq!(with("ID=nixos\n"), Distribution::Unknown);
        assert_eq!(with(""), Distribution::Unknown);
    }

    #[test]
    fn image_based_fedora_has_its_own_command() {
        let files = [("etc/os-release", "ID=fedora\n"), ("run/ostree-booted", "")];
        let distribution = Distribution::find(&Machine::new(&files).root());
        assert_eq!(distribution.install("x").commands, ["sudo rpm-ostree install x"]);
    }
}
