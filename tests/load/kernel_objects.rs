// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel keeps for sandboxes: the things that can leak.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::process::Command;
use std::time::Duration;

use harness::process::{eventually, slowness};
use harness::watch;

/// Caches of `slabinfo(5)` that grow with each mount, namespace, process or open file.
const CACHES: &[&str] =
    &["mnt_cache", "net_namespace", "pid_namespace", "user_namespace", "task_struct", "filp"];

/// What there is at one moment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Objects {
    /// Processes.
    processes: u64,
    /// Namespaces that a process is in.
    namespaces: u64,
    /// Open files of the machine.
    files: u64,
    /// The kernel's memory that only an end of what it is for gives back, KiB.
    memory: u64,
    /// Objects of [`CACHES`] in use, where the kernel has a cache of that name.
    cached: Vec<(&'static str, u64)>,
}

impl Objects {
    pub(super) fn count() -> Self {
        // What each processor keeps in reserve counts as in use until the cache is asked to shrink.
        for cache in CACHES {
            fs::write(format!("/sys/kernel/slab/{cache}/shrink"), "1").ok();
        }
        let slabs = fs::read_to_string("/proc/slabinfo").unwrap_or_default();
        let active = |cache: &str| {
            let line = slabs.lines().find_map(|line| line.strip_prefix(cache)?.strip_prefix(' '));
            line?.split_whitespace().next()?.parse().ok()
        };
        Self {
            processes: watch::pids().len() as u64,
            namespaces: namespaces().len() as u64,
            files: first_number("/proc/sys/fs/file-nr", ""),
            memory: first_number("/proc/meminfo", "SUnreclaim:")
                + first_number("/proc/meminfo", "Percpu:"),
            cached: CACHES.iter().filter_map(|cache| Some((*cache, active(cache)?))).collect(),
        }
    }

    /// What there is more of: more than 100 and one for every twentieth launch. Others use the machine
    /// too, and the kernel frees much of it later, so this waits for a while.
    pub(super) fn growth(&self, launches: u64) -> Option<String> {
        let slack = 100 + launches / 20;
        let grew = |before: u64, after: u64| after > before + slack;
        let settled = || {
            // Linux frees the network namespaces that ended last when the next ones end.
            Command::new("unshare").args(["--net", "true"]).status().ok();
            let now = Self::count();
            let fine = !grew(self.processes, now.processes)
                && !grew(self.namespaces, now.namespaces)
                && !grew(self.files, now.files)
                // 2 KiB a launch: a leaked mount alone is more than that.
                && now.memory < self.memory + 32 * 1024 + 2 * launches
                && self.cached.iter().zip(&now.cached).all(|(old, new)| !grew(old.1, new.1));
            fine.then_some(())
        };
        match eventually(Duration::from_secs(20) * slowness(), settled) {
            Some(()) => None,
            None => Some(format!("before: {self:?}\nafter: {:?}", Self::count())),
        }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processes, namespaces, files, memory, cached } = self;
        write!(
            f,
            "{processes} processes, {namespaces} namespaces, {files} files, {memory} KiB, {cached:?}"
        )
    }
}

/// The namespaces of all processes.
fn namespaces() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for pid in watch::pids() {
        for entry in fs::read_dir(format!("/proc/{pid}/ns")).into_iter().flatten().flatten() {
            if let Ok(link) = fs::read_link(entry.path()) {
                found.insert(link.to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// The first number behind `key` in a file.
fn first_number(path: &str, key: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
}
