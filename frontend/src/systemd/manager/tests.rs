// SPDX-License-Identifier: MIT OR Apache-2.0
use super::super::mock::{job_removed, manager, reply};
use super::*;
use crate::bus::mock::{Mock, Peer};
use crate::systemd::limit::Limit;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::time::Instant;

const JOB: &str = "/org/freedesktop/systemd1/job/20";

fn scope() -> Scope {
    Scope::new("stockade", OsStr::new("true"), "16814")
}

fn start(mock: &Mock<Message>) -> Result<(), ManagerError> {
    manager(mock).start(&scope(), &Limits::default())
}

#[test]
fn r151_the_call_is_the_one_that_systemd_took() {
    let mut limits = Limits::default();
    limits.set(Limit::Tasks(50));
    let manager = Manager { pid: 16814, ..Manager::current() };
    let call = manager.call(&scope(), &limits).unwrap();
    assert_eq!(call, include_bytes!("../golden/call"));
}

#[test]
fn r151_the_socket_is_the_users_own() {
    let manager = Manager::current();
    let path = format!("/run/user/{}/systemd/private", rustix::process::getuid().as_raw());
    assert_eq!(manager.socket, Path::new(&path));
    assert_eq!(manager.pid, std::process::id());
}

#[test]
fn r151_scope_limits_and_process_are_what_is_asked_for() {
    let mock = Mock::new(|peer| {
        peer.authenticate();
        let call = peer.call();
        peer.say(&reply(JOB));
        peer.say(&job_removed(JOB, scope().name(), "done"));
        call
    });
    let mut limits = Limits::default();
    for limit in [Limit::Memory(8192), Limit::Tasks(7), Limit::Cpu(50)] {
        limits.set(limit);
    }
    manager(&mock).start(&scope(), &limits).unwrap();
    let call = mock.said();
    assert_eq!(call.header.path.as_deref(), Some("/org/freedesktop/systemd1"));
    assert_eq!(call.header.interface.as_deref(), Some("org.freedesktop.systemd1.Manager"));
    assert_eq!(call.header.member.as_deref(), Some("StartTransientUnit"));
    type Properties<'a> = Vec<(&'a str, Variant<'a>)>;
    let (unit, mode, properties, others): (
        &str,
        &str,
        Properties<'_>,
        Vec<(&str, Properties<'_>)>,
    ) = call.body().unwrap();
    assert_eq!((unit, mode), ("app-stockade-true-16814.scope", "fail"));
    let expected = [
        ("PIDs", Variant::from(vec![7_u32])),
        ("Description", Variant::from("true")),
        ("CollectMode", Variant::from("inactive-or-failed")),
        ("MemoryMax", Variant::from(8192_u64)),
        ("TasksMax", Variant::from(7_u64)),
        ("CPUQuotaPerSecUSec", Variant::from(500_000_u64)),
    ];
    assert_eq!(properties, expected);
    assert!(others.is_empty());
}

#[test]
fn the_end_of_the_job_is_waited_for_whatever_else_is_said() {
    let mock = Mock::new(|peer| {
        peer.authenticate();
        let call = peer.call();
        peer.say(&job_removed("/org/freedesktop/systemd1/job/9", "other.service", "failed"));
        peer.say(&job_removed("/org/freedesktop/systemd1/job/9", scope().name(), "canceled"));
        let stray = Header { reply_to: Some(77), ..Header::new(Kind::Error, 5) };
        peer.say(&stray.encode(&("not for you",)).unwrap());
        peer.say(&reply(JOB));
        peer.say(&job_removed(JOB, "other.service", "failed"));
        peer.say(&job_removed(JOB, scope().name(), "done"));
        call
    });
    start(&mock).unwrap();
}

#[test]
fn a_job_may_end_before_its_name_is_known() {
    let mock = Mock::new(|peer| {
        peer.authenticate();
        let call = peer.call();
        peer.say(&job_removed(JOB, scope().name(), "done"));
        peer.say(&reply(JOB));
        call
    });
    start(&mock).unwrap();
}

#[test]
fn a_job_that_fails_is_an_error() {
    let mock = Mock::new(|peer| {
        peer.authenticate();
        let call = peer.call();
        peer.say(&reply(JOB));
        peer.say(&job_removed(JOB, scope().name(), "failed"));
        call
    });
    let error = start(&mock).unwrap_err();
    assert!(matches!(&error, ManagerError::Job(result) if result == "failed"), "{error}");
}

#[test]
fn r151_a_unit_that_exists_is_not_joined() {
    let mock = Mock::new(|peer| {
        peer.authenticate();
        let call = peer.call();
        peer.refuse(&call, "org.freedesktop.systemd1.UnitExists", "Unit was already loaded.");
        call
    });
    let error = start(&mock).unwrap_err().to_string();
    assert_eq!(error, "it refuses: Unit was already loaded. (org.freedesktop.systemd1.UnitExists)");
}

#[test]
fn a_user_who_is_not_accepted_says_nothing_more() {
    let mock = Mock::new(|peer| {
        peer.line();
        peer.say(b"REJECTED EXTERNAL\r\n");
        assert_eq!(peer.line(), "");
        Message::decode(&reply(JOB)).unwrap()
    });
    let error = start(&mock).unwrap_err();
    let expected = ManagerError::Connection(ConnectionError::Rejected);
    assert_eq!(error.to_string(), expected.to_string());
    mock.said();
}

#[test]
fn a_manager_that_hangs_up_or_talks_nonsense_is_an_error() {
    for (said, text) in [
        (&b""[..], "it hung up"),
        (b"l\x02\x00", "it hung up"),
        (b"HTTP/1.1 400 Bad Request", "it sent what is no message of D-Bus"),
        (
            &[b'l', 2, 0, 1, 255, 255, 255, 255, 1, 0, 0, 0, 0, 0, 0, 0],
            "it sent a message of 4294967295 bytes",
        ),
    ] {
        let mock = Mock::new(move |peer| {
            peer.authenticate();
            let call = peer.call();
            peer.say(said);
            call
        });
        assert_eq!(start(&mock).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_manager_that_does_not_answer_is_not_waited_for() {
    // In every state: silent from the start, silent when asked, talking of something else.
    let talks: [fn(&mut Peer); 3] = [
        |_| {},
        |peer| peer.authenticate(),
        |peer| {
            peer.authenticate();
            peer.call();
            peer.say(&reply(JOB));
            // Signs of life do not count.
            while peer.try_say(&job_removed("/a", "other.service", "done")) {
                std::thread::sleep(Duration::from_millis(20));
            }
        },
    ];
    for talk in talks {
        let mock = Mock::new(move |peer| {
            talk(peer);
            peer.wait_for_end();
            Message::decode(&reply(JOB)).unwrap()
        });
        let manager = Manager { patience: Duration::from_millis(200), ..manager(&mock) };
        let began = Instant::now();
        let error = manager.start(&scope(), &Limits::default()).unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(200));
        assert!(
            matches!(&error, ManagerError::Connection(ConnectionError::Io(error))
                if error.kind() == ErrorKind::TimedOut),
            "{error}"
        );
    }
}
