// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs every case in every mode, each in a process of its own, and looks for leftovers.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};

use crate::account::{self, Account};
use crate::launch::Launch;
use crate::prefix::Prefix;
use crate::process::{Ending, slowness};
use crate::skips::Allowed;
use crate::threats::{self, CATALOGUE, Verdict};
use crate::{Case, Fixture, Mode, Outcome, sys, watch, weakened};

/// Exit status of a child whose case was skipped.
const SKIPPED: i32 = 77;

/// What the command line asks for.
#[derive(Debug, Default)]
struct Arguments {
    list: bool,
    modes: Vec<Mode>,
    filters: Vec<String>,
    /// Where to write the table of the threat catalogue; then only its cases run.
    matrix: Option<PathBuf>,
    /// What a run with weakened programs found out for that table.
    noticed: Option<PathBuf>,
    /// Name and fixture of the only case this process runs.
    one: Option<(String, String)>,
}

/// Numbers of the last line.
#[derive(Default)]
struct Tally<'a> {
    results: Vec<(&'a Case, Mode, Verdict)>,
    passed: u32,
    failed: Vec<(String, String)>,
    skipped: u32,
}

/// The surroundings that all cases share.
struct Ground {
    user: Account,
    other: Option<Account>,
    /// Parent of the cases' scratch directories.
    base: PathBuf,
    prefix: Prefix,
    throw_away: bool,
    /// Whether the kernel lets the account make user namespaces.
    user_namespaces: bool,
}

/// The `main` of the suite.
///
/// # Errors
/// If the surroundings cannot be made.
pub fn main(cases: &[Case]) -> io::Result<i32> {
    let arguments = parse(std::env::args().skip(1)).map_err(io::Error::other)?;
    if let Some((name, fixture)) = &arguments.one {
        return Ok(run_one(cases, name, &Fixture::from_json(fixture)?));
    }
    let wanted = |case: &Case, mode: Mode| {
        let title = title(case, mode);
        // `t19` finds what is named so and what says that it tries this entry.
        let fits = |filter: &String| {
            title.contains(filter)
                || CATALOGUE
                    .iter()
                    .any(|threat| threat.id.eq_ignore_ascii_case(filter) && case.tries(threat.id))
        };
        (arguments.modes.is_empty() || arguments.modes.contains(&mode))
            && (arguments.filters.iter().any(fits)
                || arguments.filters.is_empty() && !case.on_request)
            && (arguments.matrix.is_none() || CATALOGUE.iter().any(|t| case.tries(t.id)))
    };
    let mut plan: Vec<(&Case, Mode)> = Vec::new();
    for mode in Mode::ALL {
        plan.extend(cases.iter().filter(|c| c.modes.contains(mode)).map(|case| (case, *mode)));
    }
    plan.retain(|(case, mode)| wanted(case, *mode));
    if arguments.list {
        for (case, mode) in &plan {
            println!("{}: test", title(case, *mode));
        }
        return Ok(0);
    }
    let tally = run_all(&plan)?;
    if let Some(file) = &arguments.matrix {
        let noticed = arguments.noticed.map(fs::read_to_string).transpose()?;
        let noticed = weakened::noticed(&noticed.unwrap_or_default());
        fs::write(file, threats::matrix(&tally.results, &noticed))?;
    }
    for (title, reason) in &tally.failed {
        println!("\n---- {title} ----\n{reason}");
    }
    println!();
    for (title, _) in &tally.failed {
        println!("failed: {title}");
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed.len(), tally.skipped);
    Ok(i32::from(!tally.failed.is_empty()))
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => arguments.list = true,
            "--mode" => {
                let name = words.next().unwrap_or_default();
                let mode = Mode::from_name(&name).ok_or(format!("no mode {name:?}"))?;
                arguments.modes.push(mode);
            }
            "--one" => {
                arguments.one =
                    Some((words.next().unwrap_or_default(), words.next().unwrap_or_default()));
            }
            "--matrix" => arguments.matrix = Some(words.next().unwrap_or_default().into()),
            "--noticed" => arguments.noticed = Some(words.next().unwrap_or_default().into()),
            option if option.starts_with('-') => {
                return Err(format!(
                    "usage: suite [--list] [--mode MODE]… [--matrix FILE [--noticed FILE] | FILTER…], \
                     not {option}"
                ));
            }
            _ => arguments.filters.push(word),
        }
    }
    let part = !arguments.filters.is_empty() || !arguments.modes.is_empty();
    if arguments.matrix.is_some() && part {
        return Err("--matrix is about all entries and modes".to_owned());
    }
    Ok(arguments)
}

fn title(case: &Case, mode: Mode) -> String {
    let name = case.name.strip_prefix("suite::").unwrap_or(case.name);
    format!("{name} [{mode}]")
}

/// The only case of this process. A panic ends it with 101, whatever the profile says of panics.
fn run_one(cases: &[Case], name: &str, fixture: &Fixture) -> i32 {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("{info}");
        sys::exit(101);
    }));
    let Some(case) = cases.iter().find(|case| case.name == name) else {
        panic!("there is no case {name}");
    };
    match (case.run)(fixture) {
        Outcome::Passed => 0,
        Outcome::Skipped(reason) => {
            println!("{reason}");
            SKIPPED
        }
    }
}

fn run_all<'a>(plan: &[(&'a Case, Mode)]) -> io::Result<Tally<'a>> {
    let root = nix::unistd::geteuid().is_root();
    let allowed = Allowed::built_in();
    let _lock = lock(root)?;
    sys::become_subreaper()?;
    let ground = Ground::make(root)?;
    let mounts = watch::mount_table();
    let files = watch::files_of(ground.user.uid, &[&ground.base]);

    let mut tally = Tally::default();
    let begin = Instant::now();
    for (index, (case, mode)) in plan.iter().enumerate() {
        let title = title(case, *mode);
        let start = Instant::now();
        let outcome = if mode.is_privileged() && !root {
            Ok(Outcome::Skipped("only root can install a helper in this mode".to_owned()))
        } else if case.needs_root && !root {
            Ok(Outcome::Skipped("it needs a runner that is root".to_owned()))
        } else if !mode.is_privileged() && !ground.user_namespaces && !case.without_user_namespaces
        {
            Ok(Outcome::Skipped("the kernel refuses user namespaces to the user".to_owned()))
        } else {
            run_in_child(&ground, case, *mode, index)
        };
        let took = start.elapsed().as_millis();
        let verdict = match &outcome {
            Ok(Outcome::Passed) => Verdict::Passed,
            Ok(Outcome::Skipped(reason)) => Verdict::Skipped(reason.clone()),
            Err(_) => Verdict::Failed,
        };
        tally.results.push((case, *mode, verdict));
        match outcome {
            Ok(Outcome::Passed) => {
                tally.passed += 1;
                println!("test {title} ... ok ({took} ms)");
            }
            Ok(Outcome::Skipped(reason)) => {
                let may = allowed.allow(case.name.trim_start_matches("suite::"), mode.name())
                    || (case.needs_root && !root);
                if may {
                    tally.skipped += 1;
                    println!("test {title} ... skipped: {reason}");
                } else {
                    println!("test {title} ... FAILED: skipped, which allowed-skips.txt forbids");
                    tally.failed.push((title, format!("skipped without leave: {reason}")));
                }
            }
            Err(reason) => {
                println!("test {title} ... FAILED ({took} ms)");
                tally.failed.push((title, reason));
            }
        }
    }

    let mut leftovers = String::new();
    if watch::mount_table() != mounts {
        leftovers.push_str("the mount table has changed\n");
    }
    let new: BTreeSet<PathBuf> = &watch::files_of(ground.user.uid, &[&ground.base]) - &files;
    if !new.is_empty() {
        leftovers.push_str(&format!("files were left: {new:?}\n"));
    }
    let title = "harness::the_machine_is_as_it_was".to_owned();
    if leftovers.is_empty() {
        tally.passed += 1;
        println!("test {title} ... ok");
    } else {
        println!("test {title} ... FAILED");
        tally.failed.push((title, leftovers));
    }
    println!(
        "\nsuite as {} took {:.1?}",
        if root { "root" } else { "an ordinary user" },
        begin.elapsed()
    );
    ground.remove()?;
    Ok(tally)
}

/// Two suites at once would find each other's processes.
fn lock(root: bool) -> io::Result<Flock<File>> {
    let path = if root {
        PathBuf::from("/run/stockade-test.lock")
    } else {
        std::env::temp_dir().join(format!("stockade-test-{}.lock", nix::unistd::getuid()))
    };
    let file = File::create(&path)?;
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return Ok(lock),
        Err((file, _)) => file,
    };
    println!("another suite is running: waiting for its end");
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}

impl Ground {
    fn make(root: bool) -> io::Result<Self> {
        if root {
            let user = Account::make("stockade-test-a")?;
            let other = Account::make("stockade-test-b")?;
            watch::kill_all(&watch::processes_of(user.uid));
            let prefix = Prefix::install(Path::new("/usr/local/lib"), Mode::ALL)?;
            let base = user.home.clone();
            let user_namespaces = may_make_user_namespaces(&user);
            let other = Some(other);
            return Ok(Self { user, other, base, prefix, throw_away: true, user_namespaces });
        }
        let user = Account::current()?;
        let base = user.home.join(format!(".stockade-test-{}", std::process::id()));
        fs::create_dir_all(&base)?;
        let prefix = Prefix::install(&base, Mode::UNPRIVILEGED)?;
        let user_namespaces = may_make_user_namespaces(&user);
        Ok(Self { user, other: None, base, prefix, throw_away: false, user_namespaces })
    }

    fn remove(self) -> io::Result<()> {
        drop(self.prefix);
        if self.throw_away {
            self.user.remove()?;
            if let Some(other) = &self.other {
                other.remove()?;
            }
            account::remove_group()
        } else {
            fs::remove_dir_all(&self.base)
        }
    }

    /// Processes that a case left: descendants of this one, and whatever has the account's ids.
    fn survivors(&self) -> Vec<watch::Seen> {
        let mut left = watch::descendants_of(nix::unistd::getpid().as_raw());
        if self.throw_away {
            left.extend(watch::processes_of(self.user.uid));
        }
        // Zombies that wait for this process are reaped here and are nobody's fault.
        left.retain(|seen| seen.state != 'Z');
        left
    }
}

/// Tries to have a user namespace, and a mount table of its own in it: on some systems the first
/// works and is of no use.
fn may_make_user_namespaces(user: &Account) -> bool {
    let unshare = Launch::new("/usr/bin/unshare").args(["-U", "-r", "-m", "true"]);
    let done = unshare.account(user).env("PATH", "/usr/bin:/bin").try_start();
    done.is_ok_and(|running| running.finish().ending == Ending::Exited(0))
}

fn run_in_child(ground: &Ground, case: &Case, mode: Mode, index: usize) -> Result<Outcome, String> {
    let scratch = ground.base.join(format!("case-{index}"));
    let fixture = Fixture {
        mode,
        helper: ground.prefix.helper(mode),
        bin: ground.prefix.bin(),
        user: ground.user.clone(),
        other: ground.other.clone(),
        scratch: scratch.clone(),
    };
    fs::create_dir(&scratch).map_err(|error| error.to_string())?;
    fixture.give(&scratch);
    let mounts = watch::mount_table();

    let suite = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut child = Launch::new(suite)
        .args(["--one", case.name, &fixture.to_json().to_string()])
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("STOCKADE_TEST_SLOWNESS", slowness().to_string())
        .start();
    let ending = finish(&mut child, case.timeout * slowness());
    let survivors = watch::wait_until_gone(|| ground.survivors());
    watch::kill_all(&survivors);
    reap();
    if let Err(error) = fs::remove_dir_all(&scratch) {
        return Err(format!("cannot remove the scratch directory: {error}"));
    }
    let (ending, stdout, stderr) = ending?;
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    if !survivors.is_empty() && ending == Ending::Exited(0) {
        return Err(format!("processes were left: {survivors:?}\n{said}"));
    }
    if watch::mount_table() != mounts {
        return Err(format!("the mount table has changed\n{said}"));
    }
    match ending {
        Ending::Exited(0) => Ok(Outcome::Passed),
        Ending::Exited(SKIPPED) => Ok(Outcome::Skipped(said.trim().to_owned())),
        Ending::Exited(101) => Err(said),
        other => Err(format!("the case ended with {other:?}\n{said}")),
    }
}

/// Waits for the child with its output, which grandchildren may hold open.
fn finish(
    child: &mut crate::process::Running,
    patience: Duration,
) -> Result<(Ending, Vec<u8>, Vec<u8>), String> {
    use std::io::Read;
    let deadline = Instant::now() + patience;
    let mut texts = [Vec::new(), Vec::new()];
    let mut ending = None;
    while ending.is_none() && Instant::now() < deadline {
        ending = child.process.wait(Duration::from_millis(2));
        for (pipe, text) in [&mut child.stdout, &mut child.stderr].into_iter().zip(&mut texts) {
            while let Some(open) = pipe {
                use std::os::fd::AsFd;
                if crate::process::readable(&[open.as_fd()], Duration::ZERO).is_none() {
                    break;
                }
                let mut buffer = [0_u8; 4096];
                match open.read(&mut buffer) {
                    Ok(count) if count > 0 => text.extend_from_slice(&buffer[..count]),
                    _ => *pipe = None,
                }
            }
        }
    }
    let [stdout, stderr] = texts;
    match ending {
        Some(ending) => Ok((ending, stdout, stderr)),
        None => {
            child.process.signal(nix::sys::signal::Signal::SIGKILL);
            child.process.wait(Duration::from_secs(5));
            let text = String::from_utf8_lossy(&stderr).into_owned();
            Err(format!("not over after {patience:?}\n{text}"))
        }
    }
}

/// Collects orphans that have ended.
fn reap() {
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
    }
}
