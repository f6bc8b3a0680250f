// SPDX-License-Identifier: MIT OR Apache-2.0
//! The menu entry of an application, as far as parental controls go by it
//! (<https://specifications.freedesktop.org/desktop-entry-spec/latest/>).

use std::ffi::OsStr;
use std::path::Path;

use super::ParentalControlsError;
use crate::caller::Caller;
use crate::flatpak::deploy::Deploy;
use crate::flatpak::reference::Id;
use crate::keyfile::KeyFile;
use crate::lookup;

const GROUP: &str = "Desktop Entry";

/// Most bytes of the file: it holds names in all languages.
const BYTES: usize = 1 << 20;

/// What it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DesktopEntry {
    /// The program that starts the application, which is Flatpak's own where that is installed.
    pub(super) program: Option<String>,
    /// Types of content that it opens.
    pub(super) types: Vec<String>,
    /// What it was called earlier.
    pub(super) earlier: Vec<Id>,
}

impl DesktopEntry {
    /// The main one of an application. None if there is none that a menu would show.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn of(app: &Deploy, caller: &Caller) -> Result<Option<Self>, ParentalControlsError> {
        let path = format!("export/share/applications/{}.desktop", app.reference.id);
        let bytes = app.open_directory()?.read(path, BYTES)?;
        let file = bytes.and_then(|bytes| KeyFile::parse(&bytes).ok());
        Ok(file.and_then(|file| Self::read(&file, caller)))
    }

    fn read(file: &KeyFile, caller: &Caller) -> Option<Self> {
        let text = |key| file.string(GROUP, key).ok().flatten();
        text("Type").filter(|kind| kind == "Application")?;
        let earlier = text("X-Flatpak-RenamedFrom").unwrap_or_default();
        let earlier = earlier.split(';').map(str::trim);
        let earlier = earlier.map(|name| name.strip_suffix(".desktop").unwrap_or(name));
        Some(Self {
            program: text("Exec").and_then(|command| program(&command, caller)),
            types: file.list(GROUP, "MimeType").unwrap_or_default(),
            earlier: earlier.filter_map(|name| Id::new(name).ok()).collect(),
        })
    }

    /// What a list may have of it, besides names.
    pub(super) fn items(&self) -> impl Iterator<Item = &String> {
        self.types.iter().chain(&self.program)
    }
}

/// The path of the program of a command line; none if it is not installed.
fn program(command: &str, caller: &Caller) -> Option<String> {
    let word = command.split_ascii_whitespace().next()?.trim_matches('"');
    let path = caller.variable("PATH").unwrap_or(OsStr::new(""));
    let candidates = if word.contains('/') {
        vec![Path::new(word).to_owned()]
    } else {
        lookup::candidates(OsStr::new(word), path)
    };
    let found = candidates.into_iter().find(|path| path.is_file())?;
    found.to_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;

    #[test]
    fn r17_what_a_menu_entry_says() {
        let scratch = Scratch::new();
        let program = scratch.file("bin/flatpak", "");
        let bin = scratch.join("bin");
        let caller = caller(Path::new("/home/a"), &[("PATH", bin.to_str().unwrap())]);
        let read = |text: &str| {
            let text = format!("[Desktop Entry]\n{text}");
            DesktopEntry::read(&KeyFile::parse(text.as_bytes()).unwrap(), &caller)
        };
        let entry = read(
            "Type=Application\nName[de]=x\nExec=flatpak run org.a.App %U\nMimeType=a/b;c/d;\n\
             X-Flatpak-RenamedFrom=org.a.Old.desktop; org.a.Older ;old.desktop;\n",
        );
        let entry = entry.unwrap();
        assert_eq!(entry.program.as_deref(), program.to_str());
        assert_eq!(entry.types, ["a/b", "c/d"]);
        assert_eq!(
            entry.earlier.iter().map(Id::as_str).collect::<Vec<_>>(),
            ["org.a.Old", "org.a.Older"]
        );
        let quoted = format!("Type=Application\nExec=\"{}\" x\n", program.display());
        assert_eq!(read(&quoted).unwrap().program.as_deref(), program.to_str());
        let gone = read("Type=Application\nExec=/no/such/program x\n").unwrap();
        assert_eq!(gone, DesktopEntry::default());
        assert_eq!(read("Type=Link\n"), None);
        assert_eq!(read("Exec=flatpak\n"), None);
    }
}
