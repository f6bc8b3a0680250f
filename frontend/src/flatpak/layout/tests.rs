// SPDX-License-Identifier: MIT OR Apache-2.0
//! A layout from a host, a runtime and a user that lie in a scratch directory.

use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use stockade_protocol::request::Demand;

/// The operations as lines. Host paths are shown below the scratch directory, or as they are.
pub(crate) fn lines(sandbox: &Sandbox, scratch: &Scratch) -> Vec<String> {
    let operations = sandbox.request.operations.iter().enumerate();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line = |(index, operation): (usize, &Operation)| {
        let to = match operation {
            Operation::Directory { destination, .. } | Operation::Symlink { destination, .. } => {
                text(destination.path.as_bytes())
            }
            other => {
                other.mount_point().map(|(to, _)| text(to.path.as_bytes())).unwrap_or_default()
            }
        };
        match operation {
            Operation::Bind(bind) => {
                let source = sandbox.source_of(index).unwrap();
                let source = source.strip_prefix(&scratch.0).unwrap_or(source);
                let access = if bind.access == Access::ReadOnly { "ro" } else { "rw" };
                format!("{access} {to} <- {}", source.display())
            }
            Operation::Symlink { target, .. } => format!("{to} -> {}", text(target.as_bytes())),
            Operation::Directory { mode, .. } => format!("dir {mode:o} {to}"),
            Operation::Data { content: Content::Bytes(bytes), writable: false, .. } => {
                format!("data {to} {:?}", text(bytes))
            }
            Operation::Tmpfs { .. } => format!("tmpfs {to}"),
            Operation::RemountReadOnly { path } => format!("seal {}", text(path.as_bytes())),
            Operation::Proc { protect: true, .. } => format!("proc {to}"),
            Operation::UserNamespace { .. } => format!("userns {to}"),
            other => panic!("{other:?}"),
        }
    };
    operations.map(line).collect()
}

/// A host, a runtime and a user, all in one scratch directory.
struct Place {
    scratch: Scratch,
    caller: Caller,
    session: Option<Session>,
}

impl Place {
    fn new() -> Self {
        Self::with(&[])
    }

    fn with(variables: &[(&str, &str)]) -> Self {
        let scratch = Scratch::new();
        scratch.directory("runtime");
        let caller = caller(&scratch.directory("home"), variables);
        Self { scratch, caller, session: None }
    }

    fn file(&self, path: &str) -> &Self {
        self.scratch.file(path, "");
        self
    }

    fn directory(&self, path: &str) -> &Self {
        self.scratch.directory(path);
        self
    }

    fn link(&self, target: &str, path: &str) -> &Self {
        let path = self.scratch.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
        self
    }

    fn prepared(&self) -> (Vec<String>, Sandbox, Environment, Outcome, Vec<Notice>) {
        self.prepared_without(&[])
    }

    fn prepared_without(
        &self,
        without: &[&str],
    ) -> (Vec<String>, Sandbox, Environment, Outcome, Vec<Notice>) {
        let runtime = Tree::open(&self.scratch.join("runtime")).unwrap();
        let base = Base { runtime, app: None, usr_instead: None, app_instead: None };
        let account = Account::of(&self.caller, 100, &self.scratch.join("host"));
        let host = Host {
            caller: &self.caller,
            account: &account,
            root: &self.scratch.join("host"),
            session: self.session.as_ref(),
        };
        let (mut sandbox, mut notices) = (Sandbox::new(), Vec::new());
        let mut environment = Environment::default();
        environment.set("P11_KIT_SERVER_ADDRESS", "unix:path=/x");
        let outcome =
            prepare(&base, &host, without, &mut sandbox, &mut environment, &mut notices).unwrap();
        (lines(&sandbox, &self.scratch), sandbox, environment, outcome, notices)
    }

    fn lines(&self) -> Vec<String> {
        self.prepared().0
    }

    /// What a build has; `built` if its runtime is a part of what is built.
    fn of_build(&self, built: bool) -> Vec<String> {
        let usr = Tree::open(&self.scratch.join("runtime")).unwrap();
        let root = self.scratch.join("host");
        let account = Account::of(&self.caller, 100, &root);
        let host = Host { caller: &self.caller, account: &account, root: &root, session: None };
        let (mut sandbox, mut environment) = (Sandbox::new(), Environment::default());
        prepare_for_build(&usr, built, &host, &mut sandbox, &mut environment).unwrap();
        lines(&sandbox, &self.scratch)
    }

    /// The lines about a place and what is below it.
    fn about(&self, path: &str) -> Vec<String> {
        let about = |line: &String| {
            let mut words = line.split(' ');
            words.any(|word| word == path || word.starts_with(&format!("{path}/")))
        };
        self.lines().into_iter().filter(about).collect()
    }
}

#[test]
fn r82_r83_the_first_things_of_every_sandbox() {
    let lines = Place::new().lines();
    let expected = [
        "proc /proc",
        "dir 755 /tmp",
        "dir 755 /var/tmp",
        "dir 755 /run/host",
        "dir 700 /run/user/1000",
        "/var/run -> ../run",
        "/var/db/zoneinfo -> /etc/timezone",
        "userns /run/.userns",
    ];
    assert_eq!(lines[..expected.len()], expected);
}

#[test]
fn r84_five_directories_of_sys_and_no_more() {
    let sys = Place::new().about("/sys");
    assert!(!sys.is_empty());
    for line in sys {
        let known = ["block", "bus", "class", "dev", "devices"];
        assert!(known.iter().any(|it| line == format!("ro /sys/{it} <- /sys/{it}")), "{line}");
    }
}

#[test]
fn nothing_of_the_host_is_writable_and_the_helper_takes_it() {
    let place = Place::new();
    place.file("host/etc/hosts").directory("host/usr/share/fonts").directory("home/.fonts");
    let (lines, mut sandbox, ..) = place.prepared();
    assert!(!lines.iter().any(|line| line.starts_with("rw ")), "{lines:?}");
    let program = stockade_protocol::text::Program::new("/bin/sh").unwrap();
    sandbox.request.payload.programs = vec![program];
    sandbox.request.payload.arguments = vec![stockade_protocol::text::Argument::new("sh").unwrap()];
    sandbox.request.payload.directories = vec![stockade_protocol::text::SandboxPath::root()];
    let count = sandbox.descriptors().len();
    stockade_protocol::check(sandbox.request, count).unwrap();
}

#[test]
fn r106_the_runtimes_etc_entry_by_entry() {
    let place = Place::new();
    place.file("runtime/etc/fonts/fonts.conf").file("runtime/etc/ld.so.cache");
    place.link("../usr/share/x", "runtime/etc/linked").link("/home/ann/secret", "runtime/etc/out");
    for name in ["passwd", "group", "machine-id", "hosts", "localtime", "pkcs11/x", "timezone"] {
        place.file(&format!("runtime/etc/{name}"));
    }
    let lines = place.prepared_without(&["ld.so.cache"]).0;
    let from_runtime: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("/etc/linked") || line.contains("runtime/etc"))
        .collect();
    assert_eq!(
        from_runtime,
        ["ro /etc/fonts <- runtime/etc/fonts", "/etc/linked -> ../usr/share/x"]
    );
    // What it says means something inside only.
    assert!(lines.contains(&"/etc/out -> /home/ann/secret".into()));
    let cache = "ro /etc/ld.so.cache <- runtime/etc/ld.so.cache";
    assert!(place.lines().contains(&cache.into()));
}

#[test]
fn r106_a_runtime_whose_etc_leads_elsewhere_is_refused() {
    let place = Place::new();
    place.file("secret/key").file("runtime/settings/file").link("settings", "runtime/etc");
    assert_eq!(place.about("/etc/file"), ["ro /etc/file <- runtime/etc/file"]);
    std::fs::remove_file(place.scratch.join("runtime/etc")).unwrap();
    for target in ["../secret", "/etc", "etc"] {
        place.link(target, "runtime/etc");
        let tree = Tree::open(&place.scratch.join("runtime")).unwrap();
        let account = Account::of(&place.caller, 100, &place.scratch.0);
        let host = Host {
            caller: &place.caller,
            account: &account,
            root: &place.scratch.0,
            session: None,
        };
        let error = etc::prepare(&tree, &host, &[], &mut Sandbox::new()).unwrap_err();
        assert!(error.to_string().contains("runtime/etc"), "{error}");
        std::fs::remove_file(place.scratch.join("runtime/etc")).unwrap();
    }
}

#[test]
fn r107_the_account_is_the_callers() {
    let place = Place::new();
    place.scratch.file("host/etc/passwd", "ann:x:1000:100:Ann:/:/bin/zsh\n");
    let lines = place.about("/etc/passwd");
    let home = place.caller.home.display();
    assert!(lines[0].contains(&format!("ann:x:1000:100:Ann:{home}:/bin/sh")), "{lines:?}");
}

#[test]
fn r108_the_machine_is_the_hosts() {
    let place = Place::new();
    assert_eq!(place.about("/etc/machine-id"), Vec::<String>::new());
    place.file("host/var/lib/dbus/machine-id");
    assert_eq!(
        place.about("/etc/machine-id"),
        ["ro /etc/machine-id <- host/var/lib/dbus/machine-id"]
    );
    place.file("host/etc/machine-id");
    assert_eq!(place.about("/etc/machine-id"), ["ro /etc/machine-id <- host/etc/machine-id"]);
}

#[test]
fn r109_with_the_session_helper_names_follow_the_host() {
    let mut place = Place::new();
    place.file("host/etc/hosts").file("monitor/hosts");
    let monitor = Tree::open(&place.scratch.join("monitor")).unwrap();
    place.session = Some(Session { monitor, pkcs11: None });
    assert_eq!(place.about("/run/host/monitor")[0], "ro /run/host/monitor <- monitor");
    for name in ["resolv.conf", "host.conf", "hosts", "gai.conf"] {
        let expected = format!("/etc/{name} -> /run/host/monitor/{name}");
        assert_eq!(place.about(&format!("/etc/{name}")), [expected]);
    }
}

#[test]
fn r110_r115_without_it_the_files_are_the_hosts_of_now() {
    let place = Place::new();
    place.file("host/etc/hosts").file("host/run/resolv.conf").directory("host/etc/gai.conf");
    place.link("../run/resolv.conf", "host/etc/resolv.conf").link("none", "host/etc/host.conf");
    assert_eq!(place.about("/etc/hosts"), ["ro /etc/hosts <- host/etc/hosts"]);
    assert_eq!(place.about("/etc/resolv.conf"), ["ro /etc/resolv.conf <- host/etc/resolv.conf"]);
    assert_eq!(place.about("/etc/host.conf"), Vec::<String>::new());
    assert_eq!(place.about("/etc/gai.conf"), Vec::<String>::new());
    assert_eq!(place.prepared().1.request.namespaces.uts, Demand::Share);
}

#[test]
fn r111_the_socket_for_certificates_comes_with_its_settings() {
    let mut place = Place::new();
    let socket = place.scratch.join("p11");
    let monitor = Tree::open(&place.scratch.directory("monitor")).unwrap();
    place.session = Some(Session { monitor, pkcs11: Some(socket.clone()) });
    let (lines, _, environment, outcome, _) = place.prepared();
    assert!(!outcome.pkcs11 && environment.get("P11_KIT_SERVER_ADDRESS").is_some());
    // R112.
    assert!(lines.contains(&"data /etc/pkcs11/pkcs11.conf \"user-config: none\\n\"".into()));
    assert!(!lines.iter().any(|line| line.contains("p11-kit")));

    let _listener = UnixListener::bind(&socket).unwrap();
    let (lines, _, environment, outcome, _) = place.prepared();
    assert!(outcome.pkcs11 && environment.get("P11_KIT_SERVER_ADDRESS").is_none());
    assert!(lines.contains(&"ro /run/flatpak/p11-kit/pkcs11 <- p11".into()));
    let module = "data /etc/pkcs11/modules/p11-kit-trust.module \"module: p11-kit-client.so\\n\"";
    assert!(lines.contains(&module.into()), "{lines:?}");
}

#[test]
fn r113_descriptions_of_zones_come_from_the_host_if_both_have_them() {
    let place = Place::new();
    place.link("/usr/share/zoneinfo/Europe/Paris", "host/etc/localtime");
    let paris = "/etc/localtime -> ../usr/share/zoneinfo/Europe/Paris";
    assert_eq!(place.about("/etc/localtime"), Vec::<String>::new());
    assert_eq!(
        place.about("/etc/timezone").last().unwrap(),
        "data /etc/timezone \"Europe/Paris\\n\""
    );
    // The host's alone have no place.
    place.file("host/usr/share/zoneinfo/Europe/Paris");
    assert_eq!(place.about("/etc/localtime"), Vec::<String>::new());
    place.directory("runtime/share/zoneinfo");
    assert_eq!(place.about("/etc/localtime"), [paris]);
    let bind = "ro /usr/share/zoneinfo <- host/usr/share/zoneinfo";
    assert_eq!(place.about("/usr/share/zoneinfo"), [bind]);
    // The runtime's alone do if this one is among them.
    std::fs::remove_dir_all(place.scratch.join("host/usr")).unwrap();
    assert_eq!(place.about("/etc/localtime"), Vec::<String>::new());
    place.file("runtime/share/zoneinfo/Europe/Paris");
    assert_eq!(place.about("/etc/localtime"), [paris]);
    assert_eq!(place.about("/usr/share/zoneinfo"), Vec::<String>::new());
}

#[test]
fn r113_a_runtime_cannot_lead_the_zones_elsewhere() {
    let place = Place::new();
    place.link("/usr/share/zoneinfo/Europe/Paris", "host/etc/localtime");
    place.file("host/usr/share/zoneinfo/Europe/Paris").file("secret/Europe/Paris");
    place.directory("runtime/share").link("../../secret", "runtime/share/zoneinfo");
    assert_eq!(place.about("/usr/share/zoneinfo"), Vec::<String>::new());
    assert_eq!(place.about("/etc/localtime"), Vec::<String>::new());
}

#[test]
fn r113_tzdir_says_where_the_hosts_descriptions_are() {
    let scratch = Scratch::new();
    let zones = scratch.directory("tz");
    let place = Place::with(&[("TZDIR", zones.to_str().unwrap())]);
    place.directory("runtime/share/zoneinfo");
    place.link(zones.join("Asia/Tokyo").to_str().unwrap(), "host/etc/localtime");
    assert_eq!(
        place.about("/etc/localtime"),
        ["/etc/localtime -> ../usr/share/zoneinfo/Asia/Tokyo"]
    );
    let bind = format!("ro /usr/share/zoneinfo <- {}", zones.display());
    assert_eq!(place.about("/usr/share/zoneinfo"), [bind]);
}

#[test]
fn r98_r102_what_the_sandbox_says_of_itself() {
    let place = Place::new();
    place.file("host/usr/lib/os-release");
    let os = "ro /run/host/os-release <- host/usr/lib/os-release";
    assert_eq!(place.about("/run/host/os-release"), [os]);
    place.file("host/etc/os-release");
    let os = "ro /run/host/os-release <- host/etc/os-release";
    assert_eq!(place.about("/run/host/os-release"), [os]);
    let lines = place.lines();
    for line in [
        "data /run/host/container-manager \"flatpak\\n\"",
        "/run/build -> /app/lib/debug/source",
        "/run/build-runtime -> /usr/lib/debug/source",
    ] {
        assert!(lines.contains(&line.into()), "{line} {lines:?}");
    }
}

#[test]
fn r116_fonts_of_the_host_and_the_user() {
    let place = Place::new();
    for path in ["usr/share/fonts", "usr/local/share/fonts", "usr/lib/fontconfig/cache"] {
        place.directory(&format!("host/{path}"));
    }
    place.directory("home/.fonts").directory("home/.cache/fontconfig");
    let fonts = |place: &Place| -> Vec<String> {
        place.lines().into_iter().filter(|line| line.contains("fonts")).collect()
    };
    let home = place.caller.home.display();
    let expected = [
        "ro /run/host/fonts <- host/usr/share/fonts",
        "ro /run/host/local-fonts <- host/usr/local/share/fonts",
        "ro /run/host/fonts-cache <- host/usr/lib/fontconfig/cache",
        "ro /run/host/user-fonts <- home/.fonts",
        "ro /run/host/user-fonts-cache <- home/.cache/fontconfig",
    ];
    let lines = fonts(&place);
    assert_eq!(lines[..5], expected);
    // R117.
    for line in [
        "<remap-dir as-path=\\\"/usr/share/fonts\\\">/run/host/fonts</remap-dir>",
        "<remap-dir as-path=\\\"/usr/local/share/fonts\\\">/run/host/local-fonts</remap-dir>",
        &format!("<remap-dir as-path=\\\"{home}/.fonts\\\">/run/host/user-fonts</remap-dir>"),
    ] {
        assert!(lines[5].contains(line), "{line} {lines:?}");
    }
    assert_eq!(lines[5].matches("<remap-dir").count(), 3);

    place.directory("home/.local/share/fonts").directory("host/var/cache/fontconfig");
    let lines = fonts(&place);
    assert_eq!(lines[2], "ro /run/host/fonts-cache <- host/var/cache/fontconfig");
    assert_eq!(lines[3], "ro /run/host/user-fonts <- home/.local/share/fonts");
}

#[test]
fn r116_missing_caches_are_empty_and_stay_so() {
    let lines = Place::new().lines();
    for path in ["/run/host/fonts-cache", "/run/host/user-fonts-cache"] {
        let at = lines.iter().position(|line| *line == format!("tmpfs {path}")).unwrap();
        assert_eq!(lines[at + 1], format!("seal {path}"));
    }
    assert!(lines.iter().any(|line| line.contains("<fontconfig>\\n</fontconfig>")), "{lines:?}");
}

#[test]
fn r73_symlinks_in_the_users_directories_show_nothing() {
    let place = Place::new();
    place.directory("home/.ssh").directory("home/.local/share").directory("home/.cache");
    place.link("../../.ssh", "home/.local/share/fonts");
    place.link("../../.ssh", "home/.local/share/icons");
    place.link("../.ssh", "home/.cache/fontconfig");
    let (lines, .., notices) = place.prepared();
    assert!(!lines.iter().any(|line| line.contains("user-") && line.starts_with("ro")));
    assert_eq!(notices.len(), 3, "{notices:?}");
}

#[test]
fn r118_icons_of_the_host_and_the_user() {
    let place = Place::new();
    assert!(!place.lines().iter().any(|line| line.contains("icons")));
    place.directory("host/usr/share/icons").directory("home/.local/share/icons");
    let lines = place.lines();
    assert!(lines.contains(&"ro /run/host/share/icons <- host/usr/share/icons".into()));
    assert!(lines.contains(&"ro /run/host/user-share/icons <- home/.local/share/icons".into()));
}

#[test]
fn r263_a_build_has_nothing_of_the_host_that_it_could_depend_on() {
    let place = Place::new();
    place.directory("host/usr/share/fonts").directory("host/usr/share/icons");
    place.file("host/etc/resolv.conf").file("runtime/etc/own");
    place.file("host/usr/share/zoneinfo/Europe/Paris").file("runtime/share/zoneinfo/Europe/Paris");
    place.link("/usr/share/zoneinfo/Europe/Paris", "host/etc/localtime");
    let lines = place.of_build(false);
    let has = |text: &str| lines.iter().any(|line| line.contains(text));
    assert!(has("ro /etc/resolv.conf <- host/etc/resolv.conf"), "{lines:?}");
    assert!(has("/etc/localtime -> ../usr/share/zoneinfo/Europe/Paris"), "{lines:?}");
    assert!(has("ro /etc/own") && has("data /run/host/container-manager"), "{lines:?}");
    for none in ["/run/host/fonts", "icons", "<- host/usr", "/run/build", "remap"] {
        assert!(!has(none), "{none}: {lines:?}");
    }
    assert!(has("data /run/host/font-dirs.xml"), "{lines:?}");
}

#[test]
fn r263_the_etc_of_a_runtime_that_is_built_is_its_own() {
    let place = Place::new();
    place.file("host/etc/resolv.conf").file("runtime/etc/own");
    let lines = place.of_build(true);
    let etc: Vec<_> = lines.iter().filter(|line| line.contains("/etc")).collect();
    assert_eq!(etc, ["/var/db/zoneinfo -> /etc/timezone", "/etc -> usr/etc"]);
}
