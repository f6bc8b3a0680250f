// SPDX-License-Identifier: MIT OR Apache-2.0
//! The explanation of what options of `exec` make.

use std::ffi::OsString;
use std::path::PathBuf;

use super::Explanation;
use super::grant::{Source, Subject};
use super::mount::{self, Mount, Use};
use super::thing::Thing;
use crate::bus::kind::Kind;
use crate::caller::Caller;
use crate::exec::{self, Options};
use crate::filesystem::grant::path_of;
use crate::filesystem::token::Access;
use crate::flatpak::context::area::Area;
use crate::message::{Notice, shown};
use crate::permission::{Permissions, Socket};

/// What stands for a command where none is named.
const ANY: &str = "true";

/// Explains the sandbox that these options make, with what `exec` would tell. Nothing that `exec`
/// would make is made. Where `exec` would refuse to start, the notices say why, and nothing is known
/// of the file system.
#[must_use]
pub fn explain(options: &Options, caller: &Caller) -> (Explanation, Vec<Notice>) {
    let runtime_directory = caller.runtime_directory();
    let subject = Subject { app: None, home: &caller.home, runtime: &runtime_directory };
    let things = things(options, caller);
    let grants = things
        .into_iter()
        .filter_map(|it| subject.grant(it, Vec::new(), vec![Source::CommandLine]));
    let grants = grants.collect();

    let (harmless, made) = harmless(options, caller);
    let (mut mounts, notices) = match exec::plan(&harmless, caller, Vec::new()) {
        Ok(plan) => (mount::of_sandbox(&plan.sandbox, &subject), plan.notices),
        Err(error) => (Vec::new(), vec![Notice::Warning(error.to_string())]),
    };
    let kept = options.permissions.persist.iter();
    mounts.extend(made.into_iter().map(|path| Mount::own(path, Use::Write, "made when it starts")));
    if options.name.is_some() && !options.permissions.home_access() {
        let paths: Vec<_> = kept.map(|path| caller.home.join(path)).collect();
        let paths = if paths.is_empty() { vec![caller.home.clone()] } else { paths };
        mounts
            .extend(paths.into_iter().map(|path| Mount::own(path, Use::Private, "its own, kept")));
    }

    let command: Vec<_> = options.command.iter().map(|word| shown(word).to_string()).collect();
    let title = if command.is_empty() { "a command".to_owned() } else { command.join(" ") };
    let mut explanation = Explanation {
        title,
        details: vec![("Made by", "stockade exec".to_owned())],
        grants,
        withdrawn: Vec::new(),
        unknown: Vec::new(),
        always: always(options),
        mounts,
    };
    explanation.sort();
    (explanation, notices)
}

fn always(options: &Options) -> Vec<String> {
    let home = match &options.name {
        Some(_) if options.permissions.persist.is_empty() => {
            "It has a home directory of its own, which is kept"
        }
        Some(_) => {
            "It has a home directory of its own, of which the parts that were named are kept"
        }
        None => "It has an empty home directory of its own, which is gone when it ends",
    };
    let mut always = vec![
        home.to_owned(),
        "It reads the programs and the configuration of this system, and can change neither"
            .to_owned(),
        "It sees its own processes and no others".to_owned(),
    ];
    if !options.clear_environment {
        always.push("It sees your environment variables; --clear-env hides them".to_owned());
    }
    let ports = |ports: &[u16]| {
        let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
        ports.join(", ")
    };
    if !options.tcp_connect.is_empty() {
        always.push(format!("Of TCP, it connects to port {} only", ports(&options.tcp_connect)));
    }
    if !options.tcp_bind.is_empty() {
        always.push(format!("Of TCP, it serves on port {} only", ports(&options.tcp_bind)));
    }
    always
}

fn things(options: &Options, caller: &Caller) -> Vec<Thing> {
    let Permissions {
        shares,
        sockets,
        devices,
        features,
        filesystems,
        persist,
        environment,
        session_names,
        system_names,
    } = &options.permissions;
    let named = |area, word: &str| Thing::Named(area, word.to_owned());
    let mut things = Vec::new();
    things.extend(options.project.as_ref().map(|path| {
        // As `exec` takes it: from the working directory.
        let here = caller.directory.clone().unwrap_or_default();
        Thing::Project(crate::filesystem::locate::tidy(&here.join(path)))
    }));
    things.extend(filesystems.iter().map(|(place, access)| Thing::Place(place.clone(), *access)));
    things.extend(shares.iter().map(|it| named(Area::Shares, it.word())));
    // R44: the fallback is all there is of X11 then.
    let fallback = sockets.contains(&Socket::FallbackX11);
    let sockets = sockets.iter().filter(|it| **it != Socket::X11 || !fallback);
    things.extend(sockets.map(|it| named(Area::Sockets, it.word())));
    for (bus, names) in [(Kind::Session, session_names), (Kind::System, system_names)] {
        let granted = names.granted().map(|(name, policy)| Thing::Bus(bus, name.clone(), policy));
        things.extend(granted);
    }
    things.extend(devices.iter().map(|it| named(Area::Devices, it.word())));
    things.extend(features.iter().map(|it| named(Area::Features, it.word())));
    things.extend(options.pass.iter().map(|number| Thing::Descriptor(*number)));
    things.extend(options.name.as_ref().map(|name| Thing::Home(name.as_str().to_owned())));
    // R60: with the home granted there is nothing to persist.
    let persist = persist.iter().filter(|_| !options.permissions.home_access());
    things.extend(persist.map(|path| Thing::Persist(path.clone())));
    let variable = |(name, value): (&OsString, &Option<OsString>)| {
        Thing::Variable(name.clone(), value.clone())
    };
    things.extend(environment.iter().map(variable));
    things
}

/// The same options without what would be made on the host, and the paths that would.
fn harmless(options: &Options, caller: &Caller) -> (Options, Vec<PathBuf>) {
    let mut harmless = options.clone();
    let mut made = Vec::new();
    harmless.name = None;
    harmless.permissions.persist.clear();
    harmless.pass.clear();
    if harmless.command.is_empty() {
        harmless.command.push(ANY.into());
    }
    let dirs = || std::fs::read(caller.config_home().join("user-dirs.dirs")).unwrap_or_default();
    harmless.permissions.filesystems.retain(|place, access| {
        if *access == Access::Create {
            *access = Access::ReadWrite;
            let missing = path_of(place, caller, dirs).ok().flatten().filter(|path| !path.exists());
            let there = missing.is_none();
            made.extend(missing);
            return there;
        }
        true
    });
    (harmless, made)
}
