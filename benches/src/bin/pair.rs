// SPDX-License-Identifier: MIT OR Apache-2.0
//! Measures the launch of one sandbox by bubblewrap, by `stockade-bwrap` with the same arguments, by
//! `stockade exec`, by the helper alone and by the bare system calls, in one run and in turns. Prints tables; the clock decides nothing.
//!
//! Usage: `stockade-pair DIRECTORY [--binds N,flatpak,…] [--budget SECONDS] [--cap SECONDS]`
//!
//! The directory is laid out by `benches/run`. All programs are run as the user who runs this one.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use stockade_bench::bubblewrap::{self, Arguments};
use stockade_bench::flatpak;
use stockade_bench::plan::plan;
use stockade_bench::recording::Recording;

/// Most measured runs of one program at one size.
const RUNS: u32 = 400;

/// What we are measured against.
const BUBBLEWRAP: &str = "/usr/bin/bwrap";

/// Programs of ours for each mode: the drop-in, `stockade exec`, the sender with the helper, the floor.
const OURS: usize = 4;

/// What is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// The mounts of `stockade exec` and so many binds.
    Binds(usize),
    /// What Flatpak says to bubblewrap.
    Flatpak,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Binds(count) => write!(f, "{count}"),
            Self::Flatpak => f.write_str("flatpak"),
        }
    }
}

/// What the command line says.
struct Options {
    directory: PathBuf,
    sizes: Vec<Size>,
    /// Time for the runs of one program at one size.
    budget: Duration,
    /// Longest single run.
    cap: Duration,
}

/// A way to get the helper's rights.
struct Mode {
    title: &'static str,
    helper: PathBuf,
    floor: PathBuf,
}

/// One program at one size.
struct Contestant {
    program: PathBuf,
    arguments: Vec<OsString>,
    helper: Option<PathBuf>,
    /// Files that bubblewrap reads.
    files: Option<Arguments>,
    times: Vec<Duration>,
    spent: Duration,
    runs: u32,
    fault: Option<String>,
    /// Has no words for this sandbox.
    absent: bool,
}

/// How one run ended.
enum Run {
    Done(Duration),
    Fault(String),
}

/// Peak memory of the processes of one launch, by name.
type Peaks = Vec<(String, u64)>;

fn main() -> io::Result<()> {
    let options = options()?;
    let modes = modes(&options.directory);
    let mut tables: Vec<String> = modes.iter().map(|mode| head(mode.title)).collect();
    let mut memory = String::from(
        "### Peak memory (VmHWM, KiB, every process of a launch but the payload)\n\n\
         | binds | program | mode | processes |\n|---|---|---|---|\n",
    );
    let mut notes = String::new();
    for size in &options.sizes {
        let timed = match record(&options, *size, false) {
            Ok(timed) => timed,
            Err(fault) => {
                notes.push_str(&format!("* {size}: not measured: {fault}\n"));
                continue;
            }
        };
        note(&format!("{size}: {} operations", timed.request()?.operations.len()))?;
        let (bubblewrap, ours) = measure(&options, *size, &timed, &modes)?;
        for (table, row) in tables.iter_mut().zip(ours.chunks(OURS)) {
            table.push_str(&line(*size, &bubblewrap, row));
        }
        notes.push_str(&faults(*size, &bubblewrap, &ours));
        if let Size::Binds(_) = size {
            let held = record(&options, *size, true)?;
            memory.push_str(&peaks(&options, *size, &held, &modes, &bubblewrap)?);
        }
    }
    let mut out = io::stdout().lock();
    for table in tables {
        writeln!(out, "{table}")?;
    }
    write!(out, "{memory}\n{notes}")
}

fn note(text: &str) -> io::Result<()> {
    writeln!(io::stderr(), "bench: {text}")
}

fn options() -> io::Result<Options> {
    let usage = || {
        let text =
            "usage: stockade-pair DIRECTORY [--binds N,flatpak] [--budget SECONDS] [--cap SECONDS]";
        io::Error::new(io::ErrorKind::InvalidInput, text)
    };
    let mut words = std::env::args().skip(1);
    let mut options = Options {
        directory: words.next().ok_or_else(usage)?.into(),
        sizes: [0, 10, 100, 1000, 5000]
            .map(Size::Binds)
            .into_iter()
            .chain([Size::Flatpak])
            .collect(),
        budget: Duration::from_secs(6),
        cap: Duration::from_secs(120),
    };
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(usage)?;
        let seconds = || value.parse().map(Duration::from_secs).map_err(|_| usage());
        match word.as_str() {
            "--binds" => {
                let size = |word: &str| match word {
                    "flatpak" => Ok(Size::Flatpak),
                    number => number.parse().map(Size::Binds).map_err(|_| usage()),
                };
                options.sizes = value.split(',').map(size).collect::<io::Result<_>>()?;
            }
            "--budget" => options.budget = seconds()?,
            "--cap" => options.cap = seconds()?,
            _ => return Err(usage()),
        }
    }
    Ok(options)
}

/// The modes whose helper copies are there.
fn modes(directory: &Path) -> Vec<Mode> {
    [("file capabilities", "caps"), ("setuid root", "setuid"), ("unprivileged", "plain")]
        .into_iter()
        .map(|(title, suffix)| Mode {
            title,
            helper: directory.join("bin").join(format!("stockade-helper-{suffix}")),
            floor: directory.join("bin").join(format!("floor-{suffix}")),
        })
        .filter(|mode| mode.helper.exists() && mode.floor.exists())
        .collect()
}

/// The arguments of `stockade` for this many binds.
fn exec(options: &Options, binds: usize, hold: bool) -> Vec<OsString> {
    let tree = |path: PathBuf| {
        let mut word = OsString::from("--filesystem=");
        word.push(path);
        word.push(":ro");
        word
    };
    let payload = options.directory.join("payload");
    let mut list = vec![OsString::from("exec"), tree(payload.clone())];
    list.extend((0..binds).map(|n| tree(options.directory.join(format!("binds/{n:04}")))));
    list.push("--".into());
    list.push(payload.join("payload").into());
    if hold {
        list.push("hold".into());
    }
    list
}

/// A command in a small environment.
fn command(options: &Options, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
    command.env("HOME", options.directory.join("home"));
    command.current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Runs `stockade exec`, or for Flatpak's list the drop-in, against the recorder.
fn record(options: &Options, size: Size, hold: bool) -> io::Result<Recording> {
    let bin = options.directory.join("bin");
    let mut recorded = match size {
        Size::Binds(binds) => Contestant::new(bin.join("stockade"), exec(options, binds, hold)),
        Size::Flatpak => {
            let mut recorded = Contestant::new(bin.join("stockade-bwrap"), Vec::new());
            recorded.files = Some(flatpak_arguments(options)?);
            recorded
        }
    };
    recorded.helper = Some(bin.join("stockade-record"));
    let mut command = recorded.command(options);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = recorded.spawn(&mut command)?.wait_with_output()?;
    let recording = Recording::from_file(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        io::Error::other(format!("{} sent no request: {said}", recorded.program.display()))
    })?;
    keep(options, &recording)?;
    Ok(recording)
}

/// Leaves a recording where the sender and the floor find it.
fn keep(options: &Options, recording: &Recording) -> io::Result<()> {
    let work = options.directory.join("home");
    fs::write(work.join("recording"), recording.to_file())?;
    fs::write(work.join("plan"), plan(recording)?)
}

/// Flatpak's list, with the seccomp program of `stockade exec`.
fn flatpak_arguments(options: &Options) -> io::Result<Arguments> {
    let request = record(options, Size::Binds(0), false)?.request()?;
    let filter = request.payload.filters.first().map_or(&[][..], |filter| filter.as_bytes());
    let work = options.directory.join("home/flatpak");
    flatpak::arguments(&work, &options.directory.join("payload/payload"), filter)
}

impl Contestant {
    fn new(program: impl Into<PathBuf>, arguments: Vec<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments,
            helper: None,
            files: None,
            times: Vec::new(),
            spent: Duration::ZERO,
            runs: 0,
            fault: None,
            absent: false,
        }
    }

    /// A program with bubblewrap's arguments.
    fn bubblewrap(
        program: impl Into<PathBuf>,
        options: &Options,
        size: Size,
        recording: &Recording,
    ) -> io::Result<Self> {
        let arguments = match size {
            Size::Binds(_) => bubblewrap::arguments(recording)?,
            Size::Flatpak => {
                // Makes the list's recording anew, which has to be left in its place.
                let arguments = flatpak_arguments(options)?;
                keep(options, recording)?;
                arguments
            }
        };
        let mut this = Self::new(program, Vec::new());
        this.files = Some(arguments);
        Ok(this)
    }

    /// The drop-in, `stockade exec`, the sender, the floor, in this order.
    fn ours(
        options: &Options,
        size: Size,
        hold: bool,
        mode: &Mode,
        recording: &Recording,
    ) -> io::Result<[Self; OURS]> {
        let bin = options.directory.join("bin");
        let work = options.directory.join("home");
        let mut drop_in = Self::bubblewrap(bin.join("stockade-bwrap"), options, size, recording)?;
        drop_in.helper = Some(mode.helper.clone());
        let mut cli = match size {
            Size::Binds(binds) => Self::new(bin.join("stockade"), exec(options, binds, hold)),
            Size::Flatpak => {
                let mut none = Self::new(bin.join("stockade"), Vec::new());
                none.absent = true;
                none
            }
        };
        cli.helper = Some(mode.helper.clone());
        let request = vec![mode.helper.clone().into(), work.join("recording").into()];
        let core = Self::new(bin.join("stockade-launch-bench"), request);
        let floor = Self::new(&mode.floor, vec![work.join("plan").into()]);
        Ok([drop_in, cli, core, floor])
    }

    fn command(&self, options: &Options) -> Command {
        let mut command = command(options, &self.program);
        command.args(&self.arguments);
        command.args(self.files.iter().flat_map(|files| &files.list));
        if let Some(helper) = &self.helper {
            command.env("STOCKADE_HELPER", helper);
        }
        command
    }

    /// Starts `command` with the files that are meant for it.
    fn spawn(&mut self, command: &mut Command) -> io::Result<Child> {
        let Some(files) = &mut self.files else {
            return command.spawn();
        };
        files.inherit(true)?;
        let child = command.spawn();
        files.inherit(false)?;
        child
    }

    fn run(&mut self, options: &Options) -> io::Result<Run> {
        let mut command = self.command(options);
        let start = Instant::now();
        let mut child = self.spawn(&mut command)?;
        let ended = wait(&child, options.cap)?;
        if !ended {
            child.kill()?;
        }
        let status = child.wait()?;
        let took = start.elapsed();
        Ok(if !ended {
            Run::Fault(format!("not run: over {} s", options.cap.as_secs()))
        } else if status.success() {
            Run::Done(took)
        } else {
            let mut command = self.command(options);
            let again = self.spawn(command.stderr(Stdio::piped()))?.wait_with_output()?;
            let said = String::from_utf8_lossy(&again.stderr);
            Run::Fault(format!("{status}: {}", said.lines().next().unwrap_or_default()))
        })
    }

    /// One more sample. The first run of all warms up and counts only where there is no time for
    /// another.
    fn sample(&mut self, options: &Options) -> io::Result<()> {
        match self.run(options)? {
            Run::Done(took) => {
                self.spent = self.spent.saturating_add(took);
                if self.runs > 0 || took > options.budget {
                    self.times.push(took);
                }
            }
            Run::Fault(fault) => self.fault = Some(fault),
        }
        self.runs = self.runs.saturating_add(1);
        Ok(())
    }

    /// How much of its share this program has had; the one with the least is next.
    fn progress(&self, options: &Options) -> f64 {
        if self.fault.is_some() || self.absent {
            return 1.0;
        }
        let time = self.spent.as_secs_f64() / options.budget.as_secs_f64().max(0.001);
        time.max(f64::from(self.runs.saturating_sub(1)) / f64::from(RUNS))
    }

    fn median(&self) -> Option<f64> {
        let mut times = self.times.clone();
        times.sort_unstable();
        times.get(times.len() / 2).map(Duration::as_secs_f64)
    }
}

/// Waits for the end of `child`; false if that takes longer than `cap`.
fn wait(child: &Child, cap: Duration) -> io::Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::other("no pid"))?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let limit = Timespec::try_from(cap).map_err(io::Error::other)?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit))? > 0)
}

/// Runs all programs at one size in turns: bubblewrap, and ours for each mode.
fn measure(
    options: &Options,
    size: Size,
    recording: &Recording,
    modes: &[Mode],
) -> io::Result<(Contestant, Vec<Contestant>)> {
    let mut all = vec![Contestant::bubblewrap(BUBBLEWRAP, options, size, recording)?];
    for mode in modes {
        all.extend(Contestant::ours(options, size, false, mode, recording)?);
    }
    loop {
        let next = all
            .iter_mut()
            .min_by(|a, b| a.progress(options).total_cmp(&b.progress(options)))
            .filter(|next| next.progress(options) < 1.0);
        match next {
            Some(next) => next.sample(options)?,
            None => break,
        }
    }
    let ours = all.split_off(1);
    let bubblewrap = all.pop().ok_or_else(|| io::Error::other("no bubblewrap"))?;
    Ok((bubblewrap, ours))
}

fn head(title: &str) -> String {
    format!(
        "### Launch time, helper with mode \"{title}\" (medians, ms)\n\n\
         | binds | bubblewrap | drop-in | exec | core | floor \
         | drop-in/bubblewrap | exec/bubblewrap | core/bubblewrap \
         | drop-in/floor | exec/floor | core/floor | runs |\n\
         |--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|:--|\n"
    )
}

fn line(size: Size, bubblewrap: &Contestant, ours: &[Contestant]) -> String {
    let mut text = format!("| {size} |");
    let all: Vec<&Contestant> = std::iter::once(bubblewrap).chain(ours).collect();
    let medians: Vec<Option<f64>> = all.iter().map(|one| one.median()).collect();
    for (one, median) in all.iter().zip(&medians) {
        match (&one.fault, median) {
            (Some(_), _) => push(&mut text, "not measured"),
            (None, Some(median)) => push(&mut text, &format!("{:.2}", median * 1e3)),
            (None, None) => push(&mut text, "-"),
        }
    }
    if let [bubblewrap, drop_in, exec, core, floor] = medians[..] {
        let pairs = [bubblewrap, floor]
            .into_iter()
            .flat_map(|other| [drop_in, exec, core].into_iter().map(move |ours| (ours, other)));
        for pair in pairs {
            match pair {
                (Some(ours), Some(other)) => push(&mut text, &format!("{:.3}", ours / other)),
                _ => push(&mut text, "-"),
            }
        }
    }
    let runs: Vec<String> = all.iter().map(|one| one.times.len().to_string()).collect();
    push(&mut text, &runs.join("/"));
    text.push('\n');
    text
}

/// Why something was not measured.
fn faults(size: Size, bubblewrap: &Contestant, ours: &[Contestant]) -> String {
    let all = std::iter::once(bubblewrap).chain(ours);
    all.filter_map(|one| one.fault.as_ref().map(|fault| (&one.program, fault)))
        .map(|(program, fault)| format!("* {size}, {}: {fault}\n", program.display()))
        .collect()
}

fn push(text: &mut String, cell: &str) {
    text.push(' ');
    text.push_str(cell);
    text.push_str(" |");
}

/// The memory lines of one size.
fn peaks(
    options: &Options,
    size: Size,
    recording: &Recording,
    modes: &[Mode],
    timed: &Contestant,
) -> io::Result<String> {
    let mut text = String::new();
    // A run with quadratic cost is not repeated for this.
    let slow = timed.fault.is_some() || timed.spent > options.budget.saturating_mul(2);
    if slow {
        text.push_str(&format!("| {size} | bubblewrap | | not run |\n"));
    } else {
        let one = Contestant::bubblewrap(BUBBLEWRAP, options, size, recording)?;
        text.push_str(&format!("| {size} | bubblewrap | | {} |\n", peak(options, one)?));
    }
    for mode in modes {
        let ours = Contestant::ours(options, size, true, mode, recording)?;
        for (name, one) in ["drop-in", "exec", "core", "floor"].into_iter().zip(ours) {
            let said = peak(options, one)?;
            text.push_str(&format!("| {size} | {name} | {} | {said} |\n", mode.title));
        }
    }
    Ok(text)
}

/// The peaks of one launch whose payload holds still.
fn peak(options: &Options, mut one: Contestant) -> io::Result<String> {
    let mut command = one.command(options);
    let mut child = one.spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
    let mut ready = [0];
    let got = child.stdout.take().map_or(Ok(0), |mut pipe| {
        let got = pipe.read(&mut ready)?;
        // Kept open until the processes were looked at: the payload may not be killed by it.
        let found = if got == 1 { processes(child.id())? } else { Vec::new() };
        one.fault = Some(words(&found));
        Ok::<usize, io::Error>(got)
    })?;
    drop(child.stdin.take());
    child.wait()?;
    Ok(if got == 1 { one.fault.unwrap_or_default() } else { "not run: no payload".to_owned() })
}

fn words(peaks: &Peaks) -> String {
    let parts: Vec<String> = peaks.iter().map(|(name, size)| format!("{name} {size}")).collect();
    parts.join(", ")
}

/// `VmHWM` of a process and everything below it, outermost first, the payload left out. It counts
/// one image only, where `ru_maxrss` would count that of the parent before `execve(2)` too.
fn processes(first: u32) -> io::Result<Peaks> {
    let mut all = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
        // Others end while this reads.
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()).unwrap_or_default()
        };
        let parent = field("PPid:").parse::<u32>().unwrap_or(0);
        let size = field("VmHWM:").parse::<u64>().unwrap_or(0);
        all.push((pid, parent, field("Name:").to_owned(), size));
    }
    let mut family = vec![first];
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        family.extend(all.iter().filter(|one| one.1 == pid).map(|one| one.0));
        at = at.saturating_add(1);
    }
    Ok(family
        .iter()
        .filter_map(|pid| all.iter().find(|one| one.0 == *pid))
        .filter(|one| one.2 != "payload")
        .map(|one| (one.2.clone(), one.3))
        .collect())
}
