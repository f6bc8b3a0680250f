// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an auditor is promised about the privileged part: its crates, its size, where its unsafe
//! code is, and that nothing in it reaches for what it may not use.

/// Every crate from outside that reaches the helper, build-time ones included. Whoever adds one says
/// in the commit what it replaces, how much unsafe code it has, and what it depends on.
const CRATES: [&str; 8] =
    ["bincode", "bincode_derive", "bitflags", "libc", "linux-raw-sys", "rustix", "unty", "virtue"];

/// What an afternoon is enough for.
const LINES: usize = 3000;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    fn sources() -> Vec<(PathBuf, String)> {
        fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
            for entry in fs::read_dir(folder).expect("a source folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    collect(&path, found);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let text = fs::read_to_string(&path).expect("a source file");
                    found.push((path, text));
                }
            }
        }
        let mut found = Vec::new();
        collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert!(found.len() > 10, "the sources were not found");
        found
    }

    /// The code of a file: no comments, no blank lines.
    fn code(text: &str) -> impl Iterator<Item = &str> {
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"))
    }

    #[test]
    fn only_listed_crates_reach_the_helper() {
        let cargo = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "-e", "normal,build", "--prefix", "none"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .output()
            .expect("cargo tree runs");
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        let text = String::from_utf8(cargo.stdout).expect("UTF-8");
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| !name.starts_with("stockade-"))
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, CRATES);
    }

    #[test]
    fn unsafe_code_is_in_sys_only() {
        for (path, text) in sources() {
            if path.components().any(|part| part.as_os_str() == "sys") {
                continue;
            }
            let found = code(&text).find(|line| {
                line.contains("unsafe") && !line.contains("unsafe_code")
                    || line.contains("allow(unsafe_code")
            });
            assert_eq!(found, None, "{}", path.display());
        }
    }

    #[test]
    fn helper_can_be_read_in_an_afternoon() {
        let lines: usize = sources().iter().map(|(_, text)| code(text).count()).sum();
        assert!(lines < LINES, "{lines} lines of code");
    }

    /// T05, T08, T11, T12, I1, I4, I16: no file opened by a path from outside, no program started but
    /// the payload, no environment, no name service, nothing printed.
    #[test]
    fn forbidden_words_do_not_occur() {
        let forbidden = [
            "std::env",
            "std::fs",
            "std::process",
            "File::open",
            "Command::new",
            "println!",
            "print!(",
            "eprint",
            "dbg!",
            "getpw",
            "getgr",
            "to_socket_addrs",
            ": RawFd",
            "unwrap()",
            "expect(\"",
            "panic!",
            "unreachable!",
            concat!("to", "do!"),
            concat!("un", "implemented!"),
        ];
        for (path, text) in sources() {
            for word in forbidden {
                let found = code(&text).find(|line| line.contains(word));
                assert_eq!(found, None, "{word} in {}", path.display());
            }
        }
    }

    /// I4: the only exec of the program is the payload's.
    #[test]
    fn there_is_one_exec() {
        let calls: usize = sources()
            .iter()
            .filter(|(path, _)| !path.ends_with("sys/payload.rs"))
            .map(|(_, text)| code(text).filter(|line| line.contains("execve(")).count())
            .sum();
        // The candidate, and the interpreter of a script without one.
        assert_eq!(calls, 2);
    }

    /// T47: no mount attribute is ever cleared.
    #[test]
    fn attributes_are_only_added() {
        for (path, text) in sources() {
            let found = code(&text).find(|line| {
                line.contains("attr_clr:") && !line.contains("attr_clr: 0") && !line.contains("u64")
            });
            assert_eq!(found, None, "{}", path.display());
        }
    }
}
