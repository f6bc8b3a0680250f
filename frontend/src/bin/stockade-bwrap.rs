// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stockade under bubblewrap's command line; may be installed as `bwrap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(stockade::bwrap::run(std::env::args_os()))
}
