// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether limits hold: what the kernel says about the control group that this process is in.
//!
//! systemd takes a limit whose controller it was not given, and says nothing.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path};

use super::limit::{Limit, Limits};

/// A control group's files are short; what is longer is none.
const MOST: u64 = 64 * 1024;

/// Why limits do not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The control group of this process cannot be found.
    #[error("the kernel does not say which control group that is: {0}")]
    Unknown(#[source] io::Error),
    /// This process is not in the group it was moved to.
    #[error("this process did not get into it")]
    Elsewhere,
    /// The controller is not there, or does something else.
    #[error("the limit {0} does not hold: systemd may not use this controller")]
    Loose(Limit),
}

/// Whether this process is in the group of the unit `unit`, and that keeps all `limits`.
///
/// `root` is `/`.
///
/// # Errors
/// [`GroupError`], for the first limit that does not hold.
pub fn verify(root: &Path, unit: &str, limits: &Limits) -> Result<(), GroupError> {
    let groups = read(&root.join("proc/self/cgroup")).map_err(GroupError::Unknown)?;
    // The group of version 2, `cgroups(7)`. A path that leads upwards is outside of the namespace.
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let path = path.map(Path::new).filter(|path| {
        path.components().all(|part| matches!(part, Component::Normal(_)))
            && path.file_name().is_some_and(|name| name == unit)
    });
    let directory = root.join("sys/fs/cgroup").join(path.ok_or(GroupError::Elsewhere)?);
    for limit in limits.iter() {
        // Without the controller the file is missing.
        let content = read(&directory.join(limit.file())).unwrap_or_default();
        if !limit.is_kept(&content) {
            return Err(GroupError::Loose(limit));
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;

    const UNIT: &str = "app-stockade-x-1.scope";

    fn limits() -> Limits {
        let mut limits = Limits::default();
        for limit in [Limit::Memory(8192), Limit::Tasks(7), Limit::Cpu(50)] {
            limits.set(limit);
        }
        limits
    }

    fn machine(own: &str, files: &[(&str, &str)]) -> Scratch {
        let scratch = Scratch::new();
        scratch.file("proc/self/cgroup", own);
        for (name, content) in files {
            scratch.file(&format!("sys/fs/cgroup/user@1.service/{UNIT}/{name}"), content);
        }
        scratch
    }

    fn own() -> String {
        format!("4:memory:/elsewhere\n0::/user@1.service/{UNIT}\n")
    }

    const KEPT: [(&str, &str); 3] =
        [("memory.max", "8192\n"), ("pids.max", "7\n"), ("cpu.max", "50000 100000\n")];

    #[test]
    fn limits_that_the_kernel_keeps_hold() {
        let scratch = machine(&own(), &KEPT);
        assert!(verify(&scratch.0, UNIT, &limits()).is_ok());
    }

    #[test]
    fn a_controller_that_is_missing_or_not_set_is_noticed() {
        for (index, limit) in limits().iter().enumerate() {
            let mut files = KEPT.to_vec();
            files.remove(index);
            let scratch = machine(&own(), &files);
            let error = verify(&scratch.0, UNIT, &limits()).unwrap_err();
            assert!(matches!(error, GroupError::Loose(loose) if loose == limit), "{error}");
            let mut files = KEPT;
            files[index].1 = "max 100000\n";
            let scratch = machine(&own(), &files);
            let error = verify(&scratch.0, UNIT, &limits()).unwrap_err();
            assert!(matches!(error, GroupError::Loose(loose) if loose == limit), "{error}");
        }
    }

    #[test]
    fn another_group_is_not_taken_for_this_one() {
        for own in [
            "",
            "0::/\n",
            "1:name=systemd:/app-stockade-x-1.scope\n",
            "0::/user@1.service/app-stockade-x-2.scope\n",
            "0::/user@1.service/app-stockade-x-1.scope/child\n",
            "0::/../user@1.service/app-stockade-x-1.scope\n",
        ] {
            let scratch = machine(own, &KEPT);
            let error = verify(&scratch.0, UNIT, &limits()).unwrap_err();
            assert!(matches!(error, GroupError::Elsewhere), "{own}: {error}");
        }
        let scratch = Scratch::new();
        let error = verify(&scratch.0, UNIT, &limits()).unwrap_err();
        assert!(matches!(error, GroupError::Unknown(_)), "{error}");
    }
}
