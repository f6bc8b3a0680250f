// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people write to share files: `home`, `~/src:ro`, `xdg-music`, `/srv/data:create`
//! (R54-R56, R61).
//!
//! Pure text; whether the place exists is found out later.

use std::ffi::{OsStr, OsString};
use std::fmt;

use crate::message::{is_hidden, shown};

/// What may be done with a place, weakest first (R56).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// Reading only.
    ReadOnly,
    /// Reading and writing.
    ReadWrite,
    /// Reading and writing; directories are made if they are missing (R70).
    Create,
}

/// A place on the host. The strings are relative paths below it, empty for the place itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Everything but the operating system and what programs keep for themselves.
    Host,
    /// The operating system below `/run/host`.
    HostOs,
    /// `/etc` below `/run/host`.
    HostEtc,
    /// The host's root at `/run/host/root`.
    HostRoot,
    /// The home directory.
    Home(String),
    /// An absolute path.
    Path(String),
    /// A directory the user configured for a kind of file.
    UserDirectory(UserDirectory, String),
    /// `$XDG_DATA_HOME`.
    Data(String),
    /// `$XDG_CONFIG_HOME`.
    Config(String),
    /// `$XDG_CACHE_HOME`.
    Cache(String),
    /// Something in `$XDG_RUNTIME_DIR`.
    Runtime(String),
}

/// A directory from `user-dirs.dirs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UserDirectory {
    /// `xdg-desktop`
    Desktop,
    /// `xdg-documents`
    Documents,
    /// `xdg-download`
    Download,
    /// `xdg-music`
    Music,
    /// `xdg-pictures`
    Pictures,
    /// `xdg-public-share`
    PublicShare,
    /// `xdg-templates`
    Templates,
    /// `xdg-videos`
    Videos,
}

impl UserDirectory {
    const ALL: [Self; 8] = [
        Self::Desktop,
        Self::Documents,
        Self::Download,
        Self::Music,
        Self::Pictures,
        Self::PublicShare,
        Self::Templates,
        Self::Videos,
    ];

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.names().0
    }

    /// Its key in `user-dirs.dirs`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.names().1
    }

    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Desktop => ("xdg-desktop", "XDG_DESKTOP_DIR"),
            Self::Documents => ("xdg-documents", "XDG_DOCUMENTS_DIR"),
            Self::Download => ("xdg-download", "XDG_DOWNLOAD_DIR"),
            Self::Music => ("xdg-music", "XDG_MUSIC_DIR"),
            Self::Pictures => ("xdg-pictures", "XDG_PICTURES_DIR"),
            Self::PublicShare => ("xdg-public-share", "XDG_PUBLICSHARE_DIR"),
            Self::Templates => ("xdg-templates", "XDG_TEMPLATES_DIR"),
            Self::Videos => ("xdg-videos", "XDG_VIDEOS_DIR"),
        }
    }
}

/// What stands behind the colon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suffix {
    /// `:ro`, `:rw`, `:create`.
    Access(Access),
    /// `:reset`, which only `--nofilesystem=host` has.
    Reset,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It has bytes that cannot be seen.
    #[error(
        "cannot use '{}' as a place\nit is not UTF-8 or has invisible characters",
        shown(token)
    )]
    Hidden {
        /// As given.
        token: OsString,
    },
    /// It is no place.
    #[error(
        "cannot use '{}' as a place\n\
         it is no known name and no absolute path\n\
         use /PATH, ~/PATH, home, host, host-os, host-etc, host-root, xdg-run/PATH, xdg-data, \
         xdg-config, xdg-cache, xdg-desktop, xdg-documents, xdg-download, xdg-music, xdg-pictures, \
         xdg-public-share, xdg-templates or xdg-videos",
        shown(token)
    )]
    Unknown {
        /// As given.
        token: OsString,
    },
    /// It goes upwards.
    #[error(
        "cannot use '{}' as a place\n'..' is not allowed in it\nwrite the path out",
        shown(token)
    )]
    Upwards {
        /// As given.
        token: OsString,
    },
    /// It is the root.
    #[error(
        "cannot share / with the sandbox\n\
         the root of the sandbox is its own\n\
         use 'host' for the files, or 'host-root' to see all of it below /run/host/root"
    )]
    Root,
    /// It is the whole runtime directory.
    #[error(
        "cannot share xdg-run as a whole\n\
         it holds the sockets of the whole session\n\
         name what is needed, as in xdg-run/pipewire-0"
    )]
    RuntimeDirectory,
    /// What stands behind the colon has no meaning.
    #[error(
        "cannot use ':{}' behind a place\n\
         it is no way of sharing\n\
         use :ro, :rw or :create, and write a colon in a file name as '\\:'",
        shown(suffix)
    )]
    Suffix {
        /// As given, without the colon.
        suffix: String,
    },
}

/// Reads a token.
///
/// # Errors
/// [`TokenError`].
pub fn parse(token: &OsStr) -> Result<(Place, Option<Suffix>), TokenError> {
    let (place, suffix) = take_apart(token)?;
    // Flatpak ignores what it does not know, and shares more than was meant.
    Ok((place, suffix?))
}

/// Reads a token whose suffix may be an unknown one, as key files may have it (R54).
///
/// # Errors
/// [`TokenError`]; that of the suffix stands in its place.
pub fn take_apart(
    token: &OsStr,
) -> Result<(Place, Result<Option<Suffix>, TokenError>), TokenError> {
    let hidden = || TokenError::Hidden { token: token.into() };
    let text = token.to_str().filter(|text| !text.chars().any(is_hidden)).ok_or_else(hidden)?;
    let (place, suffix) = split(text);
    let suffix = match suffix {
        None => Ok(None),
        Some("ro") => Ok(Some(Suffix::Access(Access::ReadOnly))),
        Some("rw") => Ok(Some(Suffix::Access(Access::ReadWrite))),
        Some("create") => Ok(Some(Suffix::Access(Access::Create))),
        Some("reset") => Ok(Some(Suffix::Reset)),
        Some(suffix) => Err(TokenError::Suffix { suffix: suffix.into() }),
    };
    Ok((parse_place(&place, token)?, suffix))
}

/// The path, with `\:` and `\\` resolved (R24), and what stands behind the first other colon (R61).
fn split(text: &str) -> (String, Option<&str>) {
    let mut path = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([':', '\\']) {
        let (plain, special) = rest.split_at(at);
        path.push_str(plain);
        let Some(behind) = special.strip_prefix('\\') else {
            return (path, special.strip_prefix(':'));
        };
        let mut ahead = behind.chars();
        match ahead.next() {
            Some(escaped @ (':' | '\\')) => {
                path.push(escaped);
                rest = ahead.as_str();
            }
            Some(_) | None => {
                path.push('\\');
                rest = behind;
            }
        }
    }
    path.push_str(rest);
    (path, None)
}

fn parse_place(text: &str, token: &OsStr) -> Result<Place, TokenError> {
    if text.starts_with('/') {
        let path = collapse(text, token)?;
        return if path.is_empty() { Err(TokenError::Root) } else { Ok(Place::Path(path)) };
    }
    let (name, below) = text.split_once('/').unwrap_or((text, ""));
    let below = collapse(below, token)?;
    let alone = |place: Place| {
        if text.contains('/') {
            Err(TokenError::Unknown { token: token.into() })
        } else {
            Ok(place)
        }
    };
    match name {
        "host" => alone(Place::Host),
        "host-os" => alone(Place::HostOs),
        "host-etc" => alone(Place::HostEtc),
        "host-root" => alone(Place::HostRoot),
        "home" | "~" => Ok(Place::Home(below)),
        "xdg-data" => Ok(Place::Data(below)),
        "xdg-config" => Ok(Place::Config(below)),
        "xdg-cache" => Ok(Place::Cache(below)),
        "xdg-run" if below.is_empty() => Err(TokenError::RuntimeDirectory),
        "xdg-run" => Ok(Place::Runtime(below)),
        name => UserDirectory::ALL
            .into_iter()
            .find(|directory| directory.word() == name)
            .map(|directory| Place::UserDirectory(directory, below))
            .ok_or_else(|| TokenError::Unknown { token: token.into() }),
    }
}

/// `path` without `//`, `/./`, and slashes at the ends (R55).
fn collapse(path: &str, token: &OsStr) -> Result<String, TokenError> {
    let mut collapsed = String::with_capacity(path.len());
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => return Err(TokenError::Upwards { token: token.into() }),
            name => {
                if !collapsed.is_empty() {
                    collapsed.push('/');
                }
                collapsed.push_str(name);
            }
        }
    }
    Ok(collapsed)
}

/// Reads what is to be kept below the home (R90): a relative path, `.` for all of it.
///
/// # Errors
/// [`PersistError`].
pub fn parse_persist(path: &OsStr) -> Result<String, PersistError> {
    let error = || PersistError { path: path.into() };
    let text = path.to_str().filter(|text| !text.chars().any(is_hidden)).ok_or_else(error)?;
    let text = text.strip_prefix("~/").unwrap_or(text);
    if text.is_empty() || text.starts_with('/') {
        return Err(error());
    }
    collapse(text, path).map_err(|_| error())
}

/// A path that cannot be kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot keep '{}' for the sandbox\n\
     it is not a plain path below the home\n\
     give it relative to the home and without '..', as in --persist=.config/app",
    shown(path)
)]
pub struct PersistError {
    /// As given.
    pub path: OsString,
}

/// As it is typed.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut named = |name: &str, below: &str| {
            f.write_str(name)?;
            if below.is_empty() {
                return Ok(());
            }
            write!(f, "/{}", shown(&below.replace('\\', "\\\\").replace(':', "\\:")))
        };
        match self {
            Self::Host => named("host", ""),
            Self::HostOs => named("host-os", ""),
            Self::HostEtc => named("host-etc", ""),
            Self::HostRoot => named("host-root", ""),
            Self::Home(below) if below.is_empty() => named("home", ""),
            Self::Home(below) => named("~", below),
            Self::Path(path) => named("", path),
            Self::UserDirectory(directory, below) => named(directory.word(), below),
            Self::Data(below) => named("xdg-data", below),
            Self::Config(below) => named("xdg-config", below),
            Self::Cache(below) => named("xdg-cache", below),
            Self::Runtime(below) => named("xdg-run", below),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(token: &str) -> Result<(Place, Option<Suffix>), TokenError> {
        parse(OsStr::new(token))
    }

    fn place(token: &str) -> Place {
        read(token).unwrap().0
    }

    #[test]
    fn r54_every_token_is_known() {
        assert_eq!(place("host"), Place::Host);
        assert_eq!(place("host-os"), Place::HostOs);
        assert_eq!(place("host-etc"), Place::HostEtc);
        assert_eq!(place("host-root"), Place::HostRoot);
        assert_eq!(place("home"), Place::Home(String::new()));
        assert_eq!(place("~"), place("home"));
        assert_eq!(place("home/a/b"), place("~/a/b"));
        assert_eq!(place("/a/b"), Place::Path("a/b".into()));
        assert_eq!(place("xdg-run/pipewire-0"), Place::Runtime("pipewire-0".into()));
        assert_eq!(place("xdg-cache"), Place::Cache(String::new()));
        for directory in UserDirectory::ALL {
            let expected = Place::UserDirectory(directory, "x".into());
            assert_eq!(place(&format!("{}/x", directory.word())), expected);
        }
    }

    #[test]
    fn r54_suffixes_say_how() {
        assert_eq!(read("home:ro").unwrap().1, Some(Suffix::Access(Access::ReadOnly)));
        assert_eq!(read("/a:rw").unwrap().1, Some(Suffix::Access(Access::ReadWrite)));
        assert_eq!(read("~/a:create").unwrap().1, Some(Suffix::Access(Access::Create)));
        assert_eq!(read("host:reset").unwrap().1, Some(Suffix::Reset));
        assert_eq!(read("home").unwrap().1, None);
        assert_eq!(read("home:r0"), Err(TokenError::Suffix { suffix: "r0".into() }));
        assert_eq!(read("home:"), Err(TokenError::Suffix { suffix: String::new() }));
    }

    #[test]
    fn r55_upwards_and_the_root_are_refused() {
        for token in ["/a/../b", "~/..", "xdg-data/../x", "/.."] {
            assert_eq!(read(token), Err(TokenError::Upwards { token: token.into() }), "{token}");
        }
        for token in ["/", "//", "/.", "/./:ro"] {
            assert_eq!(read(token), Err(TokenError::Root), "{token}");
        }
        assert_eq!(place("//a/./b//"), place("/a/b"));
        assert_eq!(place("/a/..."), Place::Path("a/...".into()));
    }

    #[test]
    fn r54_r56_names_are_exact_and_modes_ordered() {
        for token in ["", "hom", "host/x", "relative/x", "xdg-foo", "./x"] {
            assert_eq!(read(token), Err(TokenError::Unknown { token: token.into() }), "{token}");
        }
        assert_eq!(read("xdg-run"), Err(TokenError::RuntimeDirectory));
        assert_eq!(read("xdg-run/."), Err(TokenError::RuntimeDirectory));
        assert!(Access::ReadOnly < Access::ReadWrite && Access::ReadWrite < Access::Create);
    }

    #[test]
    fn r61_the_first_unescaped_colon_ends_the_path() {
        let (place, suffix) = read(r"/a\:b\\c\d:ro").unwrap();
        assert_eq!(place, Place::Path(r"a:b\c\d".into()));
        assert_eq!(suffix, Some(Suffix::Access(Access::ReadOnly)));
        assert_eq!(read("/a:b:ro"), Err(TokenError::Suffix { suffix: "b:ro".into() }));
    }

    #[test]
    fn r53_invisible_characters_are_refused() {
        use std::os::unix::ffi::OsStrExt as _;
        for bytes in [&b"/a\x1b"[..], b"/\xff", b"/a\xe2\x80\xaeb", b"/a\nb"] {
            let token = OsStr::from_bytes(bytes);
            assert_eq!(parse(token), Err(TokenError::Hidden { token: token.into() }));
        }
    }

    #[test]
    fn r90_persisted_paths_stay_below_the_home() {
        let keep = |path: &str| parse_persist(OsStr::new(path)).ok();
        assert_eq!(keep(".config//app/"), Some(".config/app".into()));
        assert_eq!(keep("~/x"), Some("x".into()));
        assert_eq!(keep("."), Some(String::new()));
        for path in ["", "/etc", "..", "a/../b", "~//etc/.."] {
            assert_eq!(keep(path), None, "{path}");
        }
    }

    proptest! {
        /// Whatever is written, a path below a place never leaves it.
        #[test]
        fn no_token_leaves_its_place(token in "(/|~/|home/|xdg-data/)?[a./:\\\\]{0,12}") {
            if let Ok((Place::Path(below) | Place::Home(below) | Place::Data(below), _)) = read(&token) {
                prop_assert!(below.is_empty() || below.split('/').all(|c| !matches!(c, "" | "." | "..")));
            }
        }

        /// A path written with escapes is read back as it is.
        #[test]
        fn escapes_are_read_back(name in "[a-z:\\\\ ]{1,12}") {
            let escaped = name.replace('\\', r"\\").replace(':', r"\:");
            prop_assert_eq!(place(&format!("/{escaped}:ro")), Place::Path(name));
        }
    }
}
