// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a test must not leave behind: processes, mounts, files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::process::{eventually, slowness};
use crate::sys;

/// How long the last processes of a sandbox may take to go.
#[must_use]
pub fn gone_after() -> Duration {
    Duration::from_secs(2) * slowness()
}

/// Where programs leave files, looked at two levels deep.
const PLACES: &[&str] = &["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/var/lib"];

/// A process of a test account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub pid: i32,
    /// Its short name.
    pub name: String,
    /// Its state, as a letter.
    pub state: char,
}

/// A name for what must not be made in the system: no earlier run, in which something made it, can have
/// left it behind.
#[must_use]
pub fn mark() -> String {
    format!("{MARK}{}", std::process::id())
}

const MARK: &str = "stockade-test-mark-";

/// Removes every [`mark`] from where it must not have been made.
pub fn remove_marks() {
    for place in ["/", "/home", "/etc", "/usr", "/opt", "/var"].iter().chain(PLACES) {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(MARK.as_bytes()) {
                fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path())).ok();
            }
        }
    }
}

/// A field of `/proc/PID/status`.
#[must_use]
pub fn status(pid: impl std::fmt::Display, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The ids of all processes.
#[must_use]
pub fn pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The processes with `uid` among their ids.
#[must_use]
pub fn processes_of(uid: u32) -> Vec<Seen> {
    let wanted = uid.to_string();
    matching(|pid| {
        status(pid, "Uid").is_some_and(|ids| ids.split_whitespace().any(|id| id == wanted))
    })
}

/// The processes below `ancestor`.
#[must_use]
pub fn descendants_of(ancestor: i32) -> Vec<Seen> {
    let parents: Vec<(i32, i32)> = pids()
        .into_iter()
        .filter_map(|pid| Some((pid, status(pid, "PPid")?.parse().ok()?)))
        .collect();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        family.extend(
            parents
                .iter()
                .filter(|(_, p)| family.contains(p))
                .map(|(pid, _)| *pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    matching(|pid| pid != ancestor && family.contains(&pid))
}

fn matching(wanted: impl Fn(i32) -> bool) -> Vec<Seen> {
    let see = |pid: i32| {
        let name = status(pid, "Name")?;
        let state = status(pid, "State")?.chars().next()?;
        Some(Seen { pid, name, state })
    };
    pids().into_iter().filter(|pid| wanted(*pid)).filter_map(see).collect()
}

/// Waits until `list` is empty; what is still there after [`gone_after`] otherwise.
#[must_use]
pub fn wait_until_gone(list: impl Fn() -> Vec<Seen>) -> Vec<Seen> {
    match eventually(gone_after(), || list().is_empty().then_some(())) {
        Some(()) => Vec::new(),
        None => list(),
    }
}

/// Kills what is left so that the next case starts clean.
pub fn kill_all(left: &[Seen]) {
    for seen in left {
        if let Ok(process) = sys::pidfd_open(seen.pid) {
            drop(sys::pidfd_send_signal(&process, libc::SIGKILL));
        }
    }
}

/// The mount table of this process, byte for byte.
#[must_use]
pub fn mount_table() -> Vec<u8> {
    fs::read("/proc/self/mountinfo").expect("/proc is mounted")
}

/// Files of `uid` in the usual places, but for those below `except`.
#[must_use]
pub fn files_of(uid: u32, except: &[&Path]) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for place in PLACES {
        collect(Path::new(place), 2, uid, except, &mut found);
    }
    found
}

fn collect(
    directory: &Path,
    depth: u32,
    uid: u32,
    except: &[&Path],
    found: &mut BTreeSet<PathBuf>,
) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(data) = fs::symlink_metadata(&path) else { continue };
        if except.iter().any(|except| path.starts_with(except)) {
            continue;
        }
        if data.uid() == uid {
            found.insert(path.clone());
        }
        if data.is_dir() && depth > 1 {
            collect(&path, depth - 1, uid, except, found);
        }
    }
}

/// Everything below `directory` with type, mode, owner, size, to compare before and after.
#[must_use]
pub fn tree(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.flatten().map(|entry| entry.path()) {
            let Ok(data) = fs::symlink_metadata(&path) else { continue };
            found.insert(format!(
                "{} {:o} {}:{} {}",
                path.display(),
                data.mode(),
                data.uid(),
                data.gid(),
                if data.is_dir() { 0 } else { data.size() }
            ));
            if data.is_dir() {
                open.push(path);
            }
        }
    }
    found
}
