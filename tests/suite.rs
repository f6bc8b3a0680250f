// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one runner of the suites: through the frontend, through the helper alone, hostile, escape, load.

mod escape;
mod exec;
mod helper;
mod hostile;
mod load;

fn cases() -> Vec<harness::Case> {
    [exec::cases(), helper::cases(), hostile::cases(), escape::cases(), load::cases()].concat()
}

fn main() -> std::io::Result<()> {
    std::process::exit(harness::runner::main(&cases())?);
}

#[cfg(test)]
mod tests {
    use harness::weakening::Weakening;

    #[test]
    fn every_entry_of_the_catalogue_is_tried_or_explained() {
        let gaps = harness::threats::gaps(&super::cases());
        assert!(gaps.is_empty(), "{gaps:#?}");
    }

    #[test]
    fn every_entry_that_is_tried_can_fail() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let weakenings = Weakening::all(&directory.join("weakened")).unwrap();
        let gaps = harness::weakening::gaps(&weakenings, &super::cases());
        assert!(gaps.is_empty(), "{gaps:#?}");
    }

    #[test]
    fn every_weakening_fits_the_source() {
        let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let read = |file: &str| std::fs::read_to_string(directory.join("..").join(file));
        for weakening in Weakening::all(&directory.join("weakened")).unwrap() {
            let changed = weakening.apply(read).unwrap_or_else(|error| panic!("{error}"));
            assert!(!changed.is_empty());
        }
    }

    #[test]
    fn the_review_of_known_holes_names_cases_that_try_their_entries() {
        let cases = super::cases();
        let review = include_str!("../docs/cve-review.md");
        let (mut seen, mut wrong) = (0, Vec::new());
        for row in review.lines().filter(|row| row.starts_with("| ") && row.contains("| T")) {
            let fields: Vec<&str> = row.split(" | ").collect();
            let [_, _, entries, _, tests] = fields.as_slice() else { panic!("{row}") };
            for name in tests.split('`').filter(|part| part.contains("::")) {
                let full = format!("suite::{name}");
                let case = cases.iter().find(|case| case.name == full);
                if !case.is_some_and(|case| entries.split(", ").any(|entry| case.tries(entry))) {
                    wrong.push(row);
                }
                seen += 1;
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert!(seen > 80, "only {seen} names were found");
    }
}
