// SPDX-License-Identifier: MIT OR Apache-2.0
//! The `stockade` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(stockade::cli::run(std::env::args_os()))
}
