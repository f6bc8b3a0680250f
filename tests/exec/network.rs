// SPDX-License-Identifier: MIT OR Apache-2.0
//! The network: refused, shared, shared for a few ports.

use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use harness::frontend::{STOCKADE_FAILED, attempts, exec};
use harness::skips::landlock_abi;
use harness::{Case, Fixture, Outcome, case};

pub(crate) const CASES: &[Case] = &[
    case!(the_hosts_services_are_out_of_reach),
    case!(a_shared_network_reaches_them),
    case!(only_allowed_ports_can_be_connected_to),
    case!(only_allowed_ports_can_be_listened_on),
    case!(ports_without_the_network_are_an_error_or_pointless),
    case!(abstract_sockets_of_the_host_are_out_of_reach).entries(&["T73"]),
    case!(unshare_takes_the_network_back).entries(&["T71"]),
];

/// Connects to the listener from inside and tells whether that worked.
fn reaches(fixture: &Fixture, options: &[&str], listener: &TcpListener) -> bool {
    let port = listener.local_addr().expect("its address").port().to_string();
    attempts(fixture, options, &["tcp-connect", &port])["tcp-connect"] == "ok"
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a free port")
}

fn the_hosts_services_are_out_of_reach(fixture: &Fixture) -> Outcome {
    assert!(!reaches(fixture, &[], &listener()));
    Outcome::Passed
}

fn a_shared_network_reaches_them(fixture: &Fixture) -> Outcome {
    assert!(reaches(fixture, &["--share=network"], &listener()));
    Outcome::Passed
}

fn unshare_takes_the_network_back(fixture: &Fixture) -> Outcome {
    assert!(!reaches(fixture, &["--share=network", "--unshare=network"], &listener()));
    Outcome::Passed
}

fn no_tcp_rules() -> Outcome {
    Outcome::Skipped("this kernel's Landlock knows no TCP ports (ABI 4, Linux 6.7)".to_owned())
}

fn only_allowed_ports_can_be_connected_to(fixture: &Fixture) -> Outcome {
    if landlock_abi() < 4 {
        return no_tcp_rules();
    }
    let (allowed, other) = (listener(), listener());
    let port = allowed.local_addr().expect("its address").port();
    let option = format!("--allow-tcp-connect={port}");
    let options = ["--share=network", &*option];
    assert!(reaches(fixture, &options, &allowed));
    assert!(!reaches(fixture, &options, &other));
    Outcome::Passed
}

fn only_allowed_ports_can_be_listened_on(fixture: &Fixture) -> Outcome {
    if landlock_abi() < 4 {
        return no_tcp_rules();
    }
    let free = || listener().local_addr().expect("its address").port().to_string();
    let (allowed, other) = (free(), free());
    let option = format!("--allow-tcp-bind={allowed}");
    for (port, expected) in [(&allowed, true), (&other, false)] {
        let options = ["--share=network", &*option];
        let result = &attempts(fixture, &options, &["tcp-bind", port])["tcp-bind"];
        assert_eq!(result == "ok", expected, "{result}");
    }
    Outcome::Passed
}

fn ports_without_the_network_are_an_error_or_pointless(fixture: &Fixture) -> Outcome {
    let output = exec(fixture).args(["--allow-tcp-connect=80", "--", "true"]).run();
    let refused = output.ending == harness::process::Ending::Exited(STOCKADE_FAILED);
    assert!(refused || !output.errors().is_empty(), "nothing is said: {output:?}");
    for port in ["65536", "-1", "http", ""] {
        let option = format!("--allow-tcp-connect={port}");
        exec(fixture).args(["--share=network", &option, "--", "true"]).run().assert_code(125);
    }
    Outcome::Passed
}

fn abstract_sockets_of_the_host_are_out_of_reach(fixture: &Fixture) -> Outcome {
    let name = format!("stockade-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a socket");
    let reached = |options: &[&str]| {
        attempts(fixture, options, &["abstract-connect", &name])["abstract-connect"] == "ok"
    };
    assert!(!reached(&[]), "through a network namespace of its own");
    if landlock_abi() < 6 {
        return Outcome::Skipped(
            "this kernel's Landlock has no scopes (ABI 6, Linux 6.12)".to_owned(),
        );
    }
    // CVE-2020-15257: the namespace is shared, so Landlock has to do it.
    assert!(!reached(&["--share=network"]), "with the host's network namespace");
    drop(listener);
    Outcome::Passed
}
