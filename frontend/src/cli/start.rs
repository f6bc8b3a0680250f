// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a plan to its end: the filter of its message buses first, so that it is there before the sandbox is,
//! then the helper (R75).

use std::collections::BTreeSet;

use clap::ArgMatches;

use crate::bus::kind::Kind;
use crate::bus::proxy::{Proxy, ProxyError};
use crate::caller::Caller;
use crate::flatpak::plan::Plan;
use crate::launch::{self, Helper, LaunchError};
use crate::message;

/// The buses of which every message is told, for the command that has such an option (R235).
pub(super) fn logged(matches: &ArgMatches) -> BTreeSet<Kind> {
    let options = [
        ("log-session-bus", Kind::Session),
        ("log-system-bus", Kind::System),
        ("log-a11y-bus", Kind::Accessibility),
    ];
    let is_set = |name| matches.try_get_one(name).is_ok_and(|set| set == Some(&true));
    options.into_iter().filter(|(name, _)| is_set(name)).map(|(_, kind)| kind).collect()
}

/// How it is started.
pub(super) struct Start<'a> {
    /// Who wants it.
    pub(super) caller: &'a Caller,
    /// Ends it when the caller ends.
    pub(super) die_with_parent: bool,
    /// Says what was left out.
    pub(super) verbose: bool,
    /// Called when it is up.
    pub(super) started: &'a dyn Fn(),
}

/// Why it has not been started, or not ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum StartError {
    /// Its message buses cannot be filtered.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The helper, or what it runs.
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl Start<'_> {
    /// Runs it to its end, and gives the status to exit with.
    pub(super) fn run(&self, plan: Plan) -> Result<u8, StartError> {
        let Plan { mut sandbox, instance, proxy, mut notices } = plan;
        let proxy = proxy.map(|proxy| proxy.start(self.caller, &mut notices)).transpose()?;
        message::notices(&notices, self.verbose);

        let helper = Helper::start()?;
        if let Some(proxy) = &proxy {
            proxy.mount(&mut sandbox)?;
        }
        let on_start = |init: u32, namespaces: &[_]| {
            if let Some(proxy) = &proxy {
                proxy.hide();
            }
            instance.started(init, namespaces);
            (self.started)();
        };
        let options = launch::Options {
            die_with_parent: self.die_with_parent,
            verbose: self.verbose,
            on_start: Some(&on_start),
            attendant: proxy.as_ref().map(Proxy::attendant),
            ..launch::Options::default()
        };
        Ok(helper.run(sandbox, &options)?.exit_code())
    }
}
