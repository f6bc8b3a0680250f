// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one user and the one group that a sandbox knows: `/etc/passwd` and `/etc/group` (R107).
//!
//! Names come from databases that others write. A name that could become another field or another
//! line is not used.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::caller::{Caller, name_service};

/// The largest user database that is searched line by line; larger ones are the name service's.
const DATABASE_BYTES: u64 = 1024 * 1024;

/// Longest name that is shown, in bytes.
const NAME_BYTES: usize = 255;

/// What a user without a usable name is called.
const NAMELESS: &str = "somebody";

/// What stands for everybody else: the ids that are not mapped.
const OVERFLOW_USER: &str = "nfsnobody:x:65534:65534:Unmapped user:/:/sbin/nologin\n";
const OVERFLOW_GROUP: &str = "nfsnobody:x:65534:\n";

/// Who runs the sandbox, as the databases of the host say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Name of the user.
    pub name: Option<OsString>,
    /// First part of the comment field, `passwd(5)`.
    pub real_name: Option<OsString>,
    /// Home directory.
    pub home: PathBuf,
    /// Name of the group.
    pub group: Option<OsString>,
}

impl Account {
    /// Looks the caller up in the databases below `host` (the host's root), then asks the name
    /// service.
    #[must_use]
    pub fn of(caller: &Caller, gid: u32, host: &Path) -> Self {
        let user = find(host, "passwd", caller.uid);
        let field = |line: &Option<Vec<u8>>, number| {
            let field = line.as_deref()?.split(|byte| *byte == b':').nth(number)?;
            Some(OsString::from_vec(field.to_vec()))
        };
        let comment = field(&user, 4);
        let real_name = comment.map(|comment| {
            let first = comment.as_bytes().split(|byte| *byte == b',').next();
            OsString::from_vec(first.unwrap_or_default().to_vec())
        });
        Self {
            uid: caller.uid,
            gid,
            name: field(&user, 0),
            real_name,
            home: caller.home.clone(),
            group: field(&find(host, "group", gid), 0),
        }
    }

    /// The text of `/etc/passwd`: two lines, whatever the names are.
    #[must_use]
    pub fn passwd(&self) -> Vec<u8> {
        let Self { uid, gid, real_name, home, .. } = self;
        let real_name = usable(real_name.as_deref()).unwrap_or(OsStr::new("Unknown"));
        let home = Some(home.as_os_str()).filter(|home| Path::new(home).is_absolute());
        let home = home.filter(|home| fits(home)).unwrap_or(OsStr::new("/"));
        let mut text = self.name().as_bytes().to_vec();
        text.extend(format!(":x:{uid}:{gid}:").bytes());
        text.extend(real_name.as_bytes());
        text.push(b':');
        text.extend(home.as_bytes());
        text.extend(b":/bin/sh\n");
        text.extend(OVERFLOW_USER.bytes());
        text
    }

    /// The text of `/etc/group`: a line for the user's group, if it has a name, and one more.
    #[must_use]
    pub fn group(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(group) = login(self.group.as_deref()) {
            text.extend(group.as_bytes());
            text.extend(format!(":x:{}:", self.gid).bytes());
            text.extend(self.name().as_bytes());
            text.push(b'\n');
        }
        text.extend(OVERFLOW_GROUP.bytes());
        text
    }

    fn name(&self) -> &OsStr {
        login(self.name.as_deref()).unwrap_or(OsStr::new(NAMELESS))
    }
}

/// The line of an id in a database of the host.
fn find(host: &Path, database: &str, id: u32) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let file = std::fs::File::open(host.join("etc").join(database)).ok();
    let read = file.and_then(|file| file.take(DATABASE_BYTES).read_to_end(&mut text).ok());
    let found = read.and_then(|_| line_of(&text, id).map(<[u8]>::to_vec));
    // Only this machine's own database can be asked otherwise.
    let asked = || name_service(database, id).and_then(|text| Some(line_of(&text, id)?.to_vec()));
    found.or_else(|| if host == Path::new("/") { asked() } else { None })
}

/// The first whole line whose third field is this id, as in `passwd(5)` and `group(5)`.
fn line_of(text: &[u8], id: u32) -> Option<&[u8]> {
    let id = id.to_string();
    text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")).find(
        |line| line.split(|byte| *byte == b':').nth(2).is_some_and(|field| field == id.as_bytes()),
    )
}

/// A name of a user or group: it is also an item of a list, and the old NIS markers are none.
fn login(name: Option<&OsStr>) -> Option<&OsStr> {
    usable(name).filter(|name| {
        let bytes = name.as_bytes();
        !bytes.contains(&b',') && !matches!(bytes.first(), Some(b'+' | b'-' | b'#'))
    })
}

/// Text for one field.
fn usable(text: Option<&OsStr>) -> Option<&OsStr> {
    text.filter(|text| !text.is_empty() && text.len() <= NAME_BYTES && fits(text))
}

/// Whether a text stays in its field.
fn fits(text: &OsStr) -> bool {
    !text.as_bytes().iter().any(|byte| *byte == b':' || byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use proptest::prelude::*;

    fn account(name: &str, real_name: &str, home: &str, group: &str) -> Account {
        Account {
            uid: 1000,
            gid: 100,
            name: Some(name.into()),
            real_name: Some(real_name.into()),
            home: home.into(),
            group: Some(group.into()),
        }
    }

    fn texts(account: &Account) -> (String, String) {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(account.passwd()), text(account.group()))
    }

    #[test]
    fn r107_the_user_the_group_and_nobody_else() {
        let (passwd, group) = texts(&account("ann", "Ann Other", "/home/ann", "users"));
        assert_eq!(
            passwd,
            "ann:x:1000:100:Ann Other:/home/ann:/bin/sh\n\
             nfsnobody:x:65534:65534:Unmapped user:/:/sbin/nologin\n"
        );
        assert_eq!(group, "users:x:100:ann\nnfsnobody:x:65534:\n");
    }

    #[test]
    fn r107_names_that_would_be_more_than_a_name_are_not_used() {
        let line = "\nroot::0:0::/:/bin/sh";
        for evil in [line, "a:b", "a\rb", "\x1b[2K", ""] {
            let (passwd, group) = texts(&account(evil, evil, evil, evil));
            assert!(passwd.starts_with("somebody:x:1000:100:Unknown:/:/bin/sh\n"), "{passwd}");
            assert_eq!(group, OVERFLOW_GROUP);
        }
        for evil in ["a,root", "+ann", "-ann", "#ann"] {
            let (passwd, group) = texts(&account(evil, "A", "/home/a", "users"));
            assert!(passwd.starts_with("somebody:x:"), "{passwd}");
            assert!(group.starts_with("users:x:100:somebody\n"), "{group}");
        }
        let (passwd, _) = texts(&account("ann", "A", "relative", "users"));
        assert!(passwd.starts_with("ann:x:1000:100:A:/:/bin/sh\n"), "{passwd}");
    }

    #[test]
    fn r107_the_databases_of_the_host_are_asked() {
        let scratch = Scratch::new();
        scratch.file(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nbad\nx:y:1000\nlate:x:1000:5:Late:/:/\n",
        );
        scratch.file("etc/group", "root:x:0:\nstaff:x:50:ann\nunfinished:x:51:");
        let caller = caller(Path::new("/home/a"), &[]);
        let account = Account::of(&caller, 50, &scratch.0);
        assert_eq!(account.name.as_deref(), Some(OsStr::new("x")));
        assert_eq!(account.real_name, None);
        assert_eq!(account.group.as_deref(), Some(OsStr::new("staff")));
        assert_eq!(account.home, Path::new("/home/a"));
        assert_eq!(Account::of(&caller, 51, &scratch.0).group, None);
        scratch.file("etc/passwd", "ann:x:1000:50:Ann Other,Room 5,,:/home/ann:/bin/sh\n");
        let account = Account::of(&caller, 50, &scratch.0);
        assert_eq!(account.real_name.as_deref(), Some(OsStr::new("Ann Other")));
    }

    #[test]
    fn r107_an_unknown_user_has_a_line_and_no_group() {
        let scratch = Scratch::new();
        let account = Account::of(&caller(Path::new("/home/a"), &[]), 50, &scratch.0);
        let (passwd, group) = texts(&account);
        assert!(passwd.starts_with("somebody:x:1000:50:Unknown:/home/a:/bin/sh\n"), "{passwd}");
        assert_eq!(group, OVERFLOW_GROUP);
    }

    proptest! {
        /// However hostile the names are, the files have their two lines with their seven and four
        /// fields, and the ids stand where they belong.
        #[test]
        fn r107_no_name_adds_a_line_or_a_field(
            texts in prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..20))
        ) {
            let [name, real_name, home, group] = texts.map(OsString::from_vec);
            let account = Account {
                uid: 1000,
                gid: 100,
                name: Some(name),
                real_name: Some(real_name),
                home: home.into(),
                group: Some(group),
            };
            for (text, most, fields) in [(account.passwd(), 2, 7), (account.group(), 2, 4)] {
                let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
                let (last, lines) = lines.split_last().unwrap();
                prop_assert!(last.is_empty() && (1..=most).contains(&lines.len()));
                for (index, line) in lines.iter().enumerate() {
                    let found: Vec<_> = line.split(|byte| *byte == b':').collect();
                    prop_assert_eq!(found.len(), fields);
                    let nobody = index.saturating_add(1) == lines.len();
                    let id: &[u8] = match (nobody, fields) {
                        (true, _) => b"65534",
                        (false, 7) => b"1000",
                        (false, _) => b"100",
                    };
                    prop_assert_eq!(found[2], id);
                }
            }
        }
    }
}
