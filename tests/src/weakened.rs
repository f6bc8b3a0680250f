// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds weakened programs, one after the other, and runs the cases against them that have to
//! notice. A case that does not is as good as none.
//!
//! Each is built from a copy of the sources below the target directory. Everything is run in a mount
//! namespace of its own, with nothing shared: a weakened helper may do what ours never would.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::Mode;
use crate::threats::Noticed;
use crate::weakening::Weakening;

/// A case that has to pass with every weakening, or the others would fail because nothing works.
const CONTROL: &str = "exec::status::the_payloads_own_status_is_passed_on";

/// How often a case is tried that did not notice: some are about races.
const TRIES: u32 = 3;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    /// Only those that are tried every time.
    reduced: bool,
    /// Where to write which case noticed what.
    results: Option<PathBuf>,
    names: Vec<String>,
}

/// Where things are.
struct Place {
    /// The workspace.
    root: PathBuf,
    /// The programs as they are, and the suite.
    built: PathBuf,
    /// The copy of the workspace.
    copy: PathBuf,
    /// Where that is built.
    target: PathBuf,
    /// The programs that the suite is run against.
    programs: PathBuf,
}

/// How one case went in one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    Skipped,
}

/// The `main` of the program of this name.
///
/// # Errors
/// If the surroundings cannot be made.
pub fn main() -> io::Result<i32> {
    let arguments = parse(std::env::args().skip(1)).map_err(io::Error::other)?;
    if !nix::unistd::geteuid().is_root() {
        println!("only root can install a helper in every mode");
        return Ok(77);
    }
    let root = std::env::current_dir()?;
    let mut weakenings = Weakening::all(&root.join("tests/weakened")).map_err(io::Error::other)?;
    let named = |name: &String| arguments.names.is_empty() || arguments.names.contains(name);
    weakenings.retain(|one| named(&one.name) && (one.reduced || !arguments.reduced));
    // What is built is built fewer times if what belongs together comes together.
    weakenings.sort_by_key(|one| (one.program(), one.edits[0].file.clone()));
    let place = Place::new(root)?;
    let (mut failed, mut results) = (Vec::new(), String::new());
    for weakening in &weakenings {
        let begun = Instant::now();
        let (faults, lines) = match place.try_one(weakening) {
            Ok(outcome) => outcome,
            Err(error) => (vec![error.to_string()], Vec::new()),
        };
        let took = begun.elapsed().as_secs();
        results.push_str(&lines.concat());
        if faults.is_empty() {
            println!("weakened {} ... noticed ({took} s)", weakening.name);
        } else {
            println!("weakened {} ... FAILED ({took} s)", weakening.name);
            for fault in &faults {
                println!("  {fault}");
            }
            failed.push(&weakening.name);
        }
    }
    if let Some(file) = &arguments.results {
        fs::write(file, results)?;
    }
    println!();
    for name in &failed {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", weakenings.len() - failed.len(), failed.len());
    Ok(i32::from(!failed.is_empty()))
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--reduced" => arguments.reduced = true,
            "--results" => arguments.results = Some(words.next().unwrap_or_default().into()),
            option if option.starts_with('-') => {
                return Err(format!("usage: [--reduced] [--results FILE] [NAME...], not {option}"));
            }
            _ => arguments.names.push(word),
        }
    }
    Ok(arguments)
}

impl Place {
    fn new(root: PathBuf) -> io::Result<Self> {
        let built = crate::binaries::product_directory();
        let tools = crate::binaries::tool_directory()?;
        let target = tools.parent().unwrap_or(&tools).join("weakened");
        let place = Self {
            copy: target.join("source"),
            programs: target.join("programs"),
            target: target.join("target"),
            root,
            built,
        };
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        fs::create_dir_all(&place.programs)?;
        for part in ["Cargo.toml", "Cargo.lock", "Makefile", "rust-toolchain.toml", "clippy.toml"] {
            copy(&place.root.join(part), &place.copy.join(part))?;
        }
        for part in ["protocol", "helper", "frontend", "tests", "benches", "packaging", "docs"] {
            copy(&place.root.join(part), &place.copy.join(part))?;
        }
        Ok(place)
    }

    /// What is wrong with it, and which case noticed it.
    fn try_one(&self, weakening: &Weakening) -> io::Result<(Vec<String>, Vec<String>)> {
        let read = |file: &str| fs::read_to_string(self.root.join(file));
        let changed = weakening.apply(read).map_err(io::Error::other)?;
        for (file, text) in &changed {
            fs::write(self.copy.join(file), text)?;
        }
        let built = self.build(weakening.program());
        for file in changed.keys() {
            copy(&self.root.join(file), &self.copy.join(file))?;
        }
        built?;
        let judged = self.judge(weakening);
        // What was weakened may have let something through.
        crate::watch::remove_marks();
        judged
    }

    /// Builds one program, in a hurry, and puts it beside the others as they are.
    fn build(&self, program: &str) -> io::Result<()> {
        let output = Command::new("make")
            .args(["--no-print-directory", "-C"])
            .arg(&self.copy)
            .arg(format!("build-{program}"))
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_NET_OFFLINE", "true")
            .envs([
                ("CARGO_PROFILE_RELEASE_LTO", "off"),
                ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
                ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
                ("CARGO_PROFILE_RELEASE_INCREMENTAL", "true"),
            ])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(io::Error::other(format!("it cannot be built\n{text}")));
        }
        for name in ["stockade", "stockade-helper"] {
            let weak = self.target.join("release").join(name);
            let from = if name == program { weak } else { self.built.join(name) };
            fs::copy(from, self.programs.join(name))?;
        }
        Ok(())
    }

    /// Runs the cases.
    fn judge(&self, weakening: &Weakening) -> io::Result<(Vec<String>, Vec<String>)> {
        let mut wanted = BTreeSet::new();
        for expectation in &weakening.expectations {
            for mode in &expectation.modes {
                wanted.insert((expectation.case.as_str(), mode.name()));
            }
        }
        let modes: BTreeSet<&str> = wanted.iter().map(|(_, mode)| *mode).collect();
        let controls = modes.iter().map(|mode| title(CONTROL, mode));
        let controls: Vec<String> = controls.collect();
        let cases: Vec<String> = wanted.iter().map(|(case, mode)| title(case, mode)).collect();
        let mut verdicts = self.run(&[controls.clone(), cases.clone()].concat())?;
        for _ in 1..TRIES {
            let unnoticed = |case: &&String| verdicts.get(*case) == Some(&Verdict::Passed);
            let again: Vec<String> = cases.iter().filter(unnoticed).cloned().collect();
            if again.is_empty() {
                break;
            }
            verdicts.extend(self.run(&again)?);
        }
        let mut faults = Vec::new();
        for control in controls.iter().filter(|one| verdicts.get(*one) != Some(&Verdict::Passed)) {
            faults.push(format!("nothing works any more: {control}"));
        }
        let mut lines = Vec::new();
        for expectation in &weakening.expectations {
            let (entry, case) = (&expectation.entry, &expectation.case);
            for mode in &expectation.modes {
                let title = title(case, mode.name());
                let word = match verdicts.get(&title) {
                    Some(Verdict::Failed) => "failed",
                    Some(Verdict::Skipped) => "skipped",
                    Some(Verdict::Passed) => {
                        faults.push(format!("{entry} does not notice: {title}"));
                        continue;
                    }
                    None => {
                        faults.push(format!("{entry} was not tried: {title}"));
                        continue;
                    }
                };
                lines.push(format!("{entry} {word} {mode} {}\n", weakening.name));
            }
        }
        Ok((faults, lines))
    }

    /// Runs these and gives what came of each. The suite's own words go to a file.
    fn run(&self, cases: &[String]) -> io::Result<BTreeMap<String, Verdict>> {
        let suite = crate::binaries::tool_directory()?.join("suite");
        let output = Command::new(suite)
            .args(cases)
            .env("STOCKADE_BUILD_DIR", &self.programs)
            .stdin(Stdio::null())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if std::env::var_os("STOCKADE_WEAKENED_VERBOSE").is_some() {
            println!("{text}{}", String::from_utf8_lossy(&output.stderr));
        }
        let verdict = |line: &str| {
            let (title, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
            let verdict = match rest.split([' ', ':']).next()? {
                "ok" => Verdict::Passed,
                "skipped" => Verdict::Skipped,
                _ => Verdict::Failed,
            };
            Some((title.to_owned(), verdict))
        };
        Ok(text.lines().filter_map(verdict).collect())
    }
}

/// The name of a case in a mode, as the suite writes it.
fn title(case: &str, mode: &str) -> String {
    format!("{case} [{mode}]")
}

/// Copies a file or a tree, but for what is the same there already: a new date has it built again.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let name = entry?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    if fs::read(from)? != fs::read(to).unwrap_or_default() || !to.exists() {
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, to)?;
    }
    Ok(())
}

/// Which weakenings the cases of each entry noticed in a run, and in which modes: what
/// `--results` wrote.
#[must_use]
pub fn noticed(results: &str) -> Noticed {
    let mut noticed = Noticed::new();
    for line in results.lines() {
        let [entry, "failed", mode, name] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        let Some(mode) = Mode::from_name(mode) else { continue };
        let modes =
            noticed.entry(entry.to_owned()).or_default().entry(name.to_owned()).or_default();
        if !modes.contains(&mode) {
            modes.push(mode);
        }
    }
    noticed
}
