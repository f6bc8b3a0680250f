// SPDX-License-Identifier: MIT OR Apache-2.0
//! Anything but the frontend's socket as descriptor 3 (T06).

use std::fs::{self, File};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use harness::launch::Launch;
use harness::process::Ending;
use harness::raw::{self, RawHelper};
use harness::spec::{Spec, open_path, open_read};
use harness::{Case, Fixture, Outcome, case};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket, socketpair};

pub(crate) const CASES: &[Case] = &[
    case!(nothing_as_channel_is_refused).entries(&["T06", "T19"]),
    case!(other_objects_as_channel_are_refused).entries(&["T06"]),
    case!(nothing_is_written_to_a_wrong_channel).entries(&["T06"]),
    case!(nothing_is_written_to_odd_standard_descriptors).entries(&["T06"]),
    case!(a_socket_without_a_peer_ends_the_helper),
    case!(a_silent_caller_who_hangs_up_ends_the_helper).entries(&["T24"]),
    case!(a_caller_who_hangs_up_after_the_request_leaves_nothing).entries(&["T24", "T79"]),
];

/// Asserts that the helper went at once, by itself, with an error, without a word.
#[track_caller]
fn assert_refused(launch: Launch, what: &str) {
    let output = launch.run();
    assert!(matches!(output.ending, Ending::Exited(code) if code != 0), "{what}: {output:?}");
    assert_eq!((output.text(), output.errors()), Default::default(), "{what}");
}

fn nothing_as_channel_is_refused(fixture: &Fixture) -> Outcome {
    assert_refused(raw::helper(fixture), "closed");
    // With the standard descriptors closed as well, no number may come to stand for the channel.
    for closed in 1..8 {
        let mut launch = raw::helper(fixture);
        for number in (0..3).filter(|number| closed & (1 << number) != 0) {
            launch = launch.close(number);
        }
        assert_refused(launch, "everything closed");
    }
    Outcome::Passed
}

fn netlink() -> OwnedFd {
    let route = SockProtocol::NetlinkRoute;
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, route)
        .expect("anybody may have a netlink socket")
}

fn other_objects_as_channel_are_refused(fixture: &Fixture) -> Outcome {
    let pair =
        |kind| socketpair(AddressFamily::Unix, kind, None, SockFlag::empty()).expect("a pair");
    let (seqpacket, _peer) = pair(SockType::SeqPacket);
    let listener = UnixListener::bind(fixture.scratch.join("listener")).expect("a socket");
    let unconnected = UnixDatagram::unbound().expect("a socket");
    let stream = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None);
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let client = TcpStream::connect(tcp.local_addr().expect("its address")).expect("a connection");
    let datagram = UnixDatagram::pair().expect("a pair");
    let objects: Vec<(&str, OwnedFd)> = vec![
        ("pipe", nix::unistd::pipe().expect("a pipe").0),
        ("netlink socket", netlink()),
        ("file", open_read("/etc/passwd")),
        ("directory", open_read("/")),
        ("O_PATH descriptor", open_path("/etc/passwd")),
        ("device", open_read("/dev/zero")),
        ("namespace", open_read("/proc/self/ns/mnt")),
        ("file of /proc", open_read("/proc/self/status")),
        ("datagram socket", datagram.0.into()),
        ("unconnected datagram socket", unconnected.into()),
        ("seqpacket socket", seqpacket),
        ("listening socket", listener.into()),
        ("unconnected stream socket", stream.expect("a socket")),
        ("tcp socket", client.into()),
        ("tcp listener", tcp.into()),
    ];
    for (what, fd) in objects {
        assert_refused(raw::helper(fixture).descriptor(raw::SOCKET, fd), what);
    }
    Outcome::Passed
}

fn nothing_is_written_to_a_wrong_channel(fixture: &Fixture) -> Outcome {
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    assert_refused(raw::helper(fixture).descriptor(raw::SOCKET, writer), "pipe");
    assert!(raw::is_silent(&mut File::from(reader)), "written to the pipe");

    let file = fixture.file("channel", "as it was");
    let open = File::options().read(true).write(true).open(&file).expect("own file");
    assert_refused(raw::helper(fixture).descriptor(raw::SOCKET, open.into()), "file");
    assert_eq!(fs::read_to_string(&file).expect("own file"), "as it was");

    let (ours, theirs) = UnixDatagram::pair().expect("a pair");
    assert_refused(raw::helper(fixture).descriptor(raw::SOCKET, theirs.into()), "datagram socket");
    ours.set_nonblocking(true).expect("a socket");
    assert!(ours.recv(&mut [0; 16]).map_or(true, |count| count == 0), "sent to the socket");
    Outcome::Passed
}

fn nothing_is_written_to_odd_standard_descriptors(fixture: &Fixture) -> Outcome {
    // CVE-2013-1959, CVE-2014-0181: what the kernel would take for an order of the writer.
    let (mut reader, writer) = UnixStream::pair().expect("a pair");
    for garbage in [&b"garbage that is long enough for a header"[..], b""] {
        let launch = (0..3).fold(raw::helper(fixture), |launch, number| {
            launch.descriptor(number, harness::sys::duplicate(&writer))
        });
        let mut raw = RawHelper::start(launch);
        raw.send_bytes(garbage);
        raw.end_sending();
        raw.conclude().assert_declined();
        for object in [netlink(), open_read("/")] {
            let launch = (0..3).fold(raw::helper(fixture), |launch, number| {
                launch.descriptor(number, harness::sys::duplicate(&object))
            });
            let mut raw = RawHelper::start(launch);
            raw.send_bytes(garbage);
            raw.end_sending();
            raw.conclude().assert_declined();
        }
    }
    drop(writer);
    let mut written = Vec::new();
    reader.read_to_end(&mut written).expect("a socket can be read");
    assert_eq!(written, b"");
    Outcome::Passed
}

fn a_socket_without_a_peer_ends_the_helper(fixture: &Fixture) -> Outcome {
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    drop(ours);
    let output = raw::helper(fixture).descriptor(raw::SOCKET, theirs.into()).run();
    // Not by SIGPIPE: its answer, if any, goes nowhere.
    assert!(matches!(output.ending, Ending::Exited(code) if code != 0), "{output:?}");
    assert_eq!((output.text(), output.errors()), Default::default());
    Outcome::Passed
}

fn a_silent_caller_who_hangs_up_ends_the_helper(fixture: &Fixture) -> Outcome {
    for sent in [0, 1, 19, 20, 21, 40] {
        let mut raw = RawHelper::start(raw::helper(fixture));
        let body = [0; 100];
        let request = raw::framed(stockade_protocol::VERSION, &body, 0);
        raw.send_bytes(&request[..sent]);
        raw.hang_up();
        let output = raw.running.finish();
        assert!(matches!(output.ending, Ending::Exited(code) if code != 0), "{output:?}");
        assert_eq!((output.text(), output.errors()), Default::default());
    }
    Outcome::Passed
}

fn a_caller_who_hangs_up_after_the_request_leaves_nothing(fixture: &Fixture) -> Outcome {
    for pause in [Some(0), Some(1), Some(3), Some(10), Some(30), None] {
        let mut raw = RawHelper::start(raw::helper(fixture));
        raw.send(&Spec::shell("sleep 100 & sleep 100"));
        match pause {
            Some(pause) => std::thread::sleep(std::time::Duration::from_millis(pause)),
            // On a slow machine all of these may be before there is a payload.
            None => drop(raw.started()),
        }
        raw.hang_up();
        // The end of the helper's caller is the end of the sandbox; the runner looks for survivors.
        let output = raw.running.finish();
        assert!(matches!(output.ending, Ending::Exited(_)), "{output:?}");
    }
    Outcome::Passed
}
