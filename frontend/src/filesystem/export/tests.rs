// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is collected, and what is mounted of it.

use std::os::unix::fs::symlink;

use proptest::prelude::*;
use stockade_protocol::request::{self, Bind, Operation};

use super::super::locate::tests::Scratch;
use super::*;
use crate::sandbox::Sandbox;

/// What was done, one line for each operation.
fn lines(exports: Exports) -> Vec<String> {
    let mut sandbox = Sandbox::new();
    exports.mount(&mut sandbox).unwrap();
    let path = |destination: &request::Destination| {
        String::from_utf8_lossy(destination.path.as_bytes()).into_owned()
    };
    sandbox
        .request
        .operations
        .iter()
        .map(|operation| match operation {
            Operation::Bind(Bind { destination, access, .. }) => {
                format!("{access:?} {}", path(destination))
            }
            Operation::Tmpfs { destination, mode, .. } => {
                format!("Tmpfs {mode:o} {}", path(destination))
            }
            Operation::Symlink { destination, target } => {
                let target = String::from_utf8_lossy(target.as_bytes());
                format!("Symlink {} -> {target}", path(destination))
            }
            Operation::Directory { destination, .. } => format!("Directory {}", path(destination)),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn r66_reserved_paths_are_refused() {
    for path in [
        "/usr",
        "/usr/share",
        "/etc",
        "/etc/x",
        "/dev",
        "/dev/shm",
        "/proc",
        "/proc/1",
        "/run/host",
        "/run/stockade/x",
        "/bin",
        "/bin/x",
        "/lib64/x",
        "/sbin",
    ] {
        let error = Exports::default().share(Path::new(path), Access::ReadOnly).unwrap_err();
        assert!(matches!(error, ExportError::Reserved { .. }), "{path}: {error}");
    }
    for path in ["/", "/run"] {
        let error = Exports::default().share(Path::new(path), Access::ReadOnly).unwrap_err();
        assert!(matches!(error, ExportError::AboveReserved { .. }), "{path}: {error}");
    }
    for path in
        ["/usrlocal", "/run/media", "/var/lib/x", "/tmp", "/root", "/boot", "/sys/x", "/opt"]
    {
        assert!(!Reserved::HOST.refuses(Path::new(path)), "{path}");
    }
}

#[test]
fn r66_a_symlink_to_a_reserved_place_is_refused() {
    let scratch = Scratch::new();
    symlink("/usr/share", scratch.join("link")).unwrap();
    let error = Exports::default().share(&scratch.join("link"), Access::ReadWrite).unwrap_err();
    assert!(matches!(error, ExportError::Reserved { reserved: "/usr", .. }), "{error}");
}

#[test]
fn r66_fifos_are_refused() {
    let scratch = Scratch::new();
    let fifo = scratch.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = Exports::default().share(&fifo, Access::ReadOnly).unwrap_err();
    assert!(matches!(error, ExportError::Kind { .. }), "{error}");
}

#[test]
fn r67_symlinks_become_their_target_and_a_link() {
    let scratch = Scratch::new();
    scratch.directory("real/src");
    symlink("real", scratch.join("link")).unwrap();
    let mut exports = Exports::default();
    let path = exports.share(&scratch.join("link/src"), Access::ReadWrite).unwrap();
    assert_eq!(path, scratch.join("real/src"));
    let root = scratch.0.display();
    let expected = [format!("Symlink {root}/link -> real"), format!("ReadWrite {root}/real/src")];
    assert_eq!(lines(exports), expected);
}

#[test]
fn r68_the_strongest_entry_counts() {
    let scratch = Scratch::new();
    let path = scratch.directory("a");
    for order in [[Access::ReadOnly, Access::ReadWrite], [Access::ReadWrite, Access::ReadOnly]] {
        let mut exports = Exports::default();
        exports.private(&path, 0o700).unwrap();
        for access in order {
            exports.share(&path, access).unwrap();
        }
        exports.private(&path, 0o700).unwrap();
        assert_eq!(lines(exports), [format!("ReadWrite {}", path.display())]);
    }
}

#[test]
fn r69_parents_come_first_and_granted_symlinks_stay() {
    let scratch = Scratch::new();
    let (parent, sibling) = (scratch.directory("a"), scratch.directory("a-b"));
    let child = scratch.directory("a/b");
    symlink("b", parent.join("link")).unwrap();
    let mut exports = Exports::default();
    exports.share(&parent.join("link"), Access::ReadOnly).unwrap();
    exports.share(&sibling, Access::ReadOnly).unwrap();
    exports.share(&parent, Access::ReadWrite).unwrap();
    let expected = [
        format!("ReadWrite {}", parent.display()),
        format!("ReadOnly {}", sibling.display()),
        format!("ReadOnly {}", child.display()),
    ];
    assert_eq!(lines(exports), expected);
}

#[test]
fn t53_nothing_is_hidden_below_something_granted() {
    let scratch = Scratch::new();
    let home = scratch.directory("home/alice");
    let mut exports = Exports::default();
    exports.private(&home, 0o700).unwrap();
    assert_eq!(lines(exports), [format!("Tmpfs 700 {}", home.display())]);

    let mut exports = Exports::default();
    exports.private(&home, 0o700).unwrap();
    exports.share(&scratch.join("home"), Access::ReadOnly).unwrap();
    assert!(exports.covers(&home));
    assert_eq!(lines(exports), [format!("ReadOnly {}", scratch.join("home").display())]);
}

#[test]
fn links_that_the_runtime_shows_are_not_made_again() {
    let scratch = Scratch::new();
    let target = scratch.directory("target");
    let opt = scratch.directory("opt");
    symlink("../target", opt.join("link")).unwrap();
    let mut exports = Exports::over([opt.as_path()]);
    exports.share(&opt.join("link"), Access::ReadOnly).unwrap();
    assert_eq!(lines(exports), [format!("ReadOnly {}", target.display())]);
}

#[test]
fn r70_create_makes_directories_and_shares_files() {
    let scratch = Scratch::new();
    let path = scratch.join("new/deep");
    let mut exports = Exports::default();
    exports.share(&path, Access::Create).unwrap();
    exports.share(&scratch.file("file", ""), Access::Create).unwrap();
    assert!(path.is_dir());
}

#[test]
fn a_missing_path_says_what_to_do() {
    let scratch = Scratch::new();
    let error = Exports::default().share(&scratch.join("none"), Access::ReadOnly).unwrap_err();
    assert!(error.to_string().contains(":create"), "{error}");
}

#[test]
fn r66_an_application_has_places_of_its_own() {
    for path in ["/app/x", "/.flatpak-info", "/run/flatpak/x", "/usr", "/run", "/"] {
        assert!(Reserved::APPLICATION.refuses(Path::new(path)), "{path}");
    }
    for path in ["/run/stockade", "/apps", "/run/media", "/libx32", "/run/user/1000/x"] {
        assert!(!Reserved::APPLICATION.refuses(Path::new(path)), "{path}");
    }
}

#[test]
fn r69_hidden_directories_are_empty_above_and_below_what_is_granted() {
    let scratch = Scratch::new();
    let (home, hidden) = (scratch.directory("home"), scratch.directory("home/.var/app"));
    let own = scratch.directory("home/.var/app/own");
    let collect = |granted: bool| {
        let mut exports = Exports::of_application([]);
        exports.share(&own, Access::ReadWrite).unwrap();
        exports.hide(&hidden).unwrap();
        exports.require(&home).unwrap();
        if granted {
            exports.share(&home, Access::ReadOnly).unwrap();
        }
        lines(exports)
    };
    let (home, hidden, own) = (home.display(), hidden.display(), own.display());
    let own = format!("ReadWrite {own}");
    let alone = [format!("Directory {home}"), format!("Directory {hidden}"), own.clone()];
    assert_eq!(collect(false), alone);
    assert_eq!(collect(true), [format!("ReadOnly {home}"), format!("Tmpfs 755 {hidden}"), own]);
}

#[test]
fn r69_only_directories_are_hidden_or_required() {
    let scratch = Scratch::new();
    let mut exports = Exports::of_application([]);
    for path in [scratch.file("file", ""), scratch.join("none")] {
        exports.hide(&path).unwrap();
        exports.require(&path).unwrap();
    }
    assert_eq!(lines(exports), Vec::<String>::new());
}

#[test]
fn r68_a_hidden_place_that_is_granted_is_seen() {
    let scratch = Scratch::new();
    let path = scratch.directory("a");
    let mut exports = Exports::of_application([]);
    exports.share(&path, Access::ReadOnly).unwrap();
    exports.hide(&path).unwrap();
    assert_eq!(lines(exports), [format!("ReadOnly {}", path.display())]);
}

#[test]
fn what_the_sandbox_has_already_is_not_made_a_symlink() {
    let scratch = Scratch::new();
    let target = scratch.directory("target");
    symlink("target", scratch.join("link")).unwrap();
    let mut exports = Exports::of_application([scratch.join("link").as_path()]);
    exports.share(&scratch.join("link"), Access::ReadOnly).unwrap();
    assert_eq!(lines(exports), [format!("ReadOnly {}", target.display())]);
}

/// An entry of an application's exports, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Model {
    Required,
    Hidden,
    ReadOnly,
    ReadWrite,
    Link,
}

/// R68 and R69 as they are written down: for each path, all paths are looked through.
fn model(entries: &[(String, Model)]) -> Vec<String> {
    let strongest = |path: &str| {
        entries.iter().filter(|(other, _)| other == path).map(|(_, entry)| *entry).max().unwrap()
    };
    let mut paths: Vec<&String> = entries.iter().map(|(path, _)| path).collect();
    paths.sort_by_key(|path| path.as_bytes());
    paths.dedup();
    let granted_above = |path: &str| {
        let above = paths.iter().filter(|other| path.starts_with(&format!("{other}/")));
        let mut views = above.filter_map(|other| match strongest(other) {
            Model::ReadOnly | Model::ReadWrite => Some(true),
            Model::Hidden => Some(false),
            Model::Required | Model::Link => None,
        });
        views.next_back().unwrap_or(false)
    };
    let line = |path: &&String| match (strongest(path), granted_above(path)) {
        (Model::ReadOnly, _) => Some(format!("ReadOnly {path}")),
        (Model::ReadWrite, _) => Some(format!("ReadWrite {path}")),
        (Model::Hidden, true) => Some(format!("Tmpfs 755 {path}")),
        (Model::Hidden | Model::Required, false) => Some(format!("Directory {path}")),
        (Model::Link, false) => Some(format!("Symlink {path} -> to")),
        (Model::Required | Model::Link, true) => None,
    };
    paths.iter().filter_map(line).collect()
}

proptest! {
    #[test]
    fn r68_r69_exports_are_as_the_rules_say(
        entries in prop::collection::vec(
            (
                "(/[ab][-a]?){1,4}",
                prop::sample::select(vec![
                    Model::Required,
                    Model::Hidden,
                    Model::ReadOnly,
                    Model::ReadWrite,
                    Model::Link,
                ]),
            ),
            0..14,
        )
    ) {
        let mut exports = Exports::of_application([]);
        for (path, entry) in &entries {
            let bound = |access| Entry::Bound {
                object: Object::new(crate::sandbox::open_path(Path::new("/")).unwrap()).unwrap(),
                source: "/".into(),
                access,
            };
            let entry = match entry {
                Model::Required => Entry::Directory,
                Model::Hidden => Entry::Hidden,
                Model::ReadOnly => bound(Access::ReadOnly),
                Model::ReadWrite => bound(Access::ReadWrite),
                Model::Link => Entry::Symlink("to".into()),
            };
            exports.put(path.into(), entry);
        }
        prop_assert_eq!(lines(exports), model(&entries));
    }

    /// Whatever is collected in whatever order, a mount is never made above an earlier one.
    #[test]
    fn r69_order_is_independent_of_the_order_of_options(
        paths in prop::collection::vec("(/[a-c][-a]?){1,4}", 1..12)
    ) {
        let collect = |paths: &[String]| {
            let mut exports = Exports::default();
            for path in paths {
                let object = crate::sandbox::open_path(Path::new("/")).unwrap();
                exports
                    .show(object, Path::new("/"), path.into(), Access::ReadOnly)
                    .unwrap();
            }
            lines(exports)
        };
        let forward = collect(&paths);
        let backward: Vec<_> = paths.iter().rev().cloned().collect();
        prop_assert_eq!(&forward, &collect(&backward));
        for (index, later) in forward.iter().enumerate() {
            let prefix = format!("{later}/");
            prop_assert!(!forward[..index].iter().any(|earlier| earlier.starts_with(&prefix)));
        }
    }
}
