// SPDX-License-Identifier: MIT OR Apache-2.0
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

    fn mounted(&self, options: &Options) -> Result<(Vec<String>, Vec<String>, String), BuildError> {
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
        extension: Some((tree("work/files"), Place { empty: None, path: "/app/share/e".into() })),
        kept: Vec::new(),
        access: Access::ReadWrite,
    };
    base.mount_extension(&mut sandbox).unwrap();
    assert_eq!(sandbox.request.supervision.locks, [lock("/app/share/else/.ref")]);
}
