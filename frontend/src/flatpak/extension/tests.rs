// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::installation::Owner;
use crate::sandbox::open_path;
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;
use stockade_protocol::request::{Content, Operation};

/// An installation in a scratch directory. The commit of everything in it is its branch.
struct Installed {
    scratch: Scratch,
    installation: Installation,
}

impl Installed {
    fn new() -> Self {
        let scratch = Scratch::new();
        let path = scratch.directory("flatpak");
        let installation = Installation { owner: Owner::User, path, display_name: None };
        Self { scratch, installation }
    }

    /// Deploys `KIND/ID/x/BRANCH` with these files and metadata.
    fn deploy(&self, name: &str, files: &[&str], metadata: &str) {
        for file in files {
            self.scratch.file(&format!("flatpak/{name}/files/{file}"), "");
        }
        self.scratch.directory(&format!("flatpak/{name}/files"));
        self.scratch.file(&format!("flatpak/{name}/metadata"), metadata);
    }

    fn get(&self, name: &str) -> Deploy {
        let name = Reference::parse(name).unwrap();
        self.open(&name).unwrap().unwrap()
    }

    /// The extensions of `name`, mounted at `prefix`.
    fn find(&self, name: &str, prefix: &str) -> (Extensions, Vec<String>) {
        self.find_in(name, prefix, false)
    }

    /// The same where `name` may be mounted for writing.
    fn find_in(&self, name: &str, prefix: &str, is_writable: bool) -> (Extensions, Vec<String>) {
        let deploy = self.get(name);
        let files = open_path(&deploy.path.join("files")).unwrap();
        let Deploy { reference, metadata, .. } = &deploy;
        let prefix = Path::new(prefix);
        let files = files.as_fd();
        let parent = Parent { reference, metadata, files, prefix, is_writable };
        let caller = caller(Path::new("/home/a"), &[]);
        let circumstances = Circumstances::new(&caller, &self.scratch.0);
        let mut notices = Vec::new();
        let found = Extensions::find(parent, self, &circumstances, &mut notices);
        let text = |notice: &Notice| match notice {
            Notice::Warning(text) | Notice::Detail(text) => text.clone(),
        };
        (found, notices.iter().map(text).collect())
    }
}

impl Shelf for Installed {
    fn installations(&self) -> Vec<&Installation> {
        vec![&self.installation]
    }

    fn open(&self, name: &Reference) -> Result<Option<Deploy>, Box<dyn Error + Send + Sync>> {
        let path = self.installation.path.join(name.to_string());
        if !path.exists() {
            return Ok(None);
        }
        Ok(Some(Deploy {
            reference: name.clone(),
            commit: name.branch.to_string(),
            installation: self.installation.clone(),
            directory: open_path(&path)?,
            metadata: KeyFile::parse(&std::fs::read(path.join("metadata"))?)?,
            path,
        }))
    }

    fn names(&self, prefix: &str, kind: Kind, arch: &Arch, branch: &Branch) -> Vec<Id> {
        let Ok(entries) = std::fs::read_dir(self.installation.path.join(kind.word())) else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter(|entry| entry.path().join(arch.as_str()).join(branch.as_str()).exists())
            .filter_map(|entry| Id::new(entry.file_name()).ok())
            .filter(|id| id.as_str().starts_with(prefix))
            .collect()
    }
}

fn operations(found: &Extensions) -> Vec<String> {
    let mut sandbox = Sandbox::new();
    found.mount(&mut sandbox).unwrap();
    described(&sandbox)
}

fn described(sandbox: &Sandbox) -> Vec<String> {
    let path = |place: &stockade_protocol::request::Destination| {
        place.path.as_c_str().to_str().unwrap().to_owned()
    };
    let describe = |(index, operation): (usize, &Operation)| {
        if let Operation::Bind(bind) = operation {
            assert_eq!(bind.access, Access::ReadOnly);
            let source = sandbox.source_of(index).unwrap().to_str().unwrap();
            let (_, source) = source.split_once("/flatpak/").unwrap();
            return format!("bind {} < {source}", path(&bind.destination));
        }
        if let Operation::Tmpfs { destination, .. } = operation {
            return format!("tmpfs {}", path(destination));
        }
        if let Operation::Symlink { destination, target } = operation {
            let target = String::from_utf8(target.as_bytes().to_vec()).unwrap();
            return format!("link {} > {target}", path(destination));
        }
        if let Operation::Data { destination, content: Content::Bytes(bytes), .. } = operation {
            return format!("file {} {}", path(destination), String::from_utf8_lossy(bytes));
        }
        panic!("{operation:?}");
    };
    sandbox.request.operations.iter().enumerate().map(describe).collect()
}

fn locks(found: &Extensions) -> Vec<String> {
    let mut sandbox = Sandbox::new();
    found.mount(&mut sandbox).unwrap();
    let text =
        |path: &stockade_protocol::text::SandboxPath| path.as_c_str().to_str().unwrap().to_owned();
    sandbox.request.supervision.locks.iter().map(text).collect()
}

const DRIVERS: &str = "[Runtime]\nname=a.P\n\
    [Extension a.P.GL]\nversions=2;1\ndirectory=lib/GL\nsubdirectories=true\nadd-ld-path=lib\n\
    merge-dirs=vulkan/icd.d;glvnd\nenable-if=active-gl-driver\n\
    [Extension a.P.Locale]\ndirectory=share/locale\n\
    [Extension a.P.Missing]\ndirectory=lib/missing\n";

#[test]
fn r216_r218_extensions_appear_in_order_of_their_places() {
    let installed = Installed::new();
    let runtime = "runtime/a.b.P/x/9";
    let metadata = DRIVERS.replace("a.P", "a.b.P");
    installed.deploy(runtime, &["lib/GL/own", "share/locale/own", ".ref"], &metadata);
    installed.deploy("runtime/a.b.P.Locale/x/9", &[".ref"], "");
    installed.deploy("runtime/a.b.P.GL.default/x/2", &["lib/l", "vulkan/icd.d/one.json"], "");
    installed.deploy("runtime/a.b.P.GL.host/x/1", &["vulkan/icd.d/two.json", ".ref"], "");
    installed.deploy("runtime/a.b.P.GL.other/x/1", &[], "");
    let (found, notices) = installed.find(runtime, "/usr");
    assert_eq!(notices, [""; 0]);
    assert_eq!(
        operations(&found),
        [
            "tmpfs /usr/lib/GL",
            "bind /usr/lib/GL/default < runtime/a.b.P.GL.default/x/2/files",
            "bind /usr/lib/GL/host < runtime/a.b.P.GL.host/x/1/files",
            "bind /usr/share/locale < runtime/a.b.P.Locale/x/9/files",
            "link /usr/lib/GL/vulkan/icd.d/one.json > /usr/lib/GL/default/vulkan/icd.d/one.json",
            "link /usr/lib/GL/vulkan/icd.d/two.json > /usr/lib/GL/host/vulkan/icd.d/two.json",
        ]
    );
    assert_eq!(locks(&found), ["/usr/lib/GL/host/.ref", "/usr/share/locale/.ref"]);
    let directories = ["/usr/lib/GL/default/lib", "/usr/lib/GL/host/lib"].map(PathBuf::from);
    assert_eq!(found.library_directories(), directories);
    let info = "a.b.P.GL.default=2;a.b.P.GL.host=1;a.b.P.Locale=9";
    assert_eq!(found.info().as_deref(), Some(info));
}

#[test]
fn r219_r220_r222_priority_decides_what_comes_first() {
    // Priority of three extensions, a number or nothing; the order that follows.
    let cases = [
        ([None, None, None], ["one", "three", "two"]),
        ([Some("1"), Some("2"), Some("3")], ["three", "two", "one"]),
        ([Some("-1"), None, Some("-1")], ["two", "one", "three"]),
        ([Some("999"), Some("2000"), None], ["two", "one", "three"]),
    ];
    for (priorities, order) in cases {
        let installed = Installed::new();
        let point = "[Extension a.b.E]\ndirectory=e\nsubdirectories=true\nadd-ld-path=lib\n";
        installed.deploy("app/a.b.A/x/1", &["e/own"], point);
        for (name, priority) in ["one", "two", "three"].iter().zip(priorities) {
            let metadata = priority.map(|text| format!("[ExtensionOf]\npriority={text}\n"));
            let name = format!("runtime/a.b.E.{name}/x/1");
            installed.deploy(&name, &[], &metadata.unwrap_or_default());
        }
        let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
        assert_eq!(notices, [""; 0]);
        let info = order.map(|name| format!("a.b.E.{name}=1")).join(";");
        assert_eq!(found.info(), Some(info), "{priorities:?}");
        let mut sandbox = Sandbox::new();
        found.configure(&mut sandbox).unwrap();
        let file = |(name, number): (&str, u32)| {
            let directory = "/run/flatpak/ld.so.conf.d";
            format!("file {directory}/app-00{number}-a.b.E.{name}.conf /app/e/{name}/lib\n")
        };
        let files: Vec<_> = order.into_iter().zip(1..).map(file).collect();
        assert_eq!(described(&sandbox), files, "{priorities:?}");
    }
}

#[test]
fn r216_r219_unmaintained_directories_come_first() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.One]\ndirectory=one\n\
        [Extension a.b.Two]\ndirectory=two\nsubdirectories=true\n";
    installed.deploy("app/a.b.A/x/1", &["one/own", "two/own"], metadata);
    installed.deploy("runtime/a.b.One/x/1", &[], "[ExtensionOf]\npriority=999\n");
    installed.deploy("runtime/a.b.Two.a/x/1", &[], "[ExtensionOf]\npriority=5\n");
    installed.deploy("runtime/a.b.Two.b/x/1", &[], "[ExtensionOf]\npriority=1001\n");
    installed.scratch.directory("flatpak/extension/a.b.Two.a/x/1");
    let elsewhere = installed.scratch.directory("elsewhere/flatpak/here");
    let link = installed.scratch.directory("flatpak/extension/a.b.One/x").join("1");
    symlink(elsewhere, link).unwrap();
    let (found, _) = installed.find("app/a.b.A/x/1", "/app");
    let info = "a.b.Two.b=1;a.b.One=local;a.b.Two.a=local";
    assert_eq!(found.info().as_deref(), Some(info));
    assert_eq!(
        operations(&found),
        [
            "bind /app/one < extension/a.b.One/x/1",
            "tmpfs /app/two",
            "bind /app/two/a < extension/a.b.Two.a/x/1",
            "bind /app/two/b < runtime/a.b.Two.b/x/1/files",
        ]
    );
}

#[test]
fn r215_architecture_and_branch_are_the_parents() {
    let installed = Installed::new();
    installed.deploy("app/a.b.A/x/7", &["e/own"], "[Extension a.b.E@tag]\ndirectory=e\n");
    installed.deploy("runtime/a.b.E/y/7", &[], "");
    installed.deploy("runtime/a.b.E/x/1", &[], "");
    assert_eq!(installed.find("app/a.b.A/x/7", "/app").0.info(), None);
    installed.deploy("runtime/a.b.E/x/7", &[], "");
    let (found, _) = installed.find("app/a.b.A/x/7", "/run/parent/app");
    assert_eq!(found.info().as_deref(), Some("a.b.E=7"));
    // R103: somewhere else if something else stands at /app.
    assert_eq!(operations(&found), ["bind /run/parent/app/e < runtime/a.b.E/x/7/files"]);
}

#[test]
fn r218_suffixes_are_appended_to_mount_points() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.T]\ndirectory=themes\nsubdirectories=true\n\
        subdirectory-suffix=gtk-3.0\nadd-ld-path=.\nmerge-dirs=m\n\
        [Extension a.b.S]\ndirectory=s\nsubdirectory-suffix=deep/er\n";
    installed.deploy("app/a.b.A/x/1", &["themes/own", "s/deep/er/own"], metadata);
    installed.deploy("runtime/a.b.T.Dark/x/1", &["m/file"], "");
    installed.deploy("runtime/a.b.S/x/1", &[".ref"], "");
    let (found, _) = installed.find("app/a.b.A/x/1", "/app");
    assert_eq!(
        operations(&found),
        [
            "bind /app/s/deep/er < runtime/a.b.S/x/1/files",
            "tmpfs /app/themes",
            "bind /app/themes/Dark/gtk-3.0 < runtime/a.b.T.Dark/x/1/files",
            // R221: without the suffix.
            "link /app/themes/m/file > /app/themes/Dark/m/file",
        ]
    );
    assert_eq!(found.library_directories(), [PathBuf::from("/app/themes/Dark/gtk-3.0")]);
    assert_eq!(locks(&found), ["/app/s/deep/er/.ref"]);
}

#[test]
fn r221_the_more_important_extension_provides_an_entry() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.E]\ndirectory=e\nsubdirectories=true\nmerge-dirs=d;d/sub;.\n";
    installed.deploy("app/a.b.A/x/1", &["e/own"], metadata);
    installed.deploy("runtime/a.b.E.low/x/1", &["d/same", "d/low", "d/sub/x"], "");
    let high = "[ExtensionOf]\npriority=1\n";
    installed.deploy("runtime/a.b.E.top/x/1", &["d/same", "d/sub/y", "low/file"], high);
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    let links: Vec<_> = operations(&found).split_off(3);
    // `low` is a mount and `d/sub` a link: neither is covered, and nothing is made through them.
    let expected = [
        "link /app/e/d/same > /app/e/top/d/same",
        "link /app/e/d/sub > /app/e/top/d/sub",
        "link /app/e/d/low > /app/e/low/d/low",
    ];
    assert_eq!(links, expected);
    assert_eq!(notices, [""; 0]);
}

#[test]
fn r221_nothing_is_merged_into_files_that_are_read_only() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.E]\ndirectory=lib/e\nmerge-dirs=d\n";
    installed.deploy("app/a.b.A/x/1", &["lib/e/own"], metadata);
    installed.deploy("runtime/a.b.E/x/1", &["d/file"], "");
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    assert_eq!(operations(&found), ["bind /app/lib/e < runtime/a.b.E/x/1/files"]);
    assert_eq!(notices.len(), 1);
    assert!(notices[0].contains("/app/lib/d"), "{notices:?}");
}

#[test]
fn r263_where_an_application_is_built_a_missing_mount_point_can_be_made() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.E]\ndirectory=new/e\nmerge-dirs=d\n\
        [Extension a.b.F]\ndirectory=link/f\n";
    installed.deploy("app/a.b.A/x/1", &["own"], metadata);
    installed.deploy("runtime/a.b.E/x/1", &["d/file"], "");
    installed.deploy("runtime/a.b.F/x/1", &["file"], "");
    symlink("/etc", installed.scratch.join("flatpak/app/a.b.A/x/1/files/link")).unwrap();
    let (found, notices) = installed.find_in("app/a.b.A/x/1", "/app", true);
    assert_eq!(operations(&found), ["bind /app/new/e < runtime/a.b.E/x/1/files"]);
    // What the extension merges would stay in what is built.
    assert_eq!(notices.len(), 2, "{notices:?}");
    let (found, _) = installed.find("app/a.b.A/x/1", "/app");
    assert_eq!(operations(&found), [""; 0]);
}

#[test]
fn r223_links_of_an_extension_are_not_followed_out_of_it() {
    let installed = Installed::new();
    installed.scratch.file("secret/file", "");
    installed.scratch.file("secret/.ref", "");
    let metadata = "[Extension a.b.E]\ndirectory=e\nsubdirectories=true\nmerge-dirs=up;root;in\n";
    installed.deploy("app/a.b.A/x/1", &["e/own"], metadata);
    installed.deploy("runtime/a.b.E.x/x/1", &["real/file"], "");
    let files = installed.scratch.join("flatpak/runtime/a.b.E.x/x/1/files");
    symlink("../../../../../../secret", files.join("up")).unwrap();
    symlink(installed.scratch.join("secret"), files.join("root")).unwrap();
    symlink(installed.scratch.join("secret/.ref"), files.join(".ref")).unwrap();
    symlink("real", files.join("in")).unwrap();
    assert!(files.join("up/file").exists());
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    let links: Vec<_> = operations(&found).split_off(2);
    assert_eq!(links, ["link /app/e/in/file > /app/e/x/in/file"]);
    assert_eq!(notices.len(), 2);
    assert_eq!(locks(&found), [""; 0]);
}

#[test]
fn r223_files_that_are_a_link_are_no_extension() {
    let installed = Installed::new();
    installed.deploy("app/a.b.A/x/1", &["e/own"], "[Extension a.b.E]\ndirectory=e\n");
    installed.scratch.file("flatpak/runtime/a.b.E/x/1/metadata", "");
    let files = installed.scratch.join("flatpak/runtime/a.b.E/x/1/files");
    symlink(installed.scratch.directory("secret"), files).unwrap();
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    assert_eq!((found.info(), notices.len()), (None, 1));
}

#[test]
fn t69_nothing_is_mounted_through_links_of_application_or_extension() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.Base]\ndirectory=base\n\
        [Extension a.b.In]\ndirectory=base/inner\n\
        [Extension a.b.Through]\ndirectory=base/link\n\
        [Extension a.b.Link]\ndirectory=link/x\nsubdirectories=true\n\
        [Extension a.b.None]\ndirectory=none\n\
        [Extension a.b.File]\ndirectory=file\n";
    installed.deploy("app/a.b.A/x/1", &["base/own", "real/x/own", "file"], metadata);
    symlink("real", installed.scratch.join("flatpak/app/a.b.A/x/1/files/link")).unwrap();
    installed.deploy("runtime/a.b.Base/x/1", &["inner/own"], "");
    symlink("/", installed.scratch.join("flatpak/runtime/a.b.Base/x/1/files/link")).unwrap();
    for name in ["In", "Through", "Link.y", "None", "File"] {
        installed.deploy(&format!("runtime/a.b.{name}/x/1"), &[], "");
    }
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    let expected = [
        "bind /app/base < runtime/a.b.Base/x/1/files",
        "bind /app/base/inner < runtime/a.b.In/x/1/files",
    ];
    assert_eq!(operations(&found), expected);
    assert_eq!(found.info().as_deref(), Some("a.b.Base=1;a.b.In=1"));
    let told =
        ["a.b.Through at /app/base/link", "a.b.Link.y at /app/link/x/y", "a.b.None", "a.b.File"];
    assert_eq!(notices.len(), told.len());
    for name in told {
        assert!(notices.iter().any(|notice| notice.contains(name)), "{name}: {notices:?}");
    }
}

#[test]
fn r8_what_is_covered_is_not_locked() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.E]\nversions=1;2\ndirectory=e\n";
    installed.deploy("app/a.b.A/x/1", &["e/own"], metadata);
    installed.deploy("runtime/a.b.E/x/1", &[".ref"], "");
    installed.deploy("runtime/a.b.E/x/2", &[], "");
    // The second one covers the first one and has nothing to lock.
    assert_eq!(locks(&installed.find("app/a.b.A/x/1", "/app").0), [""; 0]);
    installed.scratch.file("flatpak/runtime/a.b.E/x/2/files/.ref", "");
    assert_eq!(locks(&installed.find("app/a.b.A/x/1", "/app").0), ["/app/e/.ref"]);
}

#[test]
fn r217_extensions_whose_conditions_do_not_hold_are_left_out_quietly() {
    let installed = Installed::new();
    let metadata = "[Extension a.b.E]\ndirectory=e\nsubdirectories=true\nenable-if=unknown\n";
    installed.deploy("app/a.b.A/x/1", &["e/own"], metadata);
    installed.deploy("runtime/a.b.E.x/x/1", &[], "");
    let (found, notices) = installed.find("app/a.b.A/x/1", "/app");
    assert_eq!((found.info(), notices.len()), (None, 0));
    // One of the name itself is found, and nothing is looked for below it.
    installed.deploy("runtime/a.b.E/x/1", &[], "");
    assert_eq!(installed.find("app/a.b.A/x/1", "/app").0.info(), None);
}

#[test]
fn the_sandbox_with_extensions_follows_the_rules() {
    let installed = Installed::new();
    let runtime = "runtime/a.b.P/x/9";
    installed.deploy(runtime, &["lib/GL/own"], &DRIVERS.replace("a.P", "a.b.P"));
    installed.deploy("runtime/a.b.P.GL.default/x/1", &[".ref", "vulkan/icd.d/\n"], "");
    let (found, _) = installed.find(runtime, "/usr");
    let mut sandbox = Sandbox::new();
    // The same extensions go into two sandboxes: the one that makes the cache, and the real one.
    found.mount(&mut sandbox).unwrap();
    found.mount(&mut Sandbox::new()).unwrap();
    found.configure(&mut sandbox).unwrap();
    sandbox.request.payload.programs =
        vec![stockade_protocol::text::Program::new("/bin/true").unwrap()];
    sandbox.request.payload.arguments =
        vec![stockade_protocol::text::Argument::new("true").unwrap()];
    sandbox.request.payload.directories = vec![sandbox_path(Path::new("/")).unwrap()];
    let count = sandbox.descriptors().len();
    stockade_protocol::check(sandbox.request, count).unwrap();
}
