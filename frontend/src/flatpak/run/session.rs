// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the session helper provides for a sandbox: ours or Flatpak's, whichever answers (R109, R254).

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zbus::{OwnedVariant, Variant};

use crate::bus::address::Address;
use crate::bus::{Bus, BusError, Target};
use crate::caller::Caller;
use crate::flatpak::layout::Session;
use crate::flatpak::tree::Tree;
use crate::message::{Notice, shown};

/// Who is asked.
const HELPER: Target<'_> = Target {
    destination: "org.freedesktop.Flatpak",
    path: "/org/freedesktop/Flatpak/SessionHelper",
    interface: "org.freedesktop.Flatpak.SessionHelper",
};

/// How long it may take to start and to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the session helper. Without one a sandbox has the host's files as they are now (R110).
pub(super) fn find(caller: &Caller, notices: &mut Vec<Notice>) -> Option<Session> {
    let answer = match ask(caller) {
        Ok(answer) => answer,
        // There is no session, or nobody serves it.
        Err(error) if error.is_absent() || error.is_unknown_service() => return None,
        Err(error) => {
            notices.push(without(&error.to_string()));
            return None;
        }
    };
    match session(caller, &answer) {
        Ok(session) => Some(session),
        Err(reason) => {
            notices.push(without(&reason));
            None
        }
    }
}

fn without(reason: &str) -> Notice {
    Notice::Detail(format!(
        "changes of the host's network and time zone will not be seen in the sandbox\n\
         the session helper: {}",
        shown(reason)
    ))
}

type Answer = HashMap<String, OwnedVariant>;

fn ask(caller: &Caller) -> Result<Answer, BusError> {
    let address = Address::session(caller)?;
    let mut bus = Bus::open(&address, caller.uid, PATIENCE)?;
    let message = bus.call(HELPER, "RequestSession", &(), &[])?;
    let (answer,) = message.body()?;
    Ok(answer)
}

/// What was answered, opened.
///
/// Every sandbox sees it, so a service that somebody else pretends to be must not choose it: it is
/// where only the user's own programs write (R254), or it is nothing.
fn session(caller: &Caller, answer: &Answer) -> Result<Session, String> {
    let runtime = caller.runtime_directory();
    let [above, name] = Session::PLACE;
    let place = runtime.join(above);
    let path = place.join(name);
    let said = text(answer, "path").ok_or("it does not tell where its copies are")?;
    if Path::new(said) != path {
        return Err(format!("its copies are in {said}, not in {}", path.display()));
    }
    let monitor = open(&runtime).map_err(|reason| format!("{}: {reason}", path.display()))?;
    let socket = text(answer, "pkcs11-socket").map(PathBuf::from);
    let pkcs11 = socket.filter(|socket| {
        let mut name = socket.strip_prefix(&place).unwrap_or(Path::new("")).components();
        matches!((name.next(), name.next()), (Some(Component::Normal(_)), None))
    });
    Ok(Session { monitor, pkcs11 })
}

/// The directory of copies, through no symlink.
fn open(runtime: &Path) -> Result<Tree, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::open(runtime, flags, Mode::empty())?;
    let [above, name] = Session::PLACE;
    let place = Tree::within(top, runtime, above)?;
    Tree::within(&place, place.path(), name)
}

/// A text of the answer, which may be packed twice (R254).
fn text<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut value: &Variant<'_> = answer.get(name)?;
    if let Variant::Variant(inner) = value {
        value = inner;
    }
    <&str>::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    fn answer(entries: &[(&str, Variant<'_>)]) -> Answer {
        let owned = |value: &Variant<'_>| OwnedVariant::try_from(value).unwrap();
        entries.iter().map(|(name, value)| ((*name).to_owned(), owned(value))).collect()
    }

    fn user(scratch: &Scratch) -> Caller {
        let runtime = scratch.directory("run");
        caller(&scratch.0, &[("XDG_RUNTIME_DIR", runtime.to_str().unwrap())])
    }

    #[test]
    fn r254_the_answer_is_read_packed_once_or_twice() {
        let scratch = Scratch::new();
        let (user, path) = (user(&scratch), scratch.directory("run/.flatpak-helper/monitor"));
        let once = Variant::from(path.to_str().unwrap());
        let twice = Variant::Variant(Box::new(once.try_clone().unwrap()));
        for value in [once, twice] {
            let found = session(&user, &answer(&[("path", value)])).unwrap();
            assert_eq!((found.monitor.path(), found.pkcs11), (&*path, None));
        }
        for value in [Variant::from(1_u32), Variant::from("relative"), Variant::from("/etc")] {
            assert!(session(&user, &answer(&[("path", value)])).is_err());
        }
        assert!(session(&user, &answer(&[])).is_err());
    }

    #[test]
    fn r109_whoever_answers_cannot_choose_what_sandboxes_see() {
        let scratch = Scratch::new();
        let (user, secret) = (user(&scratch), scratch.directory("secret"));
        let path = scratch.join("run/.flatpak-helper/monitor");
        let found = || session(&user, &answer(&[("path", Variant::from(path.to_str().unwrap()))]));
        assert!(found().is_err());
        scratch.directory("run/.flatpak-helper");
        symlink(&secret, &path).unwrap();
        assert!(found().is_err());
        std::fs::remove_dir_all(scratch.join("run/.flatpak-helper")).unwrap();
        scratch.directory("elsewhere/monitor");
        symlink(scratch.join("elsewhere"), scratch.join("run/.flatpak-helper")).unwrap();
        assert!(found().is_err());
    }

    #[test]
    fn r111_the_socket_for_certificates_is_the_helpers_own() {
        let scratch = Scratch::new();
        let (user, path) = (user(&scratch), scratch.directory("run/.flatpak-helper/monitor"));
        let above = path.parent().unwrap();
        let found = |socket: PathBuf| {
            let entries = [
                ("path", Variant::from(path.to_str().unwrap())),
                ("pkcs11-socket", Variant::from(socket.to_str().unwrap())),
            ];
            session(&user, &answer(&entries)).unwrap().pkcs11
        };
        let own = above.join("pkcs11-flatpak-1");
        assert_eq!(found(own.clone()), Some(own));
        for other in
            ["run/bus", "run/.flatpak-helper/a/b", "run/.flatpak-helper/..", "run/.flatpak-helper"]
        {
            assert_eq!(found(scratch.join(other)), None, "{other}");
        }
    }
}
