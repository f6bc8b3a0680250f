// SPDX-License-Identifier: MIT OR Apache-2.0
use super::mock::Mock;
use super::*;
use crate::filesystem::locate::tests::Scratch;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;

const TARGET: Target<'_> =
    Target { destination: "org.example.Service", path: "/org/example", interface: "org.example.I" };

#[test]
fn a_call_is_for_whom_it_is_and_its_answer_comes_back() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = peer.call();
        peer.answer(&call, &(call.header.serial, "yes"));
        call
    });
    let answer = mock.bus().call(TARGET, "Ask", &("a", 7_u32), &[]).unwrap();
    assert_eq!(answer.body::<(u32, String)>().unwrap(), (2, "yes".to_owned()));
    let call = mock.said();
    assert_eq!(call.header.destination.as_deref(), Some(TARGET.destination));
    assert_eq!(call.header.path.as_deref(), Some(TARGET.path));
    assert_eq!(call.header.interface.as_deref(), Some(TARGET.interface));
    assert_eq!(call.header.member.as_deref(), Some("Ask"));
    assert_eq!(call.header.descriptors, 0);
    assert_eq!(call.body::<(String, u32)>().unwrap(), ("a".to_owned(), 7));
}

#[test]
fn descriptors_come_in_the_order_of_their_indexes() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = peer.call();
        peer.answer(&call, &());
        let mut files = peer.descriptors().into_iter().map(File::from);
        let mut text = String::new();
        files.next().unwrap().read_to_string(&mut text).unwrap();
        (call, text, files.next().is_some(), files.next().is_some())
    });
    let scratch = Scratch::new();
    let (one, other) = (scratch.file("one", "of one"), scratch.directory("other"));
    let (one, other) = (File::open(one).unwrap(), File::open(other).unwrap());
    let descriptors = [one.as_fd(), other.as_fd()];
    let body = (zbus::Fd::from(descriptors[0]), vec![zbus::Fd::from(descriptors[1])]);
    mock.bus().call(TARGET, "Take", &body, &descriptors).unwrap();
    let (call, text, second, third) = mock.said();
    assert_eq!((text.as_str(), second, third), ("of one", true, false));
    assert_eq!(call.header.descriptors, 2);
    assert_eq!(call.numbered(), ("hah", (0_u32, vec![1_u32])));
}

#[test]
fn only_the_answer_to_this_call_is_one() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = peer.call();
        let signal = Header {
            path: Some("/a".into()),
            interface: Some("a.b".into()),
            member: Some("C".into()),
            ..Header::new(Kind::Signal, 9)
        };
        peer.say(&signal.encode(&("no",)).unwrap());
        for (kind, to) in [(Kind::Return, 1), (Kind::Error, 77), (Kind::Other, 2), (Kind::Call, 2)]
        {
            let stray = Header { reply_to: Some(to), ..Header::new(kind, 9) };
            // Of no kind there is none.
            let kind = if kind == Kind::Other { 9 } else { 0 };
            let mut bytes = stray.encode(&("no",)).unwrap();
            if kind > 0 {
                bytes[1] = kind;
            }
            peer.say(&bytes);
        }
        peer.answer(&call, &("yes",));
    });
    let answer = mock.bus().call(TARGET, "Ask", &(), &[]).unwrap();
    assert_eq!(answer.body::<(String,)>().unwrap().0, "yes");
}

#[test]
fn a_refusal_is_told_by_its_name() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        for name in ["ServiceUnknown", "NameHasNoOwner", "AccessDenied"] {
            let call = peer.call();
            peer.refuse(&call, &format!("org.freedesktop.DBus.Error.{name}"), "nobody");
        }
        let call = peer.call();
        let header = Header {
            error: Some("a.b".into()),
            reply_to: Some(call.header.serial),
            ..Header::new(Kind::Error, 5)
        };
        peer.say(&header.encode(&()).unwrap());
    });
    let mut bus = mock.bus();
    let mut ask = || bus.call(TARGET, "Ask", &(), &[]).unwrap_err();
    let (unknown, ownerless, denied) = (ask(), ask(), ask());
    assert!(unknown.is_unknown_service() && ownerless.is_unknown_service());
    assert!(!denied.is_unknown_service() && !denied.is_absent());
    assert_eq!(denied.to_string(), "nobody");
    // Without a text the name has to do.
    assert_eq!(ask().to_string(), "a.b");
}

#[test]
fn a_bus_that_takes_no_descriptors_is_an_error() {
    let mock = Mock::new(|peer| {
        peer.accept();
        peer.line();
        peer.say(b"ERROR\r\n");
    });
    let patience = Duration::from_secs(60);
    let error = Bus::open(&Address::at(&mock.socket()), 1000, patience).unwrap_err();
    assert!(matches!(error, BusError::Connection(ConnectionError::Rejected)), "{error}");
}

#[test]
fn nobody_there_is_absent() {
    let scratch = Scratch::new();
    let open = || {
        Bus::open(&Address::at(&scratch.join("bus")), 1000, Duration::from_secs(60)).unwrap_err()
    };
    assert!(open().is_absent());
    drop(UnixListener::bind(scratch.join("bus")).unwrap());
    assert!(open().is_absent());
    let strange = Address::parse("tcp:host=x".as_ref()).unwrap_err();
    assert!(BusError::from(strange).is_absent());
}

#[test]
fn signals_wait_until_they_are_asked_for() {
    let (other, mut writer) = std::io::pipe().unwrap();
    let mock = Mock::new(|peer| {
        peer.welcome();
        let signal = |number: u32| {
            let header = Header {
                path: Some(TARGET.path.to_owned()),
                interface: Some(TARGET.interface.to_owned()),
                member: Some("Changed".to_owned()),
                sender: Some(":1.3".to_owned()),
                ..Header::new(Kind::Signal, number)
            };
            header.encode(&(number,)).unwrap()
        };
        let call = peer.call();
        // The first comes before the answer, and the second with it.
        peer.say(&signal(1));
        peer.answer(&call, &());
        peer.say(&signal(2));
        peer.wait_for_end();
    });
    let mut bus = mock.bus();
    bus.listen().unwrap();
    bus.call(TARGET, "Ask", &(), &[]).unwrap();
    for number in [1, 2] {
        let signal = bus.wait(other.as_fd()).unwrap().unwrap();
        assert_eq!(signal.header.sender.as_deref(), Some(":1.3"));
        assert_eq!(signal.body::<(u32,)>().unwrap(), (number,));
    }
    // Something else happens.
    std::io::Write::write_all(&mut writer, b"x").unwrap();
    assert!(bus.wait(other.as_fd()).unwrap().is_none());
    drop(bus);
    mock.said();
}

#[test]
fn a_bus_that_ends_is_no_signal() {
    let (other, _writer) = std::io::pipe().unwrap();
    let mock = Mock::new(|peer| peer.welcome());
    let mut bus = mock.bus();
    bus.listen().unwrap();
    assert!(bus.wait(other.as_fd()).is_err());
    mock.said();
}
