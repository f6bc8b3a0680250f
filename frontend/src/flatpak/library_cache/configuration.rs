// SPDX-License-Identifier: MIT OR Apache-2.0
//! `/etc/ld.so.conf`: where the dynamic linker's cache has its libraries from (R227).

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use crate::flatpak::beneath::{self, Links};
use crate::sandbox::{Sandbox, SandboxError, place};
use stockade_protocol::request::{Access, Content, Operation};

/// The file in the runtime.
const RUNTIME: &str = "etc/ld.so.conf";

/// The file in the sandbox.
const SANDBOX: &str = "/etc/ld.so.conf";

/// Names the files that tell of extensions, in the order in which their libraries count.
const GENERATED: &str = "include /run/flatpak/ld.so.conf.d/app-*.conf
include /app/etc/ld.so.conf
/app/lib
include /run/flatpak/ld.so.conf.d/runtime-*.conf
";

/// What the file holds if these files of a runtime leave it to the launcher; none if the runtime has
/// one of its own, or none at all.
pub fn generated(runtime: impl AsFd) -> Option<&'static str> {
    let file = beneath::open(runtime, Path::new(RUNTIME), OFlags::PATH, Links::Refused).ok()?;
    let stat = rustix::fs::fstat(file).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    (is_file && stat.st_size == 0).then_some(GENERATED)
}

/// Puts the file into a sandbox that has nothing in `/etc` yet.
///
/// # Errors
/// If there are too many descriptors.
pub fn mount(sandbox: &mut Sandbox, runtime: impl AsFd) -> Result<(), SandboxError> {
    if let Some(text) = generated(&runtime) {
        let (destination, content) = (place(Path::new(SANDBOX))?, Content::Bytes(text.into()));
        sandbox.push(Operation::Data { destination, mode: 0o644, content, writable: false });
        return Ok(());
    }
    match beneath::open(&runtime, Path::new(RUNTIME), OFlags::PATH, Links::Inside) {
        Ok(file) => {
            let (name, point) = (Path::new("/usr").join(RUNTIME), Path::new(SANDBOX));
            sandbox.bind_descriptor(file, &name, point, Access::ReadOnly)
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::sandbox::open_path;
    use std::os::unix::fs::symlink;

    #[test]
    fn r227_an_empty_file_is_filled() {
        let scratch = Scratch::new();
        scratch.file("empty/etc/ld.so.conf", "");
        scratch.file("own/etc/ld.so.conf", "/usr/lib/x\n");
        scratch.directory("none");
        symlink("/etc/passwd", scratch.directory("out/etc").join("ld.so.conf")).unwrap();
        symlink("other", scratch.directory("link/etc").join("ld.so.conf")).unwrap();
        scratch.file("link/etc/other", "");
        let operations = |name: &str| {
            let mut sandbox = Sandbox::new();
            mount(&mut sandbox, open_path(&scratch.join(name)).unwrap()).unwrap();
            sandbox.request.operations
        };
        match operations("empty").as_slice() {
            [Operation::Data { content: Content::Bytes(bytes), .. }] => {
                assert_eq!(bytes, GENERATED.as_bytes());
            }
            other => panic!("{other:?}"),
        }
        for name in ["own", "link"] {
            assert!(matches!(operations(name).as_slice(), [Operation::Bind(_)]), "{name}");
        }
        for name in ["none", "out"] {
            assert_eq!(operations(name), [], "{name}");
        }
    }
}
