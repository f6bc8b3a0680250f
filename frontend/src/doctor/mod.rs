// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade doctor`: what this machine allows, what is missing, what that costs, and the command
//! that mends it.
//!
//! It tries things instead of guessing: the helper is started, user namespaces are made, filters
//! are loaded. Files under `/proc` are read only to say why something did not work. Nothing on the
//! machine is changed; what cannot be tried without a trace is tried in a process that is thrown
//! away ([`probe()`]).

mod caller;
mod cgroup;
mod distribution;
mod finding;
mod helper;
mod json;
mod kernel;
mod landlock;
mod portals;
mod probe;
mod proxy;
mod root;
mod seccomp;
mod session;
mod text;
mod trial;
mod user_namespaces;
mod verdict;

use std::io::{self, Write};

use nix::errno::Errno;

use caller::Caller;
use distribution::Distribution;
use finding::State;
use helper::Helper;
use proxy::Proxy;
use root::Root;
use session::Session;
use trial::Trial;
use verdict::Verdict;

pub use probe::probe;

/// How the answer is wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// For programs: one JSON object with stable fields, described in `json.rs`.
    pub json: bool,
}

/// Everything that was tried. What it means is worked out from this and the files of a [`Root`],
/// so that tests can make machines up.
#[derive(Clone, Debug)]
struct Trials {
    caller: Caller,
    helper: Helper,
    sandbox: Trial,
    namespaces: user_namespaces::Trial,
    mount_api: kernel::Trial,
    seccomp: seccomp::Trial,
    landlock: landlock::Trial,
    session: Session,
    systemd: Result<(), Errno>,
    bus: Result<(), String>,
    proxy: Proxy,
}

impl Trials {
    fn make(root: &Root) -> Self {
        let uid = rustix::process::getuid().as_raw();
        let session = Session::find(uid);
        let helper = Helper::find();
        let mut trials = Self {
            caller: Caller::find(root, uid),
            helper,
            sandbox: Trial::NotTried,
            namespaces: user_namespaces::Trial::make(),
            mount_api: kernel::Trial::make(),
            seccomp: seccomp::Trial::make(),
            landlock: landlock::Trial::make(),
            systemd: session::listens(&session.runtime.join("systemd/private")),
            bus: session::try_bus(&session),
            proxy: Proxy::find(&session),
            session,
        };
        // Last, because a launch changes how this process takes signals.
        if trials.helper.path().is_some() {
            trials.sandbox = Trial::make();
        }
        trials
    }
}

fn examine(trials: &Trials, root: &Root) -> Verdict {
    let distribution = Distribution::find(root);
    let release = kernel::release(root);
    let caller = &trials.caller;
    let helper = trials.helper.path().map(|path| path.to_string_lossy().into_owned());
    let namespaces = user_namespaces::judge(
        &trials.namespaces,
        verdict::need(&trials.sandbox, &trials.helper, caller),
        root,
        caller,
        helper.as_deref(),
    );
    let install = helper::install(distribution, namespaces.state != State::Good);
    let mode = match &trials.sandbox {
        Trial::Works(mode, _) => Some(*mode),
        Trial::Fails(_) | Trial::NotTried => None,
    };
    let (first, ways) = if mode.is_some() {
        (Vec::new(), Vec::new())
    } else {
        verdict::ways_out(&trials.helper, caller, &release, &namespaces, &install)
    };
    let mut findings = vec![helper::judge(&trials.helper, caller, &trials.sandbox, &install)];
    findings.extend(trial::judge(&trials.sandbox));
    findings.extend([
        namespaces,
        caller::judge(caller),
        kernel::judge(&release),
        kernel::judge_mount_api(&trials.mount_api, &trials.namespaces),
        seccomp::judge(trials.seccomp, root),
        landlock::judge(trials.landlock, root, distribution),
        cgroup::judge(root),
        session::judge_systemd(trials.systemd, root),
        session::judge_bus(&trials.bus),
        proxy::judge(&trials.proxy, distribution),
        portals::judge(root, &trials.session, distribution),
    ]);
    Verdict { mode, helper, first, ways, findings }
}

/// Examines this machine, writes the answer to `out`, and tells whether sandboxes work here.
///
/// # Errors
/// If `out` cannot be written to.
pub fn run(options: &Options, out: &mut dyn Write) -> io::Result<bool> {
    let root = Root::machine();
    let verdict = examine(&Trials::make(&root), &root);
    if options.json {
        json::write(&verdict, out)?
    } else {
        text::write(&verdict, out)?
    }
    out.flush()?;
    Ok(verdict.works())
}

#[cfg(test)]
mod tests;
