// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::caller::tests::caller;
use clap::Command;

fn matches(words: &[&str]) -> ArgMatches {
    let command = super::super::arguments(Command::new("spawn").no_binary_name(true));
    command.try_get_matches_from(words).unwrap()
}

fn read(words: &[&str]) -> Result<Call, SpawnError> {
    Call::read(&matches(words), &caller(Path::new("/home/u"), &[]))
}

#[test]
fn r252_options_become_flags_and_lists() {
    let call = read(&[
        "--sandbox",
        "--no-network",
        "--watch-bus",
        "--env=A=b=c",
        "--unset-env=D",
        "--sandbox-expose=x",
        "--sandbox-flag=share-gpu",
        "--sandbox-flag=8",
        "--directory=/d",
        "--app-path=",
        "--forward-fd=7",
        "sh",
        "-c",
        "--host",
    ])
    .unwrap();
    let flags = [Flag::Sandbox, Flag::NoNetwork, Flag::WatchBus, Flag::EmptyApp];
    assert_eq!(call.flags, flags.into_iter().collect());
    assert_eq!(call.parts, Part::Gpu.bit() | Part::SessionBus.bit());
    assert_eq!(call.variables["A"], "b=c");
    assert_eq!(call.texts["unset-env"], ["D"]);
    assert_eq!(call.texts["sandbox-expose"], ["x"]);
    assert_eq!(call.words, [&b"sh\0"[..], b"-c\0", b"--host\0"]);
    assert_eq!(call.directory, b"/d\0");
    assert_eq!(call.numbers(), [0, 1, 2, 7]);
    assert!(!call.host && call.objects.is_empty());
    // The portal has to know the newest of these.
    assert_eq!(call.new.iter().map(|(_, version)| *version).max(), Some(6));
}

#[test]
fn r252_the_host_knows_less() {
    let call = read(&["--host", "--clear-env", "--env=A=b", "true"]).unwrap();
    assert!(call.host && call.new.is_empty());
    assert_eq!((call.service().interface, call.end()), (HOST.interface, "HostCommandExited"));
    for option in ["--sandbox", "--app-path=", "--sandbox-flag=share-gpu", "--expose-pids"] {
        let error = read(&["--host", option, "true"]).err().unwrap();
        assert!(matches!(error, SpawnError::NotOnHost { .. }), "{option}: {error}");
    }
}

#[test]
fn r252_what_cannot_be_used_is_said() {
    for words in [["--env=A", "true"], ["--env==b", "true"], ["--sandbox-flag=share", "true"]] {
        assert!(read(&words).is_err(), "{words:?}");
    }
    let missing = "/no/such/place";
    for option in ["sandbox-expose-path", "sandbox-expose-path-ro", "app-path", "usr-path"] {
        let word = format!("--{option}={missing}");
        assert!(matches!(read(&[&word, "true"]), Err(SpawnError::Path { .. })), "{option}");
    }
    for option in ["sandbox-expose-path-try", "sandbox-expose-path-ro-try"] {
        let word = format!("--{option}={missing}");
        assert!(read(&[&word, "true"]).unwrap().objects.is_empty(), "{option}");
    }
    // In the order in which the call has them.
    let all = read(&[
        "--usr-path=/",
        "--sandbox-expose-path-ro=/",
        "--sandbox-expose-path=/",
        "--app-path=/",
        "x",
    ]);
    let names: Vec<_> = all.unwrap().objects.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["app-fd", "sandbox-expose-fd", "sandbox-expose-fd-ro", "usr-fd"]);
}
