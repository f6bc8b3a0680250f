// SPDX-License-Identifier: MIT OR Apache-2.0
//! The GTK theme of the desktop, which extensions may be meant for (R217): what `gsettings(1)` says.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::caller::Caller;

/// Where the program is, below the root.
const PROGRAM: &str = "usr/bin/gsettings";

/// What says where the settings of the user are. The program gets nothing else (T72).
const VARIABLES: [&str; 9] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_DATA_DIRS",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "DCONF_PROFILE",
    "GSETTINGS_BACKEND",
    "GSETTINGS_SCHEMA_DIR",
];

/// How the theme is asked for.
#[derive(Debug)]
pub(super) struct Question {
    program: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

impl Question {
    /// For the user, where `root` is the root of the host's files.
    pub(super) fn new(caller: &Caller, root: &Path) -> Self {
        let kept = caller.environment.iter();
        let kept = kept.filter(|(name, _)| VARIABLES.iter().any(|known| name == known));
        Self { program: root.join(PROGRAM), environment: kept.cloned().collect() }
    }

    /// The name of the theme; none where there is no such setting.
    pub(super) fn ask(&self) -> Option<String> {
        let mut command = Command::new(&self.program);
        command.args(["get", "org.gnome.desktop.interface", "gtk-theme"]);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let text = std::str::from_utf8(&output.stdout).ok()?.trim_end();
        // A name that would be escaped is not the last part of an extension's.
        let name = text.strip_prefix('\'')?.strip_suffix('\'')?;
        output.status.success().then(|| name.to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;

    /// Puts such a program below `scratch`. Another process writes it: what this one has open for writing,
    /// children of other tests may have too, and then it cannot be executed.
    pub(crate) fn install(scratch: &Scratch, script: &str) {
        let path = scratch.join(PROGRAM);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\""]);
        assert!(shell.arg(path).arg(script).status().unwrap().success());
    }

    fn asked(script: &str) -> Option<String> {
        let scratch = Scratch::new();
        install(&scratch, script);
        let caller = caller(Path::new("/home/a"), &[("HOME", "/home/a"), ("LD_PRELOAD", "x")]);
        Question::new(&caller, &scratch.0).ask()
    }

    #[test]
    fn r217_the_theme_is_what_the_settings_say() {
        let script =
            r#"[ "$*" = "get org.gnome.desktop.interface gtk-theme" ] && echo "'Yaru-dark'""#;
        assert_eq!(asked(script).as_deref(), Some("Yaru-dark"));
        let environment = r#"echo "'$HOME$LD_PRELOAD'""#;
        assert_eq!(asked(environment).as_deref(), Some("/home/a"));
        for script in ["echo \"'x'\"; exit 1", "echo No such schema", "true", "echo \"'\""] {
            assert_eq!(asked(script), None, "{script}");
        }
        let caller = caller(Path::new("/home/a"), &[]);
        assert_eq!(Question::new(&caller, &Scratch::new().0).ask(), None);
    }
}
