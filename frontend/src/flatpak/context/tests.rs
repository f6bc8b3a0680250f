// SPDX-License-Identifier: MIT OR Apache-2.0
//! Contexts as a whole, against a model that is too simple to be wrong (T71).
//!
//! `PROPTEST_CASES` says how many random sets are tried.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::area::Area;
use super::bus::BusPolicy;
use super::condition::{Condition, Conditions};
use super::{Context, ContextError, Form};
use crate::filesystem::token::{Access, Place};
use crate::keyfile::KeyFile;
use crate::permission::{Device, Feature, Share, Socket};

pub(crate) fn context(text: &str) -> Context {
    let (context, notices) = Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap();
    assert_eq!(notices, [], "{text}");
    context
}

fn written(context: &Context, form: Form) -> String {
    let mut file = KeyFile::default();
    context.write(&mut file, form);
    file.to_string()
}

/// A layer of the model: the items of its lists, in order.
#[derive(Clone, Debug)]
struct Layer {
    sockets: Vec<String>,
    features: Vec<String>,
    filesystems: Vec<String>,
    persistent: Vec<&'static str>,
    set: Vec<(&'static str, &'static str)>,
    unset: Vec<&'static str>,
    bus: Vec<(&'static str, &'static str)>,
    policy: Vec<String>,
    enumerable: Vec<&'static str>,
    hidden: Vec<&'static str>,
}

const CONDITIONS: [&str; 6] = ["has-wayland", "!has-wayland", "has-usb-portal", "false", "x", "!x"];

fn grants(names: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    let item = (select(names), 0_usize..3, select(&CONDITIONS[..])).prop_map(|(name, kind, on)| {
        match kind {
            0 => name.to_owned(),
            1 => format!("!{name}"),
            // R39: it cannot be conditional.
            _ if name == "fallback-x11" => name.to_owned(),
            _ => format!("if:{name}:{on}"),
        }
    });
    vec(item, 0..7)
}

fn layer() -> impl Strategy<Value = Layer> {
    let places = select(&["host", "home", "host-os", "/a", "xdg-config/app"][..]);
    let suffixes = select(&["", ":ro", ":create"][..]);
    let filesystem = (places, suffixes, 0_usize..8).prop_map(|(place, suffix, kind)| match kind {
        0 | 1 => format!("!{place}"),
        2 => "!host:reset".to_owned(),
        _ => format!("{place}{suffix}"),
    });
    let lists = (
        grants(&["x11", "fallback-x11", "wayland", "future"]),
        grants(&["multiarch", "devel"]),
        vec(filesystem, 0..5),
        vec(select(&[".a", "b/c", "./d"][..]), 0..2),
    );
    let variables = (
        vec((select(&["A", "B C", "D"][..]), select(&["", " x;", "\\n[y"][..])), 0..3),
        vec(select(&["A", "D", "E"][..]), 0..2),
    );
    let names = select(&["a.b", "a.b.*", "a.b.c"][..]);
    let bus = vec((names, select(&["none", "see", "talk", "own"][..])), 0..3);
    let policy = vec(select(&["p", "!p", "q", "!q"][..]).prop_map(str::to_owned), 0..3);
    let queries = || vec(select(&["all", "vnd:0001", "vnd:0001+dev:0002", "cls:01:*"][..]), 0..3);
    (lists, variables, bus, policy, queries(), queries()).prop_map(
        |((sockets, features, filesystems, persistent), (set, unset), bus, policy, usb, hidden)| {
            Layer {
                sockets,
                features,
                filesystems,
                persistent,
                set,
                unset,
                bus,
                policy,
                enumerable: usb,
                hidden,
            }
        },
    )
}

impl Layer {
    fn text(&self) -> String {
        let list = |items: &[&str]| items.join(";");
        let owned = |items: &[String]| items.join(";");
        let entries = |entries: &[(&str, &str)]| {
            entries
                .iter()
                .map(|(key, value)| format!("{key}={}\n", value.replace(' ', "\\s")))
                .collect::<String>()
        };
        format!(
            "[Context]\nsockets={}\nfeatures={}\nfilesystems={}\npersistent={}\n\
             unset-environment={}\n[Environment]\n{}[Session Bus Policy]\n{}\
             [Policy s]\nk={}\n[USB Devices]\nenumerable-devices={}\nhidden-devices={}\n",
            owned(&self.sockets),
            owned(&self.features),
            owned(&self.filesystems),
            list(&self.persistent),
            list(&self.unset),
            entries(&self.set),
            entries(&self.bus),
            owned(&self.policy),
            list(&self.enumerable),
            list(&self.hidden),
        )
    }

    fn context(&self) -> Context {
        context(&self.text())
    }
}

fn merged(layers: &[Layer]) -> Context {
    layers.iter().fold(Context::default(), |mut below, layer| {
        below.merge(&layer.context());
        below
    })
}

/// What one layer says of one name, oldest first, without plain names that old readers need (R42).
fn steps<'a>(items: &'a [String], name: &str) -> Vec<&'a str> {
    let of_name = |item: &&String| {
        let plain = item.strip_prefix('!').unwrap_or(item);
        plain == name
            || plain.strip_prefix("if:").is_some_and(|rest| rest.split(':').next() == Some(name))
    };
    let mut steps: Vec<&str> = Vec::new();
    for item in items.iter().filter(of_name) {
        if item.starts_with("if:") {
            while steps.last() == Some(&name) {
                steps.pop();
            }
        }
        steps.push(item);
    }
    steps
}

/// A name is granted if the last step grants it, or a condition behind the last other step is met.
fn model_grants(lists: &[&[String]], name: &str, session: &Conditions) -> bool {
    let all: Vec<&str> = lists.iter().flat_map(|items| steps(items, name)).collect();
    let (plain, conditions) = model_split(&all, name);
    plain || conditions.iter().any(|condition| model_holds(condition, session))
}

/// Whether the last step grants without a condition, and the conditions behind the last other step.
fn model_split<'a>(steps: &[&'a str], name: &str) -> (bool, Vec<&'a str>) {
    let conditional = |step: &&&str| step.starts_with("if:");
    let condition = |step: &&'a str| step.rsplit(':').next().unwrap();
    let conditions = steps.iter().rev().take_while(conditional).map(condition).collect();
    (steps.last() == Some(&name), conditions)
}

/// R40, for the conditions that are tried.
fn model_holds(condition: &str, session: &Conditions) -> bool {
    match condition {
        "has-wayland" => session.has_wayland,
        "!has-wayland" => !session.has_wayland,
        "has-usb-portal" => session.has_usb_portal,
        "false" | "x" | "!x" => false,
        other => panic!("{other}"),
    }
}

/// R44: the fallback counts unless a layer above it says something of X11 that does not depend.
fn model_x11(layers: &[Layer], session: &Conditions) -> bool {
    let fallback = layers.iter().enumerate().rev().find_map(|(index, layer)| {
        let steps = steps(&layer.sockets, "fallback-x11");
        steps.last().map(|step| (index, *step == "fallback-x11"))
    });
    let resets = |layer: &Layer| steps(&layer.sockets, "x11").iter().any(|s| !s.starts_with("if:"));
    let falls_back = fallback
        .is_some_and(|(index, granted)| granted && !layers.iter().skip(index).skip(1).any(resets));
    let all: Vec<&str> = layers.iter().flat_map(|layer| steps(&layer.sockets, "x11")).collect();
    let (plain, conditions) = model_split(&all, "x11");
    let met = conditions.iter().any(|condition| model_holds(condition, session));
    if falls_back { met || !session.has_wayland } else { plain || met }
}

/// Of all that is said of a place, the last counts, unless a layer above resets.
fn model_places(layers: &[Layer]) -> BTreeMap<Place, Access> {
    let mut places = BTreeMap::new();
    for layer in layers {
        if layer.filesystems.iter().any(|item| item == "!host:reset") {
            places.clear();
        }
        for item in &layer.filesystems {
            let read = |text: &str| crate::filesystem::token::parse(text.as_ref()).unwrap().0;
            let (name, access) = match item.split_once(':') {
                Some((name, "ro")) => (name, Access::ReadOnly),
                Some((name, "create")) => (name, Access::Create),
                Some((name, _)) => (name, Access::ReadWrite),
                None => (item.as_str(), Access::ReadWrite),
            };
            match name.strip_prefix('!') {
                Some(name) => places.remove(&read(name)),
                None => places.insert(read(name), access),
            };
        }
    }
    places
}

proptest! {
    #[test]
    fn t71_layers_give_what_the_model_gives(layers in vec(layer(), 0..4)) {
        let context = merged(&layers);
        let sockets: Vec<&[String]> = layers.iter().map(|layer| &layer.sockets[..]).collect();
        let features: Vec<&[String]> = layers.iter().map(|layer| &layer.features[..]).collect();
        for session in &Conditions::ALL {
            let resolved = context.resolve(session);
            let permissions = &resolved.permissions;
            let mut expected = BTreeSet::new();
            if model_grants(&sockets, "wayland", session) {
                expected.insert(Socket::Wayland);
            }
            if model_x11(&layers, session) {
                expected.insert(Socket::X11);
            }
            prop_assert_eq!(&permissions.sockets, &expected);
            for feature in [Feature::Multiarch, Feature::Devel] {
                let expected = model_grants(&features, feature.word(), session);
                prop_assert_eq!(permissions.features.contains(&feature), expected);
            }
            prop_assert_eq!(&permissions.filesystems, &model_places(&layers));
        }
        let mut environment = BTreeMap::new();
        let mut bus = BTreeMap::new();
        let mut policy = BTreeMap::new();
        for layer in &layers {
            let value = |value: &str| Some(value.replace("\\n", "\n").into());
            environment.extend(layer.set.iter().map(|(k, v)| ((*k).into(), value(v))));
            environment.extend(layer.unset.iter().map(|k| ((*k).into(), None)));
            bus.extend(layer.bus.iter().map(|(k, v)| (*k, BusPolicy::read(v).unwrap())));
            for item in &layer.policy {
                policy.insert(item.trim_start_matches('!'), !item.starts_with('!'));
            }
        }
        let resolved = context.resolve(&Conditions::default());
        prop_assert_eq!(resolved.permissions.environment, environment);
        bus.retain(|_, policy| *policy != BusPolicy::None);
        let granted: BTreeMap<_, _> =
            resolved.permissions.session_names.iter().map(|(name, policy)| (name.as_str(), policy)).collect();
        prop_assert_eq!(granted, bus);
        let policies: BTreeMap<_, _> = context.policies.iter().map(|(_, _, v, granted)| (v, granted)).collect();
        prop_assert_eq!(policies, policy);
        let persist: BTreeSet<_> =
            layers.iter().flat_map(|layer| &layer.persistent).map(|path| path.replace("./", "")).collect();
        prop_assert_eq!(resolved.permissions.persist, persist);
    }

    #[test]
    fn t71_merging_is_associative_and_idempotent(a in layer(), b in layer(), c in layer()) {
        let (a, b, c) = (a.context(), b.context(), c.context());
        let join = |lower: &Context, upper: &Context| {
            let mut joined = lower.clone();
            joined.merge(upper);
            joined
        };
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert_eq!(join(&a, &Context::default()), a.clone());
        prop_assert_eq!(join(&Context::default(), &a), a);
    }

    #[test]
    fn r52_what_is_written_is_read_again(layers in vec(layer(), 0..3)) {
        let merged = merged(&layers);
        let stored = written(&merged, Form::Stored);
        prop_assert_eq!(&context(&stored), &merged, "{}", stored);
        // The flattened form grants the same to whoever has no layers below.
        let flattened = context(&written(&merged, Form::Flattened));
        for session in &Conditions::ALL {
            prop_assert_eq!(flattened.resolve(session), merged.resolve(session));
        }
        // T70: what is shown is what is granted.
        prop_assert_eq!(context(&merged.shown()), flattened);
    }

    #[test]
    fn t71_a_smaller_context_grants_less(a in layer(), b in layer(), c in layer()) {
        let (a, b, c) = (a.context(), b.context(), c.context());
        prop_assert!(a.is_subset_of(&a));
        prop_assert!(!(a.is_subset_of(&b) && b.is_subset_of(&c)) || a.is_subset_of(&c));
        let sandboxed = a.clone().sandboxed();
        prop_assert!(sandboxed.is_subset_of(&a));
        prop_assert_eq!(sandboxed.clone().sandboxed(), sandboxed);
        prop_assert!(a.clone().without_permissions().is_subset_of(&b));
        if a.is_subset_of(&b) {
            for session in &Conditions::ALL {
                let (less, more) = (a.resolve(session), b.resolve(session));
                prop_assert!(less.permissions.sockets.is_subset(&more.permissions.sockets));
                prop_assert!(less.permissions.features.is_subset(&more.permissions.features));
            }
        } else {
            // Who asks for nothing never asks for more.
            prop_assert_ne!(&a, &Context::default());
        }
    }

    #[test]
    fn whatever_a_file_holds_there_is_an_answer(text in "(\\[(Context|Environment|Policy x|Session Bus Policy|USB Devices)\\]\n((sockets|filesystems|persistent|unset-environment|a\\.b|enumerable-devices|#?k)=[!a-c:;/.~\\\\\u{1b}\u{202e}x ]{0,12}\n){0,4}){0,4}") {
        let Ok(file) = KeyFile::parse(text.as_bytes()) else { return Ok(()) };
        let Ok((read, _)) = Context::read(&file) else { return Ok(()) };
        let mut again = file.clone();
        read.write(&mut again, Form::Stored);
        let parsed = KeyFile::parse(again.to_string().as_bytes()).unwrap();
        prop_assert_eq!(Context::read(&parsed).unwrap().0, read.clone());
        let hides = read.shown().contains(['\u{1b}', '\u{202e}']);
        prop_assert!(!hides);
    }
}

#[test]
fn r27_every_key_is_read() {
    let context = context(
        "[Context]\nshared=network;!ipc;\nsockets=wayland;session-bus;inherit-wayland-socket;\n\
         devices=dri;\nfeatures=devel;per-app-dev-shm;\nfilesystems=home:ro;!/a;\npersistent=.x;\n\
         unset-environment=A;B;\n\n[Environment]\nA=\nC=x\n\n[Session Bus Policy]\na.b=talk\n\n\
         [System Bus Policy]\nc.d=own\n\n[Policy dconf]\nwrite=/a/;\n\n\
         [USB Devices]\nenumerable-devices=all;\nhidden-devices=vnd:0001;\n",
    );
    let resolved = context.resolve(&Conditions::default());
    let permissions = &resolved.permissions;
    assert_eq!(permissions.shares, [Share::Network].into());
    assert_eq!(permissions.sockets, [Socket::Wayland, Socket::SessionBus].into());
    assert_eq!(permissions.devices, [Device::Dri].into());
    assert_eq!(permissions.features, [Feature::Devel].into());
    assert_eq!(permissions.filesystems, [(Place::Home(String::new()), Access::ReadOnly)].into());
    assert_eq!(permissions.persist, [".x".to_owned()].into());
    // R49: unsetting wins in one file.
    let environment =
        [("A".into(), None), ("B".into(), None), ("C".into(), Some("x".into()))].into();
    assert_eq!(permissions.environment, environment);
    assert!(resolved.inherit_wayland_socket && resolved.per_app_dev_shm);
    assert_eq!(permissions.session_names.iter().count(), 1);
    assert_eq!(permissions.system_names.iter().count(), 1);
    assert_eq!((resolved.usb.enumerable.len(), resolved.usb.hidden.len()), (1, 1));
}

#[test]
fn r51_r52_the_written_forms() {
    let read = context(
        "[Policy dconf]\nwrite=!/a/;\n[Context]\nshared=network;!ipc;\nsockets=x11;if:x11:true;\n\
         filesystems=home:ro;!/a;!host-reset;\npersistent=~/.x/;.;\nunset-environment=B;\n\
         [USB Devices]\nhidden-devices=all;\n[Environment]\nA=x\n[System Bus Policy]\na.b=none\n",
    );
    assert_eq!(
        written(&read, Form::Stored),
        "[Context]\nshared=!ipc;network;\nsockets=x11;if:x11:true;\n\
         filesystems=!host:reset;!host;!/a;home:ro;\npersistent=.;.x;\nunset-environment=B;\n\n\
         [USB Devices]\nhidden-devices=all;\n\n[System Bus Policy]\na.b=none\n\n\
         [Environment]\nA=x\nB=\n\n[Policy dconf]\nwrite=!/a/;\n"
    );
    assert_eq!(
        written(&read, Form::Flattened),
        "[Context]\nshared=network;\nsockets=x11;if:x11:true;\nfilesystems=home:ro;\n\
         persistent=.;.x;\nunset-environment=B;\n\n[USB Devices]\nhidden-devices=all;\n\n\
         [Environment]\nA=x\nB=\n"
    );
}

#[test]
fn r29_the_accessibility_bus_is_passed_on_but_not_read() {
    let read = context("[Accessibility Bus Policy]\na.b=own\n");
    assert_eq!(read, Context::default());
    let mut given = Context::default();
    given.accessibility_bus.insert(super::bus::BusName::new("a.b").unwrap());
    assert_eq!(written(&given, Form::Stored), "");
    assert_eq!(written(&given, Form::Flattened), "[Accessibility Bus Policy]\na.b=own\n");
}

#[test]
fn r25_other_groups_and_keys_stay() {
    let text = "[Application]\nname=a.b.C\n\n[Context]\nfuture=x\nshared=ipc;\n\n[Other]\nk=v\n\n[Policy s]\nk=v;\n";
    let mut file = KeyFile::parse(text.as_bytes()).unwrap();
    Context::default().write(&mut file, Form::Stored);
    assert_eq!(
        file.to_string(),
        "[Application]\nname=a.b.C\n\n[Context]\nfuture=x\n\n[Other]\nk=v\n"
    );
}

#[test]
fn r53_paths_that_hide_themselves_reject_the_file() {
    for (key, value) in [
        ("filesystems", "home;/a\u{1b}[2K"),
        ("filesystems", "!/a\u{202e}b"),
        ("persistent", "a\\nb"),
        ("persistent", "/a\u{7f}"),
    ] {
        let file = KeyFile::parse(format!("[Context]\n{key}={value}\n").as_bytes()).unwrap();
        let error = Context::read(&file).unwrap_err();
        assert!(matches!(error, ContextError::Hidden { .. }), "{value:?}");
        assert!(!error.to_string().contains(['\u{1b}', '\u{202e}', '\n']), "{error}");
    }
}

#[test]
fn r28_wrong_names_on_the_bus_are_errors_and_unknown_policies_are_not() {
    let read = |text: &str| Context::read(&KeyFile::parse(text.as_bytes()).unwrap());
    assert!(matches!(read("[Session Bus Policy]\na=talk\n"), Err(ContextError::BusName(_))));
    assert!(matches!(read("[System Bus Policy]\n:1.2=talk\n"), Err(ContextError::BusName(_))));
    let (context, notices) = read("[Session Bus Policy]\na.b=shout\n").unwrap();
    assert_eq!((context, notices.len()), (Context::default(), 1));
    assert!(matches!(read("[Context]\nshared=\\q;\n"), Err(ContextError::Value(_))));
}

#[test]
fn r55_what_is_not_understood_is_left_out_and_told() {
    let text = "[Context]\nfilesystems=/a/../b;nowhere;home;\npersistent=../x;/etc;.x;\n\
                sockets=if:fallback-x11:true;!;x11;\n[Environment]\n\u{202e}=x\nA[de]=x\nB=\\q\nC=x\n\
                [USB Devices]\nenumerable-devices=x;all;\n";
    let (context, notices) = Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap();
    assert_eq!(notices.len(), 10);
    let resolved = context.resolve(&Conditions { has_wayland: true, ..Conditions::default() });
    assert_eq!(resolved.permissions.filesystems.len(), 1);
    assert_eq!(resolved.permissions.persist, [".x".to_owned()].into());
    assert_eq!(resolved.permissions.sockets, [Socket::X11].into());
    assert_eq!(context.environment.keys().collect::<Vec<_>>(), ["C"]);
    assert_eq!(resolved.usb.enumerable.len(), 1);
}

#[test]
fn t70_repeated_groups_and_keys_count_once_for_display_and_for_use() {
    let text = "[Context]\nfilesystems=/a;\n[Other]\n[Context]\r\nfilesystems=home;\r\n";
    let read = context(text);
    assert_eq!(read.shown(), "[Context]\nfilesystems=home;\n");
    let resolved = read.resolve(&Conditions::default());
    assert_eq!(resolved.permissions.filesystems.len(), 1);
    assert!(resolved.permissions.home_access());
}

#[test]
fn r44_the_fallback_is_x11_without_wayland() {
    let x11 = |text: &str, has_wayland| {
        let resolved = context(text).resolve(&Conditions { has_wayland, ..Conditions::default() });
        resolved.permissions.sockets.contains(&Socket::X11)
    };
    for text in ["fallback-x11", "x11;fallback-x11", "fallback-x11;x11"] {
        let text = format!("[Context]\nsockets={text};\n");
        assert!(x11(&text, false) && !x11(&text, true), "{text}");
    }
    assert!(x11("[Context]\nsockets=fallback-x11;if:x11:true;\n", true));
}

#[test]
fn r43_a_layer_that_resets_x11_drops_the_fallback_below() {
    for upper in ["!x11", "x11"] {
        let mut lower = context("[Context]\nsockets=fallback-x11;\n");
        let upper = format!("[Context]\nsockets={upper};\n");
        lower.merge(&context(&upper));
        assert_eq!(written(&lower, Form::Stored), upper);
    }
}

#[test]
fn r50_a_sandbox_keeps_its_environment_and_multiarch() {
    let text = "[Context]\nshared=network;\nsockets=x11;\ndevices=all;\nfeatures=devel;multiarch;\n\
                filesystems=home;!/a;\npersistent=.x;\n\n[Environment]\nA=x\n\n\
                [Session Bus Policy]\na.b=own\n\n[System Bus Policy]\na.b=own\n";
    let sandboxed = context(text).sandboxed();
    assert_eq!(sandboxed, context("[Context]\nfeatures=multiarch;\n[Environment]\nA=x\n"));
}

#[test]
fn r45_a_runtime_gives_its_environment_only() {
    let text = "[Context]\nshared=network;\nfeatures=multiarch;\nunset-environment=B;\n[Environment]\nA=x\n";
    let left = context(text).without_permissions();
    assert_eq!(left, context("[Context]\nunset-environment=B;\n[Environment]\nA=x\n"));
}

#[test]
fn r251_asking_for_more_is_noticed() {
    let old = context(
        "[Context]\nshared=network;\nsockets=fallback-x11;if:cups:future;\nfilesystems=host:ro;~/a;\n",
    );
    for less in [
        "sockets=fallback-x11;",
        "sockets=if:x11:!has-wayland;",
        "sockets=if:wayland:false;if:wayland:!true;",
        "sockets=if:cups:future;",
        "filesystems=home:ro;host-etc:ro;~/a:create;",
        "shared=network;!ipc;",
    ] {
        assert!(context(&format!("[Context]\n{less}\n")).is_subset_of(&old), "{less}");
    }
    for more in [
        "sockets=x11;",
        "sockets=if:x11:has-wayland;",
        "sockets=if:wayland:unknown-yet;",
        "sockets=if:cups:!future;",
        "shared=ipc;",
        "shared=future;",
        "devices=dri;",
        "filesystems=home;",
        "filesystems=~/a/b;",
        "filesystems=~/.var/app:ro;",
        "filesystems=host-root:ro;",
        "features=if:multiarch:true;",
    ] {
        assert!(!context(&format!("[Context]\n{more}\n")).is_subset_of(&old), "{more}");
    }
}

#[test]
fn names_of_all_areas_survive_being_written() {
    for area in Area::ALL {
        let mut given = Context::default();
        for (index, word) in area.words().into_iter().enumerate() {
            match index % 3 {
                0 => given.grants_mut(area).allow(word),
                1 => given.grants_mut(area).deny(word),
                _ => given.grants_mut(area).allow_if(word, Condition::without_wayland()),
            }
        }
        assert_eq!(context(&written(&given, Form::Stored)).grants(area), given.grants(area));
    }
}
