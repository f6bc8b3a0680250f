// SPDX-License-Identifier: MIT OR Apache-2.0
//! bubblewrap's command line: a drop-in for programs that call `bwrap`.
//!
//! Arguments as typed ([`parse`]) become settings, the combination is checked ([`check`]), the plan
//! turns them into a sandbox ([`plan`]), and that is launched ([`mod@launch`]). No clap and no
//! libseccomp here: the options are sensitive to order, filters arrive compiled, and starting fast
//! counts.

mod capability;
mod check;
mod descriptors;
mod destination;
mod entrance;
mod explain;
mod filter;
#[cfg(test)]
mod fuzz;
mod help;
mod hidden;
pub(crate) mod inherit;
mod launch;
mod message;
mod number;
mod option;
mod parse;
mod plan;
mod settings;
pub(crate) mod signals;
pub(crate) mod status;

use std::ffi::{OsStr, OsString};
use std::io::Write as _;

use check::Ids;
use entrance::Entrance;
use launch::Helper;
use message::{Fault, Voice};
use parse::Stop;
use plan::Circumstances;
use rustix::thread::CapabilitiesSecureBits;
use settings::{CapabilityChange, Settings, Step, Wish};
use stockade_protocol::request::Limit;

/// Exit status for every failure of our own.
const FAILED: u8 = 1;

/// Runs the command line and gives the status to exit with. `arguments` begin with the program's
/// name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    let mut arguments = arguments.into_iter();
    let name = arguments.next().unwrap_or_else(|| OsString::from("bwrap"));
    if name == entrance::NAME {
        return entrance::passage::enter(&arguments.collect::<Vec<_>>());
    }
    let parent = rustix::process::getppid();
    let limit = crate::descriptor_limit::raise();
    let arguments: Vec<OsString> = arguments.collect();
    let helper = start(&arguments);
    let own = helper.iter().map(Helper::socket).collect::<Vec<_>>();
    inherit::note(&own);
    let signals = signals::inherited();
    crate::entry::survive_broken_pipes();
    let environment = std::env::vars_os().collect();
    let parsed = match parse::parse(arguments, environment, &mut descriptors::Inherited) {
        Ok(parsed) => parsed,
        Err(Stop::Help) => return print(&help::usage(&name)),
        Err(Stop::Version) => return print(&help::version()),
        Err(Stop::Fault(fault, voice)) => return failed(voice, &fault),
    };
    let voice = parsed.settings.voice;
    let ids =
        Ids { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() };
    match check::check(parsed, ids) {
        Ok(Some(settings)) => {
            let start = Start { parent, limit, signals, helper };
            launch(&settings, ids, start).unwrap_or_else(|fault| failed(voice, &fault))
        }
        Ok(None) => {
            std::io::stderr().write_all(help::usage(&name).as_bytes()).ok();
            FAILED
        }
        Err(fault) => failed(voice, &fault),
    }
}

fn failed(voice: Voice, fault: &Fault) -> u8 {
    voice.error(fault);
    FAILED
}

/// Prints what was asked for. A reader that has seen enough is no error.
fn print(text: &str) -> u8 {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
    0
}

/// What was found and begun before the command line was read.
struct Start {
    parent: Option<rustix::process::Pid>,
    /// The limit on descriptors, if it was raised.
    limit: Option<Limit>,
    signals: signals::Inherited,
    helper: Result<Helper, Fault>,
}

/// Starts the helper, unless it is plain that there will be nothing for it to do.
fn start(arguments: &[OsString]) -> Result<Helper, Fault> {
    match arguments {
        [] => Err(Fault::new("no arguments")),
        [only] if only == "--help" || only == "--version" => Err(Fault::new("no sandbox")),
        _ => Helper::start(),
    }
}

fn launch(settings: &Settings, ids: Ids, start: Start) -> Result<u8, Fault> {
    if settings.die_with_parent {
        launch::die_with_parent(settings.voice, start.parent)?;
    }
    let entrance = Entrance::new(settings, ids)?;
    if settings.assert_user_namespaces_disabled
        && !settings.disable_user_namespaces
        && entrance::can_make_another(entrance.as_ref(), settings.last_user_namespace)?
    {
        let text = "creation of new user namespaces was not disabled as requested";
        return Err(Fault::new(text));
    }
    let mut helper = start.helper?;
    // Under SECBIT_NOROOT the kernel treats user id 0 as any other, capabilities(7).
    let bits = rustix::thread::capabilities_secure_bits();
    let plain = bits.is_ok_and(|bits| bits.contains(CapabilitiesSecureBits::NO_ROOT));
    let root = ids.uid == 0 && !plain;
    let mut privileged = root || launch::may_have_privilege(helper.path());
    let path = helper.path();
    let mut needy = None;
    let elsewhere = entrance.as_ref().is_some_and(Entrance::changes_user_namespace);
    if elsewhere {
        privileged = false;
    } else if privileged && !root {
        needy = needs_own_namespace(settings, ids, path);
    }
    if needy.is_some() {
        privileged = false;
        helper = helper.without_privilege()?;
    }
    let has_own = root && settings.user == Wish::Yes;
    let circumstances = Circumstances {
        ids,
        privileged: privileged && !has_own,
        capabilities: if root { effective() } else { 0 },
        umask: umask(),
        signals: start.signals,
    };
    let mut plan = plan::plan(settings, circumstances)?;
    plan.sandbox.request.payload.limits.extend(start.limit);
    if let Some(entrance) = &entrance {
        helper = helper.inside(entrance, |child| plan.wait_for_map(child))?;
    }
    helper.forward_signals(settings)?;
    let result = helper.run(settings, plan);
    result.map_err(|fault| match needy {
        Some(option) => fault.followed_by(&format!(
            " ({option} takes a user namespace of the caller's own, so the helper was used without \
             its privilege)"
        )),
        None => fault,
    })
}

/// The option that takes a user namespace which belongs to the caller: a helper with privilege
/// gives that to nobody.
fn needs_own_namespace(
    settings: &Settings,
    ids: Ids,
    helper: &std::path::Path,
) -> Option<&'static str> {
    if settings.capabilities.iter().any(|change| matches!(change, CapabilityChange::Add(_))) {
        return Some("--cap-add");
    }
    let overlay = settings.actions.iter().find_map(|action| {
        if let Step::Overlay { changes, .. } = &action.step { Some(changes.option()) } else { None }
    });
    if overlay.is_some() {
        return overlay;
    }
    if !launch::has_file_capabilities(helper) {
        return None;
    }
    if settings.uid.is_some_and(|uid| uid != ids.uid) {
        return Some("--uid");
    }
    settings.gid.is_some_and(|gid| gid != ids.gid).then_some("--gid")
}

/// The effective capabilities of this process, as a mask.
fn effective() -> u64 {
    rustix::thread::capabilities(None).map_or(0, |sets| sets.effective.bits())
}

fn umask() -> u32 {
    let mask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// What stands behind `stockade bwrap`, with a name in front; none if the command is another one.
#[must_use]
pub fn behind(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (name, rest) = arguments.split_first()?;
    if name == entrance::NAME {
        return Some(arguments.to_vec());
    }
    let (command, rest) = rest.split_first()?;
    (command == OsStr::new("bwrap")).then(|| std::iter::once(name).chain(rest).cloned().collect())
}
