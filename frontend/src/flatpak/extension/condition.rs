// SPDX-License-Identifier: MIT OR Apache-2.0
//! When an extension is used: conditions on the machine and the session (R217).

use std::cell::OnceCell;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::theme::Question;
use crate::caller::Caller;
use crate::flatpak::reference::Id;

/// Most bytes read of a file that the kernel writes. The list of modules has some 20 KiB.
const READ_BYTES: u64 = 1024 * 1024;

/// What conditions ask about. Looked at when a condition asks, and once.
#[derive(Debug)]
pub struct Circumstances {
    /// Where `sys` and `proc` are.
    root: PathBuf,
    /// What the user names as the drivers.
    named_drivers: Option<String>,
    desktops: Vec<String>,
    question: Question,
    theme: OnceCell<Option<String>>,
    drivers: OnceCell<Vec<String>>,
    modules: OnceCell<Vec<String>>,
}

impl Circumstances {
    /// Those of this session. `root` is where `sys`, `proc` and `usr` are, `/` outside tests.
    #[must_use]
    pub fn new(caller: &Caller, root: &Path) -> Self {
        let text = |name| Some(caller.variable(name)?.to_string_lossy().into_owned());
        let desktops = text("XDG_CURRENT_DESKTOP").unwrap_or_default();
        Self {
            root: root.to_owned(),
            named_drivers: text("FLATPAK_GL_DRIVERS"),
            desktops: desktops.split(':').map(str::to_owned).collect(),
            question: Question::new(caller, root),
            theme: OnceCell::new(),
            drivers: OnceCell::new(),
            modules: OnceCell::new(),
        }
    }

    /// Whether an extension is used under these conditions: if one of them holds, or there are none.
    #[must_use]
    pub fn allow(&self, conditions: &[String], extension: &Id) -> bool {
        conditions.is_empty() || conditions.iter().any(|one| self.holds(one, extension))
    }

    fn holds(&self, condition: &str, extension: &Id) -> bool {
        let name = extension.as_str();
        let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
        if let Some(module) = condition.strip_prefix("have-kernel-module-") {
            return self.modules().iter().any(|known| known == module);
        }
        if let Some(desktop) = condition.strip_prefix("on-xdg-desktop-") {
            let mut desktops = self.desktops.iter().filter(|known| !known.is_empty());
            return desktops.any(|known| known.eq_ignore_ascii_case(desktop));
        }
        match condition {
            "active-gl-driver" => self.drivers().iter().any(|driver| driver == last),
            "active-gtk-theme" => self.theme() == Some(last),
            "have-intel-gpu" => {
                ["i915", "xe"].iter().any(|name| self.root.join("sys/module").join(name).exists())
            }
            _ => false,
        }
    }

    /// The theme of the desktop.
    fn theme(&self) -> Option<&str> {
        self.theme.get_or_init(|| self.question.ask()).as_deref()
    }

    /// The OpenGL drivers, by the last part of the names of the extensions that hold them.
    fn drivers(&self) -> &[String] {
        self.drivers.get_or_init(|| {
            if let Some(named) = &self.named_drivers {
                return named.split(':').map(str::to_owned).collect();
            }
            let nvidia = read(&self.root.join("sys/module/nvidia/version"));
            let nvidia =
                nvidia.map(|version| format!("nvidia-{}", version.trim().replace('.', "-")));
            nvidia.into_iter().chain(["default".to_owned(), "host".to_owned()]).collect()
        })
    }

    /// The modules of the kernel, `proc_modules(5)`: the first word of each line.
    fn modules(&self) -> &[String] {
        self.modules.get_or_init(|| {
            let text = read(&self.root.join("proc/modules")).unwrap_or_default();
            let first = |line: &str| line.split(' ').next().map(str::to_owned);
            text.lines().filter_map(first).collect()
        })
    }
}

/// A file that the kernel writes; none if it is not there.
fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(READ_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::extension::theme;

    fn allowed(scratch: &Scratch, variables: &[(&str, &str)], one: &str, id: &str) -> bool {
        let caller = caller(Path::new("/home/a"), variables);
        let circumstances = Circumstances::new(&caller, &scratch.0);
        let conditions: Vec<_> = one.split(';').map(str::to_owned).collect();
        circumstances.allow(&conditions, &Id::new(id).unwrap())
    }

    #[test]
    fn r217_conditions() {
        let scratch = Scratch::new();
        scratch.file("sys/module/nvidia/version", "535.183.01\n");
        scratch.directory("sys/module/xe");
        theme::tests::install(&scratch, "echo \"'Adwaita'\"");
        scratch.file("proc/modules", "ntsync 16384 0 - Live 0x0\nsnd 1 2 x, Live 0x0\n");
        let desktop = &[("XDG_CURRENT_DESKTOP", "ubuntu:GNOME")];
        let drivers = &[("FLATPAK_GL_DRIVERS", "mesa-git:zink")];
        let none: &[(&str, &str)] = &[];
        for (variables, condition, id, expected) in [
            (none, "active-gl-driver", "a.GL.default", true),
            (none, "active-gl-driver", "a.GL.host", true),
            (none, "active-gl-driver", "a.GL.nvidia-535-183-01", true),
            (none, "active-gl-driver", "a.GL.nvidia-535-183-02", false),
            (drivers, "active-gl-driver", "a.GL.default", false),
            (drivers, "active-gl-driver", "a.GL.zink", true),
            (none, "active-gtk-theme", "a.Theme.Adwaita", true),
            (none, "active-gtk-theme", "a.Theme.Other", false),
            (none, "have-intel-gpu", "a.b.c", true),
            (none, "have-kernel-module-ntsync", "a.b.c", true),
            (none, "have-kernel-module-snd", "a.b.c", true),
            (none, "have-kernel-module-nts", "a.b.c", false),
            (none, "have-kernel-module-", "a.b.c", false),
            (desktop, "on-xdg-desktop-gnome", "a.b.c", true),
            (desktop, "on-xdg-desktop-UBUNTU", "a.b.c", true),
            (desktop, "on-xdg-desktop-KDE", "a.b.c", false),
            (none, "on-xdg-desktop-", "a.b.c", false),
            (none, "unknown", "a.b.c", false),
            (none, "unknown;have-intel-gpu", "a.b.c", true),
        ] {
            assert_eq!(allowed(&scratch, variables, condition, id), expected, "{condition} {id}");
        }
    }

    #[test]
    fn r217_a_machine_without_any_of_it() {
        let scratch = Scratch::new();
        for condition in ["have-intel-gpu", "have-kernel-module-ntsync", "active-gtk-theme"] {
            assert!(!allowed(&scratch, &[], condition, "a.b.c"), "{condition}");
        }
        assert!(allowed(&scratch, &[], "active-gl-driver", "a.GL.default"));
        let caller = caller(Path::new("/home/a"), &[]);
        let circumstances = Circumstances::new(&caller, &scratch.0);
        assert!(circumstances.allow(&[], &Id::new("a.b.c").unwrap()));
    }
}
