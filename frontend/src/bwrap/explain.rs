// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper reports, in the words that callers match on.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use rustix::io::Errno;
use stockade_protocol::Refusal;
use stockade_protocol::check::Rule;
use stockade_protocol::event::{Call, Failure, Hint, Namespace, Object, Stage};
use stockade_protocol::request::{Destination, Operation, Upper};

use super::message::Fault;
use super::plan::{INVALID_FILTER, LAST_NAMESPACE};
use crate::explanation;
use crate::message::shown;
use crate::sandbox::Sandbox;

/// Why the helper refused.
pub(crate) fn refusal(refusal: &Refusal, sandbox: &Sandbox) -> Fault {
    if let Refusal::Rule(Rule::Capabilities, _) = refusal {
        return Fault::new(
            "--cap-add needs a user namespace of one's own, which the privileged helper does not give \
             away; use a helper without privilege, where users may have user namespaces",
        );
    }
    if let Refusal::Rule(Rule::UserNamespace, _) = refusal {
        return Fault::new(
            "--uid and --gid need a user namespace of one's own, which a helper with file \
             capabilities does not give away; use a setuid root helper, or one without privilege",
        );
    }
    if let Refusal::Rule(Rule::Overlay, index) = refusal {
        let asked = usize::try_from(*index).ok().and_then(|at| sandbox.request.operations.get(at));
        let option = match asked {
            Some(Operation::Overlay { upper: Upper::Temporary, .. }) => "--tmp-overlay",
            Some(Operation::Overlay { upper: Upper::None, .. }) => "--ro-overlay",
            _ => "--overlay",
        };
        return Fault::new(format!(
            "{option} needs a user namespace of one's own, because a privileged helper mounts no \
             overlay of its caller's making; use a helper without privilege, where users may have \
             user namespaces"
        ));
    }
    Fault::other(&explanation::refusal(refusal, sandbox))
}

/// Why the helper failed. `command` is what was to be run.
#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is said as elsewhere")]
pub(crate) fn failure(failure: &Failure, command: &OsStr, sandbox: &Sandbox) -> Fault {
    let errno = Errno::from_raw_os_error(i32::try_from(failure.errno).unwrap_or(i32::MAX));
    let said = |text: String| Fault::errno(&text, errno);
    let position = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
    match (failure.stage, failure.call, failure.object) {
        (Stage::Start, Call::Execve, _) => said(format!("execvp {}", shown(command))),
        (Stage::Start, Call::Chdir, _) => {
            let directory = sandbox.request.payload.directories.first();
            said(format!("Can't chdir to {}", named(directory.map_or(b"", |d| d.as_bytes()))))
        }
        (Stage::Start, Call::Seccomp, _) if errno == Errno::INVAL => Fault::new(INVALID_FILTER),
        (Stage::Start, Call::Seccomp, _) => said(String::from("prctl(PR_SET_SECCOMP)")),
        (Stage::Start, call, Object::Lock(index)) => {
            let lock = sandbox.request.supervision.locks.get(position(index));
            let what =
                if call == Call::Open { "Unable to open lock file" } else { "Unable to lock file" };
            said(format!("{what} {}", named(lock.map_or(b"", |path| path.as_bytes()))))
        }
        (_, Call::Unshare, _) => match failure.hint {
            Hint::UserNamespaceRefused | Hint::UserNamespacePowerless => {
                no_new_namespace(Errno::PERM)
            }
            Hint::NamespaceLimit => no_new_namespace(Errno::NOSPC),
            _ => said(String::from("Creating new namespace failed")),
        },
        (_, Call::Setns, _) => said(LAST_NAMESPACE.to_owned()),
        (_, Call::Write, Object::Namespace(Namespace::User)) => {
            said(String::from("setting up uid map"))
        }
        (_, Call::Ioctl | Call::Socket, Object::Namespace(Namespace::Net)) => {
            said(String::from("loopback: Failed RTM_NEWADDR"))
        }
        (Stage::Clone | Stage::Build, call, Object::Operation(index)) => {
            operation(failure, call, errno, position(index), sandbox)
        }
        _ => Fault::other(&explanation::failure(failure, sandbox)),
    }
}

/// Why there is no new namespace.
pub(crate) fn no_new_namespace(errno: Errno) -> Fault {
    match errno {
        Errno::PERM | Errno::ACCESS => Fault::new(
            "No permissions to create a new namespace, likely because the kernel does not allow \
             non-privileged user namespaces; give the helper file capabilities, make it setuid root, or \
             allow user namespaces: `stockade doctor` shows the command for each",
        ),
        Errno::NOSPC | Errno::USERS => Fault::new(
            "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded \
             (ENOSPC)",
        ),
        errno => Fault::errno("Creating new namespace failed", errno),
    }
}

/// Why an operation failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "most calls are named after what they were for")]
fn operation(
    failure: &Failure,
    call: Call,
    errno: Errno,
    index: usize,
    sandbox: &Sandbox,
) -> Fault {
    let Some(asked) = sandbox.request.operations.get(index) else {
        return Fault::other(&explanation::failure(failure, sandbox));
    };
    let said = |text: String| match explanation::reason_of(failure) {
        Some(reason) => Fault::errno(&text, errno).followed_by(&format!(" ({reason})")),
        None => Fault::errno(&text, errno),
    };
    let mounting = |what: &str, place: &Destination| {
        said(format!("Can't mount {what} on /newroot{}", named(place.path.as_bytes())))
    };
    let making = |place: &Destination| {
        let place = named(place.path.as_bytes());
        match call {
            Call::Mkdir => Some(said(format!("Can't mkdir {place}"))),
            Call::Mknod => Some(said(format!("Can't create file at {place}"))),
            _ => None,
        }
    };
    match asked {
        Operation::Bind(bind) => making(&bind.destination).unwrap_or_else(|| {
            let place = named(bind.destination.path.as_bytes());
            let source = sandbox.source_of(index).map(|path| shown(path).to_string());
            let source = source.unwrap_or_default();
            said(format!("Can't bind mount {source} on /newroot{place}"))
        }),
        Operation::Data { destination, .. } | Operation::UserNamespace { destination } => {
            making(destination).unwrap_or_else(|| mounting("data", destination))
        }
        Operation::Tmpfs { destination, .. } => {
            making(destination).unwrap_or_else(|| mounting("tmpfs", destination))
        }
        Operation::Proc { destination, .. } => {
            making(destination).unwrap_or_else(|| mounting("proc", destination))
        }
        Operation::Devices { destination, .. } => {
            making(destination).unwrap_or_else(|| mounting("dev", destination))
        }
        Operation::Mqueue { destination } => {
            making(destination).unwrap_or_else(|| mounting("mqueue", destination))
        }
        Operation::Overlay { destination, .. }
            if call == Call::Fsconfig && errno == Errno::LOOP =>
        {
            let place = named(destination.path.as_bytes());
            Fault::new(format!(
                "Can't make overlay mount on /newroot{place}: Overlay directories may not overlap"
            ))
        }
        Operation::Overlay { destination, .. } => making(destination).unwrap_or_else(|| {
            let place = named(destination.path.as_bytes());
            said(format!("Can't make overlay mount on /newroot{place}"))
        }),
        Operation::Directory { destination, .. } => {
            said(format!("Can't mkdir {}", named(destination.path.as_bytes())))
        }
        Operation::File { destination, .. } => {
            said(format!("Can't create file {}", named(destination.path.as_bytes())))
        }
        Operation::Symlink { destination, target } if errno == Errno::EXIST => {
            existing(destination, target.as_bytes(), index, sandbox)
        }
        Operation::Symlink { destination, .. } => {
            said(format!("Can't make symlink at {}", named(destination.path.as_bytes())))
        }
        Operation::Chmod { path, .. } => said(format!("Can't chmod {}", named(path.as_bytes()))),
        Operation::RemountReadOnly { path } if errno == Errno::INVAL => {
            let place = named(path.as_bytes());
            Fault::new(format!(
                "Can't remount readonly on /newroot{place}: Unable to find \"/newroot{place}\" in \
                 mount table"
            ))
        }
        Operation::RemountReadOnly { path } => {
            said(format!("Can't remount readonly on {}", named(path.as_bytes())))
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other operations make no links")]
/// Something else is where a symlink should be. What it says is known if this sandbox made it.
fn existing(place: &Destination, target: &[u8], index: usize, sandbox: &Sandbox) -> Fault {
    let earlier =
        sandbox.request.operations.iter().take(index).rev().find_map(|asked| match asked {
            Operation::Symlink { destination, target } if destination.path == place.path => {
                Some(target.as_bytes())
            }
            _ => None,
        });
    let place = named(place.path.as_bytes());
    match earlier {
        Some(old) => Fault::new(format!(
            "Can't make symlink at {place}: existing destination is {}",
            named(old)
        )),
        None => Fault::new(format!(
            "Can't make symlink at {place}: destination exists and is not a symlink to {}",
            named(target)
        )),
    }
}

fn named(bytes: &[u8]) -> String {
    shown(OsStr::from_bytes(bytes)).to_string()
}
