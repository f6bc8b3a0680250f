// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of the machine that describe it: `/proc`, `/sys`, `/etc`, `/usr`. Read below a root
//! directory, so that tests can make a machine up. Nothing here is changed or started.

use std::path::{Path, PathBuf};

/// Where the machine's files are.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl Root {
    /// This machine.
    pub(super) fn machine() -> Self {
        Self(PathBuf::from("/"))
    }

    /// `path`, which may begin with `/`, below the root.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    pub(super) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// The whole file; bytes that are no UTF-8 are replaced.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        let bytes = std::fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The file without white space and NULs around it.
    pub(super) fn word(&self, path: &str) -> Option<String> {
        let text = self.read(path)?;
        Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// A kernel setting by its name with dots.
    pub(super) fn sysctl(&self, name: &str) -> Option<String> {
        self.word(&format!("proc/sys/{}", name.replace('.', "/")))
    }

    /// Every entry of a directory, sorted; none if it cannot be read.
    pub(super) fn list(&self, path: &Path) -> Vec<String> {
        let Some(text) = path.to_str() else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(self.path(text)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
pub(super) mod fake {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    static COUNT: AtomicU32 = AtomicU32::new(0);

    /// A made-up machine in a directory of its own, which goes away with it.
    pub(in crate::doctor) struct Machine(PathBuf);

    impl Machine {
        pub(in crate::doctor) fn new(files: &[(&str, &str)]) -> Self {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("stockade-doctor-{}-{number}", std::process::id());
            let machine = Self(std::env::temp_dir().join(name));
            std::fs::create_dir_all(&machine.0).unwrap();
            for (path, text) in files {
                machine.put(path, text);
            }
            machine
        }

        pub(in crate::doctor) fn put(&self, path: &str, text: &str) {
            let path = self.root().path(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }

        pub(in crate::doctor) fn root(&self) -> Root {
            Root(self.0.clone())
        }
    }

    impl Drop for Machine {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn settings_and_words_are_trimmed() {
        let machine = Machine::new(&[
            ("proc/sys/kernel/unprivileged_userns_clone", "0\n"),
            ("proc/self/attr/current", "unconfined\n\0"),
        ]);
        let root = machine.root();
        assert_eq!(root.sysctl("kernel.unprivileged_userns_clone").as_deref(), Some("0"));
        assert_eq!(root.word("/proc/self/attr/current").as_deref(), Some("unconfined"));
        assert_eq!(root.sysctl("kernel.nothing"), None);
    }
}
