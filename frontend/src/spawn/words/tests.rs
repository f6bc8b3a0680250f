// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines of sub-sandboxes, and that none of them grants more than the caller has.

use super::*;
use crate::flatpak::context::condition::Condition;
use crate::spawn::bits::Bits;
use crate::spawn::parent::tests::parent;
use proptest::prelude::*;

fn request(flags: &[Flag], parts: &[Part]) -> Request {
    Request {
        flags: flags.iter().copied().collect(),
        parts: parts.iter().copied().collect(),
        command: Some("sh".into()),
        arguments: vec!["--sandbox".into(), "x".into()],
        ..Request::default()
    }
}

fn texts(parent: &Parent, request: &Request, numbers: &Numbers) -> Vec<String> {
    let words = words(parent, request, numbers);
    words.into_iter().map(|word| word.into_string().unwrap()).collect()
}

const PERMISSIONS: &str = "extra-args=--socket=x11;--nofilesystem=home;--env=A=b;--unset-env=C;\n\
    [Context]\nshared=network;ipc;\nsockets=x11;wayland;pulseaudio;\ndevices=all;\n\
    features=multiarch;\nfilesystems=~/notes;\n";

#[test]
fn r247_a_command_in_a_sandbox_like_the_callers() {
    let parent = parent(PERMISSIONS);
    let numbers = Numbers { environment: Some(10), ..Numbers::default() };
    let commit = |letter: &str| letter.repeat(64);
    let said = texts(&parent, &request(&[], &[]), &numbers).join(" ");
    let expected = format!(
        "--nosocket=cups --nosocket=fallback-x11 --nosocket=gpg-agent \
         --nosocket=inherit-wayland-socket --nosocket=pcsc --nosocket=session-bus --nosocket=ssh-auth \
         --nosocket=system-bus --socket=pulseaudio --socket=wayland --socket=x11 \
         --nodevice=dri --nodevice=input --nodevice=kvm --nodevice=shm --nodevice=usb --device=all \
         --disallow=bluetooth --disallow=canbus --disallow=devel --disallow=per-app-dev-shm \
         --allow=multiarch --nofilesystem=home --unset-env=C --env-fd=10 \
         --runtime=org.example.Platform/x86_64/24.08 --commit={} --runtime-commit={} --command=sh \
         app/org.example.App/x86_64/stable --sandbox x",
        commit("a"),
        commit("b")
    );
    assert_eq!(said, format!("--share=ipc --share=network {expected}"));
    assert_eq!(variables(&parent, &request(&[], &[])), b"A=b\0");
}

#[test]
fn r246_a_reduced_sandbox_keeps_what_is_asked_for_and_there() {
    let parent = parent(PERMISSIONS);
    let said = |flags: &[Flag], parts: &[Part]| {
        let said = texts(&parent, &request(flags, parts), &Numbers::default());
        let end = said.iter().position(|word| word.starts_with("--runtime=")).unwrap();
        said[..end].join(" ")
    };
    assert_eq!(said(&[Flag::Sandbox], &[]), "--sandbox --share=network");
    let without = [Flag::Sandbox, Flag::NoNetwork];
    assert_eq!(said(&without, &[]), "--sandbox --unshare=network");
    let reduced = "--sandbox --unshare=network";
    for (part, expected) in [
        (Part::Display, "--sandbox --unshare=network --share=ipc --socket=wayland --socket=x11"),
        (Part::Sound, "--sandbox --unshare=network --socket=pulseaudio"),
        (Part::Gpu, "--sandbox --unshare=network --device=dri"),
        (Part::Kvm, "--sandbox --unshare=network --device=kvm"),
        (Part::SharedMemory, reduced),
        (Part::AllDevices, "--sandbox --unshare=network --device=all"),
        (Part::SessionBus, "--sandbox --unshare=network --session-bus"),
        (Part::AccessibilityBus, "--sandbox --unshare=network --a11y-bus"),
    ] {
        assert_eq!(said(&without, &[part]), expected, "{part:?}");
    }
    // Its variables are not those of the command line either (R247).
    assert_eq!(variables(&parent, &request(&[Flag::Sandbox], &[])), b"");
}

#[test]
fn r246_r250_descriptors_and_flags_become_options() {
    let parent = parent("devel=true\n");
    let numbers = Numbers {
        environment: None,
        started: Some(11),
        app: Some(12),
        usr: Some(13),
        shown: vec![(14, true), (15, false)],
    };
    let mut asked = request(&[Flag::LatestVersion, Flag::ClearEnvironment, Flag::Sandbox], &[]);
    asked.command = None;
    asked.directory = Some("/x y".into());
    asked.unset.insert("D".into());
    asked.variables.insert("A".into(), "b\nc".into());
    assert_eq!(
        texts(&parent, &asked, &numbers).join("|"),
        "--sandbox|--clear-env|--devel|--unshare=network|--unset-env=D|--instance-id-fd=11|--bind-fd=14|\
         --ro-bind-fd=15|--app-fd=12|--usr-fd=13|--runtime=org.example.Platform/x86_64/24.08|\
         --cwd=/x y|app/org.example.App/x86_64/stable|--sandbox|x"
    );
    assert_eq!(variables(&parent, &asked), b"A=b\nc\0");
    let empty = texts(&parent, &request(&[Flag::EmptyApp], &[]), &Numbers::default());
    assert!(empty.contains(&"--app-path=".to_owned()));
}

#[test]
fn t71_who_has_lost_permissions_does_not_get_them_back() {
    let parent = parent("sandbox=true\nextra-args=--share=network;\n[Context]\nshared=network;\n");
    let said = texts(&parent, &request(&[], &[]), &Numbers::default());
    assert_eq!(said.first().map(String::as_str), Some("--sandbox"));
    assert!(said.contains(&"--share=network".to_owned()));
    let said =
        texts(&parent, &request(&[Flag::Sandbox], &[Part::AccessibilityBus]), &Numbers::default());
    assert!(!said.contains(&"--a11y-bus".to_owned()));
}

/// What is said of one permission: nothing, granted, taken back, granted on a condition.
fn said() -> impl Strategy<Value = u8> {
    0..5_u8
}

prop_compose! {
    /// What a layer may say of all permissions that are known.
    fn context()(said in prop::collection::vec(said(), 24)) -> Context {
        let mut context = Context::default();
        let words = Area::ALL.into_iter().flat_map(|area| area.words().into_iter().map(move |word| (area, word)));
        for ((area, word), said) in words.zip(said) {
            let grants = context.grants_mut(area);
            match said {
                1 => grants.allow(word),
                2 => grants.deny(word),
                3 | 4 if word != FALLBACK_X11 => {
                    let text = if said == 3 { "!has-wayland" } else { "has-input-device" };
                    grants.allow_if(word, Condition::parse(text).unwrap());
                }
                _ => {}
            }
        }
        context
    }
}

proptest! {
    #[test]
    fn t71_no_child_has_more_than_its_parent(
        has in context(),
        typed in context(),
        application in context(),
        flags in 0..512_u32,
        parts in 0..1024_u32,
        sandbox: bool,
        devel: bool,
    ) {
        let mut parent = parent("");
        // The file holds what came of all layers.
        let mut file = crate::keyfile::KeyFile::default();
        has.write(&mut file, crate::flatpak::context::Form::Flattened);
        parent.context = Context::read(&file).unwrap().0;
        (parent.typed, parent.sandbox, parent.devel) = (typed, sandbox, devel);
        let request = Request {
            flags: Bits::read(flags).unwrap(),
            parts: Bits::read(parts).unwrap(),
            ..Request::default()
        };
        // What the launcher makes of it, whatever the application's metadata and overrides are by now.
        let reduced = request.flags.has(Flag::Sandbox) || sandbox;
        let mut child = if reduced { application.sandboxed() } else { application };
        let multiarch = child.features.get("multiarch").cloned();
        child.merge(&permissions(&parent, &request));
        if multiarch.is_some_and(|it| it.is_allowed() || it.conditions().next().is_some()) && reduced {
            // What an application needs to run at all is its own (R50).
            parent.context.features.allow("multiarch");
        }
        let all = parent.context.devices.get("all").is_some_and(|it| it.is_allowed());
        for word in ["dri", "input", "usb", "kvm"].into_iter().filter(|_| all) {
            parent.context.devices.allow(word);
        }
        prop_assert!(child.is_subset_of(&parent.context), "{child:?}\n{:?}", parent.context);
    }

    #[test]
    fn r247_words_of_the_caller_stay_behind_the_application(
        arguments in prop::collection::vec(".*", 0..4),
        command in ".*",
        value in "[^\0]*",
    ) {
        let parent = parent(PERMISSIONS);
        let mut asked = request(&[], &[]);
        asked.arguments = arguments.iter().map(OsString::from).collect();
        asked.command = (!command.is_empty()).then(|| command.clone().into());
        asked.variables.insert("A".into(), value.clone());
        let said = texts(&parent, &asked, &Numbers::default());
        let name = said.iter().position(|word| word == "app/org.example.App/x86_64/stable").unwrap();
        let (options, behind) = said.split_at(name);
        prop_assert_eq!(&behind[1..], &arguments[..]);
        prop_assert!(options.iter().all(|word| word.starts_with("--")));
        let named: Vec<_> = options.iter().filter(|word| word.starts_with("--command=")).collect();
        prop_assert_eq!(named.len(), usize::from(!command.is_empty()));
        // The caller's replaces that of the command line.
        let said = String::from_utf8(variables(&parent, &asked)).unwrap();
        let expected = format!("A={value}\0");
        prop_assert!(said.ends_with(&expected));
    }
}
