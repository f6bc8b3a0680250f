// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that are named on the command line of an application and that it would not see:
//! `--file-forwarding`, `@@`, `@@u` (R228-R233).
//!
//! The documents portal makes such a file visible to this application, and the argument is replaced
//! by where. Only what the caller wrote is looked through: the command of an application's own metadata
//! has no part in it (CVE-2021-21381), and no argument becomes an option of ours (CVE-2024-32462).

mod uri;

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::file_access::{FileAccess, Visible};
use crate::message::{Notice, shown};

/// Turns the forwarding of paths on and off.
const PATHS: &str = "@@";

/// The same for URIs.
const URIS: &str = "@@u";

/// The documents portal, as much of it as is needed here.
pub trait Documents {
    /// Makes a file or directory visible to the application, for reading and writing, and gives the id
    /// of the document (R230).
    ///
    /// # Errors
    /// Why it cannot, in words.
    fn add(&mut self, object: BorrowedFd<'_>, kind: DocumentKind) -> Result<String, String>;

    /// Where documents are, as applications see it (R231).
    fn mount_point(&self) -> &Path;
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// A directory with all that is in it.
    Directory,
    /// Anything else.
    File,
}

/// Why an argument cannot be forwarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardError {
    /// It is empty.
    #[error(
        "cannot forward a file without a name\n\
         there is an empty argument between '@@' and '@@'\n\
         leave it out"
    )]
    Empty,
    /// It cannot be opened.
    #[error("cannot open {}\n{errno}", shown(path))]
    Open {
        /// As given.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// It is relative to a directory that is no more.
    #[error(
        "cannot open {}\n\
         the directory that this was started in has no path\n\
         give the path from the root",
        shown(path)
    )]
    Nowhere {
        /// As given.
        path: PathBuf,
    },
    /// The portal does not take it.
    #[error("cannot make {} visible to the application\n{}", shown(path), shown(reason))]
    Portal {
        /// As given.
        path: PathBuf,
        /// What the portal says.
        reason: String,
    },
}

/// What the arguments refer to.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The directory that relative paths start in.
    pub directory: Option<&'a Path>,
    /// What the application sees without the portal.
    pub visible: &'a Visible,
}

/// The arguments as the application gets them. Without a portal they only lose the markers.
///
/// # Errors
/// [`ForwardError`].
pub fn forward(
    arguments: impl IntoIterator<Item = OsString>,
    view: View<'_>,
    mut documents: Option<&mut dyn Documents>,
    notices: &mut Vec<Notice>,
) -> Result<Vec<OsString>, ForwardError> {
    let mut forwarded = Vec::new();
    let mut between: Option<Spelling> = None;
    let mut left_alone = false;
    for argument in arguments {
        let marker = match argument.to_str() {
            Some(PATHS) => Some(Spelling::Path),
            Some(URIS) => Some(Spelling::Uri),
            Some(_) | None => None,
        };
        if marker.is_some() {
            // Either marker ends what any of them began.
            between = if between.is_some() { None } else { marker };
            continue;
        }
        let path = between.and_then(|spelling| Some((spelling, spelling.path(&argument)?)));
        let Some((spelling, path)) = path else {
            forwarded.push(argument);
            continue;
        };
        let Some(documents) = documents.as_deref_mut() else {
            left_alone = true;
            forwarded.push(argument);
            continue;
        };
        let document = document(&path, view, documents)?;
        forwarded.push(document.map_or(argument, |path| spelling.write(&path)));
    }
    if left_alone {
        notices.push(Notice::Warning(
            "files on the command line are passed by their names only\n\
             there is no documents portal that would make them visible to the application\n\
             install xdg-desktop-portal, leave out --no-documents-portal and --sandbox, or share the files with \
             --filesystem"
                .into(),
        ));
    }
    Ok(forwarded)
}

/// Where the application finds a file; none if that is where it is anyway.
fn document(
    path: &Path,
    view: View<'_>,
    documents: &mut dyn Documents,
) -> Result<Option<PathBuf>, ForwardError> {
    if path.as_os_str().is_empty() {
        return Err(ForwardError::Empty);
    }
    let absolute = match view.directory {
        _ if path.is_absolute() => path.to_owned(),
        Some(directory) => directory.join(path),
        None => return Err(ForwardError::Nowhere { path: path.to_owned() }),
    };
    if view.visible.access(&absolute) != FileAccess::Hidden {
        return Ok(None);
    }
    let failed = |errno| ForwardError::Open { path: path.to_owned(), errno };
    let flags = OFlags::PATH.union(OFlags::CLOEXEC);
    let object = rustix::fs::openat(CWD, &absolute, flags, Mode::empty()).map_err(failed)?;
    let kind = match crate::object::kind(&object).map_err(failed)? {
        FileType::Directory => DocumentKind::Directory,
        FileType::RegularFile
        | FileType::Symlink
        | FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => DocumentKind::File,
    };
    // The portal calls a document as the kernel does, whatever symlink led to it.
    let path_there = crate::object::path(&object).map_err(failed)?;
    let name = path_there.file_name().ok_or_else(|| failed(Errno::INVAL))?;
    let refused = |reason: String| ForwardError::Portal { path: path.to_owned(), reason };
    let id = documents.add(object.as_fd(), kind).map_err(refused)?;
    let mut components = Path::new(&id).components();
    if !matches!((components.next(), components.next()), (Some(Component::Normal(_)), None)) {
        return Err(refused(format!("it calls the document '{id}', which is no name")));
    }
    Ok(Some(documents.mount_point().join(id).join(name)))
}

/// How a file is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Path,
    Uri,
}

impl Spelling {
    /// The path that an argument names; none if it names no file (R229).
    fn path(self, argument: &OsStr) -> Option<PathBuf> {
        match self {
            Self::Path => Some(PathBuf::from(argument)),
            Self::Uri if argument.as_bytes().starts_with(b"/") => Some(PathBuf::from(argument)),
            Self::Uri => uri::file_of(argument),
        }
    }

    /// A path as an argument.
    fn write(self, path: &Path) -> OsString {
        match self {
            Self::Path => path.as_os_str().to_owned(),
            Self::Uri => uri::uri_of(path).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::export::Exports;
    use crate::filesystem::locate::tests::Scratch;
    use crate::filesystem::token::Access;

    /// A portal that remembers what it was asked for.
    #[derive(Default)]
    struct Portal {
        added: Vec<(u64, DocumentKind)>,
        id: Option<&'static str>,
    }

    impl Documents for Portal {
        fn add(&mut self, object: BorrowedFd<'_>, kind: DocumentKind) -> Result<String, String> {
            let inode = rustix::fs::fstat(object).unwrap().st_ino;
            self.added.push((inode, kind));
            self.id.map(str::to_owned).ok_or_else(|| "no\x1b".into())
        }

        fn mount_point(&self) -> &Path {
            Path::new("/run/user/1000/doc")
        }
    }

    fn run(scratch: &Scratch, arguments: &[&str]) -> Result<Vec<String>, ForwardError> {
        let mut portal = Portal { id: Some("1f"), ..Portal::default() };
        run_with(scratch, arguments, Some(&mut portal), &mut Vec::new())
    }

    /// With `shared` in the directory granted, and in that directory.
    fn run_with(
        scratch: &Scratch,
        arguments: &[&str],
        portal: Option<&mut dyn Documents>,
        notices: &mut Vec<Notice>,
    ) -> Result<Vec<String>, ForwardError> {
        let mut exports = Exports::of_application([]);
        exports.share(&scratch.directory("shared"), Access::ReadOnly).unwrap();
        let visible = Visible::through(&exports);
        let view = View { directory: Some(&scratch.0), visible: &visible };
        let arguments = arguments.iter().map(OsString::from);
        let forwarded = forward(arguments, view, portal, notices)?;
        Ok(forwarded.into_iter().map(|it| it.into_string().unwrap()).collect())
    }

    #[test]
    fn r228_markers_switch_and_go() {
        let scratch = Scratch::new();
        scratch.file("a", "");
        let done = run(&scratch, &["a", "@@", "a", "@@", "a", "@@u", "x", "@@", "a"]).unwrap();
        assert_eq!(done, ["a", "/run/user/1000/doc/1f/a", "a", "x", "a"]);
        let done = run(&scratch, &["@@u", "x:y", "@@u", "@@x", "@@"]).unwrap();
        assert_eq!(done, ["x:y", "@@x"]);
    }

    #[test]
    fn r229_uris_and_absolute_paths_are_files() {
        let scratch = Scratch::new();
        let file = scratch.file("a b", "");
        let text = file.to_str().unwrap();
        let uri = format!("file://{}", text.replace(' ', "%20"));
        let arguments = ["@@u", &uri, text, "http://a/b", "a b", "file://other/x", "-x"];
        let there = "file:///run/user/1000/doc/1f/a%20b";
        let expected = [there, there, "http://a/b", "a b", "file://other/x", "-x"];
        assert_eq!(run(&scratch, &arguments).unwrap(), expected);
    }

    #[test]
    fn r230_what_is_visible_stays_as_it_was() {
        let scratch = Scratch::new();
        let file = scratch.file("shared/x", "");
        let uri = format!("file://{}", file.display());
        let mut portal = Portal::default();
        let arguments = ["@@", "shared/x", "@@", "@@u", &uri, "@@"];
        let done = run_with(&scratch, &arguments, Some(&mut portal), &mut Vec::new()).unwrap();
        assert_eq!(done, ["shared/x", &uri]);
        assert_eq!(portal.added, []);
    }

    #[test]
    fn r230_directories_and_files_are_told_apart_and_opened_once() {
        use std::os::unix::fs::{MetadataExt as _, symlink};
        let scratch = Scratch::new();
        let (file, directory) = (scratch.file("file", ""), scratch.directory("directory"));
        symlink("file", scratch.join("link")).unwrap();
        let mut portal = Portal { id: Some("1f"), ..Portal::default() };
        let arguments = ["@@", "link", "directory/"];
        let done = run_with(&scratch, &arguments, Some(&mut portal), &mut Vec::new()).unwrap();
        assert_eq!(done, ["/run/user/1000/doc/1f/file", "/run/user/1000/doc/1f/directory"]);
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let expected =
            [(inode(&file), DocumentKind::File), (inode(&directory), DocumentKind::Directory)];
        assert_eq!(portal.added, expected);
    }

    #[test]
    fn r232_empty_and_missing_files_are_errors() {
        let scratch = Scratch::new();
        assert_eq!(run(&scratch, &["@@", ""]), Err(ForwardError::Empty));
        let error = run(&scratch, &["@@", "none"]).unwrap_err();
        assert_eq!(error, ForwardError::Open { path: "none".into(), errno: Errno::NOENT });
        assert_eq!(run(&scratch, &["", "none"]).unwrap(), ["", "none"]);
    }

    #[test]
    fn r232_without_a_portal_arguments_stay_and_it_is_said_once() {
        let scratch = Scratch::new();
        let mut notices = Vec::new();
        let arguments = ["@@", "none", "", "@@", "x"];
        let done = run_with(&scratch, &arguments, None, &mut notices).unwrap();
        assert_eq!(done, ["none", "", "x"]);
        assert_eq!(notices.len(), 1);
        assert_eq!(run_with(&scratch, &["x"], None, &mut notices).unwrap(), ["x"]);
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn what_the_portal_says_is_checked() {
        let scratch = Scratch::new();
        scratch.file("a", "");
        for id in [None, Some(""), Some(".."), Some("../x"), Some("/x"), Some("a/b")] {
            let mut portal = Portal { id, ..Portal::default() };
            let arguments = ["@@", "a"];
            let error = run_with(&scratch, &arguments, Some(&mut portal), &mut Vec::new());
            let error = error.unwrap_err();
            assert!(matches!(error, ForwardError::Portal { .. }), "{id:?}");
            assert!(!error.to_string().contains('\x1b'), "{error}");
        }
    }

    #[test]
    fn r233_arguments_are_passed_as_they_are() {
        let scratch = Scratch::new();
        let arguments = ["--bind", "-x", "--", "@", "@@@", "@@U", "a\nb"];
        assert_eq!(run(&scratch, &arguments).unwrap(), arguments);
    }
}
