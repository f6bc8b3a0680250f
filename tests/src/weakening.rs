// SPDX-License-Identifier: MIT OR Apache-2.0
//! A weakening: a protection that is taken out of the source, and the cases that have to notice.
//!
//! Each is a file of `tests/weakened/`, named after what it takes away. The programs themselves know
//! nothing of them: no switch stands in the source that somebody could find, or would have to read.
//! A file has these lines:
//!
//! * `#` and a comment,
//! * `removes` and the invariants it breaks, or `policy` if it is the frontend's alone,
//! * `reduced`, if it belongs to the selection that is tried every time,
//! * `in` and a source file; then what is replaced there, as lines that begin with `-`, and what
//!   stands there instead, as lines that begin with `+`. The old text has to occur exactly once,
//! * an entry of the threat catalogue, a case that tries it, and the modes in which it has to fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::threats::CATALOGUE;
use crate::{Case, Mode};

/// What the name of a file of `tests/weakened/` ends with.
const SUFFIX: &str = "edit";

/// One text of one file, and what replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The source file, relative to the workspace.
    pub file: String,
    /// Occurs in it exactly once.
    pub old: String,
    /// Takes its place.
    pub new: String,
}

/// A case that has to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// `T01` to `T84`.
    pub entry: String,
    /// Its name without `suite::`.
    pub case: String,
    /// Where it has to.
    pub modes: Vec<Mode>,
}

/// A protection that is taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakening {
    /// The name of its file: what is missing.
    pub name: String,
    /// `I1` to `I17`, or nothing for what the frontend decides alone.
    pub invariants: Vec<String>,
    /// Whether it is among those that are tried every time.
    pub reduced: bool,
    /// The replacements, in order.
    pub edits: Vec<Edit>,
    /// The cases that have to notice.
    pub expectations: Vec<Expectation>,
}

impl Weakening {
    /// Reads all files of a directory, in the order of their names.
    ///
    /// # Errors
    /// The first file that cannot be read, or has another form.
    pub fn all(directory: &Path) -> Result<Vec<Self>, String> {
        let told = |error: std::io::Error| format!("{}: {error}", directory.display());
        let entries = fs::read_dir(directory).map_err(told)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(told)?;
        paths.retain(|path| path.extension().is_some_and(|suffix| suffix == SUFFIX));
        paths.sort();
        let read = |path: &std::path::PathBuf| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
            Self::parse(&name, &text)
        };
        paths.iter().map(read).collect()
    }

    /// Reads one file.
    ///
    /// # Errors
    /// The first line of another form, or what is missing.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut weakening = Self {
            name: name.to_owned(),
            invariants: Vec::new(),
            reduced: false,
            edits: Vec::new(),
            expectations: Vec::new(),
        };
        let (mut file, mut said, mut last) = (String::new(), false, ' ');
        for line in text.lines() {
            let wrong = || format!("{name}: {line}");
            let kind = line.chars().next().unwrap_or(' ');
            match (kind, line.get(1..).unwrap_or_default()) {
                ('#', _) => {}
                ('-', rest) => {
                    if last != '-' {
                        let (file, old, new) = (file.clone(), String::new(), String::new());
                        weakening.edits.push(Edit { file, old, new });
                    }
                    let edit = weakening.edits.last_mut().ok_or_else(wrong)?;
                    edit.old.push_str(rest);
                    edit.old.push('\n');
                }
                ('+', rest) => {
                    let edit = weakening.edits.last_mut().filter(|_| last == '-' || last == '+');
                    let edit = edit.ok_or_else(wrong)?;
                    edit.new.push_str(rest);
                    edit.new.push('\n');
                }
                _ => {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    match words.as_slice() {
                        [] => {}
                        ["removes", "policy"] => said = true,
                        ["removes", invariants @ ..] if !invariants.is_empty() => {
                            said = true;
                            weakening.invariants = invariants.iter().map(|i| (*i).into()).collect();
                        }
                        ["reduced"] => weakening.reduced = true,
                        ["in", path] => file = (*path).to_owned(),
                        [entry, case, modes @ ..]
                            if entry.starts_with('T') && !modes.is_empty() =>
                        {
                            let modes = modes.iter().map(|mode| Mode::from_name(mode));
                            let modes = modes.collect::<Option<_>>().ok_or_else(wrong)?;
                            let (entry, case) = ((*entry).to_owned(), (*case).to_owned());
                            weakening.expectations.push(Expectation { entry, case, modes });
                        }
                        _ => return Err(wrong()),
                    }
                }
            }
            last = kind;
        }
        let whole = said
            && !weakening.expectations.is_empty()
            && !weakening.edits.is_empty()
            && weakening.edits.iter().all(|edit| !edit.file.is_empty());
        if whole { Ok(weakening) } else { Err(format!("{name}: something is missing")) }
    }

    /// The texts of the files it changes, after the change. `read` gives them before.
    ///
    /// # Errors
    /// If a text that is to be replaced does not occur exactly once.
    pub fn apply(
        &self,
        read: impl Fn(&str) -> std::io::Result<String>,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut files = BTreeMap::new();
        for Edit { file, old, new } in &self.edits {
            let text = match files.remove(file) {
                Some(text) => text,
                None => read(file).map_err(|error| format!("{}: {file}: {error}", self.name))?,
            };
            match text.matches(old.as_str()).count() {
                1 => files.insert(file.clone(), text.replacen(old.as_str(), new, 1)),
                count => {
                    let name = &self.name;
                    return Err(format!("{name}: {file} has this {count} times, not once:\n{old}"));
                }
            };
        }
        Ok(files)
    }

    /// The program that has to be built anew: the one that the changed crate is part of. What of the
    /// protocol is weakened is so in the helper, which is to trust nobody else.
    #[must_use]
    pub fn program(&self) -> &'static str {
        if self.edits.iter().any(|edit| edit.file.starts_with("frontend/")) {
            "stockade"
        } else {
            "stockade-helper"
        }
    }
}

/// What is wrong with these weakenings as proof that the cases can fail: names of nothing, entries
/// that no weakening answers to and nobody explains, explanations for what one answers to.
#[must_use]
pub fn gaps(weakenings: &[Weakening], cases: &[Case]) -> Vec<String> {
    let mut gaps = Vec::new();
    let known = (1..=17).map(|number| format!("I{number}")).collect::<Vec<_>>();
    for invariant in &known {
        if !weakenings.iter().any(|weakening| weakening.invariants.contains(invariant)) {
            gaps.push(format!("no weakening removes {invariant}"));
        }
    }
    for weakening in weakenings {
        let name = &weakening.name;
        for unknown in weakening.invariants.iter().filter(|named| !known.contains(named)) {
            gaps.push(format!("{name}: there is no {unknown}"));
        }
        for Expectation { entry, case, modes } in &weakening.expectations {
            let full = format!("suite::{case}");
            match cases.iter().find(|known| known.name == full) {
                None => gaps.push(format!("{name}: there is no case {case}")),
                Some(found) if !found.tries(entry) => {
                    gaps.push(format!("{name}: {case} does not try {entry}"));
                }
                Some(found) if !modes.iter().all(|mode| found.modes.contains(mode)) => {
                    gaps.push(format!("{name}: {case} is not for all of these modes"));
                }
                Some(_) => {}
            }
        }
    }
    for threat in &CATALOGUE {
        for mode in Mode::ALL {
            let tried = cases.iter().any(|c| c.tries(threat.id) && c.modes.contains(mode));
            let expected = |weakening: &Weakening| {
                weakening
                    .expectations
                    .iter()
                    .any(|e| e.entry == threat.id && e.modes.contains(mode))
            };
            let answered = weakenings.iter().any(expected);
            let held = threat.held.0.contains(mode);
            match (tried, answered, held) {
                (true, false, false) => {
                    gaps.push(format!("{} [{mode}]: nothing makes it fail", threat.id));
                }
                (true, true, true) | (false, _, true) => {
                    gaps.push(format!("{} [{mode}]: something else holds after all", threat.id));
                }
                _ => {}
            }
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fixture, Outcome};

    const TEXT: &str = "# why\nremoves I5 I6\n\nin helper/src/a.rs\n-two\n+three\n+four\n-six\n\
                        T03 escape::a::t03_b file-caps setuid\n";

    fn read(_: &str) -> std::io::Result<String> {
        Ok("one\ntwo\nsix\n".to_owned())
    }

    #[test]
    fn a_file_is_read() {
        let weakening = Weakening::parse("a-thing", TEXT).unwrap();
        assert_eq!(weakening.invariants, ["I5", "I6"]);
        assert_eq!(weakening.edits.len(), 2);
        assert_eq!(weakening.expectations[0].modes, [Mode::FileCaps, Mode::Setuid]);
        assert_eq!(weakening.program(), "stockade-helper");
        let files = weakening.apply(read).unwrap();
        assert_eq!(files["helper/src/a.rs"], "one\nthree\nfour\n");
    }

    #[test]
    fn other_forms_are_errors() {
        for (part, instead) in [
            ("file-caps", "somewhere"),
            ("removes I5 I6", ""),
            ("in helper/src/a.rs", ""),
            ("-six\nT03", "T03"),
            ("T03", "X"),
        ] {
            let text = TEXT.replace(part, instead);
            let fine = Weakening::parse("a", &text).is_ok();
            assert_eq!(fine, part.starts_with("-six"), "{text}");
        }
        assert!(Weakening::parse("a", &format!("+early\n{TEXT}")).is_err());
    }

    #[test]
    fn a_text_that_has_changed_is_an_error() {
        let weakening = Weakening::parse("a", TEXT).unwrap();
        assert!(weakening.apply(|_| Ok("one\ntwo\n".to_owned())).is_err());
        assert!(weakening.apply(|_| Ok("two\ntwo\nsix\n".to_owned())).is_err());
    }

    #[test]
    fn names_of_nothing_are_found() {
        fn nothing(_: &Fixture) -> Outcome {
            Outcome::Passed
        }
        let case = Case::new("suite::escape::a::t03_b", nothing).modes(Mode::UNPRIVILEGED);
        let weakening = Weakening::parse("a", TEXT).unwrap();
        let mut other = weakening.clone();
        other.invariants = vec!["I99".to_owned()];
        other.expectations[0].entry = "T04".to_owned();
        let gaps = gaps(&[weakening, other], &[case]);
        for gap in [
            "a: escape::a::t03_b is not for all of these modes",
            "a: escape::a::t03_b does not try T04",
            "a: there is no I99",
            "no weakening removes I1",
        ] {
            assert!(gaps.iter().any(|have| have == gap), "{gap}: {gaps:?}");
        }
        assert!(!gaps.iter().any(|gap| gap.starts_with("T03")), "{gaps:?}");
    }
}
