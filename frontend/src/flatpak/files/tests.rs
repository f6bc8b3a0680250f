// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an application gets of a home that it had its hands in.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use stockade_protocol::request::{Bind, Content, Operation};
use stockade_protocol::text::{Argument, Program, SandboxPath};

use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::filesystem::token::UserDirectory;
use crate::flatpak::file_access::FileAccess;
use crate::sandbox::open_path;

/// A home, a runtime directory, and what an application wants there.
struct World {
    scratch: Scratch,
    filesystems: BTreeMap<Place, Access>,
    hidden: BTreeSet<Place>,
    persist: BTreeSet<String>,
    previous: Vec<Id>,
}

impl World {
    fn new(filesystems: &[(Place, Access)]) -> Self {
        let scratch = Scratch::new();
        scratch.directory("home/.local/share/flatpak");
        scratch.directory("run");
        Self {
            scratch,
            filesystems: filesystems.iter().cloned().collect(),
            hidden: BTreeSet::new(),
            persist: BTreeSet::new(),
            previous: Vec::new(),
        }
    }

    fn home(&self, path: &str) -> PathBuf {
        self.scratch.join("home").join(path)
    }

    fn caller(&self) -> Caller {
        let run = self.scratch.join("run");
        caller(&self.scratch.join("home"), &[("XDG_RUNTIME_DIR", run.to_str().unwrap())])
    }

    fn with<T>(&self, act: impl FnOnce(&Wanted<'_>, &Caller) -> T) -> T {
        let wanted = Wanted {
            filesystems: &self.filesystems,
            hidden: &self.hidden,
            persist: &self.persist,
            previous: &self.previous,
            installation: &self.home(".local/share/flatpak"),
        };
        act(&wanted, &self.caller())
    }

    /// What is mounted in the home or its application, and what is said. The first line is the home.
    fn run(&self) -> (Vec<String>, Vec<Notice>) {
        let (sandbox, notices) = self.mounted(Session::default());
        let home = self.scratch.join("home");
        let lines = sandbox.request.operations.iter().map(line);
        let lines = lines.map(|line| line.replace(home.to_str().unwrap(), "~"));
        (lines.filter(|line| line.contains('~')).collect(), notices)
    }

    fn mounted(&self, session: Session) -> (Sandbox, Vec<Notice>) {
        let mut notices = Vec::new();
        let mut sandbox = Sandbox::new();
        self.with(|wanted, caller| {
            let data =
                DataDirectory::prepare(&id(), wanted.previous, caller, &mut notices).unwrap();
            let files = collect(wanted, Some(&data), caller, &mut notices).unwrap();
            files.mount(session, &mut sandbox).unwrap();
        });
        (sandbox, notices)
    }

    fn visible(&self) -> Visible {
        self.with(|wanted, caller| visible(wanted, &id(), caller).unwrap())
    }
}

fn id() -> Id {
    Id::new("org.a.App").unwrap()
}

fn line(operation: &Operation) -> String {
    let path = |destination: &request::Destination| {
        String::from_utf8_lossy(destination.path.as_bytes()).into_owned()
    };
    match operation {
        Operation::Bind(Bind { destination, access, .. }) => {
            let word = if *access == request::Access::ReadOnly { "ro" } else { "rw" };
            format!("{word} {}", path(destination))
        }
        Operation::Tmpfs { destination, .. } => format!("tmpfs {}", path(destination)),
        Operation::Directory { destination, .. } => format!("dir {}", path(destination)),
        Operation::Symlink { destination, target } => {
            format!("link {} {}", path(destination), String::from_utf8_lossy(target.as_bytes()))
        }
        Operation::Data { destination, content: Content::Bytes(bytes), .. } => {
            format!("data {} {}", path(destination), String::from_utf8_lossy(bytes))
        }
        other => panic!("{other:?}"),
    }
}

fn home() -> Place {
    Place::Home(String::new())
}

fn below(path: &str) -> Place {
    Place::Home(path.into())
}

fn warnings(notices: &[Notice]) -> usize {
    notices.iter().filter(|notice| matches!(notice, Notice::Warning(_))).count()
}

/// The object behind the bind at a path of the home.
fn bound(world: &World, sandbox: &Sandbox, path: &str) -> u64 {
    let wanted = world.home(path);
    let found = sandbox.request.operations.iter().find_map(|operation| match operation {
        Operation::Bind(bind)
            if Path::new(bind.destination.path.as_c_str().to_str().unwrap()) == wanted =>
        {
            Some(bind.source.0)
        }
        _ => None,
    });
    let index = usize::try_from(found.unwrap()).unwrap();
    rustix::fs::fstat(&sandbox.descriptors()[index]).unwrap().st_ino
}

#[test]
fn r65_without_grants_there_is_the_applications_own_directory() {
    let (lines, notices) = World::new(&[]).run();
    let expected =
        ["dir ~", "dir ~/.local/share/flatpak", "dir ~/.var/app", "rw ~/.var/app/org.a.App"];
    assert_eq!(lines, expected);
    assert_eq!(notices, []);
}

#[test]
fn r65_a_granted_home_shows_neither_other_applications_nor_the_installation() {
    let world = World::new(&[(home(), Access::ReadWrite)]);
    world.scratch.file("home/.var/app/org.a.Other/data/x", "");
    let (lines, notices) = world.run();
    let expected =
        ["rw ~", "tmpfs ~/.local/share/flatpak", "tmpfs ~/.var/app", "rw ~/.var/app/org.a.App"];
    assert_eq!(lines, expected);
    assert_eq!(notices, []);
}

#[test]
fn r68_what_is_hidden_can_be_granted_by_name() {
    let world = World::new(&[(home(), Access::ReadOnly), (below(".var/app"), Access::ReadOnly)]);
    let (lines, _) = world.run();
    assert!(lines.contains(&"ro ~/.var/app".into()), "{lines:?}");
    assert!(!lines.contains(&"tmpfs ~/.var/app".into()), "{lines:?}");
}

#[test]
fn places_that_were_taken_back_are_hidden_in_what_was_granted() {
    let mut world = World::new(&[(home(), Access::ReadWrite)]);
    world.scratch.directory("home/.ssh");
    world.hidden = [below(".ssh"), home()].into();
    let (lines, _) = world.run();
    assert!(lines.contains(&"rw ~".into()), "{lines:?}");
    assert!(lines.contains(&"tmpfs ~/.ssh".into()), "{lines:?}");
}

#[test]
fn r65_r88_directories_of_earlier_names_are_put_in() {
    let mut world = World::new(&[(home(), Access::ReadOnly)]);
    world.scratch.directory("home/.var/app/org.a.Old");
    world.previous = vec![Id::new("org.a.Old").unwrap(), Id::new("org.a.Older").unwrap()];
    let (lines, notices) = world.run();
    assert!(lines.contains(&"link ~/.var/app/org.a.Old org.a.App".into()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("Older")), "{lines:?}");
    assert_eq!(notices, []);
}

#[test]
fn r71_nothing_that_cannot_be_granted_stops_the_application() {
    let world = World::new(&[
        (below("none"), Access::ReadOnly),
        (Place::Path("usr/share".into()), Access::ReadOnly),
        (Place::UserDirectory(UserDirectory::Music, String::new()), Access::ReadOnly),
    ]);
    let (lines, notices) = world.run();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(notices.len(), 3);
    // That something is missing or not configured is nothing to warn of.
    assert_eq!(warnings(&notices), 1);
}

#[test]
fn r70_create_makes_directories_but_asking_does_not() {
    let world = World::new(&[(below("new/deep"), Access::Create)]);
    assert_eq!(world.visible().access(&world.home("new/deep")), FileAccess::Hidden);
    assert!(!world.home("new").exists() && !world.home(".var").exists());
    let (lines, _) = world.run();
    assert!(lines.contains(&"rw ~/new/deep".into()), "{lines:?}");
    assert!(world.home("new/deep").is_dir());
}

#[test]
fn t54_the_runtime_directory_is_granted_in_parts_only() {
    let world = World::new(&[(Place::Runtime("pipewire-0".into()), Access::ReadOnly)]);
    world.scratch.file("run/pipewire-0", "");
    world.scratch.directory("run/.flatpak/org.a.Other");
    let run = world.scratch.join("run");
    let inside = run.strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    symlink(&run, world.home("link")).unwrap();
    let mut hostile = World::new(&[]);
    hostile.scratch = world.scratch;
    hostile.filesystems = [
        (Place::Path(inside.clone()), Access::ReadOnly),
        (Place::Path(format!("{inside}/.flatpak")), Access::ReadOnly),
        (Place::Runtime(".flatpak/org.a.Other".into()), Access::ReadWrite),
        (Place::Runtime("pipewire-0".into()), Access::ReadOnly),
        (below("link"), Access::ReadOnly),
    ]
    .into();
    let (sandbox, notices) = hostile.mounted(Session::default());
    let lines: Vec<_> = sandbox.request.operations.iter().map(line).collect();
    let shown: Vec<_> = lines.iter().filter(|line| line.contains(run.to_str().unwrap())).collect();
    assert_eq!(shown, [&format!("ro {}/pipewire-0", run.display())]);
    assert_eq!(warnings(&notices), 4);
}

#[test]
fn r73_a_symlink_of_the_applications_own_leads_to_nothing_new() {
    let world = World::new(&[
        (below("project"), Access::ReadWrite),
        (below("project/link"), Access::ReadOnly),
        (below(".var/app/org.a.Other/link"), Access::ReadOnly),
    ]);
    world.scratch.directory("home/project");
    world.scratch.directory("home/secret");
    world.scratch.directory("home/.var/app/org.a.Other");
    symlink("../secret", world.home("project/link")).unwrap();
    symlink("../../../secret", world.home(".var/app/org.a.Other/link")).unwrap();
    let (lines, notices) = world.run();
    assert!(lines.contains(&"rw ~/project".into()), "{lines:?}");
    assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
    assert_eq!(warnings(&notices), 2);
    assert_eq!(world.visible().access(&world.home("project/link")), FileAccess::Hidden);
}

#[test]
fn r73_nothing_is_made_where_such_a_symlink_leads() {
    let world = World::new(&[
        (below("project"), Access::ReadWrite),
        (below("project/link/new"), Access::Create),
    ]);
    world.scratch.directory("home/project");
    world.scratch.directory("home/.config");
    symlink("../.config", world.home("project/link")).unwrap();
    world.run();
    assert!(!world.home(".config/new").exists());
}

#[test]
fn r73_a_symlink_to_what_is_granted_anyway_is_followed() {
    let world = World::new(&[
        (home(), Access::ReadWrite),
        (Place::Config("theme".into()), Access::ReadOnly),
    ]);
    world.scratch.directory("home/dotfiles/theme");
    world.scratch.directory("home/.config");
    symlink("../dotfiles/theme", world.home(".config/theme")).unwrap();
    let (lines, notices) = world.run();
    assert!(lines.contains(&"ro ~/.var/app/org.a.App/config/theme".into()), "{lines:?}");
    assert_eq!(warnings(&notices), 0, "{notices:?}");
}

#[test]
fn r67_a_symlink_of_the_users_own_is_followed() {
    let world = World::new(&[(below("Documents"), Access::ReadWrite)]);
    world.scratch.directory("home/disk/docs");
    symlink("disk/docs", world.home("Documents")).unwrap();
    let (lines, notices) = world.run();
    assert!(lines.contains(&"rw ~/disk/docs".into()), "{lines:?}");
    assert!(lines.contains(&"link ~/Documents disk/docs".into()), "{lines:?}");
    assert_eq!(notices, []);
}

#[test]
fn r73_settings_that_the_application_can_write_grant_nothing_new() {
    let world = World::new(&[
        (Place::Config(String::new()), Access::ReadWrite),
        (Place::UserDirectory(UserDirectory::Music, String::new()), Access::ReadOnly),
    ]);
    world.scratch.directory("home/secret");
    world.scratch.file("home/.config/user-dirs.dirs", "XDG_MUSIC_DIR=\"$HOME/secret\"\n");
    let (lines, notices) = world.run();
    assert!(!lines.iter().any(|line| line.contains("secret")), "{lines:?}");
    assert_eq!(warnings(&notices), 1);
}

#[test]
fn r64_what_is_granted_of_the_base_directories_is_seen_in_the_data_directory() {
    let world = World::new(&[
        (Place::Config("app".into()), Access::ReadOnly),
        (Place::Cache("file".into()), Access::ReadWrite),
        (Place::Data("new".into()), Access::Create),
        (Place::Data("none".into()), Access::ReadOnly),
        (Place::Data(String::new()), Access::ReadOnly),
    ]);
    world.scratch.directory("home/.config/app");
    world.scratch.file("home/.cache/file", "");
    let (lines, _) = world.run();
    let redirected: Vec<_> =
        lines.iter().filter(|line| line.contains("org.a.App/")).map(String::as_str).collect();
    let expected = [
        "rw ~/.var/app/org.a.App/cache/file",
        "ro ~/.var/app/org.a.App/config/app",
        "rw ~/.var/app/org.a.App/data/new",
    ];
    assert_eq!(redirected, expected);
    // After the directory that they are in.
    let at = |wanted: &str| lines.iter().position(|line| line == wanted).unwrap();
    assert!(at("rw ~/.var/app/org.a.App") < at(expected[0]));
}

#[test]
fn r90_what_is_kept_lies_below_what_is_granted() {
    let mut world = World::new(&[(below(".app/shared"), Access::ReadOnly)]);
    world.scratch.directory("home/.app/shared");
    world.persist = [String::from(".app"), String::from(".other/deep")].into();
    let (lines, notices) = world.run();
    assert_eq!(lines[..2], ["rw ~/.app", "rw ~/.other/deep"]);
    assert!(lines.contains(&"ro ~/.app/shared".into()), "{lines:?}");
    assert!(world.home(".var/app/org.a.App/.other/deep").is_dir());
    assert_eq!(notices, []);
    // What is bound is the application's, not the user's of the same name.
    let (sandbox, _) = world.mounted(Session::default());
    let kept = fs::metadata(world.home(".var/app/org.a.App/.app")).unwrap().ino();
    assert_eq!(bound(&world, &sandbox, ".app"), kept);
}

#[test]
fn r90_t68_symlinks_in_what_is_kept_are_left_out() {
    let mut world = World::new(&[]);
    let own = world.scratch.directory("home/.var/app/org.a.App");
    symlink(world.scratch.directory("home/.ssh"), own.join("link")).unwrap();
    world.persist = ["link", "link/deep", "fine"].map(String::from).into();
    let (lines, notices) = world.run();
    assert_eq!(lines[0], "rw ~/fine");
    assert!(!lines.iter().any(|line| line.contains("link") || line.contains("ssh")), "{lines:?}");
    assert_eq!(warnings(&notices), 2);
    assert!(!world.home(".ssh/deep").exists());
}

#[test]
fn r64_what_the_application_put_in_the_way_is_left_out() {
    let world = World::new(&[(Place::Config("app".into()), Access::ReadOnly)]);
    world.scratch.directory("home/.config/app");
    let own = world.scratch.directory("home/.var/app/org.a.App");
    symlink("../../../.config", own.join("config")).unwrap();
    let (lines, notices) = world.run();
    assert!(!lines.iter().any(|line| line.contains("org.a.App/config")), "{lines:?}");
    assert_eq!(warnings(&notices), 1);
}

#[test]
fn r90_r105_nothing_is_kept_over_the_runtime() {
    let mut world = World::new(&[]);
    world.persist = ["", "usr/lib", "fine"].map(String::from).into();
    let mut notices = Vec::new();
    let mut sandbox = Sandbox::new();
    world.with(|wanted, caller| {
        let data = DataDirectory::prepare(&id(), &[], caller, &mut notices).unwrap();
        let root = Caller { home: "/".into(), ..caller.clone() };
        let files = collect(wanted, Some(&data), &root, &mut notices).unwrap();
        files.mount(Session::default(), &mut sandbox).unwrap();
    });
    let lines: Vec<_> = sandbox.request.operations.iter().map(line).collect();
    assert!(lines.contains(&"rw /fine".into()), "{lines:?}");
    assert!(!lines.iter().any(|line| line == "rw /" || line.contains("/usr")), "{lines:?}");
}

#[test]
fn r60_with_the_home_nothing_is_kept() {
    for place in [home(), Place::Host] {
        let mut world = World::new(&[(place, Access::ReadOnly)]);
        world.persist = [String::from(".app")].into();
        world.run();
        assert!(!world.home(".var/app/org.a.App/.app").exists());
    }
}

#[test]
fn r92_user_dirs_say_what_was_granted_or_what_the_user_says() {
    let music = Place::UserDirectory(UserDirectory::Music, String::from("pop"));
    for (place, expected) in [
        (music, Some("data ~/.var/app/org.a.App/config/user-dirs.dirs XDG_MUSIC_DIR=\"~/M\"\n")),
        (home(), Some("ro ~/.var/app/org.a.App/config/user-dirs.dirs")),
        (below("M"), None),
    ] {
        let world = World::new(&[(place, Access::ReadOnly)]);
        world.scratch.directory("home/M/pop");
        world.scratch.file("home/.config/user-dirs.dirs", "XDG_MUSIC_DIR=\"$HOME/M\"\n");
        let (lines, _) = world.run();
        let found = lines.iter().find(|line| line.contains("user-dirs")).map(String::as_str);
        assert_eq!(found, expected);
    }
}

#[test]
fn r92_the_users_file_is_not_a_way_to_what_is_hidden() {
    let world = World::new(&[(home(), Access::ReadWrite)]);
    world.scratch.file("home/.var/app/org.a.Other/secret", "");
    world.scratch.directory("home/.config");
    let link = world.home(".config/user-dirs.dirs");
    symlink("../.var/app/org.a.Other/secret", link).unwrap();
    let (lines, _) = world.run();
    assert!(!lines.iter().any(|line| line.contains("user-dirs")), "{lines:?}");
}

#[test]
fn r86_r91_r93_r96_r97_r100_the_session_is_mounted_in_order() {
    let world = World::new(&[(Place::Path("run/user/1000/x".into()), Access::ReadOnly)]);
    let open = |path: &str| open_path(&world.scratch.directory(path)).unwrap();
    let file = world.scratch.file("home/passed", "");
    let passed = PassedObject::new(5, &open_path(&file).unwrap(), false).unwrap();
    let session = Session {
        temporary: Some(open("s/tmp")),
        runtime_directory: Some(open("s/run")),
        meeting_place: Some((id(), open("s/app"))),
        documents: Some(open("s/doc")),
        passed: vec![passed],
    };
    let (sandbox, _) = world.mounted(session);
    let lines: Vec<_> = sandbox.request.operations.iter().map(line).collect();
    let first = [
        "rw /var/cache",
        "rw /var/data",
        "rw /var/config",
        "rw /var/tmp",
        "rw /run/flatpak/app/org.a.App",
        "rw /run/user/1000",
        "rw /tmp",
        "rw /run/flatpak/doc",
    ];
    assert_eq!(lines[..first.len()], first);
    let last = [String::from("tmpfs /tmp/.X11-unix"), format!("ro {}", file.display())];
    assert_eq!(lines[lines.len() - 2..], last);
    assert!(world.scratch.join("s/tmp/.X11-unix").is_dir());
}

#[test]
fn r96_a_granted_tmp_is_the_hosts() {
    let world = World::new(&[(Place::Path("tmp".into()), Access::ReadOnly)]);
    let temporary = Some(open_path(&world.scratch.directory("s/tmp")).unwrap());
    let (sandbox, _) = world.mounted(Session { temporary, ..Session::default() });
    let lines: Vec<_> = sandbox.request.operations.iter().map(line).collect();
    assert!(lines.contains(&"ro /tmp".into()) && !lines.contains(&"rw /tmp".into()), "{lines:?}");
    let covered = lines.contains(&"tmpfs /tmp/.X11-unix".into());
    // Nothing is made in the host's.
    assert_eq!(covered, Path::new(X11_SOCKETS).is_dir());
}

#[test]
fn r243_asking_answers_as_the_sandbox_would_be() {
    let world = World::new(&[(home(), Access::ReadOnly), (below("w"), Access::ReadWrite)]);
    for path in ["home/w", "home/.var/app/org.a.App/data", "home/.var/app/org.a.Other"] {
        world.scratch.directory(path);
    }
    let visible = world.visible();
    let access = |path: &str| visible.access(&world.home(path)).to_string();
    assert_eq!(access(".local"), "read-only");
    assert_eq!(access("w/new"), "read-write");
    assert_eq!(access(".var/app/org.a.App/data"), "read-write");
    assert_eq!(access(".var/app/org.a.Other"), "hidden");
    assert_eq!(visible.access(Path::new("/usr/bin")), FileAccess::Hidden);
}

#[test]
fn the_helper_takes_what_is_mounted() {
    let mut world = World::new(&[
        (Place::Host, Access::ReadWrite),
        (Place::HostRoot, Access::ReadOnly),
        (Place::Config("app".into()), Access::Create),
    ]);
    world.hidden = [below(".local")].into();
    let (mut sandbox, _) = world.mounted(Session::default());
    let payload = &mut sandbox.request.payload;
    payload.programs = vec![Program::new("/bin/sh").unwrap()];
    payload.arguments = vec![Argument::new("sh").unwrap()];
    payload.directories = vec![SandboxPath::root()];
    let count = sandbox.descriptors().len();
    stockade_protocol::check(sandbox.request, count).unwrap();
}

/// A directory that was checked is what is mounted, whatever takes its place while that happens.
#[test]
fn t68_a_directory_that_is_exchanged_meanwhile_is_not_mounted() {
    use rustix::fs::{CWD, RenameFlags};
    use std::sync::atomic::{AtomicBool, Ordering};
    let mut world = World::new(&[
        (below("project"), Access::ReadWrite),
        (below("project/a/deep"), Access::ReadOnly),
    ]);
    world.persist = [String::from("a/deep")].into();
    let secret = world.scratch.directory("home/secret/deep");
    let own = world.scratch.directory("home/.var/app/org.a.App");
    let project = world.scratch.directory("home/project");
    for (directory, target) in [(&own, "../../../secret"), (&project, "../secret")] {
        fs::create_dir_all(directory.join("a/deep")).unwrap();
        symlink(target, directory.join("b")).unwrap();
    }
    let secret = fs::metadata(secret).unwrap().ino();
    let stop = AtomicBool::new(false);
    let (mut leaked, mut kept, mut refused) = (0, 0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for directory in [&own, &project] {
                    let (a, b) = (directory.join("a"), directory.join("b"));
                    rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).ok();
                }
            }
        });
        for _ in 0..300 {
            let (sandbox, notices) = world.mounted(Session::default());
            let inodes = sandbox.descriptors().iter().map(|fd| rustix::fs::fstat(fd).unwrap());
            leaked += inodes.filter(|found| found.st_ino == secret).count();
            match warnings(&notices) {
                0 => kept += 1,
                _ => refused += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(leaked, 0);
    assert!(kept + refused == 300 && refused > 0, "{kept} {refused}");
}
