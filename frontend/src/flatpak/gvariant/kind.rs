// SPDX-License-Identifier: MIT OR Apache-2.0
//! Types of values, as strings of the GVariant specification, and the parts of values of any type.

use super::{Part, list, offset, offset_size};

/// Most types within each other: files of settings have a handful.
pub(super) const DEPTH: usize = 32;

/// The first whole type of a string of types, and the rest.
pub(super) fn first(kinds: &str) -> Option<(&str, &str)> {
    let end = end(kinds, DEPTH)?;
    kinds.split_at_checked(end)
}

fn end(kinds: &str, depth: usize) -> Option<usize> {
    let depth = depth.checked_sub(1)?;
    let rest = kinds.get(1..)?;
    match kinds.bytes().next()? {
        b'a' | b'm' => end(rest, depth)?.checked_add(1),
        open @ (b'(' | b'{') => {
            let close = if open == b'(' { b')' } else { b'}' };
            let mut at = 1_usize;
            while *kinds.as_bytes().get(at)? != close {
                at = at.checked_add(end(kinds.get(at..)?, depth)?)?;
            }
            at.checked_add(1)
        }
        b'b' | b'y' | b'n' | b'q' | b'i' | b'u' | b'x' | b't' | b'h' | b'd' | b's' | b'o'
        | b'g' | b'v' => Some(1),
        _ => None,
    }
}

/// What stands within the brackets of a tuple or an entry of a dictionary.
fn members(kind: &str) -> Option<Vec<&str>> {
    let mut rest = kind.get(1..kind.len().checked_sub(1)?)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (one, more) = first(rest)?;
        found.push(one);
        rest = more;
    }
    Some(found)
}

/// Where values of a type begin, and how long they are, if always the same.
fn part(kind: &str) -> Option<Part> {
    let fixed = |size| Some(Part { align: size, size: Some(size) });
    match kind.bytes().next()? {
        b'b' | b'y' => fixed(1),
        b'n' | b'q' => fixed(2),
        b'i' | b'u' | b'h' => fixed(4),
        b'x' | b't' | b'd' => fixed(8),
        b's' | b'o' | b'g' => Some(Part { align: 1, size: None }),
        b'v' => Some(Part { align: 8, size: None }),
        b'a' | b'm' => Some(Part { align: part(kind.get(1..)?)?.align, size: None }),
        _ => {
            let (mut align, mut size) = (1, Some(0_usize));
            for member in members(kind)? {
                let part = part(member)?;
                align = align.max(part.align);
                size = size.zip(part.size).and_then(|(sum, size)| {
                    sum.checked_next_multiple_of(part.align)?.checked_add(size)
                });
            }
            // Nothing at all still takes a byte.
            let size = size.and_then(|size| size.max(1).checked_next_multiple_of(align));
            Some(Part { align, size })
        }
    }
}

/// The elements of a list.
pub(super) fn elements<'a>(kind: &str, bytes: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let part = part(kind.get(1..)?)?;
    match part.size {
        Some(size) if bytes.len().checked_rem(size)? == 0 => {
            Some(bytes.chunks_exact(size).collect())
        }
        Some(_) => None,
        None => list(bytes, part),
    }
}

/// What is in a value that may be none.
pub(super) fn content<'a>(kind: &str, bytes: &'a [u8]) -> Option<Option<&'a [u8]>> {
    let size = part(kind.get(1..)?)?.size;
    match size {
        _ if bytes.is_empty() => Some(None),
        Some(size) => (bytes.len() == size).then_some(Some(bytes)),
        None => bytes.split_last().map(|(_, content)| Some(content)),
    }
}

/// The members of a tuple or an entry of a dictionary, each with its type.
pub(super) fn fields<'a, 'b>(kind: &'b str, bytes: &'a [u8]) -> Option<Vec<(&'b str, &'a [u8])>> {
    let members = members(kind)?;
    let last = members.len().checked_sub(1);
    let (mut found, mut at, mut offsets) = (Vec::new(), 0_usize, 0_usize);
    for (index, member) in members.into_iter().enumerate() {
        let part = part(member)?;
        let start = at.checked_next_multiple_of(part.align)?;
        at = match part.size {
            Some(size) => start.checked_add(size)?,
            None if Some(index) == last => {
                bytes.len().checked_sub(offset_size(bytes.len()).checked_mul(offsets)?)?
            }
            None => {
                offsets = offsets.checked_add(1)?;
                offset(bytes, offsets)?
            }
        };
        found.push((member, bytes.get(start..at)?));
    }
    Some(found)
}
