// SPDX-License-Identifier: MIT OR Apache-2.0
//! Filters, other spellings of system calls, and what they could reach (T58 to T64).

use std::ffi::c_long;
use std::fs;

use harness::filter::{lying_about, without_calls};
use harness::frontend::attempts;
use harness::process::eventually;
use harness::raw::{self, RawHelper, framed};
use harness::report::Report;
use harness::spec::Spec;
use harness::{Case, Fixture, Outcome, case, sys};
use serde_json::Value;
use stockade_protocol::codec::{self, DecodeFault};
use stockade_protocol::event::Call;
use stockade_protocol::text::{Filter, TextFault};
use stockade_protocol::{Refusal, VERSION, limits};

use crate::helper::payload::compiled;

pub(crate) const CASES: &[Case] = &[
    case!(t58_filters_that_lie_leave_no_privilege).within(170),
    case!(t59_filters_have_a_whole_number_of_instructions),
    case!(t59_more_instructions_than_the_kernel_takes_are_a_failure),
    case!(t61_upper_halves_of_arguments_change_nothing),
    case!(t62_other_binary_interfaces_lead_nowhere),
    case!(t64_keys_of_the_callers_session_are_out_of_reach).as_root(),
];

/// One more than the highest number of a system call that is tried.
const NUMBERS: c_long = 472;

fn t58_filters_that_lie_leave_no_privilege(fixture: &Fixture) -> Outcome {
    let uid = [fixture.user.uid.to_string().as_str(); 4].join("\t");
    let step = usize::try_from(harness::process::slowness()).expect("a small number");
    let mut seen = 0;
    for number in (0..NUMBERS).step_by(step) {
        // Reads what nobody writes, if reading is not what the filter lies about.
        let (reader, _writer) = nix::unistd::pipe().expect("a pipe");
        let mut spec = Spec::system("/bin/cat");
        spec.request.payload.filters = vec![compiled(&lying_about(&[number]))];
        let mut raw = RawHelper::start(raw::helper(fixture).descriptor(0, reader));
        raw.send(&spec);
        let (_, payload, _pidfd) = raw.started();
        // From its exec on it has another name; seen from outside, where no filter lies.
        let state = eventually(std::time::Duration::from_millis(300), || {
            let text = fs::read_to_string(format!("/proc/{payload}/status")).unwrap_or_default();
            let over = text.is_empty() || text.contains("\tZ (zombie)");
            (over || text.starts_with("Name:\tcat\n")).then_some(text)
        });
        let text = state.unwrap_or_default();
        if text.starts_with("Name:\tcat\n") && !text.contains("zombie") {
            seen += 1;
            let field = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
                line.unwrap_or_default().trim()
            };
            assert_eq!(field("Uid"), uid, "call {number}");
            for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
                assert_eq!(field(set), "0000000000000000", "call {number}: {set}");
            }
            assert_eq!(field("NoNewPrivs"), "1", "call {number}");
        }
        raw.hang_up();
        raw.running.process.wait(harness::process::patience());
    }
    // But for the few calls without which nothing starts.
    let tried = usize::try_from(NUMBERS).expect("a number") / step;
    assert!(seen * 10 > tried * 9, "only {seen} payloads of {tried} were seen");
    Outcome::Passed
}

fn t59_filters_have_a_whole_number_of_instructions(fixture: &Fixture) -> Outcome {
    let known = [0xA5; 64];
    let mut spec = Spec::empty("/bin/true");
    spec.request.payload.filters = vec![Filter::new(known.to_vec()).expect("8 instructions")];
    let body = codec::encode_request(&spec.request).expect("a small request");
    let at = body.windows(64).position(|part| part == known).expect("the filter");
    assert_eq!(body[at - 8..at], 64_u64.to_le_bytes(), "its length stands before it");
    let most = limits::FILTER_INSTRUCTIONS * limits::FILTER_INSTRUCTION_BYTES;
    for length in [0, 1, 7, 9, 63, most - 1, most + 1, most + 8, 65_536 * 8] {
        let mut bytes = body.clone();
        bytes[at - 8..at].copy_from_slice(&(length as u64).to_le_bytes());
        drop(bytes.splice(at..at + 64, vec![0xA5; length]));
        let verdict = RawHelper::build_from_bytes(fixture, &framed(VERSION, &bytes, 0));
        verdict.assert_declined();
        let expected = Refusal::Decode(DecodeFault::Text(TextFault::Filter));
        assert_eq!(verdict.refusal(), Some(expected), "{length} bytes");
    }
    Outcome::Passed
}

fn t59_more_instructions_than_the_kernel_takes_are_a_failure(fixture: &Fixture) -> Outcome {
    // Each is as long as may be and lets everything pass; the kernel takes 32,768 instructions of
    // all programs together.
    let mut long = without_calls(&[libc::SYS_acct]);
    let load = long[0];
    drop(long.splice(0..1, vec![load; limits::FILTER_INSTRUCTIONS - long.len() + 1]));
    assert_eq!(long.len(), limits::FILTER_INSTRUCTIONS);
    for (count, taken) in [(1, true), (7, true), (limits::FILTERS, false)] {
        let mut spec = Spec::shell("echo ran; exit 7");
        spec.request.payload.filters = vec![compiled(&long); count];
        let verdict = RawHelper::build(fixture, &spec);
        if taken {
            verdict.assert_exit(7);
            continue;
        }
        verdict.assert_orderly();
        assert_eq!(verdict.output.text(), "", "it ran with fewer filters than were asked for");
        let Some(stockade_protocol::Event::Failed(failure)) = verdict.events.last() else {
            panic!("{verdict:?}");
        };
        let expected = (Call::Seccomp, libc::ENOMEM.unsigned_abs());
        assert_eq!((failure.call, failure.errno), expected, "{failure:?}");
    }
    Outcome::Passed
}

fn t61_upper_halves_of_arguments_change_nothing(fixture: &Fixture) -> Outcome {
    let attempts = attempts(fixture, &[], &["upper-bits"]);
    assert_eq!(attempts.len(), 12, "{attempts:?}");
    for (attempt, result) in attempts {
        // The filter's own answers, which are not those of the kernel.
        let expected = if attempt.starts_with("socket") { "EAFNOSUPPORT" } else { "EPERM" };
        assert_eq!(result, expected, "{attempt}");
    }
    Outcome::Passed
}

fn t62_other_binary_interfaces_lead_nowhere(fixture: &Fixture) -> Outcome {
    let plain = attempts(fixture, &[], &["other-abi"]);
    if plain.is_empty() {
        return Outcome::Skipped("this processor has one binary interface here".to_owned());
    }
    for (attempt, result) in &plain {
        // A kernel without the gate answers with SIGSEGV.
        let killed = ["SIGSYS", "SIGSEGV"].contains(&result.as_str());
        assert!(killed || attempt.starts_with("x32") && result == "ENOSYS", "{attempt}: {result}");
    }
    // Where 32-bit programs may run, they meet the same refusals.
    let multiarch = attempts(fixture, &["--allow=multiarch"], &["other-abi"]);
    for (attempt, result) in multiarch.iter().filter(|(_, result)| *result != "SIGSEGV") {
        let expected: &[&str] = match attempt.as_str() {
            "i386 getpid" => &["ok"],
            "i386 socket" => &["EAFNOSUPPORT"],
            "i386 socketcall" => &["EPERM", "ENOSYS", "EAFNOSUPPORT"],
            "i386 clone3" | "i386 mount_setattr" => &["ENOSYS"],
            other if other.starts_with("x32") => &["ENOSYS", "SIGSYS"],
            _ => &["EPERM"],
        };
        assert!(expected.contains(&result.as_str()), "{attempt}: {result}");
    }
    Outcome::Passed
}

fn t64_keys_of_the_callers_session_are_out_of_reach(fixture: &Fixture) -> Outcome {
    const JOIN: c_long = 1;
    const SESSION: c_long = -3;
    let address = |text: &[u8]| c_long::try_from(text.as_ptr().addr()).expect("an address");
    // SAFETY: a null name makes a new anonymous session keyring.
    if let Err(error) = unsafe { sys::call(libc::SYS_keyctl, [JOIN, 0, 0, 0, 0]) } {
        return Outcome::Skipped(format!("no keyrings: {error}"));
    }
    let key = [address(b"user\0"), address(b"stockade-test\0"), address(b"sesame"), 6, SESSION];
    // SAFETY: two texts with their NUL, and six bytes, which live through the call.
    let serial = unsafe { sys::call(libc::SYS_add_key, key) }.expect("a key of one's own");

    let inside = |fresh: bool| {
        let mut spec = Spec::tool(fixture, "intruder").args(["keyring", &serial.to_string()]);
        spec.request.payload.new_keyring = fresh;
        let verdict = RawHelper::build(fixture, &spec);
        verdict.assert_exit(0);
        Report::of(&verdict.output).attempts()
    };
    // Without a keyring of its own the payload finds it: the attack works.
    assert_eq!(inside(false)["search"], "ok");
    for (attempt, result) in inside(true) {
        assert_ne!(result, "ok", "{attempt}");
    }
    // `exec` asks for one, and its filter refuses the calls besides.
    for (attempt, result) in attempts(fixture, &[], &["keyring", &serial.to_string()]) {
        assert_eq!(result, "EPERM", "{attempt}");
    }
    let printed = harness::frontend::exec(fixture).args(["--print-spec", "--", "true"]).run();
    let spec: Value = serde_json::from_slice(&printed.stdout).expect("a spec");
    assert_eq!(spec["payload"]["new_keyring"], true);
    Outcome::Passed
}
