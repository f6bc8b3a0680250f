// SPDX-License-Identifier: MIT OR Apache-2.0
//! One grant: what it is, what is thought of it, where it comes from, and how to have less of it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::bus;
use super::judgement::Ability::{Read, Talk, Write};
use super::judgement::Judgement;
use super::named;
use super::place;
use super::risk::Risk;
use super::thing::Thing;
use crate::filesystem::token::{Access, Place};
use crate::message::shown;

/// Where a grant comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// What the runtime says; only variables of it count (R45).
    Runtime(PathBuf),
    /// What the application says of itself.
    Metadata(PathBuf),
    /// What the administrator or the user changed.
    Overrides {
        /// Whether it is the user who did.
        user: bool,
        /// Whether for all applications.
        global: bool,
        /// The file.
        path: PathBuf,
    },
    /// An option on the command line.
    CommandLine,
}

impl Source {
    /// A word for programs.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Runtime(_) => "runtime_metadata",
            Self::Metadata(_) => "metadata",
            Self::Overrides { user: false, global: true, .. } => "system_global_override",
            Self::Overrides { user: false, global: false, .. } => "system_override",
            Self::Overrides { user: true, global: true, .. } => "user_global_override",
            Self::Overrides { user: true, global: false, .. } => "user_override",
            Self::CommandLine => "command_line",
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Runtime(path) | Self::Metadata(path) | Self::Overrides { path, .. } => Some(path),
            Self::CommandLine => None,
        }
    }
}

/// As people read it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Everyone knows where to find that; the path is long.
            Self::Runtime(_) => f.write_str("its runtime's metadata"),
            Self::Metadata(_) => f.write_str("the application's own metadata"),
            Self::Overrides { user, global, path } => {
                let who = if *user { "your" } else { "the administrator's" };
                let what = if *global { "all applications" } else { "this application" };
                write!(f, "{who} override for {what} ({})", shown(path))
            }
            Self::CommandLine => f.write_str("the command line"),
        }
    }
}

/// How to have less of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// What to do, in words.
    pub words: String,
    /// A command that does it, quoted for a shell.
    pub command: Option<String>,
}

/// Something that a sandbox was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What it is.
    pub thing: Thing,
    /// What is thought of it.
    pub judgement: Judgement,
    /// One of these has to be met; none if it is granted whatever the session.
    pub conditions: Vec<String>,
    /// Everyone who grants it as it is, lowest layer first.
    pub sources: Vec<Source>,
    /// How to have less of it.
    pub advice: Option<Advice>,
}

/// For whom something is judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The application; none for a command of `exec`.
    pub app: Option<&'a str>,
    /// The user's home directory.
    pub home: &'a Path,
    /// The user's runtime directory.
    pub runtime: &'a Path,
}

impl Subject<'_> {
    /// What is thought of something. None if it grants nothing.
    #[must_use]
    pub fn judge(&self, thing: &Thing) -> Option<Judgement> {
        let own = |object: String, effect: String, reason| {
            Some(Judgement::new(Risk::Low, object, &[Read, Write], effect, reason))
        };
        match thing {
            Thing::Named(area, name) => named::judge(*area, name),
            Thing::Place(place, access) => {
                Some(place::judge(place, *access, self.home, self.runtime))
            }
            Thing::Project(path) => {
                // It is a place like any other.
                let place = Place::Path(path.to_string_lossy().trim_matches('/').into());
                let judged = place::judge(&place, Access::ReadWrite, self.home, self.runtime);
                Some(judged.or("--filesystem=DIR:ro and --cwd=DIR, if reading will do", &[]))
            }
            Thing::Bus(bus, name, policy) => bus::judge(*bus, name, *policy, self.app),
            Thing::Policy { subsystem, key, value } => Some(Judgement::new(
                Risk::Medium,
                format!("{subsystem}: {key}={value}"),
                &[],
                format!("{} decides what to make of {key}={value}", subsystem),
                "what it means is known to that program alone",
            )),
            Thing::Usb(query) => {
                let all = query.to_string() == "all";
                let object = if all {
                    "USB devices that you choose".into()
                } else {
                    format!("USB devices {query}")
                };
                let risk = if all { Risk::High } else { Risk::Medium };
                Some(Judgement::new(
                    risk,
                    object,
                    &[Talk],
                    "It can ask the USB portal for these devices",
                    "the portal asks you first; what it hands out is used past the drivers",
                ))
            }
            Thing::Persist(path) => {
                let path = if path.is_empty() { "its home".into() } else { format!("~/{path}") };
                let effect = format!("It keeps {path} in a directory of its own");
                own(format!("its own {path}"), effect, "nothing of yours is in it")
            }
            Thing::Home(name) => {
                let effect = format!("It keeps its home under the name {name}");
                own(format!("the kept home {name}"), effect, "nothing of yours is in it")
            }
            Thing::Descriptor(number) => Some(Judgement::new(
                Risk::Medium,
                format!("your open file {number}"),
                &[Read, Write],
                format!("It can use your open file {number} as you can"),
                "an open directory leads to everything in it",
            )),
            Thing::Variable(name, value) => {
                let name = name.to_string_lossy();
                let effect = match value {
                    Some(value) => format!("It finds {name} set to {}", value.to_string_lossy()),
                    None => format!("It finds {name} unset"),
                };
                let reason = "variables change programs in the sandbox, and none outside";
                Some(Judgement::new(Risk::Low, format!("{name}"), &[], effect, reason))
            }
        }
    }

    /// The grant of a thing. None if it grants nothing.
    #[must_use]
    pub fn grant(
        &self,
        thing: Thing,
        conditions: Vec<String>,
        sources: Vec<Source>,
    ) -> Option<Grant> {
        let judgement = self.judge(&thing)?;
        let advice = self.advice(&thing, &judgement, &sources);
        Some(Grant { thing, judgement, conditions, sources, advice })
    }

    /// What little is at stake needs no advice.
    fn advice(&self, thing: &Thing, judgement: &Judgement, sources: &[Source]) -> Option<Advice> {
        if judgement.risk == Risk::Low {
            return None;
        }
        let options = judgement.narrower.map_or(&[][..], |narrower| narrower.options);
        let instead = judgement.narrower.map(|narrower| narrower.words);
        // No override takes back what the command line says.
        let typed = sources.contains(&Source::CommandLine);
        let others = sources.iter().any(|source| *source != Source::CommandLine);
        let Some(app) = self.app.filter(|_| others || !typed) else {
            let mut words = format!("leave {} out", shown(&thing.option()));
            if let Some(instead) = instead {
                words = format!("{words}; instead: {instead}");
            }
            let command = (!options.is_empty()).then(|| options.join(" "));
            return Some(Advice { words, command });
        };
        let revoked = thing.revoked_by()?;
        let words: Vec<_> = judgement.portal.into_iter().chain(instead).collect();
        let words = if words.is_empty() { "do without it".into() } else { words.join("; or ") };
        let words = if typed {
            format!("leave {} out, and {words}", shown(&thing.option()))
        } else {
            words
        };
        let options = options.iter().map(|option| (*option).to_owned());
        let arguments = std::iter::once(revoked).chain(options);
        let quoted: Vec<_> = arguments.map(|argument| quoted(OsStr::new(&argument))).collect();
        let command = format!("stockade override --user {} {app}", quoted.join(" "));
        Some(Advice { words, command: Some(command) })
    }
}

/// An argument as a shell takes it: whoever chose it may have hoped that it is pasted.
fn quoted(argument: &OsStr) -> String {
    let text = argument.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=/.,:@+%~".contains(c);
    if text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// What a layer granted and another took back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawn {
    /// As an option.
    pub what: OsString,
    /// Who took it back.
    pub by: Source,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::kind::Kind as Bus;
    use crate::flatpak::context::area::Area;
    use crate::flatpak::context::bus::{BusName, BusPolicy};

    fn granted(app: Option<&str>, thing: Thing) -> Grant {
        let subject =
            Subject { app, home: Path::new("/home/a"), runtime: Path::new("/run/user/7") };
        let source = app.map_or(Source::CommandLine, |_| Source::Metadata("/m".into()));
        subject.grant(thing, Vec::new(), vec![source]).unwrap()
    }

    fn command(thing: Thing) -> Option<String> {
        granted(Some("org.example.App"), thing).advice.and_then(|advice| advice.command)
    }

    #[test]
    fn commands_take_back_what_was_granted() {
        let home = Thing::Place(Place::Home(String::new()), Access::ReadWrite);
        let expected = "stockade override --user --nofilesystem=home \
                        --filesystem=xdg-download org.example.App";
        assert_eq!(command(home), Some(expected.to_owned()));
        let flatpak = BusName::new("org.freedesktop.Flatpak").unwrap();
        let expected =
            "stockade override --user --no-talk-name=org.freedesktop.Flatpak org.example.App";
        let talk = Thing::Bus(Bus::Session, flatpak, BusPolicy::Talk);
        assert_eq!(command(talk), Some(expected.to_owned()));
        let all = Thing::Named(Area::Devices, "all".to_owned());
        let expected = "stockade override --user --nodevice=all --device=dri org.example.App";
        assert_eq!(command(all), Some(expected.to_owned()));
        assert_eq!(command(Thing::Named(Area::Sockets, "wayland".to_owned())), None);
    }

    #[test]
    fn t67_hostile_names_stay_words_of_a_command() {
        let place = Place::Home("x y';reboot;'$(id)".to_owned());
        let expected = "stockade override --user \
                        '--nofilesystem=~/x y'\\'';reboot;'\\''$(id)' org.example.App";
        assert_eq!(command(Thing::Place(place, Access::ReadWrite)), Some(expected.to_owned()));
    }

    #[test]
    fn without_an_application_options_are_named() {
        let grant = granted(None, Thing::Named(Area::Sockets, "x11".to_owned()));
        let advice = grant.advice.unwrap();
        assert!(advice.words.starts_with("leave --socket=x11 out; instead: Wayland"), "{advice:?}");
        assert_eq!(advice.command.as_deref(), Some("--socket=wayland --socket=fallback-x11"));
    }

    #[test]
    fn r45_what_is_typed_is_left_out_where_no_override_helps() {
        let home = Path::new("/home/a");
        let subject = Subject { app: Some("org.example.App"), home, runtime: Path::new("/r") };
        let advice = |sources: &[Source]| {
            let thing = Thing::Named(Area::Sockets, "x11".to_owned());
            subject.grant(thing, Vec::new(), sources.to_vec()).unwrap().advice.unwrap()
        };
        let typed = advice(&[Source::CommandLine]);
        assert!(typed.words.starts_with("leave --socket=x11 out; instead"), "{typed:?}");
        assert_eq!(typed.command.as_deref(), Some("--socket=wayland --socket=fallback-x11"));
        let both = advice(&[Source::Metadata("/m".into()), Source::CommandLine]);
        assert!(both.words.starts_with("leave --socket=x11 out, and "), "{both:?}");
        assert!(both.command.unwrap().starts_with("stockade override --user"));
    }

    #[test]
    fn own_things_are_little_risk_and_projects_are_places() {
        for thing in [
            Thing::Persist(String::new()),
            Thing::Persist(".app".to_owned()),
            Thing::Home("work".to_owned()),
            Thing::Variable("A".into(), None),
            Thing::Variable("A".into(), Some("1".into())),
        ] {
            assert_eq!(granted(None, thing).judgement.risk, Risk::Low);
        }
        let risk = |path: &str| granted(None, Thing::Project(path.into())).judgement.risk;
        assert_eq!(risk("/home/a/src/x"), Risk::Medium);
        assert_eq!(risk("/home/a"), Risk::NoSandbox);
        assert_eq!(granted(None, Thing::Descriptor(5)).judgement.risk, Risk::Medium);
    }
}
