// SPDX-License-Identifier: MIT OR Apache-2.0
//! A database of dconf: GVDB, a hash table in a file, of which only the entries are read here
//! (<https://gitlab.gnome.org/GNOME/gvdb>).
//!
//! Reading is total: an entry that does not fit is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::flatpak::gvariant::Value;

/// What a file of a little-endian machine begins with, and the version.
const SIGNATURE: &[u8] = b"GVariant\0\0\0\0";
/// Where the header says where the table is.
const ROOT: usize = 16;
/// How many bytes the beginning of a table has, and an entry.
const TABLE: usize = 8;
const ENTRY: usize = 24;
/// The number of words of the filter shares its place with something else.
const WORDS: u32 = 0x07ff_ffff;
/// Most directories above an entry.
const DEPTH: usize = 64;
/// The entry that is the table of locks.
const LOCKS: &str = ".locks";

/// A database.
#[derive(Debug)]
pub(super) struct Database {
    bytes: Vec<u8>,
    values: BTreeMap<String, Range<usize>>,
    locks: BTreeSet<String>,
}

/// An entry of a table.
struct Entry<'a> {
    parent: usize,
    name: &'a str,
    kind: u8,
    content: Range<usize>,
}

impl Database {
    /// Reads a file. None if it is none, or one of a machine of the other byte order.
    pub(super) fn parse(bytes: Vec<u8>) -> Option<Self> {
        if !bytes.starts_with(SIGNATURE) {
            return None;
        }
        let root = entries(&bytes, range(&bytes, ROOT)?)?;
        let (mut values, mut locks) = (BTreeMap::new(), BTreeSet::new());
        for entry in &root {
            match entry.kind {
                b'v' => {
                    values.extend(path(entry, &root).map(|path| (path, entry.content.clone())));
                }
                b'H' if entry.name == LOCKS => {
                    let table = entries(&bytes, entry.content.clone()).unwrap_or_default();
                    let locked = table.iter().filter(|entry| entry.kind == b'v');
                    locks.extend(locked.filter_map(|entry| path(entry, &table)));
                }
                _ => {}
            }
        }
        Some(Self { bytes, values, locks })
    }

    /// The values in a directory and below it, with their paths.
    pub(super) fn values(&self, directory: &str) -> impl Iterator<Item = (&str, Value<'_>)> {
        let inside = self.values.range(directory.to_owned()..);
        let inside = inside.take_while(move |(path, _)| path.starts_with(directory));
        inside.filter_map(|(path, content)| {
            Some((path.as_str(), Value::read(self.bytes.get(content.clone())?)?))
        })
    }

    /// What is locked in a directory and below it.
    pub(super) fn locks(&self, directory: &str) -> impl Iterator<Item = &str> {
        let inside = self.locks.iter().map(String::as_str);
        inside.filter(move |path| path.starts_with(directory) && !path.contains('\n'))
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let number = bytes.get(at..at.checked_add(4)?)?;
    number.try_into().ok().map(u32::from_le_bytes)
}

fn index(bytes: &[u8], at: usize) -> Option<usize> {
    number(bytes, at).and_then(|number| usize::try_from(number).ok())
}

/// Where something is, which stands at `at`.
fn range(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    let range = index(bytes, at)?..index(bytes, at.checked_add(4)?)?;
    bytes.get(range.clone()).map(|_| range)
}

/// The entries of a table.
fn entries(bytes: &[u8], place: Range<usize>) -> Option<Vec<Entry<'_>>> {
    let table = bytes.get(place)?;
    let words = usize::try_from(number(table, 0)? & WORDS).ok()?;
    let buckets = index(table, 4)?;
    let skipped = words.checked_add(buckets)?.checked_mul(4)?.checked_add(TABLE)?;
    let table = table.get(skipped..)?;
    let entry = |entry: &[u8]| {
        let start = index(entry, 8)?;
        let length = u16::from_le_bytes(entry.get(12..14)?.try_into().ok()?);
        let name = bytes.get(start..start.checked_add(length.into())?)?;
        Some(Entry {
            parent: index(entry, 4)?,
            name: std::str::from_utf8(name).ok()?,
            kind: *entry.get(14)?,
            // A place in the whole file.
            content: index(entry, 16)?..index(entry, 20)?,
        })
    };
    // Whose numbers others name: what does not fit spoils the table.
    table.chunks_exact(ENTRY).map(entry).collect()
}

/// The whole name of an entry.
fn path(entry: &Entry<'_>, table: &[Entry<'_>]) -> Option<String> {
    let mut names = vec![entry.name];
    let mut parent = entry.parent;
    while let Some(above) = table.get(parent) {
        if names.len() >= DEPTH {
            return None;
        }
        names.push(above.name);
        parent = above.parent;
    }
    names.reverse();
    Some(names.concat())
}
