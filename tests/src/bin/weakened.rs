// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shows that the cases of the threat catalogue can fail: see `tests/run-weakened`.

fn main() -> std::io::Result<()> {
    std::process::exit(harness::weakened::main()?);
}
