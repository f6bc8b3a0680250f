// SPDX-License-Identifier: MIT OR Apache-2.0
//! The grants of an application, from the layers of its permissions (R45-R48), each with the layers
//! it comes from.
//!
//! What is granted is what the layers come to when they are merged, as for a run (T70). The layers by
//! themselves only tell who is to be asked about it.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::grant::{Grant, Source, Subject, Withdrawn};
use super::provenance::{Layer, Said, provenance};
use super::thing::Thing;
use crate::bus::kind::Kind as Bus;
use crate::filesystem::token::{Access, Place};
use crate::flatpak::context::area::Area;
use crate::flatpak::context::bus::{BusName, BusPolicies, BusPolicy};
use crate::flatpak::context::condition::Conditions;
use crate::flatpak::context::grants::Permission;
use crate::flatpak::context::{Context, FALLBACK_X11};

/// The socket for X11.
const X11: &str = "x11";

/// What came of all layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// What is granted.
    pub grants: Vec<Grant>,
    /// What was granted and taken back.
    pub withdrawn: Vec<Withdrawn>,
    /// Names that are not known, and grant nothing.
    pub unknown: Vec<String>,
}

/// The grants of an application with these layers, lowest first.
#[must_use]
pub fn grants(layers: &[Layer], subject: &Subject<'_>) -> Granted {
    let mut merged = Context::default();
    for layer in layers {
        merged.merge(&layer.context);
    }
    let mut collection = Collection { layers, merged: &merged, subject, found: Granted::default() };
    for area in Area::ALL {
        collection.named(area);
    }
    collection.places();
    for bus in Bus::ALL {
        collection.names(bus);
    }
    collection.policies();
    collection.usb();
    collection.persist();
    collection.variables();
    collection.found
}

struct Collection<'a> {
    layers: &'a [Layer],
    merged: &'a Context,
    subject: &'a Subject<'a>,
    found: Granted,
}

impl Collection<'_> {
    /// Every key that a layer says something of.
    fn keys<T: Ord>(&self, of: impl Fn(&Context) -> Vec<T>) -> BTreeSet<T> {
        self.layers.iter().flat_map(|layer| of(&layer.context)).collect()
    }

    fn grant(&mut self, thing: Thing, conditions: Vec<String>, sources: Vec<Source>) {
        self.found.grants.extend(self.subject.grant(thing, conditions, sources));
    }

    /// What is not granted in the end, if it ever was.
    fn withdraw(&mut self, thing: &Thing, denied: Option<Source>) {
        let withdrawn = denied.map(|by| Withdrawn { what: thing.option(), by });
        self.found.withdrawn.extend(withdrawn);
    }

    fn named(&mut self, area: Area) {
        let names = self
            .keys(|context| context.grants(area).iter().map(|(name, _)| name.to_owned()).collect());
        for name in names {
            let permission = self.merged.grants(area).get(&name);
            let known = area.words().contains(&name.as_str());
            let thing = Thing::Named(area, name.clone());
            let provenance = provenance(self.layers, |context| said_of(context, area, &name));
            match permission.and_then(|permission| self.conditions(area, &name, permission)) {
                Some(_) if !known => self.found.unknown.push(format!("{}: {name}", area.key())),
                Some(conditions) => self.grant(thing, conditions, provenance.sources),
                None => self.withdraw(&thing, provenance.denied),
            }
        }
    }

    /// On which conditions a permission is granted. None if it never is.
    fn conditions(&self, area: Area, name: &str, permission: &Permission) -> Option<Vec<String>> {
        let granted = |session: &&Conditions| permission.is_granted(session);
        let falls_back = area == Area::Sockets
            && name == X11
            && self.merged.sockets.get(FALLBACK_X11).is_some_and(Permission::is_allowed);
        match Conditions::ALL.iter().filter(granted).count() {
            0 => None,
            // R44: what the fallback grants is all there is of it.
            _ if falls_back && permission.is_allowed() => None,
            all if all == Conditions::ALL.len() => Some(Vec::new()),
            _ => {
                let known = permission.conditions().filter(|condition| condition.is_known());
                Some(known.map(ToString::to_string).filter(|text| text != "false").collect())
            }
        }
    }

    fn places(&mut self) {
        let keys: BTreeSet<Place> = self.keys(|context| {
            context.filesystems.granted().map(|(place, _)| place.clone()).collect()
        });
        for place in keys {
            let said = |context: &Context| Said::<Access> {
                denies: context.filesystems.resets()
                    || context.filesystems.denied().any(|denied| *denied == place),
                grants: find(context.filesystems.granted(), &place),
            };
            let provenance = provenance(self.layers, said);
            match find(self.merged.filesystems.granted(), &place) {
                Some(access) => {
                    self.grant(Thing::Place(place, access), Vec::new(), provenance.sources);
                }
                None => {
                    self.withdraw(&Thing::Place(place, Access::ReadWrite), provenance.denied);
                }
            }
        }
    }

    fn names(&mut self, bus: Bus) {
        let keys =
            self.keys(|context| on(context, bus).into_iter().map(|(name, _)| name).collect());
        for name in keys {
            let all = |context: &Context| {
                let found = on(context, bus).into_iter().find(|(known, _)| *known == name);
                found.map(|(_, policy)| policy)
            };
            let granted = |policy: &BusPolicy| *policy != BusPolicy::None;
            let provenance = provenance(self.layers, |context| Said {
                denies: all(context) == Some(BusPolicy::None),
                grants: all(context).filter(granted),
            });
            match all(self.merged).filter(granted) {
                Some(policy) => {
                    self.grant(Thing::Bus(bus, name, policy), Vec::new(), provenance.sources);
                }
                None => {
                    let thing = Thing::Bus(bus, name, BusPolicy::Talk);
                    self.withdraw(&thing, provenance.denied);
                }
            }
        }
    }

    fn policies(&mut self) {
        type Value = (String, String, String);
        let all = |context: &Context| -> Vec<(Value, bool)> {
            let owned = |(subsystem, key, value, granted): (&str, &str, &str, bool)| {
                ((subsystem.to_owned(), key.to_owned(), value.to_owned()), granted)
            };
            context.policies.iter().map(owned).collect()
        };
        let keys = self.keys(|context| all(context).into_iter().map(|(value, _)| value).collect());
        for value in keys {
            let said = |context: &Context| {
                let found = all(context).into_iter().find(|(known, _)| *known == value);
                found.map(|(_, granted)| granted)
            };
            let provenance = provenance(self.layers, |context| Said {
                denies: said(context) == Some(false),
                grants: said(context).filter(|granted| *granted),
            });
            let granted = said(self.merged) == Some(true);
            let (subsystem, key, value) = value;
            let thing = Thing::Policy { subsystem, key, value };
            if granted {
                self.grant(thing, Vec::new(), provenance.sources);
            } else {
                self.withdraw(&thing, provenance.denied);
            }
        }
    }

    fn usb(&mut self) {
        for query in &self.merged.usb.enumerable {
            let thing = Thing::Usb(query.clone());
            // R47: nobody is without a say where both have theirs.
            let hides =
                |context: &Context| context.usb.hidden.iter().any(|hidden| hidden.covers(query));
            let provenance = provenance(self.layers, |context| Said {
                denies: false,
                grants: context.usb.enumerable.contains(query).then_some(()),
            });
            if hides(self.merged) {
                let by = self.layers.iter().rev().find(|layer| hides(&layer.context));
                self.withdraw(&thing, by.map(|layer| layer.source.clone()));
            } else {
                self.grant(thing, Vec::new(), provenance.sources);
            }
        }
    }

    fn persist(&mut self) {
        // R60: with the home granted there is nothing to persist.
        let home = Place::Home(String::new());
        let granted = |(place, _): (&Place, Access)| *place == Place::Host || *place == home;
        if self.merged.filesystems.granted().any(granted) {
            return;
        }
        for path in &self.merged.persist {
            let provenance = provenance(self.layers, |context| Said {
                denies: false,
                grants: context.persist.contains(path).then_some(()),
            });
            self.grant(Thing::Persist(path.clone()), Vec::new(), provenance.sources);
        }
    }

    fn variables(&mut self) {
        for (name, value) in &self.merged.environment {
            let provenance = provenance(self.layers, |context| Said {
                denies: false,
                grants: context.environment.get(name).cloned(),
            });
            let value = value.as_ref().map(OsString::from);
            let thing = Thing::Variable(name.into(), value);
            self.grant(thing, Vec::new(), provenance.sources);
        }
    }
}

/// What a layer says of a name: whether it is granted without a condition.
fn said_of(context: &Context, area: Area, name: &str) -> Said<bool> {
    let grants = context.grants(area);
    let permission = grants.get(name);
    let allowed = permission.is_some_and(Permission::is_allowed);
    let conditional = permission.is_some_and(|it| it.conditions().next().is_some());
    // R43: taking X11 back takes the fallback back.
    let x11 = area == Area::Sockets && name == FALLBACK_X11 && grants.resets(X11);
    Said {
        denies: (grants.resets(name) && !allowed) || x11,
        grants: (allowed || conditional).then_some(allowed),
    }
}

fn find<'a>(
    mut granted: impl Iterator<Item = (&'a Place, Access)>,
    place: &Place,
) -> Option<Access> {
    granted.find(|(known, _)| *known == place).map(|(_, access)| access)
}

fn on(context: &Context, bus: Bus) -> Vec<(BusName, BusPolicy)> {
    let all = |policies: &BusPolicies| {
        policies.iter().map(|(name, policy)| (name.clone(), policy)).collect()
    };
    match bus {
        Bus::Session => all(&context.session_bus),
        Bus::System => all(&context.system_bus),
        Bus::Accessibility => {
            let own = |name: &BusName| (name.clone(), BusPolicy::Own);
            context.accessibility_bus.iter().map(own).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyfile::KeyFile;
    use crate::permission::Socket;
    use proptest::prelude::*;
    use proptest::sample::select;
    use std::path::Path;

    fn context(text: &str) -> Context {
        Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap().0
    }

    fn source(number: usize) -> Source {
        let overrides = |user, global| Source::Overrides { user, global, path: "/o".into() };
        match number {
            0 => Source::Metadata("/m".into()),
            1 => overrides(false, true),
            2 => overrides(false, false),
            3 => overrides(true, true),
            _ => overrides(true, false),
        }
    }

    fn granted(texts: &[&str]) -> Granted {
        let layer = |(number, text): (usize, &&str)| Layer {
            source: source(number),
            context: context(text),
        };
        let layers: Vec<_> = texts.iter().enumerate().map(layer).collect();
        let subject = Subject {
            app: Some("org.example.App"),
            home: Path::new("/home/a"),
            runtime: Path::new("/run/user/7"),
        };
        grants(&layers, &subject)
    }

    /// Each grant as `OPTION FROM…`, and what was taken back as `-OPTION BY`.
    fn lines(texts: &[&str]) -> Vec<String> {
        let found = granted(texts);
        let grants = found.grants.iter().map(|grant| {
            let sources: Vec<_> = grant.sources.iter().map(Source::word).collect();
            let on: String =
                grant.conditions.iter().map(|condition| format!(" if {condition}")).collect();
            format!("{}{on} {}", grant.thing.option().display(), sources.join("+"))
        });
        let withdrawn = found.withdrawn.iter();
        let withdrawn = withdrawn.map(|it| format!("-{} {}", it.what.display(), it.by.word()));
        grants.chain(withdrawn).collect()
    }

    #[test]
    fn r46_every_layer_can_be_where_something_comes_from() {
        let mut texts = ["", "", "", "", ""];
        for (number, word) in [
            "metadata",
            "system_global_override",
            "system_override",
            "user_global_override",
            "user_override",
        ]
        .into_iter()
        .enumerate()
        {
            texts[number] = "[Context]\nshared=network;\n";
            assert_eq!(lines(&texts), [format!("--share=network {word}")]);
            texts[number] = "";
        }
        texts[0] = "[Context]\nshared=network;\n";
        texts[4] = "[Context]\nshared=network;\n";
        assert_eq!(lines(&texts), ["--share=network metadata+user_override"]);
        texts[2] = "[Context]\nshared=!network;\n";
        assert_eq!(lines(&texts), ["--share=network user_override"]);
        texts[4] = "";
        assert_eq!(lines(&texts), ["---share=network system_override"]);
    }

    #[test]
    fn provenance_of_everything_else() {
        for (texts, expected) in [
            // R48: another way of granting a place replaces the first.
            (
                ["[Context]\nfilesystems=home;~/a;", "[Context]\nfilesystems=home:ro;"],
                &["--filesystem=home:ro system_global_override", "--filesystem=~/a metadata"][..],
            ),
            (
                ["[Context]\nfilesystems=home;~/a;", "[Context]\nfilesystems=!home;"],
                &["--filesystem=~/a metadata", "--filesystem=home system_global_override"],
            ),
            (
                ["[Context]\nfilesystems=home;", "[Context]\nfilesystems=!host:reset;~/b;"],
                &[
                    "--filesystem=~/b system_global_override",
                    "--filesystem=home system_global_override",
                ],
            ),
            (
                [
                    "[Session Bus Policy]\na.b=own\nc.d=talk",
                    "[Session Bus Policy]\na.b=talk\nc.d=none",
                ],
                &[
                    "--talk-name=a.b system_global_override",
                    "--talk-name=c.d system_global_override",
                ],
            ),
            (["[System Bus Policy]\na.b=see", ""], &["a.b=see (system bus) metadata"]),
            (
                ["[Policy x]\nk=a;b;", "[Policy x]\nk=!a;"],
                &["--add-policy=x.k=b metadata", "--add-policy=x.k=a system_global_override"],
            ),
            (
                [
                    "[USB Devices]\nenumerable-devices=vnd:0001;vnd:0002;",
                    "[USB Devices]\nhidden-devices=vnd:0002;",
                ],
                &["--usb=vnd:0001 metadata", "--usb=vnd:0002 system_global_override"],
            ),
            (
                ["[Context]\npersistent=.a;", "[Context]\npersistent=.a;.b;"],
                &[
                    "--persist=.a metadata+system_global_override",
                    "--persist=.b system_global_override",
                ],
            ),
            (
                ["[Environment]\nA=1\nB=1", "[Environment]\nA=2\nB=1"],
                &["--env=A=2 system_global_override", "--env=B=1 metadata+system_global_override"],
            ),
        ] {
            let found: Vec<_> =
                lines(&texts).iter().map(|line| line.replacen("---", "--", 1)).collect();
            assert_eq!(found, expected, "{texts:?}");
        }
    }

    #[test]
    fn r60_with_the_home_nothing_else_is_kept() {
        let texts = ["[Context]\nfilesystems=host:ro;\npersistent=.a;\n"];
        assert_eq!(lines(&texts), ["--filesystem=host:ro metadata"]);
    }

    #[test]
    fn r39_r44_conditions() {
        for (text, expected) in [
            ("x11;fallback-x11", &["--socket=fallback-x11 metadata"][..]),
            ("x11", &["--socket=x11 metadata"]),
            ("x11;if:x11:!has-wayland", &["--socket=x11 if !has-wayland metadata"]),
            ("if:x11:has-wayland;if:x11:!has-wayland", &["--socket=x11 metadata"]),
            ("if:x11:future;if:wayland:false", &[]),
        ] {
            assert_eq!(lines(&[&format!("[Context]\nsockets={text};")]), expected, "{text}");
        }
        let taken = ["[Context]\nsockets=fallback-x11;", "[Context]\nsockets=!x11;"];
        assert_eq!(lines(&taken), ["---socket=fallback-x11 system_global_override"]);
    }

    #[test]
    fn r38_unknown_names_are_told_apart() {
        let found = granted(&["[Context]\nsockets=x12;!x13;wayland;"]);
        assert_eq!(found.unknown, ["sockets: x12"]);
        assert_eq!(found.grants.len(), 1);
    }

    fn layer() -> impl Strategy<Value = String> {
        let sockets = select(
            &[
                "x11",
                "!x11",
                "fallback-x11",
                "!fallback-x11",
                "if:x11:has-wayland",
                "pulseaudio",
                "!pulseaudio",
                "if:pcsc:future",
                "session-bus",
            ][..],
        );
        let devices = select(&["all", "!all", "dri", "if:dri:has-usb-portal"][..]);
        let places = select(&["home", "!home", "home:ro", "host", "!host:reset", "~/a:create"][..]);
        let names = select(&["a.b=talk", "a.b=none", "a.b.*=own"][..]);
        let few = |items| prop::collection::vec(items, 0..4);
        (few(sockets), few(devices), few(places), names).prop_map(
            |(sockets, devices, places, name): (Vec<&str>, Vec<&str>, Vec<&str>, &str)| {
                format!(
                    "[Context]\nsockets={}\ndevices={}\nfilesystems={}\n[Session Bus Policy]\n{name}\n",
                    sockets.join(";"),
                    devices.join(";"),
                    places.join(";")
                )
            },
        )
    }

    proptest! {
        /// T70: what is told is what is granted, and everything that is told comes from somewhere.
        #[test]
        fn t70_what_is_explained_is_what_is_granted(texts in prop::collection::vec(layer(), 1..5)) {
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            let found = granted(&texts);
            let mut merged = Context::default();
            for text in &texts {
                merged.merge(&context(text));
            }
            let has = |option: &str, word: &str| {
                let typed = format!("--{option}={word}");
                found.grants.iter().any(|grant| grant.thing.option() == *typed)
            };
            for session in Conditions::ALL {
                let resolved = merged.resolve(&session);
                let permissions = &resolved.permissions;
                for socket in &permissions.sockets {
                    let fallback = *socket == Socket::X11 && has("socket", "fallback-x11");
                    prop_assert!(fallback || has("socket", socket.word()));
                }
                let devices = permissions.devices.iter().all(|it| has("device", it.word()));
                prop_assert!(devices);
                let whole = permissions.sockets.contains(&Socket::SessionBus);
                prop_assert_eq!(whole, has("socket", "session-bus"));
            }
            let places = found.grants.iter().filter(|grant| matches!(grant.thing, Thing::Place(..)));
            prop_assert_eq!(places.count(), merged.filesystems.granted().count());
            for (place, access) in merged.filesystems.granted() {
                let thing = Thing::Place(place.clone(), access);
                prop_assert!(found.grants.iter().any(|grant| grant.thing == thing));
            }
            let names = found.grants.iter().filter(|grant| matches!(grant.thing, Thing::Bus(..)));
            prop_assert_eq!(names.count(), merged.session_bus.granted().count());
            prop_assert!(found.grants.iter().all(|grant| !grant.sources.is_empty()));
        }
    }
}
