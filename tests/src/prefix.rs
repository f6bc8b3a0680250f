// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root-owned directory in which the helper is installed in each mode.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Mode, binaries};

/// What `setcap` gives the helper in [`Mode::FileCaps`] (design section 5).
pub const CAPABILITIES: &str = "cap_sys_admin,cap_mknod,cap_net_admin=p";

/// A directory with the programs, removed when dropped.
#[derive(Debug)]
pub struct Prefix {
    directory: PathBuf,
}

impl Prefix {
    /// Installs the programs below `parent`. As root in every mode, else in the unprivileged one.
    ///
    /// # Errors
    /// If a program is missing or cannot be installed.
    pub fn install(parent: &Path, modes: &[Mode]) -> io::Result<Self> {
        let directory = parent.join(format!("stockade-test-{}", std::process::id()));
        fs::create_dir(&directory)?;
        let prefix = Self { directory };
        allow(&prefix.directory, 0o755)?;

        let products = binaries::product_directory();
        let tools = binaries::tool_directory()?;
        fs::create_dir(prefix.bin())?;
        allow(&prefix.bin(), 0o755)?;
        copy(&binaries::find(&products, "stockade")?, &prefix.bin().join("stockade"), 0o755)?;
        for tool in ["probe", "intruder", "attacker"] {
            copy(&binaries::find(&tools, tool)?, &prefix.bin().join(tool), 0o755)?;
        }

        let helper = binaries::find(&products, "stockade-helper")?;
        for mode in modes {
            let place = prefix.helper(*mode);
            let home = place.parent().unwrap_or(&prefix.directory);
            fs::create_dir(home)?;
            allow(home, 0o755)?;
            copy(&helper, &place, 0o755)?;
            match mode {
                Mode::FileCaps => {
                    let done = Command::new("setcap").arg(CAPABILITIES).arg(&place).status()?;
                    if !done.success() {
                        return Err(io::Error::other("setcap failed"));
                    }
                }
                Mode::Setuid => allow(&place, 0o4755)?,
                Mode::Unprivileged => {}
            }
        }
        Ok(prefix)
    }

    /// Where `stockade`, `probe`, `intruder` and `attacker` are.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.directory.join("bin")
    }

    /// The helper in this mode.
    #[must_use]
    pub fn helper(&self, mode: Mode) -> PathBuf {
        self.directory.join(mode.name()).join("stockade-helper")
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("cannot remove {}: {error}", self.directory.display());
        }
    }
}

fn copy(from: &Path, to: &Path, mode: u32) -> io::Result<()> {
    fs::copy(from, to)?;
    allow(to, mode)
}

fn allow(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}
