// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one runner of the suites: through the frontend, through the helper alone, hostile, escape.

mod escape;
mod exec;
mod helper;
mod hostile;

fn cases() -> Vec<harness::Case> {
    [exec::cases(), helper::cases(), hostile::cases(), escape::cases()].concat()
}

fn main() -> std::io::Result<()> {
    std::process::exit(harness::runner::main(&cases())?);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_entry_of_the_catalogue_is_tried_or_explained() {
        let gaps = harness::threats::gaps(&super::cases());
        assert!(gaps.is_empty(), "{gaps:#?}");
    }
}
