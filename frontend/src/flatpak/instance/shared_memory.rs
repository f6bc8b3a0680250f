// SPDX-License-Identifier: MIT OR Apache-2.0
//! Shared memory of all instances of an application, the feature `per-app-dev-shm` (R146).
//!
//! It lies in the host's `/dev/shm`, where other applications may be able to write. So a directory there
//! is used again, or removed, only if it has the right name, is a real directory of the user's, and holds
//! the file that marks it.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::application::ApplicationDirectory;
use super::{InstanceError, file, removal};
use crate::flatpak::reference::Id;

/// Where the host keeps shared memory.
pub const HOST: &str = "/dev/shm";

/// The symlink in the application's directory that names the one in use.
pub(super) const LINK: &str = "dev-shm";

/// What marks a directory of ours.
const FLAG: &str = ".flatpak-tmpdir";

/// What the names end in.
const RANDOM: usize = 6;

/// How many random names are tried.
const TRIES: usize = 100;

impl ApplicationDirectory {
    /// The directory for `/dev/shm`, with its path on the host; made if there is none that can be used.
    /// `host` is where the host keeps shared memory, usually [`HOST`].
    ///
    /// # Errors
    /// [`InstanceError`].
    pub fn shared_memory(&self, host: &Path) -> Result<(OwnedFd, PathBuf), InstanceError> {
        let failed = |verb, errno| self.failed(verb, LINK, errno);
        // Two instances that start at once do not take each other's away.
        let turn = file::open_directory(&self.directory, ".").map_err(|e| failed("open", e))?;
        rustix::fs::flock(&turn, FlockOperation::LockExclusive).map_err(|e| failed("lock", e))?;

        let place = file::open_directory_at(host).map_err(|errno| InstanceError::File {
            verb: "open",
            path: host.to_owned(),
            errno,
        })?;
        let owned = Owned { id: &self.id, uid: self.uid, host, place: &place };
        if let Some((name, directory)) = owned.linked(&self.directory) {
            let given = file::path_only(&directory).map_err(|e| failed("open", e))?;
            return Ok((given, host.join(name)));
        }
        match rustix::fs::unlinkat(&self.directory, LINK, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(failed("replace", errno)),
        }
        let (name, directory) = owned.make().map_err(|errno| InstanceError::File {
            verb: "make a directory in",
            path: host.to_owned(),
            errno,
        })?;
        let path = host.join(&name);
        if let Err(errno) = rustix::fs::symlinkat(&path, &self.directory, LINK) {
            // Nobody would find it again.
            removal::remove(&place, &name).ok();
            return Err(failed("make", errno));
        }
        Ok((file::path_only(&directory).map_err(|e| failed("open", e))?, path))
    }
}

/// Removes the directory that the application's one names, and the name. Nobody uses it any more.
pub(super) fn remove(application: &OwnedFd, id: &Id, uid: u32, host: &Path) -> Result<(), Errno> {
    if let Ok(place) = file::open_directory_at(host) {
        let owned = Owned { id, uid, host, place: &place };
        if let Some((name, directory)) = owned.linked(application) {
            removal::empty(&directory)?;
            rustix::fs::unlinkat(&place, &name, AtFlags::REMOVEDIR)?;
        }
    }
    removal::remove(application, LINK)
}

/// The directories that belong to one application of one user.
struct Owned<'a> {
    id: &'a Id,
    uid: u32,
    host: &'a Path,
    place: &'a OwnedFd,
}

impl Owned<'_> {
    fn prefix(&self) -> String {
        format!("flatpak-{}-", self.id)
    }

    /// The directory that the symlink names, and the name, if it is one of these.
    fn linked(&self, application: impl AsFd) -> Option<(String, OwnedFd)> {
        let target = rustix::fs::readlinkat(application, LINK, Vec::new()).ok()?;
        let name = Path::new(target.to_str().ok()?).strip_prefix(self.host).ok()?.to_str()?;
        let end = name.strip_prefix(&self.prefix())?;
        let fits = end.len() == RANDOM && end.chars().all(|c| c.is_ascii_alphanumeric());
        let directory = fits.then(|| file::open_directory(self.place, name).ok())??;
        let owner = rustix::fs::fstat(&directory).ok()?.st_uid;
        file::open(&directory, FLAG, OFlags::RDONLY).ok()?;
        (owner == self.uid).then(|| (name.to_owned(), directory))
    }

    /// Makes a new one.
    fn make(&self) -> Result<(String, OwnedFd), Errno> {
        for _ in 0..TRIES {
            let name = format!("{}{}", self.prefix(), random()?);
            match rustix::fs::mkdirat(self.place, &name, rustix::fs::Mode::RWXU) {
                Err(Errno::EXIST) => continue,
                made => made?,
            }
            let directory = file::open_directory(self.place, &name)?;
            // Somebody could have put another in its place.
            if rustix::fs::fstat(&directory)?.st_uid != self.uid {
                return Err(Errno::PERM);
            }
            file::create(&directory, FLAG, 0o600, b"")?;
            return Ok((name, directory));
        }
        Err(Errno::EXIST)
    }
}

/// Letters and digits that nobody can foresee.
fn random() -> Result<String, Errno> {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut bytes = [0_u8; RANDOM];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte & 31)).map(|letter| char::from(*letter));
    Ok(bytes.into_iter().filter_map(letter).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Instances;
    use super::super::tests::owner;
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    fn open(scratch: &Scratch) -> ApplicationDirectory {
        let instances = Instances::create(&owner(scratch)).unwrap();
        ApplicationDirectory::create(&instances, &Id::new("org.example.App").unwrap()).unwrap()
    }

    #[test]
    fn r146_instances_share_one() {
        let scratch = Scratch::new();
        let (host, application) = (scratch.directory("shm"), open(&scratch));
        let (_, path) = application.shared_memory(&host).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
        assert!(path.join(".flatpak-tmpdir").is_file());
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("flatpak-org.example.App-") && name.len() == 30, "{name}");
        assert_eq!(fs::read_link(application.path.join("dev-shm")).unwrap(), path);
        assert_eq!(application.shared_memory(&host).unwrap().1, path);
        fs::write(path.join("x"), "").unwrap();
        remove(&application.directory, &application.id, application.uid, &host).unwrap();
        assert_eq!(fs::read_dir(&host).unwrap().count(), 0);
        assert!(fs::symlink_metadata(application.path.join("dev-shm")).is_err());
    }

    #[test]
    fn r146_what_is_not_ours_is_neither_used_nor_removed() {
        let name = "flatpak-org.example.App-ABCDEF";
        let inside = |scratch: &Scratch| scratch.join("shm").join(name);
        let flagged = |path: PathBuf| {
            fs::create_dir(&path).unwrap();
            fs::write(path.join(".flatpak-tmpdir"), "").unwrap();
            path
        };
        // A name each that the symlink says, and what is there.
        type Prepare<'a> = &'a dyn Fn(&Scratch) -> PathBuf;
        let cases: [(&str, Prepare<'_>); 7] = [
            ("nothing", &|scratch| inside(scratch)),
            ("no flag", &|scratch| scratch.directory(&format!("shm/{name}"))),
            ("a flag that is a link", &|scratch| {
                let path = scratch.directory(&format!("shm/{name}"));
                symlink("/etc/hostname", path.join(".flatpak-tmpdir")).unwrap();
                path
            }),
            ("a link", &|scratch| {
                symlink(flagged(scratch.join("kept")), inside(scratch)).unwrap();
                inside(scratch)
            }),
            ("elsewhere", &|scratch| flagged(scratch.join(name))),
            ("further down", &|scratch| {
                scratch.directory("shm/flatpak-org.example.App-");
                flagged(scratch.join("shm/flatpak-org.example.App-/ABCDEF"))
            }),
            ("another application", &|scratch| {
                flagged(scratch.join("shm/flatpak-org.example.App-x-ABCDEF"))
            }),
        ];
        for (case, prepare) in cases {
            let scratch = Scratch::new();
            let (host, application) = (scratch.directory("shm"), open(&scratch));
            let target = prepare(&scratch);
            let there = target.exists();
            symlink(&target, application.path.join("dev-shm")).unwrap();
            let (id, uid) = (&application.id, application.uid);
            remove(&application.directory, id, uid, &host).unwrap();
            assert_eq!(target.exists(), there, "{case}");
            symlink(&target, application.path.join("dev-shm")).unwrap();
            assert_ne!(application.shared_memory(&host).unwrap().1, target, "{case}");
            assert_eq!(target.exists(), there, "{case}");
            let stranger = Owned {
                id,
                uid: uid + 1,
                host: &host,
                place: &file::open_directory_at(&host).unwrap(),
            };
            assert!(stranger.linked(&application.directory).is_none(), "{case}");
        }
    }
}
