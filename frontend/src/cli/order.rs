// SPDX-License-Identifier: MIT OR Apache-2.0
//! Options whose order counts: clap collects them by name, they mean something one after another.

use std::ffi::OsString;

use clap::ArgMatches;

/// The values of these options in the order in which they were typed, each with what its option
/// stands for.
pub(super) fn typed<T: Copy>(
    matches: &ArgMatches,
    options: impl IntoIterator<Item = (&'static str, T)>,
) -> impl Iterator<Item = (T, &OsString)> {
    let mut typed = Vec::new();
    for (name, meaning) in options {
        let places = matches.indices_of(name).into_iter().flatten();
        let values = matches.get_many::<OsString>(name).into_iter().flatten();
        typed.extend(places.zip(values).map(|(place, value)| (place, meaning, value)));
    }
    typed.sort_unstable_by_key(|(place, _, _)| *place);
    typed.into_iter().map(|(_, meaning, value)| (meaning, value))
}
