// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use crate::caller::tests::caller;
use crate::environment::Environment;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::context::bus::BusPolicies;
use crate::sandbox::Sandbox;
use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use stockade_protocol::request::Operation;

/// What [`prepare`] does for this caller.
struct Wired {
    supplied: Result<Option<Pending>, SupplyError>,
    environment: Environment,
    notices: Vec<Notice>,
    members: BTreeSet<String>,
    bound: Vec<String>,
}

impl Wired {
    fn variable(&self, kind: Kind) -> Option<&str> {
        self.environment.get(kind.variable()).and_then(OsStr::to_str)
    }
}

fn wired(wanted: Wanted, caller: &Caller) -> Wired {
    let (mut sandbox, mut notices) = (Sandbox::new(), Vec::new());
    let mut environment = Environment::default();
    let mut members = BTreeSet::new();
    let mut wiring = Wiring {
        caller,
        sandbox: &mut sandbox,
        environment: &mut environment,
        notices: &mut notices,
        temporary_is_shared: false,
        directory: Path::new("/run/flatpak"),
        members: &mut members,
    };
    let supplied = prepare(wanted, &mut wiring);
    let points = sandbox.request.operations.iter().filter_map(Operation::mount_point);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let bound = points.map(|(place, _)| text(place.path.as_bytes())).collect();
    Wired { supplied, environment, notices, members, bound }
}

fn filtered(kinds: &[Kind]) -> Wanted {
    let filter = Filter::system(&BusPolicies::default());
    let supply = |kind: &Kind| (*kind, Supply::Filtered(filter.clone()));
    Wanted { supplies: kinds.iter().map(supply).collect(), ..Wanted::default() }
}

fn whole(kind: Kind) -> Wanted {
    Wanted { supplies: [(kind, Supply::Whole)].into(), ..Wanted::default() }
}

/// A bus at a path, and a program that could be the proxy.
fn session(scratch: &Scratch) -> (UnixListener, String, String) {
    let path = scratch.join("socket");
    let address = format!("unix:path={}", path.display());
    (UnixListener::bind(&path).unwrap(), address, "/bin/true".to_owned())
}

#[test]
fn r202_a_whole_bus_is_its_socket() {
    let scratch = Scratch::new();
    let (_bus, address, _) = session(&scratch);
    let caller = caller(&scratch.0, &[(Kind::Session.variable(), &address)]);
    let wired = wired(whole(Kind::Session), &caller);
    assert_eq!(wired.bound, ["/run/flatpak/bus"]);
    assert_eq!(wired.variable(Kind::Session), Some("unix:path=/run/flatpak/bus"));
    assert_eq!(wired.members, ["bus".to_owned()].into());
    assert!(wired.supplied.unwrap().is_none());
}

#[test]
fn r202_a_whole_bus_without_a_file_comes_from_the_proxy() {
    let scratch = Scratch::new();
    let variables =
        [(Kind::System.variable(), "unix:abstract=/x"), (program::VARIABLE, "/bin/true")];
    let wired = wired(whole(Kind::System), &caller(&scratch.0, &variables));
    let pending = wired.supplied.unwrap().unwrap();
    assert_eq!(pending.proxied[0].filter, Filter::nothing());
    assert_eq!(pending.proxied[0].place, Path::new(SYSTEM));
}

#[test]
fn r203_a_filtered_bus_waits_for_the_proxy() {
    let scratch = Scratch::new();
    let (_bus, address, program) = session(&scratch);
    let variables = [(Kind::Session.variable(), address.as_str()), (program::VARIABLE, &program)];
    let wired = wired(filtered(&[Kind::Session]), &caller(&scratch.0, &variables));
    assert_eq!(wired.bound, [""; 0]);
    assert_eq!(wired.variable(Kind::Session), Some("unix:path=/run/flatpak/bus"));
    let pending = wired.supplied.unwrap().unwrap();
    assert_eq!(pending.program.path(), Path::new("/bin/true"));
    // Nobody wants to know its version.
    assert!(pending.question.is_none());
}

#[test]
fn r205_the_bus_of_the_runtime_directory_is_the_users_own() {
    let scratch = Scratch::new();
    let _bus = UnixListener::bind(scratch.join("bus")).unwrap();
    let runtime = scratch.0.to_str().unwrap();
    let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", runtime)]);
    let uid = rustix::process::getuid().as_raw();
    let own = Caller { uid, ..caller.clone() };
    let foreign = Caller { uid: uid + 1, ..caller };
    assert!(wired(whole(Kind::Session), &own).variable(Kind::Session).is_some());
    assert!(wired(whole(Kind::Session), &foreign).variable(Kind::Session).is_none());
}

#[test]
fn a_bus_that_is_not_there_is_left_out() {
    let scratch = Scratch::new();
    for address in ["unix:path=/no/such/socket", "tcp:host=x", "unix:path=/etc/passwd"] {
        let variables = [(Kind::Session.variable(), address), (program::VARIABLE, "/no")];
        for wanted in [filtered(&[Kind::Session]), whole(Kind::Session)] {
            let wired = wired(Wanted { asked: true, ..wanted }, &caller(&scratch.0, &variables));
            assert_eq!(wired.variable(Kind::Session), None);
            assert!(wired.supplied.unwrap().is_none());
            assert!(matches!(wired.notices.as_slice(), [Notice::Detail(_)]), "{address}");
        }
    }
}

#[test]
fn r206_without_a_proxy_there_is_no_bus_or_no_application() {
    let scratch = Scratch::new();
    let (_bus, address, _) = session(&scratch);
    let variables = [(Kind::Session.variable(), address.as_str()), (program::VARIABLE, "/no")];
    let caller = caller(&scratch.0, &variables);
    let wanted = filtered(&[Kind::Session]);
    let found = wired(wanted.clone(), &caller);
    assert_eq!(found.variable(Kind::Session), None);
    assert!(found.supplied.unwrap().is_none());
    let [Notice::Warning(text)] = found.notices.as_slice() else { panic!() };
    assert!(text.contains("xdg-dbus-proxy") && text.contains("portals"), "{text}");
    let error = wired(Wanted { asked: true, ..wanted }, &caller).supplied.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("xdg-dbus-proxy") && text.lines().count() == 3, "{text}");
}
