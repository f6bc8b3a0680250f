// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use proptest::prelude::*;

/// As the manager of systemd 252 sent them.
const RETURN: &[u8] = include_bytes!("../golden/return");
const JOB_REMOVED: &[u8] = include_bytes!("../golden/job-removed");
const SYSTEMD: &str = "org.freedesktop.systemd1";
const JOB: &str = "/org/freedesktop/systemd1/job/20";

fn rest(bytes: &[u8]) -> Result<usize, MessageError> {
    Message::rest(bytes[..PREFIX].try_into().unwrap())
}

fn removed() -> Header {
    Header {
        path: Some("/org/freedesktop/systemd1".into()),
        interface: Some("org.freedesktop.systemd1.Manager".into()),
        member: Some("JobRemoved".into()),
        sender: Some(SYSTEMD.into()),
        ..Header::new(Kind::Signal, 10)
    }
}

#[test]
fn what_systemd_sends_is_understood() {
    assert_eq!(rest(RETURN).unwrap(), RETURN.len() - PREFIX);
    let message = Message::decode(RETURN).unwrap();
    let header = Header { reply_to: Some(1), ..Header::new(Kind::Return, 3) };
    assert_eq!(message.header, Header { sender: Some(SYSTEMD.into()), ..header });
    let (job,): (zbus::ObjectPath<'_>,) = message.body().unwrap();
    assert_eq!(job.as_str(), JOB);

    assert_eq!(rest(JOB_REMOVED).unwrap(), JOB_REMOVED.len() - PREFIX);
    let message = Message::decode(JOB_REMOVED).unwrap();
    assert_eq!(message.header, removed());
    let body: (u32, zbus::ObjectPath<'_>, &str, &str) = message.body().unwrap();
    assert_eq!((body.0, body.1.as_str()), (20, JOB));
    assert_eq!((body.2, body.3), ("app-stockade-true-16814.scope", "done"));
}

#[test]
fn what_is_sent_is_read_again() {
    let full = Header {
        error: Some("a.b".into()),
        reply_to: Some(9),
        destination: Some("c.d".into()),
        ..removed()
    };
    for header in [Header::new(Kind::Call, 1), removed(), full] {
        let bytes = header.encode(&(1_u32, "text")).unwrap();
        assert_eq!(rest(&bytes).unwrap(), bytes.len() - PREFIX);
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.header, header);
        assert_eq!(message.body::<(u32, String)>().unwrap(), (1, "text".to_owned()));
    }
    let bytes = removed().encode(&()).unwrap();
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.signature, "");
}

#[test]
fn a_machine_of_the_other_byte_order_is_understood() {
    let mut bytes = vec![b'B', 2, 0, 1, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 15];
    bytes.extend([5, 1, b'u', 0, 0, 0, 0, 1, 8, 1, b'g', 0, 1, b'u', 0, 0, 0, 0, 0, 7]);
    assert_eq!(rest(&bytes).unwrap(), bytes.len() - PREFIX);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.header, Header { reply_to: Some(1), ..Header::new(Kind::Return, 5) });
    assert_eq!(message.body::<(u32,)>().unwrap(), (7,));
}

#[test]
fn long_messages_are_not_waited_for() {
    let mut prefix = [0; PREFIX];
    prefix[0] = b'l';
    prefix[4..8].copy_from_slice(&(1_u32 << 24).to_le_bytes());
    assert_eq!(Message::rest(&prefix).unwrap(), 1 << 24);
    prefix[12] = 1;
    assert!(matches!(Message::rest(&prefix), Err(MessageError::Long(_))));
    prefix = [0xff; PREFIX];
    prefix[0] = b'l';
    assert!(matches!(Message::rest(&prefix), Err(MessageError::Long(_))));
    prefix[0] = 0;
    assert!(matches!(Message::rest(&prefix), Err(MessageError::Format)));
}

#[test]
fn other_values_than_the_documented_are_refused() {
    let message = Message::decode(JOB_REMOVED).unwrap();
    let error = message.body::<(u32,)>().unwrap_err().to_string();
    assert_eq!(error, "it sent a message with the values 'uoss' where 'u' belong");
}

proptest! {
    #[test]
    fn damaged_messages_are_answered(place in 0..JOB_REMOVED.len(), byte: u8, end in 0..JOB_REMOVED.len()) {
        let mut bytes = JOB_REMOVED.to_vec();
        bytes[place] = byte;
        for bytes in [&bytes[..], &bytes[..end]] {
            if let Ok(message) = Message::decode(bytes) {
                // The header says how long it is, so nothing shorter passes for it.
                prop_assert_eq!(bytes.len(), JOB_REMOVED.len());
                message.body::<(u32, zbus::ObjectPath<'_>, &str, &str)>().ok();
            }
        }
    }

    #[test]
    fn whatever_comes_is_answered(mut bytes in proptest::collection::vec(any::<u8>(), PREFIX..200)) {
        bytes[0] = b'l';
        bytes[3] = 1;
        let fields = bytes[12] % 64;
        bytes[12..16].copy_from_slice(&[fields, 0, 0, 0]);
        let announced = rest(&bytes);
        if Message::decode(&bytes).is_ok() {
            prop_assert_eq!(Some(announced.unwrap()), bytes.len().checked_sub(PREFIX));
        }
    }
}
