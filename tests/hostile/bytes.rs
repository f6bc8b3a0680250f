// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes that are no request, or nearly one (I10, T80, T81).

use std::time::Duration;

use harness::process::Ending;
use harness::raw::{self, RawHelper, framed};
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case, watch};
use stockade_protocol::codec::{self, DecodeFault};
use stockade_protocol::event::Event;
use stockade_protocol::header::HeaderFault;
use stockade_protocol::{Header, Refusal, VERSION, limits};

use super::dice::Dice;

pub(crate) const CASES: &[Case] = &[
    case!(mutated_requests_decode_to_one_encoding_or_to_a_fault).entries(&["T80"]),
    case!(random_bytes_are_declined).entries(&["T80"]).within(120),
    case!(mutated_requests_are_declined_or_built).entries(&["T80"]).within(180),
    case!(mutated_headers_are_declined).entries(&["T80"]),
    case!(truncated_requests_end_without_a_word).entries(&["T80"]),
    case!(headers_outside_the_rules_are_refused).entries(&["T80"]),
    case!(other_versions_are_told_the_range).entries(&["T84"]),
    case!(a_body_of_garbage_is_refused).entries(&["T80"]),
    case!(announced_terabytes_are_refused).entries(&["T80"]),
    case!(trailing_bytes_in_the_body_are_refused).entries(&["T80"]),
    case!(a_request_byte_by_byte_is_read),
    case!(messages_after_the_request_are_ignored).entries(&["T81"]).within(90),
    case!(a_second_request_is_not_acted_on).entries(&["T81"]),
];

fn body() -> Vec<u8> {
    let mut spec = Spec::empty("/bin/true");
    spec.tmpfs("/tmp");
    spec.directory("/a/b");
    spec.symlink("usr/bin", "/bin");
    codec::encode_request(&spec.request).expect("a small request")
}

fn mutated_requests_decode_to_one_encoding_or_to_a_fault(_: &Fixture) -> Outcome {
    let good = codec::encode_request(&Spec::system("/bin/sh").request).expect("a small request");
    let mut dice = Dice::new(0x5eed_0001);
    for _ in 0..10_000 {
        let bytes = dice.damage(&good);
        if let Ok(request) = codec::decode_request(&bytes) {
            assert_eq!(codec::encode_request(&request).expect("it was small"), bytes);
        }
    }
    Outcome::Passed
}

fn random_bytes_are_declined(fixture: &Fixture) -> Outcome {
    let mut dice = Dice::new(0x5eed_0002);
    for _ in 0..200 {
        let length = dice.below(300);
        RawHelper::build_from_bytes(fixture, &dice.bytes(length)).assert_declined();
    }
    Outcome::Passed
}

fn mutated_headers_are_declined(fixture: &Fixture) -> Outcome {
    let mut dice = Dice::new(0x5eed_0003);
    for _ in 0..100 {
        let body = body();
        let mut bytes = framed(VERSION, &body, 0);
        let at = dice.below(Header::BYTES);
        bytes[at] ^= 1 << dice.below(8);
        RawHelper::build_from_bytes(fixture, &bytes).assert_declined();
    }
    Outcome::Passed
}

fn mutated_requests_are_declined_or_built(fixture: &Fixture) -> Outcome {
    let mut dice = Dice::new(0x5eed_0004);
    for round in 0..150 {
        let spec = Spec::shell("exit 7");
        let good = codec::encode_request(&spec.request).expect("a small request");
        let bytes = dice.damage(&good);
        let mut raw = RawHelper::start(raw::helper(fixture));
        raw.send_bytes(&framed(VERSION, &bytes, spec.descriptors.len()));
        let fds: Vec<_> = spec.descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
        // It may be gone by now.
        drop(raw.send_descriptors(&fds));
        let verdict = raw.conclude();
        // Some accidents give another good request, with another program or another destination.
        let ended = matches!(verdict.output.ending, Ending::Exited(_));
        assert!(ended, "round {round}, {bytes:?}: {verdict:?}");
    }
    Outcome::Passed
}

fn truncated_requests_end_without_a_word(fixture: &Fixture) -> Outcome {
    let request = framed(VERSION, &body(), 1);
    let lengths = (0..=Header::BYTES + 4).chain([50, 100, request.len() - 1, request.len()]);
    for length in lengths {
        let verdict = RawHelper::build_from_bytes(fixture, &request[..length]);
        verdict.assert_declined();
        assert_eq!(verdict.refusal(), None, "{length} bytes");
    }
    Outcome::Passed
}

#[track_caller]
fn assert_refused(fixture: &Fixture, bytes: &[u8], refusal: Refusal) {
    let verdict = RawHelper::build_from_bytes(fixture, bytes);
    verdict.assert_declined();
    assert_eq!(verdict.refusal(), Some(refusal), "{verdict:?}");
}

fn headers_outside_the_rules_are_refused(fixture: &Fixture) -> Outcome {
    let header = |length, descriptors| Header { version: VERSION, length, descriptors }.to_bytes();
    let too_long = u32::try_from(limits::REQUEST_BYTES + 1).expect("8 MiB");
    let too_many = u32::try_from(limits::DESCRIPTORS + 1).expect("16,385");
    let refused = |bytes: &[u8], fault| assert_refused(fixture, bytes, Refusal::Header(fault));
    refused(&header(0, 0), HeaderFault::Length);
    refused(&header(too_long, 0), HeaderFault::Length);
    refused(&header(u32::MAX, 0), HeaderFault::Length);
    refused(&header(10, too_many), HeaderFault::Descriptors);
    refused(&header(10, u32::MAX), HeaderFault::Descriptors);
    refused(b"STOCKADE............", HeaderFault::Magic);
    let mut reserved = header(10, 0);
    reserved[10] = 1;
    refused(&reserved, HeaderFault::Reserved);
    Outcome::Passed
}

fn other_versions_are_told_the_range(fixture: &Fixture) -> Outcome {
    for version in [0, VERSION + 1, u16::MAX] {
        let verdict = RawHelper::build_from_bytes(fixture, &framed(version, &body(), 0));
        verdict.assert_declined();
        let range = Event::Unsupported { oldest: VERSION, newest: VERSION };
        assert_eq!(verdict.events, [range], "version {version}");
    }
    Outcome::Passed
}

fn a_body_of_garbage_is_refused(fixture: &Fixture) -> Outcome {
    let mut dice = Dice::new(0x5eed_0005);
    for length in [1, 100, 65_536, limits::REQUEST_BYTES] {
        let verdict =
            RawHelper::build_from_bytes(fixture, &framed(VERSION, &dice.bytes(length), 0));
        verdict.assert_declined();
        assert!(matches!(verdict.refusal(), Some(Refusal::Decode(_))), "{verdict:?}");
    }
    Outcome::Passed
}

fn announced_terabytes_are_refused(fixture: &Fixture) -> Outcome {
    // The length of the list of operations is the first byte that differs with one more of them.
    let one = body();
    let mut spec = Spec::empty("/bin/true");
    for path in ["/tmp", "/tmp", "/tmp", "/tmp"] {
        spec.tmpfs(path);
    }
    let other = codec::encode_request(&spec.request).expect("a small request");
    let at = one.iter().zip(&other).position(|(a, b)| a != b).expect("they differ");
    let mut bytes = one;
    bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let refusal = Refusal::Decode(DecodeFault::TooLarge);
    assert_refused(fixture, &framed(VERSION, &bytes, 0), refusal);
    Outcome::Passed
}

fn trailing_bytes_in_the_body_are_refused(fixture: &Fixture) -> Outcome {
    let mut bytes = body();
    bytes.push(0);
    let refusal = Refusal::Decode(DecodeFault::Trailing);
    assert_refused(fixture, &framed(VERSION, &bytes, 0), refusal);
    Outcome::Passed
}

fn a_request_byte_by_byte_is_read(fixture: &Fixture) -> Outcome {
    let spec = Spec::shell("exit 7");
    let body = codec::encode_request(&spec.request).expect("a small request");
    let mut raw = RawHelper::start(raw::helper(fixture));
    for byte in framed(VERSION, &body, spec.descriptors.len()) {
        raw.send_bytes(&[byte]);
    }
    let fds: Vec<_> = spec.descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
    raw.send_descriptors(&fds).expect("it reads");
    raw.conclude().assert_exit(7);
    Outcome::Passed
}

/// Whether a process of the helper would go on if it got a processor: a machine that is busy with
/// something else does not hide that.
fn is_busy() -> bool {
    let all = watch::descendants_of(nix::unistd::getpid().as_raw());
    all.iter().any(|seen| seen.name == "stockade-helper" && seen.state == 'R')
}

fn messages_after_the_request_are_ignored(fixture: &Fixture) -> Outcome {
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&Spec::shell("sleep 1.2; exit 7"));
    raw.send_bytes(&[0xff; 100]);
    let fd = harness::spec::open_read("/etc/passwd");
    raw.send_descriptors(&[std::os::fd::AsFd::as_fd(&fd)]).expect("there is room");
    raw.started();
    // T81: never acted on, and nobody spins because there is something to read.
    let mut busy = 0;
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(50));
        busy += u32::from(is_busy());
    }
    assert!(busy < 10, "busy with doing nothing, {busy} times of 20");
    raw.conclude().assert_exit(7);
    Outcome::Passed
}

fn a_second_request_is_not_acted_on(fixture: &Fixture) -> Outcome {
    let mut raw = RawHelper::start(raw::helper(fixture));
    raw.send(&Spec::shell("echo first; sleep 0.2; exit 7"));
    raw.send(&Spec::shell("echo second; exit 8"));
    let verdict = raw.conclude();
    verdict.assert_exit(7);
    assert_eq!(verdict.output.text(), "first\n");
    let starts = |event: &&Event| matches!(event, Event::Started { .. });
    assert_eq!(verdict.events.iter().filter(starts).count(), 1);
    Outcome::Passed
}
