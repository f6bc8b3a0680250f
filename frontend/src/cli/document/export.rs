// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade document-export` (R371).

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};
use rustix::fs::FileType;

use super::{DocumentError, info, place};
use crate::message::shown;
use crate::object;
use crate::portal::documents::{Documents, Manner};
use crate::sandbox::open_path;

/// What applications can be allowed: the option for it, the one against it, and the portal's word (R321).
const PERMISSIONS: [(&str, &str, &str); 4] = [
    ("allow-read", "forbid-read", "read"),
    ("allow-write", "forbid-write", "write"),
    ("allow-delete", "forbid-delete", "delete"),
    ("allow-grant-permission", "forbid-grant-permission", "grant-permissions"),
];

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    command
        .args_override_self(true)
        .arg(flag("unique", "Make another document, even if there is one of this file").short('u'))
        .arg(flag("transient", "Forget the document when the session ends").short('t'))
        .arg(flag("noexist", "The file need not be there yet").short('n'))
        .arg(
            Arg::new("app")
                .long("app")
                .short('a')
                .value_name("APPID")
                .action(ArgAction::Append)
                .help("Give it to this application"),
        )
        .arg(flag("allow-read", "Let applications read it, which they always may").short('r'))
        .arg(flag("allow-write", "Let applications write to it").short('w'))
        .arg(flag("allow-delete", "Let applications remove the document").short('d'))
        .arg(
            flag("allow-grant-permission", "Let applications give it to other applications")
                .short('g'),
        )
        .arg(flag("forbid-read", "Do not let applications read it any more"))
        .arg(flag("forbid-write", "Do not let applications write to it any more"))
        .arg(flag("forbid-delete", "Do not let applications remove the document any more"))
        .arg(flag("forbid-grant-permission", "Do not let applications give it to others any more"))
        .arg(info::file("The file, or directory"))
}

pub(super) fn export(
    matches: &ArgMatches,
    portal: &mut Documents,
) -> Result<String, DocumentError> {
    let flag = |name: &str| matches.get_flag(name);
    let file = matches.get_one::<OsString>("file").cloned().unwrap_or_default();
    let manner =
        Manner { reuse: !flag("unique"), persistent: !flag("transient"), directory: false };
    let (id, name) = if flag("noexist") {
        add_named(Path::new(&file), manner, portal)?
    } else {
        add(Path::new(&file), manner, portal)?
    };
    let of = |set: &dyn Fn(&str, &str) -> bool| -> Vec<&str> {
        let meant = PERMISSIONS.iter().filter(|(allow, forbid, _)| set(allow, forbid));
        meant.map(|(_, _, word)| *word).collect()
    };
    let granted = of(&|allow, _| allow == "allow-read" || flag(allow));
    let revoked = of(&|_, forbid| flag(forbid));
    for application in matches.get_many::<String>("app").into_iter().flatten() {
        portal.grant(&id, application, &granted)?;
        if !revoked.is_empty() {
            portal.revoke(&id, application, &revoked)?;
        }
    }
    Ok(format!("{}\n", shown(&place(&portal.mount_point()?, &id, &name))))
}

/// Makes a document of something that is there, and gives its id and the path that it really has.
fn add(
    file: &Path,
    manner: Manner,
    portal: &mut Documents,
) -> Result<(String, PathBuf), DocumentError> {
    let failed = |errno| DocumentError::Look { path: file.to_owned(), errno };
    let object = open_path(file)?;
    let directory = object::kind(&object).map_err(failed)? == FileType::Directory;
    let path = object::path(&object).map_err(failed)?;
    Ok((portal.add(object.as_fd(), Manner { directory, ..manner }, "", &[])?, path))
}

/// Makes a document of a name in a directory that is there.
fn add_named(
    file: &Path,
    manner: Manner,
    portal: &mut Documents,
) -> Result<(String, PathBuf), DocumentError> {
    let nameless = || DocumentError::Name { path: file.to_owned() };
    let name = Path::new(file.file_name().ok_or_else(nameless)?);
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = open_path(parent.unwrap_or(Path::new(".")))?;
    let id = portal.add_named(directory.as_fd(), name, manner.reuse, manner.persistent)?;
    Ok((id, name.to_owned()))
}
