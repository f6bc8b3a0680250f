// SPDX-License-Identifier: MIT OR Apache-2.0
//! Throw-away accounts, and the account of an ordinary user who runs the suite.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use nix::unistd::{Group, User};
use serde_json::{Value, json};

/// The group that throw-away accounts have besides their own, so that supplementary groups are
/// there to be kept.
pub const GROUP: &str = "stockade-test-g";

/// Whom a case runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group.
    pub gid: u32,
    /// Supplementary groups, sorted.
    pub groups: Vec<u32>,
    /// Home directory.
    pub home: PathBuf,
}

impl Account {
    /// Makes the throw-away account `name`, or takes the one that an earlier run left.
    ///
    /// # Errors
    /// If `useradd` fails.
    pub fn make(name: &str) -> io::Result<Self> {
        if Group::from_name(GROUP)?.is_none() {
            command("groupadd", &["--system", GROUP])?;
        }
        if User::from_name(name)?.is_none() {
            command("useradd", &["-m", "-U", "-G", GROUP, "-s", "/bin/sh", name])?;
        }
        let user =
            User::from_name(name)?.ok_or_else(|| io::Error::other("useradd made no user"))?;
        let group = Group::from_name(GROUP)?.ok_or_else(|| io::Error::other("no group"))?;
        let mut groups = vec![user.gid.as_raw(), group.gid.as_raw()];
        groups.sort_unstable();
        Ok(Self {
            name: name.to_owned(),
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups,
            home: user.dir,
        })
    }

    /// The account that runs the suite.
    ///
    /// # Errors
    /// If it is not in the user database or has no home.
    pub fn current() -> io::Result<Self> {
        let uid = nix::unistd::getuid();
        let user = User::from_uid(uid)?.ok_or_else(|| io::Error::other("who am I?"))?;
        let home = std::env::var_os("HOME").map_or(user.dir, PathBuf::from);
        let mut groups: Vec<u32> =
            nix::unistd::getgroups()?.into_iter().map(nix::unistd::Gid::as_raw).collect();
        groups.sort_unstable();
        let gid = nix::unistd::getgid().as_raw();
        Ok(Self { name: user.name, uid: uid.as_raw(), gid, groups, home })
    }

    /// Removes a throw-away account with its home.
    ///
    /// # Errors
    /// If `userdel` fails.
    pub fn remove(&self) -> io::Result<()> {
        command("userdel", &["-r", &self.name])
    }

    /// For the child that runs one case.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "uid": self.uid, "gid": self.gid, "groups": self.groups,
                "home": self.home })
    }

    /// The inverse of [`Account::to_json`].
    #[must_use]
    pub fn from_json(value: &Value) -> Option<Self> {
        let number = |value: &Value| value.as_u64().and_then(|n| u32::try_from(n).ok());
        Some(Self {
            name: value["name"].as_str()?.to_owned(),
            uid: number(&value["uid"])?,
            gid: number(&value["gid"])?,
            groups: value["groups"].as_array()?.iter().filter_map(number).collect(),
            home: PathBuf::from(value["home"].as_str()?),
        })
    }
}

/// Removes the group of the throw-away accounts.
///
/// # Errors
/// If `groupdel` fails.
pub fn remove_group() -> io::Result<()> {
    command("groupdel", &[GROUP])
}

fn command(program: &str, arguments: &[&str]) -> io::Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{program} {arguments:?}: {text}")))
}
