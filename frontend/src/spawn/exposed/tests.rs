// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::deploy::tests::{COMMIT, install};
use crate::sandbox::open_path;
use crate::spawn::parent::tests::parent;
use std::fs::File;
use std::os::unix::fs::symlink;

fn sandbox(scratch: &Scratch, more: &str) -> (Parent, Caller) {
    let mut parent = parent(more);
    let name = parent.reference.to_string();
    install(scratch, "home/.local/share/flatpak", &name, "[Application]\nname=org.example.App\n");
    parent.commit = Some(COMMIT.to_owned());
    parent.data = Some(scratch.directory("home/.var/app/org.example.App"));
    parent.app_files = Some(scratch.directory("app"));
    let home = scratch.join("home");
    let none = scratch.join("none").to_str().unwrap().to_owned();
    let runtime = scratch.directory("run").to_str().unwrap().to_owned();
    let variables = [
        ("XDG_RUNTIME_DIR", runtime.as_str()),
        ("FLATPAK_SYSTEM_DIR", &none),
        ("FLATPAK_CONFIG_DIR", &none),
    ];
    let caller = caller(&home, &variables);
    (parent, caller)
}

fn inode(descriptor: &OwnedFd) -> u64 {
    rustix::fs::fstat(descriptor).unwrap().st_ino
}

#[test]
fn r246_t68_names_lead_nowhere_else() {
    let scratch = Scratch::new();
    let (parent, caller) = sandbox(&scratch, "");
    let view = View::new(&parent, &caller);
    let missing = view.named("missing").unwrap_err();
    assert!(matches!(missing, ExposeError::Named { errno: Errno::NOENT, .. }));
    let own = "home/.var/app/org.example.App/sandbox";
    scratch.directory(&format!("{own}/directory/below"));
    let file = scratch.file(&format!("{own}/file"), "");
    symlink("/etc", scratch.join(&format!("{own}/link"))).unwrap();
    symlink("file", scratch.join(&format!("{own}/near"))).unwrap();
    assert!(view.named("directory").is_ok());
    let found = view.named("file").unwrap();
    assert_eq!(inode(&found), inode(&open_path(&file).unwrap()));
    for name in ["link", "near"] {
        assert!(matches!(view.named(name), Err(ExposeError::Named { .. })), "{name}");
    }
    for name in ["", ".", "..", "directory/below", "/etc"] {
        assert!(matches!(view.named(name), Err(ExposeError::Name(_))), "{name}");
    }
    // The application can put a symlink in the place of the directory itself.
    std::fs::rename(scratch.join(own), scratch.join("moved")).unwrap();
    symlink("/", scratch.join(own)).unwrap();
    assert!(view.named("etc").is_err());
}

#[test]
fn r249_a_descriptor_is_the_object_and_not_its_path() {
    let scratch = Scratch::new();
    let (parent, caller) = sandbox(&scratch, "");
    let view = View::new(&parent, &caller);
    let file = scratch.file("home/file", "");
    let shown = view.passed(&open_path(&file).unwrap()).unwrap();
    assert!(shown.writable);
    assert_eq!(inode(&shown.object), inode(&open_path(&file).unwrap()));
    // What was opened to be read is only read.
    assert!(!view.passed(&File::open(&file).unwrap().into()).unwrap().writable);
    let both = File::options().read(true).write(true).open(&file).unwrap();
    assert!(view.passed(&both.into()).unwrap().writable);
    let write = File::options().write(true).open(&file).unwrap();
    assert_eq!(view.passed(&write.into()).unwrap_err(), ExposeError::Unreadable);

    // Another object has its path by now, or a symlink leads there.
    let old = open_path(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(matches!(view.passed(&old), Err(ExposeError::Elsewhere(_))));
    scratch.file("home/file", "");
    assert!(matches!(view.passed(&old), Err(ExposeError::Elsewhere(_))));
    let directory = open_path(&scratch.directory("home/d")).unwrap();
    std::fs::rename(scratch.join("home/d"), scratch.join("home/e")).unwrap();
    symlink("e", scratch.join("home/d")).unwrap();
    // The kernel knows its new path.
    assert!(view.passed(&directory).is_ok());

    let (pipe, _other) = rustix::pipe::pipe().unwrap();
    assert_eq!(view.passed(&pipe).unwrap_err(), ExposeError::Kind);
    let device = open_path(Path::new("/dev/null")).unwrap();
    assert_eq!(view.passed(&device).unwrap_err(), ExposeError::Kind);
    let link = rustix::fs::openat(
        CWD,
        scratch.join("home/d"),
        OFlags::PATH | OFlags::NOFOLLOW,
        Mode::empty(),
    );
    assert_eq!(view.passed(&link.unwrap()).unwrap_err(), ExposeError::Kind);
}

#[test]
fn r249_what_the_caller_does_not_see_is_not_shown_with_what_it_is_in() {
    let scratch = Scratch::new();
    let more = "extra-args=--filesystem=home;--nofilesystem=~/private/keys;\
        --filesystem=~/docs/work:ro;\n";
    let (parent, caller) = sandbox(&scratch, more);
    scratch.directory("home/private/keys");
    scratch.directory("home/private/other");
    scratch.directory("home/docs/work");
    scratch.directory("home/docs/other");
    scratch.directory("home/.var/app/org.example.Other");
    scratch.directory("home/.local/share/flatpak/app");
    let view = View::new(&parent, &caller);
    let passed = |path: &str| view.passed(&open_path(&scratch.join(path)).unwrap());
    for path in [
        "home",
        "home/.var",
        "home/.var/app",
        "home/private",
        "home/private/keys",
        "home/docs",
        "run",
        "",
    ] {
        assert!(matches!(passed(path), Err(ExposeError::Hiding(_))), "{path}");
    }
    for path in ["home/private/other", "home/docs/other", "home/.var/app/org.example.App", "app"] {
        assert!(passed(path).is_ok(), "{path}");
    }
    for path in ["/", "/usr", "/etc", "/proc"] {
        let opened = open_path(Path::new(path)).unwrap();
        // The runtime's files are what is meant by /usr.
        let odd = matches!(
            view.passed(&opened),
            Err(ExposeError::Reserved(_) | ExposeError::Elsewhere(_) | ExposeError::Hiding(_))
        );
        assert!(odd, "{path}");
    }
}

#[test]
fn r249_without_its_permissions_nobody_knows_what_an_instance_sees() {
    let scratch = Scratch::new();
    let (mut parent, caller) = sandbox(&scratch, "");
    let file = open_path(&scratch.file("home/d/file", "")).unwrap();
    let directory = open_path(&scratch.join("home/d")).unwrap();
    assert!(View::new(&parent, &caller).passed(&directory).is_ok());
    parent.commit = Some(COMMIT.replace('0', "1"));
    let view = View::new(&parent, &caller);
    assert!(matches!(view.passed(&directory), Err(ExposeError::Hiding(_))));
    assert!(view.passed(&file).is_ok());
}

#[test]
fn r333_paths_of_the_sandbox_are_found_on_the_host() {
    let scratch = Scratch::new();
    let (mut parent, caller) = sandbox(&scratch, "");
    parent.data = Some("/d".into());
    parent.app_files = Some("/a".into());
    let view = View::new(&parent, &caller);
    let run = scratch.join("run");
    for (inside, host) in [
        ("/app/bin/x", "/a/bin/x".into()),
        ("/app", "/a".into()),
        ("/application", "/application".into()),
        ("/usr/lib", "/inst/runtime/files/lib".into()),
        ("/run/host/usr/bin", "/usr/bin".into()),
        ("/run/host/etc/x", "/etc/x".into()),
        ("/newroot/app/x", "/a/x".into()),
        ("/var/config/x", "/d/config/x".into()),
        ("/var/tmp/x", "/d/cache/tmp/x".into()),
        ("/run/flatpak/app/org.example.App", run.join("app/org.example.App")),
        ("/run/flatpak/doc/7/x", run.join("doc/by-app/org.example.App/7/x")),
        ("/home/u/x", PathBuf::from("/home/u/x")),
    ] {
        assert_eq!(view.on_host(Path::new(inside)), host, "{inside}");
    }
}
