// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case gets: who it is, which helper, which programs, an empty directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::Mode;
use crate::account::Account;

/// The surroundings of one run of one case.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// How [`Fixture::helper`] is installed.
    pub mode: Mode,
    /// The helper under test.
    pub helper: PathBuf,
    /// Directory of `stockade` and of the tests' own programs.
    pub bin: PathBuf,
    /// Whom programs are started as.
    pub user: Account,
    /// Somebody else, where the runner is root.
    pub other: Option<Account>,
    /// An empty directory of [`Fixture::user`], removed after the case.
    pub scratch: PathBuf,
}

impl Fixture {
    /// A program of the tests or `stockade` itself.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// Whether the runner is root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        nix::unistd::geteuid().is_root()
    }

    /// The directory that `HOME` names for the programs of the case. It is made when first asked
    /// for.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        let home = self.scratch.join("home");
        if !home.exists() {
            self.directory("home");
        }
        home
    }

    /// Makes a directory of the user below the scratch directory.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.scratch.join(name);
        fs::create_dir_all(&path).expect("the scratch directory can be written");
        self.give(&path);
        path
    }

    /// Makes a file of the user below the scratch directory.
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.scratch.join(name);
        fs::write(&path, content).expect("the scratch directory can be written");
        self.give(&path);
        path
    }

    /// Makes `path` belong to the user.
    pub fn give(&self, path: &Path) {
        if self.is_root() {
            std::os::unix::fs::lchown(path, Some(self.user.uid), Some(self.user.gid))
                .expect("root can give files away");
        }
    }

    /// For the child that runs the case.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "mode": self.mode.name(), "helper": self.helper, "bin": self.bin,
            "user": self.user.to_json(), "other": self.other.as_ref().map(Account::to_json),
            "scratch": self.scratch,
        })
    }

    /// The inverse of [`Fixture::to_json`].
    ///
    /// # Errors
    /// If `text` is something else.
    pub fn from_json(text: &str) -> io::Result<Self> {
        let value: Value = serde_json::from_str(text)?;
        let path = |key: &str| value[key].as_str().map(PathBuf::from);
        let read = || {
            Some(Self {
                mode: Mode::from_name(value["mode"].as_str()?)?,
                helper: path("helper")?,
                bin: path("bin")?,
                user: Account::from_json(&value["user"])?,
                other: Account::from_json(&value["other"]),
                scratch: path("scratch")?,
            })
        };
        read().ok_or_else(|| io::Error::other("that is no fixture"))
    }
}
