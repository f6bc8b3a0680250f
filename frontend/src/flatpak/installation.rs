// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where applications are installed (R1-R3).

use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};

use super::directory::{self, Directory, DirectoryError};
use super::selection::{Selection, SelectionError};
use crate::caller::Caller;
use crate::keyfile::{Group, KeyFile, ValueError};
use crate::message::{Notice, shown};

/// The default installation of the system.
const SYSTEM: &str = "/var/lib/flatpak";

/// Where the administrator says what there is.
const CONFIGURATION: &str = "/etc/flatpak";

/// The id of the default installation of the system.
pub const DEFAULT: &str = "default";

/// Most bytes of a file that describes installations: each takes some lines.
const BYTES: usize = 1 << 20;

/// Whose installation it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The user's own.
    User,
    /// One of the system, by its id; the default one is called `default`.
    System(String),
}

impl fmt::Display for Owner {
    /// As `flatpak list` names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::System(id) if id == DEFAULT => f.write_str("system"),
            Self::System(id) => write!(f, "system ({id})"),
        }
    }
}

/// A directory with applications and runtimes. It need not exist: then it is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Whose it is.
    pub owner: Owner,
    /// Where it is.
    pub path: PathBuf,
    /// What people call it, if it is configured.
    pub display_name: Option<String>,
}

impl Installation {
    /// Opens it. None if it does not exist.
    ///
    /// # Errors
    /// [`DirectoryError`].
    pub fn open(&self) -> Result<Option<Directory>, DirectoryError> {
        Directory::open(&self.path)
    }
}

/// Where the two installations are that are always there (R1). Only these have overrides (R46).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// The default one of the system.
    pub system: PathBuf,
    /// The user's.
    pub user: PathBuf,
}

impl Defaults {
    /// Where the caller's environment says, or by convention.
    #[must_use]
    pub fn of(caller: &Caller) -> Self {
        Self {
            system: place(caller, "FLATPAK_SYSTEM_DIR").unwrap_or_else(|| SYSTEM.into()),
            user: place(caller, "FLATPAK_USER_DIR")
                .unwrap_or_else(|| caller.data_home().join("flatpak")),
        }
    }
}

/// What a variable says. A relative path is one from the working directory.
fn place(caller: &Caller, variable: &str) -> Option<PathBuf> {
    let path = caller.variable(variable)?;
    Some(caller.directory.as_deref().unwrap_or(Path::new("/")).join(path))
}

/// All installations there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installations {
    defaults: Defaults,
    /// In the order in which they are looked through.
    all: Vec<Installation>,
}

impl Installations {
    /// Finds the installations that the caller's environment and the administrator name. What is wrong
    /// with the configuration is told and left out.
    #[must_use]
    pub fn discover(caller: &Caller) -> (Self, Vec<Notice>) {
        let defaults = Defaults::of(caller);
        let user =
            Installation { owner: Owner::User, path: defaults.user.clone(), display_name: None };
        let configuration = place(caller, "FLATPAK_CONFIG_DIR");
        let configuration = configuration.unwrap_or_else(|| CONFIGURATION.into());
        let mut found = Configured::default();
        found.read_all(&configuration.join("installations.d"));
        // Nothing can be configured under its id.
        let path = defaults.system.clone();
        let owner = Owner::System(DEFAULT.to_owned());
        found.system.push((0, Installation { owner, path, display_name: None }));
        // Those of one priority stay in their order.
        found.system.sort_by_key(|(priority, _)| Reverse(*priority));
        let system = found.system.into_iter().map(|(_, installation)| installation);
        let all = std::iter::once(user).chain(system).collect();
        (Self { defaults, all }, found.notices)
    }

    /// Where the two are that are always there.
    #[must_use]
    pub fn defaults(&self) -> &Defaults {
        &self.defaults
    }

    /// All of them, in the order in which they are looked through: the user's, then those of the system.
    pub fn iter(&self) -> impl Iterator<Item = &Installation> {
        self.all.iter()
    }

    /// Those that the user asks for, in the same order.
    ///
    /// # Errors
    /// If one has a name that no installation has.
    pub fn select(&self, wanted: &Selection) -> Result<Vec<&Installation>, SelectionError> {
        let unknown = |id: &&String| !self.iter().any(|one| is_called(one, id));
        if let Some(id) = wanted.named.iter().find(unknown) {
            return Err(SelectionError { id: id.clone() });
        }
        Ok(self.iter().filter(|one| wanted.is_everything() || is_wanted(one, wanted)).collect())
    }
}

fn is_called(installation: &Installation, id: &str) -> bool {
    matches!(&installation.owner, Owner::System(own) if own == id)
}

fn is_wanted(installation: &Installation, wanted: &Selection) -> bool {
    match &installation.owner {
        Owner::User => wanted.user,
        Owner::System(id) => (wanted.system && id == DEFAULT) || wanted.named.contains(id),
    }
}

/// What the administrator configured.
#[derive(Debug, Default)]
struct Configured {
    system: Vec<(i32, Installation)>,
    notices: Vec<Notice>,
}

impl Configured {
    fn knows(&self, id: &str) -> bool {
        self.system.iter().any(|(_, installation)| is_called(installation, id))
    }

    fn warn(&mut self, text: String) {
        self.notices.push(Notice::Warning(text));
    }

    /// Reads the files of a directory, by name: the first to describe an installation counts.
    fn read_all(&mut self, directory: &Path) {
        let names = Directory::open(directory).and_then(|found| match found {
            Some(directory) => Ok((directory.names()?, directory.path().to_owned())),
            None => Ok((Vec::new(), PathBuf::new())),
        });
        match names {
            Ok((names, directory)) => {
                for name in names.iter().filter(|name| name.ends_with(".conf")) {
                    self.read_file(&directory.join(name));
                }
            }
            Err(error) => self.warn(error.to_string()),
        }
    }

    /// Reads one file, which may be a symlink: the directory is the administrator's.
    fn read_file(&mut self, path: &Path) {
        let bytes = match directory::read_host_file(path, BYTES) {
            Ok(bytes) => bytes.unwrap_or_default(),
            Err(error) => return self.warn(error.to_string()),
        };
        match KeyFile::parse(&bytes) {
            Ok(file) => file.groups().for_each(|group| self.read_group(path, group)),
            Err(error) => {
                self.warn(format!("cannot understand {}\n{error}\nit is left out", shown(path)));
            }
        }
    }

    fn read_group(&mut self, path: &Path, group: &Group) {
        let quoted = group.name().strip_prefix("Installation \"");
        let Some(id) = quoted.and_then(|rest| rest.strip_suffix('"')) else { return };
        match self.describe(id, group) {
            Ok(described) => self.system.push(described),
            Err(reason) => self.warn(format!(
                "cannot use the installation '{}' of {}\n{reason}\nit is left out",
                shown(id),
                shown(path)
            )),
        }
    }

    fn describe(&self, id: &str, group: &Group) -> Result<(i32, Installation), String> {
        if !is_id(id) {
            return Err(
                "an id has 1 to 80 bytes of ASCII without space, '/' or newline, and is none \
                 of user, system and default"
                    .into(),
            );
        }
        if self.knows(id) {
            return Err("there is one of that id already".into());
        }
        let said = |error: ValueError| error.to_string();
        let path = group.string("Path").map_err(said)?.map(PathBuf::from);
        let path = path.filter(|path| path.is_absolute()).ok_or("it has no absolute Path")?;
        let display_name = group.string("DisplayName").map_err(said)?;
        let priority = group.integer("Priority").map_err(said)?.unwrap_or(0);
        Ok((priority, Installation { owner: Owner::System(id.to_owned()), path, display_name }))
    }
}

/// Whether an installation may be called so (R2).
fn is_id(id: &str) -> bool {
    (1..=80).contains(&id.len())
        && !matches!(id, "user" | "system" | DEFAULT)
        && id.chars().all(|c| c.is_ascii() && !c.is_ascii_control() && !matches!(c, ' ' | '/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;

    fn discovered(files: &[(&str, &str)]) -> (Vec<String>, Vec<Notice>) {
        let scratch = Scratch::new();
        for (name, text) in files {
            scratch.file(&format!("installations.d/{name}"), text);
        }
        let config = scratch.0.to_str().unwrap();
        let (found, notices) =
            Installations::discover(&caller(Path::new("/h"), &[("FLATPAK_CONFIG_DIR", config)]));
        (found.iter().map(|one| format!("{} {}", one.owner, one.path.display())).collect(), notices)
    }

    #[test]
    fn r1_the_two_that_are_always_there() {
        let (found, notices) = discovered(&[]);
        assert_eq!(found, ["user /h/.local/share/flatpak", "system /var/lib/flatpak"]);
        assert_eq!(notices, []);
    }

    #[test]
    fn r1_the_environment_names_others() {
        let mut caller = caller(
            Path::new("/h"),
            &[
                ("FLATPAK_USER_DIR", "u"),
                ("FLATPAK_SYSTEM_DIR", "/s"),
                ("FLATPAK_CONFIG_DIR", "/none/such"),
            ],
        );
        caller.directory = Some("/h/d".into());
        let (found, _) = Installations::discover(&caller);
        let paths: Vec<_> = found.iter().map(|one| one.path.as_path()).collect();
        assert_eq!(paths, [Path::new("/h/d/u"), Path::new("/s")]);
        let expected = Defaults { system: "/s".into(), user: "/h/d/u".into() };
        assert_eq!(found.defaults(), &expected);
    }

    #[test]
    fn r46_the_default_ones_are_not_those_that_are_configured() {
        let scratch = Scratch::new();
        scratch.file("installations.d/a.conf", "[Installation \"x\"]\nPath=/x\nPriority=1\n");
        let config = scratch.0.to_str().unwrap();
        let caller =
            caller(Path::new("/h"), &[("FLATPAK_CONFIG_DIR", config), ("XDG_DATA_HOME", "/d")]);
        let (found, _) = Installations::discover(&caller);
        assert_eq!(found.iter().count(), 3);
        let expected = Defaults { system: "/var/lib/flatpak".into(), user: "/d/flatpak".into() };
        assert_eq!(found.defaults(), &expected);
        assert_eq!(Defaults::of(&caller), expected);
    }

    #[test]
    fn r2_configured_ones_stand_by_priority() {
        let (found, notices) = discovered(&[
            ("b.conf", "[Installation \"low\"]\nPath=/l\nPriority=-1\n"),
            (
                "a.conf",
                "[Other]\n[Installation \"one\"]\nPath=/1\nDisplayName=x\nStorageType=mmc\n\
                 [Installation \"high\"]\nPath=/h\nPriority=10\n",
            ),
            ("c.txt", "[Installation \"no\"]\nPath=/n\n"),
        ]);
        let expected = [
            "user /h/.local/share/flatpak",
            "system (high) /h",
            "system (one) /1",
            "system /var/lib/flatpak",
            "system (low) /l",
        ];
        assert_eq!(found, expected);
        assert_eq!(notices, []);
    }

    #[test]
    fn r2_what_is_wrong_is_left_out_and_told() {
        let long = "a".repeat(81);
        for id in ["", "user", "system", "default", "a b", "a/b", "ä", &long] {
            let text = format!("[Installation \"{id}\"]\nPath=/x\n");
            let (found, notices) = discovered(&[("a.conf", &text)]);
            assert_eq!((found.len(), notices.len()), (2, 1), "{id}");
        }
        for text in [
            "[Installation \"x\"]\n",
            "[Installation \"x\"]\nPath=relative\n",
            "[Installation \"x\"]\nPath=/x\nPriority=high\n",
            "nonsense",
        ] {
            let (found, notices) = discovered(&[("a.conf", text)]);
            assert_eq!((found.len(), notices.len()), (2, 1), "{text}");
        }
        let (found, notices) = discovered(&[
            ("a.conf", "[Installation \"x\"]\nPath=/first\n"),
            ("b.conf", "[Installation \"x\"]\nPath=/second\n"),
        ]);
        assert_eq!(found.get(1).unwrap(), "system (x) /first");
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn r3_some_can_be_selected() {
        let scratch = Scratch::new();
        scratch.file("installations.d/a.conf", "[Installation \"x\"]\nPath=/x\nPriority=1\n");
        let config = scratch.0.to_str().unwrap();
        let (all, _) =
            Installations::discover(&caller(Path::new("/h"), &[("FLATPAK_CONFIG_DIR", config)]));
        let owners = |user, system, named: &[&str]| {
            let named = named.iter().map(|id| (*id).to_owned()).collect();
            let found = all.select(&Selection { user, system, named })?;
            Ok(found.iter().map(|one| one.owner.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(owners(false, false, &[]).unwrap(), ["user", "system (x)", "system"]);
        assert_eq!(owners(true, false, &[]).unwrap(), ["user"]);
        assert_eq!(owners(false, true, &[]).unwrap(), ["system"]);
        assert_eq!(owners(true, false, &["x"]).unwrap(), ["user", "system (x)"]);
        assert_eq!(owners(false, false, &["default"]).unwrap(), ["system"]);
        let error: SelectionError = owners(false, false, &["y"]).unwrap_err();
        assert!(error.to_string().starts_with("cannot find the installation y\n"));
    }
}
