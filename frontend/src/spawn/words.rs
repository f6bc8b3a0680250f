// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line of `stockade run` for a sub-sandbox (R247): what the caller's instance was started
//! with, less what it did not get or does not want.
//!
//! Only numbers, names that were checked and words behind the application's name come from the caller.
//! Its variables travel through a descriptor, so that they are neither in the launcher's environment
//! (CVE-2021-21261) nor where every process of the user can read them.

use std::ffi::OsString;

use super::bits::{Flag, Part};
use super::parent::Parent;
use super::request::Request;
use crate::flatpak::context::area::Area;
use crate::flatpak::context::{Context, FALLBACK_X11};
use crate::flatpak::reference::Kind;

/// The descriptors that the launcher finds, by their numbers there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Where it reads the variables.
    pub environment: Option<u32>,
    /// Where it tells that it is up.
    pub started: Option<u32>,
    /// In the place of `/app`.
    pub app: Option<u32>,
    /// In the place of `/usr`.
    pub usr: Option<u32>,
    /// What it shows, and whether to be written to.
    pub shown: Vec<(u32, bool)>,
}

/// The words behind `run`.
#[must_use]
pub fn words(parent: &Parent, request: &Request, numbers: &Numbers) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let is = |flag| request.flags.has(flag);
    // A sandbox without its application's permissions does not get them back by starting another.
    if is(Flag::Sandbox) || parent.sandbox {
        words.push("--sandbox".into());
    }
    if is(Flag::ClearEnvironment) {
        words.push("--clear-env".into());
    }
    let context = permissions(parent, request);
    if parent.devel && !context.features.get("devel").is_some_and(|it| it.is_allowed()) {
        words.push("--devel".into());
    }
    words.extend(context.options().into_iter().map(OsString::from));
    if is(Flag::Sandbox) && request.parts.has(Part::SessionBus) {
        words.push("--session-bus".into());
    }
    // Whether an instance that lost its permissions has this bus is not said anywhere.
    if is(Flag::Sandbox) && request.parts.has(Part::AccessibilityBus) && !parent.sandbox {
        words.push("--a11y-bus".into());
    }
    let mut say = |option: &str, value: &dyn std::fmt::Display| {
        words.push(format!("--{option}={value}").into());
    };
    if let Some(number) = numbers.environment {
        say("env-fd", &number);
    }
    for name in &request.unset {
        say("unset-env", name);
    }
    if let Some(number) = numbers.started {
        say("instance-id-fd", &number);
    }
    for (number, writable) in &numbers.shown {
        say(if *writable { "bind-fd" } else { "ro-bind-fd" }, number);
    }
    match numbers.app {
        Some(number) => say("app-fd", &number),
        None if is(Flag::EmptyApp) => say("app-path", &""),
        None => {}
    }
    if let Some(number) = numbers.usr {
        say("usr-fd", &number);
    }
    if parent.reference.kind == Kind::App {
        say("runtime", &parent.runtime.without_kind());
    }
    if !is(Flag::LatestVersion) {
        for (option, commit) in
            [("commit", &parent.commit), ("runtime-commit", &parent.runtime_commit)]
        {
            if let Some(commit) = commit {
                say(option, commit);
            }
        }
    }
    for (option, value) in [("cwd", &request.directory), ("command", &request.command)] {
        if let Some(value) = value {
            let mut word = OsString::from(format!("--{option}="));
            word.push(value);
            words.push(word);
        }
    }
    // The last option (R233): what follows is the command's, whatever it looks like.
    words.push(parent.reference.to_string().into());
    words.extend(request.arguments.iter().cloned());
    words
}

/// The variables, as [`Numbers::environment`] has them: those of the command line of the caller's
/// instance first.
#[must_use]
pub fn variables(parent: &Parent, request: &Request) -> Vec<u8> {
    let kept = parent.typed.environment.iter().filter(|_| !is_reduced(request));
    let kept = kept.filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let all = kept.chain(&request.variables);
    all.flat_map(|(name, value)| format!("{name}={value}\0").into_bytes()).collect()
}

fn is_reduced(request: &Request) -> bool {
    request.flags.has(Flag::Sandbox)
}

/// What is said of permissions: never more than the instance has.
fn permissions(parent: &Parent, request: &Request) -> Context {
    let mut context = Context::default();
    if is_reduced(request) {
        keep(parent, request, &mut context);
        context.accessibility_bus = request.accessibility_names.iter().cloned().collect();
    } else {
        context = parent.typed.clone();
        // They go through a descriptor, but for those that are to be unset.
        context.environment.retain(|_, value| value.is_none());
        // The user may have granted more to the application meanwhile, to its next launch.
        for area in Area::ALL {
            for word in area.words() {
                restate(parent, area, word, &mut context);
            }
        }
    }
    const NETWORK: &str = "network";
    let has = parent.context.shares.get(NETWORK).is_some_and(|it| it.is_allowed());
    if !has || request.flags.has(Flag::NoNetwork) {
        context.shares.deny(NETWORK);
    } else {
        context.shares.allow(NETWORK);
    }
    context
}

/// Grants a permission as the instance has it, or takes it back.
fn restate(parent: &Parent, area: Area, word: &str, context: &mut Context) {
    let grants = context.grants_mut(area);
    grants.deny(word);
    grant(parent, area, word, context);
}

/// Grants a permission as far as the instance has it.
fn grant(parent: &Parent, area: Area, word: &str, context: &mut Context) {
    let Some(permission) = parent.context.grants(area).get(word) else { return };
    let grants = context.grants_mut(area);
    if permission.is_allowed() {
        grants.allow(word);
    }
    for condition in permission.conditions() {
        grants.allow_if(word, condition.clone());
    }
}

/// R246: what a reduced sandbox keeps.
fn keep(parent: &Parent, request: &Request, context: &mut Context) {
    for part in request.parts.iter() {
        match part {
            Part::Display => {
                for word in ["wayland", "x11", FALLBACK_X11] {
                    grant(parent, Area::Sockets, word, context);
                }
                // X11 has images in shared memory.
                if context.sockets.get("x11").or(context.sockets.get(FALLBACK_X11)).is_some() {
                    grant(parent, Area::Shares, "ipc", context);
                }
            }
            Part::Sound => grant(parent, Area::Sockets, "pulseaudio", context),
            Part::Gpu => device(parent, "dri", context),
            Part::Input => device(parent, "input", context),
            Part::Usb => device(parent, "usb", context),
            Part::Kvm => device(parent, "kvm", context),
            Part::SharedMemory => grant(parent, Area::Devices, "shm", context),
            Part::AllDevices => grant(parent, Area::Devices, "all", context),
            // They are no part of a context.
            Part::SessionBus | Part::AccessibilityBus => {}
        }
    }
    if parent.devel {
        grant(parent, Area::Features, "devel", context);
    }
}

/// A device of its own name, or one of all.
fn device(parent: &Parent, word: &str, context: &mut Context) {
    grant(parent, Area::Devices, word, context);
    if parent.context.devices.get("all").is_some_and(|it| it.is_allowed()) {
        context.devices.allow(word);
    }
}

#[cfg(test)]
mod tests;
