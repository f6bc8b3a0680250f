// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdict for programs. One object; fields are only ever added, and a change that is not an
//! addition raises `format`.
//!
//! | field | what |
//! | --- | --- |
//! | `format` | 1 |
//! | `works` | whether sandboxes work; the same as the exit status |
//! | `mode` | `root`, `setuid_root`, `file_capabilities`, `unprivileged`, or null |
//! | `helper` | path of the helper, or null |
//! | `first` | list of remedies of which one has to come before any of `ways`; often empty |
//! | `ways` | list of remedies, each of which makes sandboxes work; empty if they do |
//! | `findings` | list of findings |
//!
//! A finding has `name` (`helper`, `sandbox`, `user-namespaces`, `caller`, `kernel`, `mount-api`,
//! `seccomp`, `landlock`, `cgroup`, `systemd`, `session-bus`, `dbus-proxy`, `portals`), `state`
//! (`good`, `limited`, `bad`), `detail` and `cost` (sentences for people; `cost` may be null) and
//! `remedy`, a list of remedies of which one is enough. A remedy has `what`, a sentence, and
//! `commands`, a list of shell commands to be given in this order, which may be empty.

use std::io::{self, Write};

use serde::Serialize;
use stockade_protocol::event::Mode;

use super::finding::{Finding, Remedy};
use super::verdict::Verdict;

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    works: bool,
    mode: Option<Mode>,
    helper: Option<&'a str>,
    first: &'a [Remedy],
    ways: &'a [Remedy],
    findings: &'a [Finding],
}

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    let document = Document {
        format: 1,
        works: verdict.works(),
        mode: verdict.mode,
        helper: verdict.helper.as_deref(),
        first: &verdict.first,
        ways: &verdict.ways,
        findings: &verdict.findings,
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}
