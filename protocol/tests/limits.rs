// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limits hold in memory as well as on the wire: what a message announces is compared with them
//! before anything is reserved for it.
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
#![allow(unsafe_code, reason = "an allocator cannot be counted without being one")]

#[allow(dead_code, reason = "shared with the golden files")]
mod samples;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use stockade_protocol::codec::{self, DecodeFault};
use stockade_protocol::request::{
    Access, Bind, FdIndex, Limit, Operation, Pass, Propagation, Request, SourceKind,
};
use stockade_protocol::text::{Argument, Filter, Program, SandboxPath, Variable};
use stockade_protocol::{check, limits};

thread_local! {
    /// Bytes this thread holds, and the most it has held.
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// The system's allocator, with a count for each thread.
struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // A thread that is ending has no count any more.
        let counted = HELD.try_with(|held| {
            let now = held.get().0 + layout.size();
            held.set((now, held.get().1.max(now)));
        });
        counted.unwrap_or_default();
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let counted = HELD.try_with(|held| {
            held.set((held.get().0.saturating_sub(layout.size()), held.get().1));
        });
        counted.unwrap_or_default();
        // SAFETY: the caller keeps dealloc's contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that `work` held at a time.
fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get().0;
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

#[test]
fn announced_lists_reserve_nothing_beyond_the_limit() {
    let good = codec::encode_request(&samples::fullest()).unwrap();
    // Wherever a length may stand, one that no message can keep.
    for announced in [1_u64 << 40, u64::MAX, u64::from(u32::MAX), 1 << 22] {
        for at in 0..good.len() - 8 {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&announced.to_le_bytes());
            let most = peak(|| drop(codec::decode_request(&bytes)));
            assert!(most <= limits::DECODED_BYTES, "{announced} at {at}: {most} bytes");
        }
    }
}

#[test]
fn a_list_announced_beyond_the_limit_costs_no_more_than_the_message() {
    let path = SandboxPath::root();
    let grow: [fn(&mut Request, SandboxPath); 8] = [
        |request, path| request.operations.push(Operation::RemountReadOnly { path }),
        |request, _| request.payload.programs.push(Program::new("/a").unwrap()),
        |request, _| request.payload.arguments.push(Argument::new("a").unwrap()),
        |request, _| request.payload.environment.push(Variable::new("A=b").unwrap()),
        |request, path| request.payload.directories.push(path),
        |request, _| request.payload.limits.push(Limit { resource: 0, soft: 0, hard: 0 }),
        |request, _| request.payload.pass.push(Pass { source: FdIndex(0), target: 3 }),
        |request, _| request.payload.filters.push(Filter::new(vec![0; 8]).unwrap()),
    ];
    for (list, grow) in grow.into_iter().enumerate() {
        let mut longer = samples::smallest();
        grow(&mut longer, path.clone());
        let short = codec::encode_request(&samples::smallest()).unwrap();
        let mut bytes = codec::encode_request(&longer).unwrap();
        // The first byte that an item more changes is the lowest of the list's length.
        let at = short.iter().zip(&bytes).position(|(a, b)| a != b).unwrap();
        bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
        let mut result = None;
        let most = peak(|| result = Some(codec::decode_request(&bytes)));
        assert_eq!(result, Some(Err(DecodeFault::TooLarge)), "list {list}");
        assert!(most <= 4 * bytes.len(), "list {list}: {most} bytes");
    }
}

#[test]
fn announced_lists_of_events_reserve_nothing_beyond_the_limit() {
    for (name, event) in samples::events() {
        let good = codec::encode_event(&event).unwrap();
        for at in 0..good.len().saturating_sub(8) {
            let mut bytes = good.clone();
            bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
            let most = peak(|| drop(codec::decode_event(&bytes)));
            assert!(most <= limits::EVENT_BYTES, "{name} at {at}: {most} bytes");
        }
    }
}

#[test]
fn the_limits_are_what_the_description_says() {
    assert_eq!(limits::REQUEST_BYTES, 8 * 1024 * 1024);
    assert_eq!(limits::OPERATIONS, 16_384);
    assert_eq!(limits::DESCRIPTORS, 16_384);
    assert_eq!(limits::FILTERS, 16);
    assert_eq!(limits::FILTER_INSTRUCTIONS, 4096);
    assert_eq!(limits::ARGUMENT_BYTES, 2 * 1024 * 1024);
    // SCM_MAX_FD of the kernel.
    const { assert!(limits::DESCRIPTORS_PER_MESSAGE <= 253) };
}

#[test]
fn every_list_at_its_limit_fits_the_limit_of_memory() {
    let operations = size_of::<Operation>() * limits::OPERATIONS;
    let texts = size_of::<Argument>().max(size_of::<Variable>()) * limits::ARGUMENTS * 2;
    assert!(operations + texts + 2 * limits::ARGUMENT_BYTES <= limits::DECODED_BYTES);
}

#[test]
fn the_largest_ordinary_request_is_read() {
    let mut request = samples::smallest();
    for index in 0..u32::try_from(limits::OPERATIONS).unwrap() {
        let path = format!("/nix/store/{index:032}-a-package-with-a-long-name-1.2.3");
        request.operations.push(Operation::Bind(Bind {
            source: FdIndex(index),
            kind: SourceKind::Directory,
            destination: samples::place(&path),
            access: Access::ReadOnly,
            propagation: Propagation::Private,
        }));
    }
    let argument = Argument::new("x".repeat(31)).unwrap();
    request.payload.arguments = vec![argument; limits::ARGUMENTS];
    let variable = Variable::new(format!("A={}", "x".repeat(29))).unwrap();
    request.payload.environment = vec![variable; limits::ARGUMENTS];

    let bytes = codec::encode_request(&request).unwrap();
    let mut decoded = None;
    let most = peak(|| decoded = Some(codec::decode_request(&bytes)));
    assert_eq!(decoded, Some(Ok(request.clone())));
    assert!(most <= 4 * bytes.len() + limits::DECODED_BYTES, "{most} for {}", bytes.len());
    assert!(check(request, limits::DESCRIPTORS).is_ok());
}

#[test]
fn requests_above_the_limit_are_neither_written_nor_read() {
    let mut request = samples::smallest();
    let content = vec![0; limits::REQUEST_BYTES];
    request.operations.push(Operation::File {
        destination: samples::place("/big"),
        mode: 0o600,
        content: stockade_protocol::request::Content::Bytes(content),
    });
    assert!(codec::encode_request(&request).is_err());
    let long = vec![0; limits::REQUEST_BYTES + 1];
    assert_eq!(codec::decode_request(&long), Err(DecodeFault::TooLarge));
}

#[test]
fn the_longest_path_has_exactly_the_limit() {
    let path = format!("/{}", "a/".repeat(limits::PATH_COMPONENTS - 1) + "a");
    assert!(SandboxPath::new(path.clone()).is_ok());
    assert!(SandboxPath::new(path + "/a").is_err());
    let wide = format!("/{}", "a".repeat(limits::COMPONENT_BYTES));
    let longest = wide.repeat(limits::PATH_BYTES / wide.len());
    assert_eq!(longest.len(), limits::PATH_BYTES);
    assert!(SandboxPath::new(longest.clone()).is_ok());
    assert!(SandboxPath::new(longest + "a").is_err());
}
