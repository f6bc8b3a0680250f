// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds for all messages: they survive the wire, bytes that are none never harm (I10), and
//! each message has one encoding.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::tests_outside_test_module,
    reason = "this is a test"
)]

#[allow(dead_code, reason = "shared with the golden files")]
mod samples;
mod strategies;

use proptest::prelude::*;
use stockade_protocol::{Header, check, codec};

/// One change to a message on its way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Overwrite(prop::sample::Index, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    let bytes = || prop::collection::vec(any::<u8>(), 1..9);
    prop_oneof![
        (place(), 1_u8..).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        place().prop_map(Damage::Cut),
        (place(), bytes()).prop_map(|(at, new)| Damage::Insert(at, new)),
        (place(), bytes()).prop_map(|(at, new)| Damage::Overwrite(at, new)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    match damage {
        Damage::Flip(at, mask) => *at.get_mut(bytes) ^= mask,
        Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        Damage::Insert(at, new) => {
            let at = at.index(bytes.len());
            drop(bytes.splice(at..at, new.iter().copied()));
        }
        Damage::Overwrite(at, new) => {
            let at = at.index(bytes.len());
            for (place, byte) in bytes.iter_mut().skip(at).zip(new) {
                *place = *byte;
            }
        }
    }
}

/// What must hold for any bytes.
fn assert_harmless(bytes: &[u8]) -> Result<(), TestCaseError> {
    if let Ok(request) = codec::decode_request(bytes) {
        prop_assert_eq!(&codec::encode_request(&request).unwrap(), bytes);
        drop(check(request, 7));
    }
    if let Ok(event) = codec::decode_event(bytes) {
        prop_assert_eq!(&codec::encode_event(&event).unwrap(), bytes);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests_survive_the_wire(request in strategies::request()) {
        let bytes = codec::encode_request(&request).unwrap();
        prop_assert_eq!(codec::decode_request(&bytes), Ok(request));
    }

    #[test]
    fn events_survive_the_wire(event in strategies::event()) {
        let bytes = codec::encode_event(&event).unwrap();
        prop_assert_eq!(codec::decode_event(&bytes), Ok(event));
    }

    #[test]
    fn checking_never_panics(request in strategies::request(), descriptors in 0_usize..20) {
        let kept = request.clone();
        if let Ok(checked) = check(request, descriptors) {
            prop_assert_eq!(checked.get(), &kept);
        }
    }

    #[test]
    fn random_bytes_are_harmless(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        assert_harmless(&bytes)?;
    }

    #[test]
    fn random_headers_are_read_as_written_or_refused(bytes in any::<[u8; Header::BYTES]>()) {
        if let Ok(header) = Header::from_bytes(&bytes) {
            prop_assert_eq!(header.to_bytes(), bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_requests_are_harmless(damages in prop::collection::vec(damage(), 1..6)) {
        let mut bytes = codec::encode_request(&samples::fullest()).unwrap();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        assert_harmless(&bytes)?;
    }
}

#[test]
fn truncated_requests_are_refused_at_every_length() {
    let bytes = codec::encode_request(&samples::fullest()).unwrap();
    for length in 0..bytes.len() {
        assert!(codec::decode_request(&bytes[..length]).is_err(), "{length}");
    }
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = codec::encode_request(&samples::fullest()).unwrap();
    bytes.push(0);
    assert_eq!(codec::decode_request(&bytes), Err(codec::DecodeFault::Trailing));
}
