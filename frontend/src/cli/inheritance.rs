// SPDX-License-Identifier: MIT OR Apache-2.0
//! The descriptors that an application inherits from whoever called (R168, R237).

use std::ffi::OsString;

use clap::ArgMatches;

use crate::bwrap::inherit;
use crate::message::Notice;

/// Descriptors that the sandbox is started with, above those that are passed on; it has some ten.
const ROOM: u64 = 32;

/// All descriptors that the caller left open for us, but for those that `--env-fd` and these options name,
/// and those that are open under numbers which its limit does not allow any more. To be asked before
/// anything is opened.
pub(super) fn inherited(matches: &ArgMatches, options: &[&str]) -> (Vec<u32>, Vec<Notice>) {
    let mut named: Vec<u32> = options
        .iter()
        .flat_map(|name| matches.get_many(name).into_iter().flatten().copied())
        .collect();
    let texts = matches.get_many::<OsString>("env-fd").into_iter().flatten();
    named.extend(texts.filter_map(|text| text.to_str()?.parse::<u32>().ok()));
    inherit::note(&[]);
    let open = inherit::open_numbers().into_iter();
    let open = open.filter(|number| *number > 2 && !named.contains(number));
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    // Above them there has to be room for what the sandbox is started with.
    let fits =
        |number: &u32| limit.is_none_or(|limit| u64::from(*number).saturating_add(ROOM) < limit);
    let (fitting, left): (Vec<_>, Vec<_>) = open.partition(fits);
    let notice = |number| {
        Notice::Warning(format!(
            "the application does not inherit descriptor {number}\n\
             the limit on open files is too low for it"
        ))
    };
    (fitting, left.into_iter().map(notice).collect())
}
