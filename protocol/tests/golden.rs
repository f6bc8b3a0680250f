// SPDX-License-Identifier: MIT OR Apache-2.0
//! The golden files define the format: what is in them is read, and written, exactly like that.
//!
//! They are written once, by `STOCKADE_WRITE_GOLDEN=1 cargo test -p stockade-protocol --test
//! golden`, which never replaces one that exists. A change that makes an existing file fail needs a
//! new protocol version, not a new file.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::tests_outside_test_module,
    reason = "this is a test"
)]

mod samples;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use stockade_protocol::header::Header;
use stockade_protocol::{VERSION, codec};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The bytes of a golden file. `sample` is what a missing one is filled with when that was asked
/// for.
fn golden(name: &str, sample: &[u8]) -> Vec<u8> {
    let path = directory().join(format!("{name}.bin"));
    if !path.exists() && std::env::var_os("STOCKADE_WRITE_GOLDEN").is_some() {
        fs::write(&path, sample).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn golden_requests_are_read_and_written_as_they_are() {
    for (name, request) in samples::requests() {
        let bytes = golden(name, &codec::encode_request(&request).unwrap());
        assert_eq!(codec::decode_request(&bytes).as_ref(), Ok(&request), "{name}");
        assert_eq!(codec::encode_request(&request).unwrap(), bytes, "{name}");
    }
}

#[test]
fn golden_events_are_read_and_written_as_they_are() {
    for (name, event) in samples::events() {
        let bytes = golden(name, &codec::encode_event(&event).unwrap());
        assert_eq!(codec::decode_event(&bytes).as_ref(), Ok(&event), "{name}");
        assert_eq!(codec::encode_event(&event).unwrap(), bytes, "{name}");
    }
}

#[test]
fn the_golden_header_is_read_and_written_as_it_is() {
    let header = Header { version: VERSION, length: 0x0012_3456, descriptors: 258 };
    let bytes = golden("header", &header.to_bytes());
    assert_eq!(header.to_bytes().as_slice(), bytes);
    assert_eq!(Header::from_bytes(bytes.as_slice().try_into().unwrap()), Ok(header));
}

#[test]
fn every_golden_file_has_a_sample() {
    let named = samples::requests().into_iter().map(|(name, _)| name);
    let named = named.chain(samples::events().into_iter().map(|(name, _)| name));
    let named: BTreeSet<String> =
        named.chain(["header"]).map(|name| format!("{name}.bin")).collect();
    let present: BTreeSet<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(present, named);
}
