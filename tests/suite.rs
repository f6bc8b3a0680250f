// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one runner of the suites: through the frontend, through the helper alone, hostile, escape.

mod escape;
mod exec;
mod helper;
mod hostile;

fn main() -> std::io::Result<()> {
    let cases: Vec<harness::Case> =
        [exec::cases(), helper::cases(), hostile::cases(), escape::cases()].concat();
    std::process::exit(harness::runner::main(&cases)?);
}
