// SPDX-License-Identifier: MIT OR Apache-2.0
//! Prints, as JSON, what a payload sees: ids, capabilities, descriptors, mounts, limits, signals.
//!
//! `probe [--write PATH…]`. Each PATH is tried for writing: a directory by making a file in it,
//! anything else by opening it.
//!
//! Std's start-up code would change what is to be reported (it ignores SIGPIPE and opens closed
//! standard descriptors), so `main` is C's.
#![no_main]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use serde_json::{Map, Value, json};

/// Descriptors are looked for below this number.
const DESCRIPTORS: u32 = 4096;

/// What C's start-up code calls.
// SAFETY: no other function of this program has this name.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| text(argument.into_vec())).collect();
    let writable: Vec<&String> =
        arguments.iter().skip_while(|argument| *argument != "--write").skip(1).collect();
    // The table of descriptors comes first: everything else opens some.
    let report = json!({
        "fds": descriptors(),
        "status": status("self"),
        "init": status("1"),
        "argv": arguments,
        "env": environment(),
        "cwd": std::env::current_dir().map(|path| path.display().to_string()).unwrap_or_default(),
        "pgrp": stat_field(2),
        "sid": stat_field(3),
        "tpgid": stat_field(5),
        "pid": std::process::id(),
        "mountinfo": read("/proc/self/mountinfo"),
        "limits": limits(),
        "pids": pids(),
        "namespaces": namespaces(),
        "uid_map": read("/proc/self/uid_map"),
        "gid_map": read("/proc/self/gid_map"),
        "interfaces": interfaces(),
        "loopback": loopback(),
        "hostname": read("/proc/sys/kernel/hostname").trim(),
        "oom_score_adj": read("/proc/self/oom_score_adj").trim(),
        "dev": devices(),
        "root": listing("/"),
        "writable": writable.into_iter().map(|p| (p.clone(), write(p))).collect::<Map<_, _>>(),
    });
    println!("{report}");
    0
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn read(path: &str) -> String {
    fs::read(path).map(text).unwrap_or_default()
}

fn descriptors() -> BTreeMap<String, String> {
    let link = |fd: u32| {
        let target = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        Some((fd.to_string(), target.display().to_string()))
    };
    (0..DESCRIPTORS).filter_map(link).collect()
}

fn status(process: &str) -> BTreeMap<String, String> {
    let text = read(&format!("/proc/{process}/status"));
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (text(name.into_vec()), text(value.into_vec())))
        .collect()
}

/// A field of `/proc/self/stat`, counted from the one behind the name.
fn stat_field(index: usize) -> Option<i64> {
    let stat = read("/proc/self/stat");
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(index)?.parse().ok()
}

/// `NAME: "soft hard"`.
fn limits() -> BTreeMap<String, String> {
    let text = read("/proc/self/limits");
    let line = |line: &str| {
        let (name, rest) = line.split_at_checked(26)?;
        let mut values = rest.split_whitespace();
        let both = format!("{} {}", values.next()?, values.next()?);
        Some((name.trim().to_owned(), both))
    };
    text.lines().skip(1).filter_map(line).collect()
}

fn listing(path: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| text(entry.file_name().into_vec())).collect();
    names.sort();
    names
}

fn pids() -> Vec<String> {
    listing("/proc").into_iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).collect()
}

fn namespaces() -> BTreeMap<String, String> {
    let link = |name: String| {
        let target = fs::read_link(format!("/proc/self/ns/{name}")).ok()?;
        Some((name, target.display().to_string()))
    };
    listing("/proc/self/ns").into_iter().filter_map(link).collect()
}

fn interfaces() -> Vec<String> {
    let text = read("/proc/net/dev");
    text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_owned())).collect()
}

/// Whether a connection through `lo` works.
fn loopback() -> bool {
    let talk = || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        TcpStream::connect(listener.local_addr()?)
    };
    talk().is_ok()
}

/// `NAME: "c 1:3 666"` for nodes, the target for links, the type for the rest.
fn devices() -> BTreeMap<String, String> {
    let describe = |name: String| {
        let path = Path::new("/dev").join(&name);
        let data = fs::symlink_metadata(&path).ok()?;
        let kind = data.file_type();
        let what = if kind.is_symlink() {
            format!("-> {}", fs::read_link(&path).ok()?.display())
        } else if kind.is_char_device() || kind.is_block_device() {
            let letter = if kind.is_char_device() { 'c' } else { 'b' };
            let (major, minor) = (data.rdev() >> 8, data.rdev() & 0xff);
            format!("{letter} {major}:{minor} {:o}", data.mode() & 0o7777)
        } else if kind.is_dir() {
            format!("directory {:o}", data.mode() & 0o7777)
        } else {
            "file".to_owned()
        };
        Some((name, what))
    };
    listing("/dev").into_iter().filter_map(describe).collect()
}

/// "yes", or why not.
fn write(path: &str) -> Value {
    let attempt = if Path::new(path).is_dir() {
        let file = Path::new(path).join(".stockade-probe");
        let made = OpenOptions::new().write(true).create_new(true).open(&file);
        made.and_then(|_| fs::remove_file(&file))
    } else {
        OpenOptions::new().write(true).open(path).map(drop)
    };
    match attempt {
        Ok(()) => json!("yes"),
        Err(error) => json!(error.to_string()),
    }
}
