// SPDX-License-Identifier: MIT OR Apache-2.0
//! Control groups: which hierarchies are mounted, and whether the caller may make groups.

use super::finding::{Finding, Remedy};
use super::root::Root;

/// Which hierarchies are mounted, and whether the caller may make groups below its own.
pub(super) fn judge(root: &Root) -> Finding {
    const NAME: &str = "cgroup";
    const COST: &str = "applications do not get a control group of their own";
    let mounts = root.read("proc/self/mountinfo").unwrap_or_default();
    // The file system's type is the first field behind the lone hyphen.
    let kinds: Vec<&str> =
        mounts.lines().filter_map(|line| line.split_once(" - ")?.1.split(' ').next()).collect();
    let unified = kinds.contains(&"cgroup2");
    let version = match (unified, kinds.contains(&"cgroup")) {
        (true, false) => "version 2",
        (true, true) => "hybrid (versions 1 and 2)",
        (false, true) => {
            return Finding::limited(NAME, "version 1 only", COST)
                .mend(Remedy::advice("start the kernel with systemd.unified_cgroup_hierarchy=1"));
        }
        (false, false) => return Finding::limited(NAME, "not mounted", COST),
    };
    let own = root.read("proc/self/cgroup").unwrap_or_default();
    let own = own.lines().find_map(|line| line.strip_prefix("0::"));
    let top = mounts.lines().find_map(|line| {
        let (front, back) = line.split_once(" - ")?;
        (back.split(' ').next() == Some("cgroup2")).then(|| front.split(' ').nth(4))?
    });
    let delegated = own.zip(top).is_some_and(|(own, top)| {
        let procs = format!("{top}{}/cgroup.procs", own.trim_end_matches('/'));
        rustix::fs::access(root.path(&procs), rustix::fs::Access::WRITE_OK).is_ok()
    });
    let delegation = if delegated { "delegated to this user" } else { "not delegated" };
    Finding::good(NAME, format!("{version}, {delegation}"))
}

#[cfg(test)]
mod tests {
    use super::super::root::fake::Machine;
    use super::*;

    fn mounted(kinds: &[&str]) -> Machine {
        let line = |kind: &&str| {
            format!("30 23 0:26 / /sys/fs/cgroup/{kind} rw,nosuid shared:4 - {kind} cgroup rw\n")
        };
        let text: String = kinds.iter().map(line).collect();
        Machine::new(&[("proc/self/mountinfo", &text), ("proc/self/cgroup", "0::/me\n")])
    }

    #[test]
    fn hierarchies_are_told_apart() {
        let detail = |kinds: &[&str]| judge(&mounted(kinds).root()).detail;
        assert_eq!(detail(&["cgroup2"]), "version 2, not delegated");
        assert_eq!(detail(&["cgroup", "cgroup2"]), "hybrid (versions 1 and 2), not delegated");
        assert_eq!(detail(&["cgroup"]), "version 1 only");
        assert_eq!(detail(&["tmpfs"]), "not mounted");
    }

    #[test]
    fn a_writable_group_is_delegated() {
        let machine = mounted(&["cgroup2"]);
        machine.put("sys/fs/cgroup/cgroup2/me/cgroup.procs", "1\n");
        assert_eq!(judge(&machine.root()).detail, "version 2, delegated to this user");
    }
}
