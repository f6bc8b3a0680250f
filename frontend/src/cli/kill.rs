// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade kill`: ends applications that run (R258).

use std::thread::sleep;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use rustix::io::Errno;

use crate::caller::{Caller, CallerError};
use crate::flatpak::instance::running::{self, Init, Running};
use crate::flatpak::instance::{InstanceError, InstanceId, Instances};
use crate::message::{self, shown};

/// Exit status of a failure, as with Flatpak.
const FAILED: u8 = 1;

/// How often a sandbox is looked for that is not up yet, and how long after one another.
const TRIES: usize = 5;
const PAUSE: Duration = Duration::from_millis(100);

/// Why something is not ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// There is no caller to speak of.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// Instances cannot be looked at.
    #[error(transparent)]
    Instances(#[from] InstanceError),
    /// Nothing of that name runs.
    #[error("{} is not running\nsee 'stockade ps' for what is", shown(name))]
    NotRunning {
        /// As given.
        name: String,
    },
    /// The sandbox is being built.
    #[error("cannot end instance {instance}\nits sandbox is not up yet\ntry again")]
    NotUp {
        /// Which.
        instance: InstanceId,
    },
    /// The kernel refused.
    #[error("cannot end instance {instance}\nthe kernel says of its first process: {errno}")]
    Refused {
        /// Which.
        instance: InstanceId,
        /// Why.
        errno: Errno,
    },
}

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command.arg(
        Arg::new("instance")
            .value_name("INSTANCE")
            .required(true)
            .help("Number of an instance, or name of an application: all its instances"),
    )
}

/// Ends what was named and gives the status to exit with.
pub(super) fn run(matches: &ArgMatches) -> u8 {
    let name = matches.get_one::<String>("instance").map_or("", String::as_str);
    let errors = match instances(name) {
        Ok(found) => found.iter().filter_map(|one| kill(one).err()).collect(),
        Err(error) => vec![error],
    };
    errors.iter().for_each(|error| message::error(error));
    if errors.is_empty() { 0 } else { FAILED }
}

fn instances(name: &str) -> Result<Vec<Running>, KillError> {
    let instances = Instances::open(&Caller::current()?)?;
    let running = instances.map_or_else(Vec::new, |instances| instances.running());
    let found = running::called(running, name);
    if found.is_empty() { Err(KillError::NotRunning { name: name.to_owned() }) } else { Ok(found) }
}

/// Ends an instance, and everything in its sandbox. That it has ended is fine.
fn kill(one: &Running) -> Result<(), KillError> {
    let instance = one.id;
    let refused = |errno| KillError::Refused { instance, errno };
    for attempt in 0..=TRIES {
        if attempt > 0 {
            sleep(PAUSE);
        }
        match one.init().map_err(refused)? {
            Init::Here(process) => return process.kill().map_err(refused),
            Init::Gone => return Ok(()),
            Init::NotYet => {}
        }
    }
    Err(KillError::NotUp { instance })
}
