// SPDX-License-Identifier: MIT OR Apache-2.0

use super::super::key::Ingredients;
use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::sandbox::open_path;
use std::fs;
use std::os::unix::fs::symlink;
use stockade_protocol::request::{Access, Demand, Group, Operation};

fn key(commit: &str) -> Key {
    Key::new(Ingredients { runtime_commit: commit, ..Ingredients::default() })
}

fn kept(scratch: &Scratch) -> Result<Directory, LibraryCacheError> {
    let data = scratch.directory("data");
    Directory::of_application(open_path(&data).unwrap(), &data)
}

/// Where ldconfig of this sandbox writes, as a path that leads through the descriptor.
fn output(sandbox: &Sandbox) -> PathBuf {
    use std::os::fd::AsRawFd as _;
    let binds: Vec<_> = sandbox
        .request
        .operations
        .iter()
        .filter_map(
            |operation| if let Operation::Bind(bind) = operation { Some(bind) } else { None },
        )
        .collect();
    assert_eq!(binds.len(), 1);
    assert_eq!(binds[0].access, Access::ReadWrite);
    let fd = &sandbox.descriptors()[usize::try_from(binds[0].source.0).unwrap()];
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// Makes a cache as ldconfig does.
fn ldconfig(sandbox: Sandbox) -> Result<Outcome, LaunchError> {
    let output = output(&sandbox);
    fs::write(output.join("cache~"), "libraries").unwrap();
    fs::rename(output.join("cache~"), output.join("cache")).unwrap();
    Ok(Outcome::Exited(0))
}

fn make(directory: &Directory, key: &Key) -> Result<Cache, LibraryCacheError> {
    let mut notices = Vec::new();
    let made = directory.make(key, Sandbox::new(), ldconfig, &mut notices);
    assert_eq!(notices, []);
    made
}

fn content(cache: Cache) -> String {
    use std::os::fd::AsRawFd as _;
    fs::read_to_string(format!("/proc/self/fd/{}", cache.file.as_raw_fd())).unwrap()
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn r225_a_cache_is_made_once_and_replaces_the_last() {
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let (first, second) = (key("1"), key("2"));
    assert!(directory.find(&first).unwrap().is_none());
    assert_eq!(content(make(&directory, &first).unwrap()), "libraries");
    assert_eq!(content(directory.find(&first).unwrap().unwrap()), "libraries");

    make(&directory, &second).unwrap();
    let place = scratch.join("data/.ld.so");
    let mut expected = [second.to_string(), "active".to_owned()];
    expected.sort();
    assert_eq!(names(&place), expected);
    assert_eq!(fs::read_link(place.join("active")).unwrap(), Path::new(second.as_str()));
    // Making it again keeps it.
    make(&directory, &second).unwrap();
    assert_eq!(names(&place), expected);

    let mut sandbox = Sandbox::new();
    directory.find(&second).unwrap().unwrap().mount(&mut sandbox).unwrap();
    let operation = &sandbox.request.operations[0];
    assert!(matches!(operation, Operation::Bind(bind) if bind.access == Access::ReadOnly));
}

#[test]
fn r225_without_data_directory_nothing_stays() {
    let scratch = Scratch::new();
    let caller = caller(&scratch.0, &[]);
    let directory = Directory::temporary(&caller).unwrap();
    let cache = make(&directory, &key("1")).unwrap();
    assert_eq!(names(&scratch.join(".cache/flatpak/ld.so")), [""; 0]);
    assert!(directory.find(&key("1")).unwrap().is_none());
    let mut sandbox = Sandbox::new();
    cache.mount(&mut sandbox).unwrap();
    let operation = &sandbox.request.operations[0];
    assert!(matches!(operation, Operation::Data { writable: false, .. }));
    let cache = make(&directory, &key("1")).unwrap();
    assert_eq!(content(cache), "libraries");
}

#[test]
fn t68_the_directory_is_no_link() {
    let scratch = Scratch::new();
    scratch.directory("outside");
    symlink("../outside", scratch.directory("data").join(".ld.so")).unwrap();
    let error = kept(&scratch).unwrap_err();
    assert!(matches!(error, LibraryCacheError::Directory { .. }), "{error}");
    fs::remove_file(scratch.join("data/.ld.so")).unwrap();
    scratch.file("data/.ld.so", "");
    assert!(kept(&scratch).is_err());

    let caller = caller(&scratch.0, &[]);
    symlink(scratch.join("outside"), scratch.directory(".cache/flatpak").join("ld.so")).unwrap();
    assert!(Directory::temporary(&caller).is_err());
    assert_eq!(names(&scratch.join("outside")), [""; 0]);
}

#[test]
fn t68_a_link_of_the_name_is_no_cache_and_is_replaced() {
    let scratch = Scratch::new();
    scratch.file("secret", "secret");
    let directory = kept(&scratch).unwrap();
    let place = scratch.join("data/.ld.so");
    let key = key("1");
    for target in [scratch.join("secret"), PathBuf::from("../../secret"), "other".into()] {
        scratch.file("data/.ld.so/other", "other");
        let link = place.join(key.as_str());
        fs::remove_file(&link).ok();
        symlink(target, &link).unwrap();
        assert!(directory.find(&key).unwrap().is_none());
        assert_eq!(content(make(&directory, &key).unwrap()), "libraries");
        assert_eq!(content(directory.find(&key).unwrap().unwrap()), "libraries");
    }
    assert_eq!(fs::read_to_string(scratch.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_to_string(place.join("other")).unwrap(), "other");
    // Nor is an empty one, which would leave the application without its libraries.
    fs::write(place.join(key.as_str()), "").unwrap();
    assert!(directory.find(&key).unwrap().is_none());
}

#[test]
fn t68_names_that_change_under_way_lead_nowhere() {
    let scratch = Scratch::new();
    scratch.file("outside/secret", "secret");
    let directory = kept(&scratch).unwrap();
    let (place, key) = (scratch.join("data/.ld.so"), key("1"));
    let secret = scratch.join("outside/secret");
    let done = std::sync::atomic::AtomicBool::new(false);
    // So that a failure below ends the test.
    let until = std::time::Instant::now() + Duration::from_secs(60);
    let goes_on =
        || !done.load(std::sync::atomic::Ordering::Relaxed) && std::time::Instant::now() < until;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flipped = place.join("flipped");
            while goes_on() {
                symlink(&secret, &flipped).unwrap();
                fs::rename(&flipped, place.join(key.as_str())).unwrap();
                symlink("../../outside/secret", &flipped).unwrap();
                fs::rename(&flipped, place.join("active")).unwrap();
            }
        });
        for _ in 0..500 {
            assert_eq!(content(make(&directory, &key).unwrap()), "libraries");
            if let Some(cache) = directory.find(&key).unwrap() {
                assert_eq!(content(cache), "libraries");
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(secret).unwrap(), "secret");
    assert_eq!(names(&scratch.join("outside")), ["secret"]);
}

#[test]
fn t68_nothing_but_a_cache_is_deleted() {
    // CVE-2026-34079
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let place = scratch.join("data/.ld.so");
    scratch.file("secret", "");
    for target in [scratch.join("secret"), PathBuf::from("../../secret"), "other".into()] {
        scratch.file("data/.ld.so/other", "");
        fs::remove_file(place.join("active")).ok();
        symlink(target, place.join("active")).unwrap();
        make(&directory, &key("1")).unwrap();
        assert!(scratch.join("secret").exists() && place.join("other").exists());
    }
    // A link of a cache's name goes itself, not what it leads to.
    let old = key("0");
    fs::remove_file(place.join("active")).unwrap();
    symlink(old.as_str(), place.join("active")).unwrap();
    symlink(scratch.join("secret"), place.join(old.as_str())).unwrap();
    make(&directory, &key("1")).unwrap();
    assert!(scratch.join("secret").exists() && !names(&place).contains(&old.to_string()));
}

#[test]
fn what_is_in_the_way_makes_the_launch_fail_or_is_told() {
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let key = key("1");
    scratch.file(&format!("data/.ld.so/{key}/file"), "");
    assert!(directory.find(&key).unwrap().is_none());
    let error = make(&directory, &key).unwrap_err();
    assert!(error.to_string().contains("remove what is there"), "{error}");
    fs::remove_dir_all(scratch.join(&format!("data/.ld.so/{key}"))).unwrap();

    scratch.directory("data/.ld.so/active");
    let mut notices = Vec::new();
    directory.make(&key, Sandbox::new(), ldconfig, &mut notices).unwrap();
    assert!(matches!(notices.as_slice(), [Notice::Warning(_)]));
    assert_eq!(names(&scratch.join("data/.ld.so")), [key.to_string(), "active".into()]);
}

#[test]
fn r225_a_program_that_fails_leaves_nothing() {
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let run = |status: Outcome, file: Option<&'static str>| {
        let program = move |sandbox: Sandbox| {
            if let Some(name) = file {
                fs::write(output(&sandbox).join(name), "x").unwrap();
            }
            Ok(status)
        };
        directory.make(&key("1"), Sandbox::new(), program, &mut Vec::new()).unwrap_err()
    };
    let failed = run(Outcome::Exited(1), Some("cache~"));
    assert!(matches!(failed, LibraryCacheError::Failed { code: 1 }), "{failed}");
    let killed = run(Outcome::Killed(9), Some("cache"));
    assert!(matches!(killed, LibraryCacheError::Failed { code: 137 }), "{killed}");
    let nothing = run(Outcome::Exited(0), None);
    assert!(matches!(nothing, LibraryCacheError::Nothing), "{nothing}");
    let linked = |sandbox: Sandbox| {
        symlink("/etc/passwd", output(&sandbox).join("cache")).unwrap();
        Ok(Outcome::Exited(0))
    };
    let linked = directory.make(&key("1"), Sandbox::new(), linked, &mut Vec::new()).unwrap_err();
    assert!(matches!(linked, LibraryCacheError::Nothing), "{linked}");
    assert_eq!(names(&scratch.join("data/.ld.so")), [""; 0]);
}

#[test]
fn i13_what_killed_launches_left_goes_later() {
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let (old, new) = (format!("{}.0", key("old")), format!("{}.1", key("new")));
    for name in [&old, &new] {
        scratch.file(&format!("data/.ld.so/{name}/cache~"), "");
    }
    let past = SystemTime::now().checked_sub(Duration::from_secs(4000)).unwrap();
    for name in ["other.0", &old] {
        let path = scratch.directory(&format!("data/.ld.so/{name}"));
        fs::File::open(path).unwrap().set_modified(past).unwrap();
    }
    make(&directory, &key("1")).unwrap();
    let mut expected = vec![key("1").to_string(), "active".into(), new, "other.0".into()];
    expected.sort();
    assert_eq!(names(&scratch.join("data/.ld.so")), expected);
}

#[test]
fn r225_the_sandbox_of_ldconfig_has_no_way_out_but_its_output() {
    let scratch = Scratch::new();
    let directory = kept(&scratch).unwrap();
    let look = |sandbox: Sandbox| {
        output(&sandbox);
        let namespaces = &sandbox.request.namespaces;
        for demand in [namespaces.pid, namespaces.ipc, namespaces.net] {
            assert_eq!(demand, Demand::Required);
        }
        let payload = &sandbox.request.payload;
        assert_eq!(payload.group, Group::Session);
        assert!(!payload.filters.is_empty() && payload.pass.is_empty());
        let words: Vec<_> = payload.arguments.iter().map(|word| word.as_bytes().to_vec()).collect();
        assert_eq!(words[..3], [b"ldconfig".to_vec(), b"-X".to_vec(), b"-C".to_vec()]);
        assert_eq!(payload.environment.len(), 1);
        let count = sandbox.descriptors().len();
        stockade_protocol::check(sandbox.request, count).unwrap();
        Ok(Outcome::Exited(1))
    };
    let mut base = Sandbox::new();
    base.request.namespaces.net = Demand::Share;
    let looked = directory.make(&key("1"), base, look, &mut Vec::new());
    assert!(matches!(looked, Err(LibraryCacheError::Failed { code: 1 })));
}
