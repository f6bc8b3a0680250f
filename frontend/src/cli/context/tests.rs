// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options as they are typed, and the layers they make.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStringExt as _;

use clap::Command;
use proptest::prelude::*;
use proptest::sample::select;

use super::{Given, MOST_BYTES, OPTIONS, OptionError, arguments, read};
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::context::area::Area;
use crate::flatpak::context::condition::Conditions;
use crate::flatpak::context::{Context, Form};
use crate::keyfile::KeyFile;
use crate::permission::Socket;

fn parse<T: Into<OsString>>(options: impl IntoIterator<Item = T>) -> Result<Given, OptionError> {
    let all = std::iter::once("test".into()).chain(options.into_iter().map(Into::into));
    read(&arguments(Command::new("test")).try_get_matches_from(all).unwrap())
}

fn stored(options: &[&str]) -> String {
    let given = parse(options).unwrap();
    assert_eq!(given.notices, [], "{options:?}");
    let mut file = KeyFile::default();
    given.context.write(&mut file, Form::Stored);
    file.to_string()
}

fn error(option: &str) -> String {
    parse([option]).unwrap_err().to_string()
}

#[test]
fn r236_every_option_is_there() {
    for option in [
        "--share=ipc",
        "--unshare=network",
        "--share-if=network:true",
        "--socket=x11",
        "--nosocket=x11",
        "--socket-if=x11:!has-wayland",
        "--device=dri",
        "--nodevice=dri",
        "--device-if=input:has-input-device",
        "--allow=devel",
        "--disallow=devel",
        "--allow-if=devel:false",
        "--filesystem=home",
        "--nofilesystem=home",
        "--env=A=b",
        "--unset-env=A",
        "--own-name=a.b",
        "--talk-name=a.b",
        "--no-talk-name=a.b",
        "--system-own-name=a.b",
        "--system-talk-name=a.b",
        "--system-no-talk-name=a.b",
        "--a11y-own-name=a.b",
        "--add-policy=a.b=c",
        "--remove-policy=a.b=c",
        "--usb=all",
        "--nousb=all",
        "--usb-list=all",
        "--persist=.x",
    ] {
        let given = parse([option]).unwrap();
        assert_ne!(given.context, Context::default(), "{option}");
        assert_eq!(given.notices, [], "{option}");
    }
    assert_eq!(parse(["--no-desktop"]).unwrap(), Given::default());
}

#[test]
fn r51_options_make_a_layer() {
    let text = stored(&[
        "--socket=wayland",
        "--nosocket=x11",
        "--socket-if=cups:has-usb-portal",
        "--filesystem=home:ro",
        "--nofilesystem=host:reset",
        "--unset-env=B",
        "--env=A=b=c",
        "--talk-name=a.b.*",
        "--system-no-talk-name=c.d",
        "--remove-policy=p.k=v",
        "--nousb=vnd:0001",
    ]);
    assert_eq!(
        text,
        "[Context]\nsockets=cups;if:cups:has-usb-portal;wayland;!x11;\n\
         filesystems=!host:reset;!host;home:ro;\nunset-environment=B;\n\n\
         [USB Devices]\nhidden-devices=vnd:0001;\n\n[Session Bus Policy]\na.b.*=talk\n\n\
         [System Bus Policy]\nc.d=none\n\n[Environment]\nA=b=c\nB=\n\n[Policy p]\nk=!v;\n"
    );
}

#[test]
fn later_options_take_earlier_ones_back() {
    assert_eq!(stored(&["--share=ipc", "--unshare=ipc"]), "[Context]\nshared=!ipc;\n");
    assert_eq!(stored(&["--unshare=ipc", "--share=ipc"]), "[Context]\nshared=ipc;\n");
    assert_eq!(stored(&["--env=A=b", "--env=A=c"]), "[Environment]\nA=c\n");
    assert_eq!(stored(&["--unset-env=A", "--env=A=c"]), "[Environment]\nA=c\n");
    assert_eq!(
        stored(&["--own-name=a.b", "--no-talk-name=a.b"]),
        "[Session Bus Policy]\na.b=none\n"
    );
    assert_eq!(
        stored(&["--filesystem=home", "--filesystem=/a", "--nofilesystem=home"]),
        "[Context]\nfilesystems=!home;/a;\n"
    );
}

#[test]
fn r44_x11_that_is_taken_back_is_not_had_by_another_name() {
    let x11 = |options: &[&str], has_wayland| {
        let context = parse(options).unwrap().context;
        let resolved = context.resolve(&Conditions { has_wayland, ..Conditions::default() });
        resolved.permissions.sockets.contains(&Socket::X11)
    };
    assert!(!x11(&["--socket=fallback-x11", "--nosocket=x11"], false));
    assert!(x11(&["--nosocket=x11", "--socket=fallback-x11"], false));
    assert!(!x11(&["--socket=fallback-x11", "--socket=x11"], true));
}

#[test]
fn r38_wrong_values_are_errors_with_advice() {
    for option in [
        "--share=net",
        "--socket=x12",
        "--device=",
        "--allow=all",
        "--share-if=network",
        "--share-if=net:true",
        "--share-if=network:maybe",
        "--socket-if=fallback-x11:true",
        "--filesystem=..",
        "--filesystem=host:reset",
        "--filesystem=/a\u{1b}",
        "--nofilesystem=home:reset",
        "--persist=/etc",
        "--env=A",
        "--env==b",
        "--env=#A=b",
        "--env=A\n[Context]\nfilesystems=host;#=b",
        "--env=A[de]=b",
        "--unset-env=",
        "--unset-env=A=b",
        "--own-name=a",
        "--talk-name=a.*",
        "--add-policy=a.b=!c",
        "--usb=x",
        "--nousb=",
        "--env-fd=x",
        "--env-fd=2",
        "--env-fd=1000000",
        "--usb-list-file=/no/such/file",
    ] {
        let text = error(option);
        assert!(text.starts_with("cannot ") && text.lines().count() >= 2, "{option}: {text}");
        assert!(!text.contains('\u{1b}'), "{option}");
    }
    let bytes = OsString::from_vec(b"--env=A=\xff".to_vec());
    assert!(matches!(parse([bytes]).unwrap_err(), OptionError::Encoding { option: "env", .. }));
}

#[test]
fn r237_variables_are_read_from_a_descriptor() {
    let scratch = Scratch::new();
    let read_back = |content: &[u8]| {
        let path = scratch.file("env", content);
        let file = std::fs::File::open(path).unwrap();
        parse([format!("--env-fd={}", file.as_raw_fd())])
    };
    let environment = read_back(b"A=b\0C=d\ne=f\0D=\0").unwrap().context.environment;
    let expected = [("A", "b"), ("C", "d\ne=f"), ("D", "")];
    assert_eq!(environment, expected.map(|(k, v)| (k.to_owned(), Some(v.to_owned()))).into());
    assert_eq!(read_back(b"A=b").unwrap().context.environment.len(), 1);
    assert_eq!(read_back(b"").unwrap(), Given::default());
    for wrong in [&b"A\0"[..], b"=b\0", b"A=b\0\0", b"[x]=b\0", b"A=\xff\0"] {
        assert!(read_back(wrong).is_err(), "{wrong:?}");
    }
    let mut large = std::fs::File::options();
    let mut large = large
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(scratch.join("large"))
        .unwrap();
    large.write_all(b"A=").unwrap();
    large.set_len(MOST_BYTES).unwrap();
    large.rewind().unwrap();
    let error = parse([format!("--env-fd={}", large.as_raw_fd())]).unwrap_err();
    assert!(matches!(error, OptionError::Read { .. }));
}

#[test]
fn r239_lists_of_queries_leave_out_what_is_none() {
    let given = parse(["--usb-list=vnd:0001;!vnd:0002;x", "--usb-list="]).unwrap();
    assert_eq!(given.context.usb.lists(), (vec!["vnd:0001".into()], vec!["vnd:0002".into()]));
    assert_eq!(given.notices.len(), 1);
    let scratch = Scratch::new();
    let file = scratch.file("list", "# mine\nvnd:0003\n!cls:01:*;dev:1\n");
    let given = parse([format!("--usb-list-file={}", file.display())]).unwrap();
    assert_eq!(given.context.usb.lists(), (vec!["vnd:0003".into()], vec!["cls:01:*".into()]));
    assert_eq!(given.notices.len(), 1);
}

#[test]
fn help_lists_the_words_there_are() {
    for area in Area::ALL {
        let option = OPTIONS.iter().find(|option| option.0 == area.grant_option()).unwrap();
        let (_, listed) = option.2.split_once(": ").unwrap();
        let words: BTreeSet<_> = area.words().into_iter().collect();
        assert_eq!(listed.split(", ").collect::<BTreeSet<_>>(), words);
        assert!(OPTIONS.iter().any(|option| option.0 == area.deny_option()));
        assert!(OPTIONS.iter().any(|option| option.0 == format!("{}-if", area.grant_option())));
    }
}

fn option() -> impl Strategy<Value = String> {
    let sockets = || select(&["x11", "fallback-x11", "cups", "session-bus"][..]);
    let words = (select(&["socket", "nosocket"][..]), sockets())
        .prop_map(|(option, word)| format!("--{option}={word}"));
    let conditional = (select(&["x11", "cups"][..]), select(&["true", "!has-wayland"][..]))
        .prop_map(|(word, condition)| format!("--socket-if={word}:{condition}"));
    let names = select(&["talk-name", "own-name", "no-talk-name", "system-own-name"][..])
        .prop_map(|option| format!("--{option}=a.b.*"));
    let other = select(
        &[
            "--filesystem=home:ro",
            "--filesystem=/a\\:b:create",
            "--nofilesystem=home",
            "--nofilesystem=host:reset",
            "--filesystem=host",
            "--persist=.",
            "--persist=./~/x",
            "--env=A= \n[x]",
            "--unset-env=A",
            "--a11y-own-name=a.b",
            "--add-policy=a.b.c=d=e",
            "--remove-policy=a.b.c=d=e",
            "--usb=vnd:0001",
            "--usb-list=!all;cls:01:*",
            "--share=network",
            "--allow-if=multiarch:false",
            "--device=all",
        ][..],
    );
    prop_oneof![words, conditional, names, other.prop_map(str::to_owned)]
}

proptest! {
    #[test]
    fn r240_a_command_line_can_be_typed_again(options in prop::collection::vec(option(), 0..12)) {
        let given = parse(&options).unwrap();
        let again = given.context.options();
        prop_assert_eq!(parse(&again).unwrap().context, given.context, "{:?}", again);
        // R265.
        prop_assert!(!again.iter().any(|option| option == "--usb-list="));
    }
}
