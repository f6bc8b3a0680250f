// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a build runs on and what it writes to: `/usr`, `/app`, the place of an extension, and the parts of
//! `/var` that are kept (R263).

use std::ffi::OsStr;
use std::path::Path;

use stockade_protocol::request::Access;

use super::point::{Place, prefix};
use super::project::Project;
use super::{BuildError, Options};
use crate::flatpak::choice::{self, ChoiceError};
use crate::flatpak::deploy::Deploy;
use crate::flatpak::extension::relative::Relative;
use crate::flatpak::installation::Installations;
use crate::flatpak::layout::base::link;
use crate::flatpak::lock;
use crate::flatpak::reference::{Kind, Reference};
use crate::flatpak::tree::Tree;
use crate::message::Notice;
use crate::sandbox::Sandbox;

/// What of `/var` is kept from one command to the next.
const KEPT: [(&str, &str); 2] = [("var/lib", "/var/lib"), ("var/tmp", "/var/tmp")];

/// The files of a build.
#[derive(Debug)]
pub(super) struct Base {
    /// What appears at `/usr`.
    pub(super) usr: Tree,
    /// The version that is; none if it is a part of what is built.
    pub(super) runtime: Option<Deploy>,
    /// What appears at `/app`.
    pub(super) app: Option<Tree>,
    /// An extension, with its place in one of the two.
    extension: Option<(Tree, Place)>,
    kept: Vec<(Tree, &'static Path)>,
    access: Access,
}

impl Base {
    /// Finds and opens everything.
    ///
    /// # Errors
    /// [`BuildError`].
    pub(super) fn open(
        project: &Project,
        options: &Options,
        installations: &Installations,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, BuildError> {
        let own = Relative::below(options.sdk_directory.as_deref().unwrap_or("usr"))?;
        let (usr, runtime) = match project.tree(own.as_path())? {
            Some(tree) => (tree, None),
            None => {
                let deploy = find(&project.runtime, installations)?;
                (files(&deploy)?, Some(deploy))
            }
        };
        let built = project.files()?;
        let id = &project.reference.id;
        let (app, extension) = match (project.reference.kind, &project.extends) {
            (Kind::App, _) => (Some(built), None),
            (Kind::Runtime, None) => (None, None),
            (Kind::Runtime, Some((parent, tag))) => {
                let parent = find(parent, installations)?;
                let place = Place::find(&parent, id, tag.as_deref(), notices)?;
                match parent.reference.kind {
                    Kind::App => {
                        let app = files(&parent)?;
                        place.check(&app, prefix(Kind::App), id)?;
                        (Some(app), Some((built, place)))
                    }
                    Kind::Runtime => {
                        place.check(&usr, prefix(Kind::Runtime), id)?;
                        (None, Some((built, place)))
                    }
                }
            }
        };
        let mut kept = Vec::new();
        for (name, place) in KEPT {
            kept.push((project.kept(name)?, Path::new(place)));
        }
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        Ok(Self { usr, runtime, app, extension, kept, access })
    }

    /// Where what is built appears.
    pub(super) fn place(&self, kind: Kind) -> &Path {
        let extension = self.extension.as_ref().map(|(_, place)| place.path.as_path());
        extension.unwrap_or(Path::new(prefix(kind)))
    }

    /// How `/app` is mounted: what is only extended is not what is built.
    pub(super) fn app_access(&self) -> Access {
        if self.extension.is_some() { Access::ReadOnly } else { self.access }
    }

    /// Mounts what extensions are mounted in, and has it locked if it is an installed version (R8).
    ///
    /// # Errors
    /// [`BuildError::Sandbox`].
    pub(super) fn mount(&self, sandbox: &mut Sandbox) -> Result<(), BuildError> {
        let (usr, app) = (Path::new("/usr"), Path::new("/app"));
        match &self.runtime {
            Some(_) => {
                self.usr.bind(usr, sandbox)?;
                lock::hold(sandbox, &self.usr, usr)?;
            }
            None => self.usr.bind_as(self.access, usr, sandbox)?,
        }
        match &self.app {
            Some(files) => {
                files.bind_as(self.app_access(), app, sandbox)?;
                if self.extension.is_some() {
                    lock::hold(sandbox, files, app)?;
                }
            }
            None => sandbox.directory(app, 0o755)?,
        }
        link(&self.usr, Path::new("/"), sandbox)?;
        if let Some((_, Place { empty: Some(empty), .. })) = &self.extension {
            sandbox.tmpfs(empty, 0o755)?;
        }
        for (tree, place) in &self.kept {
            tree.bind_as(Access::ReadWrite, place, sandbox)?;
        }
        Ok(())
    }

    /// Mounts the extension that is built, over a version of it that is installed.
    ///
    /// # Errors
    /// [`BuildError::Sandbox`].
    pub(super) fn mount_extension(&self, sandbox: &mut Sandbox) -> Result<(), BuildError> {
        let Some((files, place)) = &self.extension else { return Ok(()) };
        files.bind_as(self.access, &place.path, sandbox)?;
        // What is covered cannot be locked by its path, and nobody can use it either.
        let is_covered = |path: &[u8]| {
            use std::os::unix::ffi::OsStrExt as _;
            Path::new(OsStr::from_bytes(path)).starts_with(&place.path)
        };
        sandbox.request.supervision.locks.retain(|path| !is_covered(path.as_bytes()));
        Ok(())
    }
}

/// The installed version of that name, from whichever installation.
fn find(reference: &Reference, installations: &Installations) -> Result<Deploy, BuildError> {
    let everywhere: Vec<_> = installations.iter().collect();
    let missing = || ChoiceError::NotInstalled { reference: reference.clone(), commit: None };
    let found = choice::find(&everywhere, reference, None)?;
    Ok(found.ok_or_else(missing)?)
}

fn files(deploy: &Deploy) -> Result<Tree, BuildError> {
    Ok(Tree::of(deploy.files()?, deploy.path.join("files")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::deploy::tests::{COMMIT, install};
    use crate::flatpak::layout::tests::lines;

    const SDK: &str = "runtime/a.b.Sdk/x/1";
    const APP: &str = "app/a.b.App/x/1";

    /// A build directory with these metadata, an SDK, and an application that has extensions.
    struct Workshop(Scratch);

    impl Workshop {
        fn new(metadata: &str) -> Self {
            let scratch = Scratch::new();
            install(&scratch, "user", SDK, "[Runtime]\n");
            scratch.file(&format!("user/{SDK}/{COMMIT}/files/.ref"), "");
            scratch.directory(&format!("user/{SDK}/{COMMIT}/files/lib/e"));
            let places = "[Extension a.b.App.E]\ndirectory=share/e\n\
                [Extension a.b.App.F]\ndirectory=f\nsubdirectories=true\n";
            install(&scratch, "user", APP, &format!("[Application]\n{places}"));
            scratch.file(&format!("user/{APP}/{COMMIT}/files/.ref"), "");
            for name in ["share/e", "f"] {
                scratch.directory(&format!("user/{APP}/{COMMIT}/files/{name}"));
            }
            scratch.directory("work/files");
            scratch.file("work/metadata", metadata);
            Self(scratch)
        }

        fn mounted(
            &self,
            options: &Options,
        ) -> Result<(Vec<String>, Vec<String>, String), BuildError> {
            let path = |name| self.0.join(name).to_str().unwrap().to_owned();
            let (user, none) = (path("user"), path("none"));
            let variables = [
                ("FLATPAK_USER_DIR", user.as_str()),
                ("FLATPAK_SYSTEM_DIR", &none),
                ("FLATPAK_CONFIG_DIR", &none),
            ];
            let caller = caller(&self.0.0, &variables);
            let project = Project::open(&self.0.join("work"), None, false, &caller)?;
            let (installations, mut notices) = Installations::discover(&caller);
            let base = Base::open(&project, options, &installations, &mut notices)?;
            let mut sandbox = Sandbox::new();
            base.mount(&mut sandbox)?;
            base.mount_extension(&mut sandbox)?;
            let locks = sandbox.request.supervision.locks.iter();
            let locks = locks.map(|path| String::from_utf8_lossy(path.as_bytes()).into_owned());
            let place = base.place(project.reference.kind).to_str().unwrap().to_owned();
            let lines = lines(&sandbox, &self.0);
            let short = lines.iter().map(|line| line.replace(&format!("/{COMMIT}"), ""));
            Ok((short.collect(), locks.collect(), place))
        }
    }

    const APPLICATION: &str = "[Application]\nname=a.b.C\nsdk=a.b.Sdk/x/1\n";

    fn extension(name: &str, parent: &str) -> String {
        format!("[Runtime]\nname={name}\nsdk=a.b.Sdk/x/1\n[ExtensionOf]\nref={parent}\n")
    }

    #[test]
    fn r263_an_application_is_written_and_the_sdk_read() {
        let workshop = Workshop::new(APPLICATION);
        let (lines, locks, place) = workshop.mounted(&Options::default()).unwrap();
        let expected = [
            "ro /usr <- user/runtime/a.b.Sdk/x/1/files",
            "rw /app <- work/files",
            "/lib -> usr/lib",
            "rw /var/lib <- work/var/lib",
            "rw /var/tmp <- work/var/tmp",
        ];
        assert_eq!(lines, expected);
        assert_eq!((locks, place.as_str()), (vec!["/usr/.ref".to_owned()], "/app"));
        let options = Options { read_only: true, ..Options::default() };
        let (lines, ..) = workshop.mounted(&options).unwrap();
        assert_eq!(lines[1], "ro /app <- work/files");
        assert_eq!(lines[3], "rw /var/lib <- work/var/lib");
    }

    #[test]
    fn r263_an_sdk_in_the_build_directory_is_written() {
        let workshop = Workshop::new(&APPLICATION.replace("Application", "Runtime"));
        workshop.0.directory("work/usr/bin");
        workshop.0.directory("work/other");
        let (lines, locks, place) = workshop.mounted(&Options::default()).unwrap();
        assert_eq!(lines[..3], ["rw /usr <- work/usr", "dir 755 /app", "/bin -> usr/bin"]);
        assert_eq!((locks, place.as_str()), (vec![], "/usr"));
        let sdk_directory = Some("other".to_owned());
        let options = Options { sdk_directory, read_only: true, ..Options::default() };
        assert_eq!(workshop.mounted(&options).unwrap().0[0], "ro /usr <- work/other");
    }

    #[test]
    fn r263_an_extension_is_written_in_what_it_extends() {
        let workshop = Workshop::new(&extension("a.b.App.E", APP));
        let (lines, locks, place) = workshop.mounted(&Options::default()).unwrap();
        assert_eq!(lines[1], "ro /app <- user/app/a.b.App/x/1/files");
        assert_eq!(lines.last().unwrap(), "rw /app/share/e <- work/files");
        assert_eq!(
            (locks, place.as_str()),
            (vec!["/usr/.ref".into(), "/app/.ref".into()], "/app/share/e")
        );

        let workshop = Workshop::new(&extension("a.b.App.F.G", APP));
        let (lines, _, place) = workshop.mounted(&Options::default()).unwrap();
        assert_eq!(lines[3], "tmpfs /app/f");
        assert_eq!(lines.last().unwrap(), "rw /app/f/G <- work/files");
        assert_eq!(place, "/app/f/G");
        let options = Options { read_only: true, ..Options::default() };
        let (lines, ..) = workshop.mounted(&options).unwrap();
        assert_eq!(lines.last().unwrap(), "ro /app/f/G <- work/files");

        let error = Workshop::new(&extension("a.b.App.H", APP)).mounted(&Options::default());
        assert!(matches!(error, Err(BuildError::NoPoint { .. })));
        let error = Workshop::new(&extension("a.b.App.E", "app/a.b.None/x/1"));
        let error = error.mounted(&Options::default());
        assert!(matches!(error, Err(BuildError::Choice(ChoiceError::NotInstalled { .. }))));
    }

    #[test]
    fn r8_what_the_extension_covers_is_not_locked() {
        let workshop = Workshop::new(&extension("a.b.App.E", APP));
        let mut sandbox = Sandbox::new();
        let lock = |path: &str| crate::sandbox::sandbox_path(Path::new(path)).unwrap();
        sandbox.request.supervision.locks =
            ["/app/share/e/.ref", "/app/share/else/.ref"].map(lock).into();
        let scratch = &workshop.0;
        let tree = |name: &str| Tree::open(&scratch.join(name)).unwrap();
        let base = Base {
            usr: tree("work"),
            runtime: None,
            app: Some(tree("work")),
            extension: Some((
                tree("work/files"),
                Place { empty: None, path: "/app/share/e".into() },
            )),
            kept: Vec::new(),
            access: Access::ReadWrite,
        };
        base.mount_extension(&mut sandbox).unwrap();
        assert_eq!(sandbox.request.supervision.locks, [lock("/app/share/else/.ref")]);
    }
}
