// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use crate::filesystem::locate::tests::Scratch;
use std::ffi::OsStr;
use std::io::Read as _;
use std::os::unix::net::UnixListener;

fn described(program: &Path, upstreams: Vec<(Kind, Upstream)>) -> Sandbox {
    describe(program, b"[Application]\n", upstreams).unwrap()
}

fn destinations(sandbox: &Sandbox) -> Vec<(String, Access)> {
    let bound = sandbox.request.operations.iter().filter_map(|operation| match operation {
        Operation::Bind(bind) => Some((
            String::from_utf8(bind.destination.path.as_bytes().to_vec()).unwrap(),
            bind.access,
        )),
        _ => None,
    });
    bound.collect()
}

#[test]
fn r207_the_proxy_has_the_identity_and_little_else() {
    let scratch = Scratch::new();
    let path = scratch.join("bus");
    let _bus = UnixListener::bind(&path).unwrap();
    let upstream = Upstream::open(&Address::at(&path)).unwrap();
    let sandbox = described(Path::new("/usr/bin/true"), vec![(Kind::Session, upstream)]);
    let info = sandbox.request.operations.iter().filter(|operation| match operation {
        Operation::File { destination, .. } | Operation::Data { destination, .. } => {
            destination.path.as_bytes() == b"/.flatpak-info"
        }
        _ => false,
    });
    assert_eq!(info.count(), 2);
    let bound = destinations(&sandbox);
    assert!(bound.contains(&("/run/buses/session".into(), Access::ReadOnly)));
    assert!(bound.iter().all(|(_, access)| *access == Access::ReadOnly));
    for (path, _) in &bound {
        assert!(!path.starts_with("/home") && !path.starts_with("/proc"), "{path}");
    }
    let request = &sandbox.request;
    assert_eq!(
        (request.namespaces.net, request.namespaces.pid),
        (Demand::Required, Demand::Required)
    );
    // R159, T72.
    assert_eq!(request.payload.environment.len(), 2);
    let count = sandbox.descriptors().len();
    stockade_protocol::check(sandbox.request, count).unwrap();
}

#[test]
fn only_a_bus_without_a_file_needs_the_network() {
    let address = Address::parse(OsStr::new("unix:abstract=/tmp/dbus-1,guid=1")).unwrap();
    let upstream = Upstream::open(&address).unwrap();
    assert!(
        matches!(&upstream, Upstream::Address(text) if text == "unix:abstract=/tmp/dbus-1,guid=1")
    );
    let sandbox = described(Path::new("/usr/bin/true"), vec![(Kind::System, upstream)]);
    assert_eq!(sandbox.request.namespaces.net, Demand::Share);
}

#[test]
fn what_is_no_socket_is_no_bus() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    assert_eq!(Upstream::open(&Address::at(&file)).unwrap_err(), Errno::NOTSOCK);
    assert_eq!(Upstream::open(&Address::at(&scratch.join("no"))).unwrap_err(), Errno::NOENT);
}

#[test]
fn a_proxy_from_elsewhere_is_shown_to_itself() {
    let scratch = Scratch::new();
    let program = scratch.file("proxy", "");
    let sandbox = described(&program, Vec::new());
    let path = program.to_str().unwrap().to_owned();
    assert!(destinations(&sandbox).contains(&(path, Access::ReadOnly)));
}

#[test]
fn r203_sockets_have_names_of_their_own() {
    let names = [0; 8].map(|_| socket_name(Kind::Accessibility).unwrap());
    let random = names.each_ref().map(|name| name.strip_prefix("a11y-bus-proxy-").unwrap());
    assert!(random.iter().all(|end| end.len() == 6));
    assert!(random.iter().any(|end| *end != random[0]));
}

#[test]
fn r206_options_travel_whole_however_many_there_are() {
    let options: Vec<OsString> = (0..8000).map(|n| format!("--talk=org.a.B{n}").into()).collect();
    let mut text = String::new();
    std::fs::File::from(pipe_of(&options).unwrap()).read_to_string(&mut text).unwrap();
    assert!(text.len() > PIPE && text.ends_with('\0'));
    assert!(text.split_terminator('\0').eq(options.iter().map(|it| it.to_str().unwrap())));
}
