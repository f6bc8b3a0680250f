// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts for people: blocks of lines, with labels to the right that are all of one width.

use std::fmt::Write as _;

use crate::cli::table::bold;
use crate::message::shown;

/// Lines that belong together: a label and what is told under it.
pub(super) type Block = Vec<(&'static str, String)>;

/// Blocks with an empty line between them. Labels stand out on a terminal.
pub(super) fn aligned(blocks: &[Block], terminal: bool) -> String {
    let mut text = String::new();
    let width = blocks.iter().flatten().map(|(label, _)| label.len()).max().unwrap_or(0);
    for (index, block) in blocks.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        for (label, value) in block {
            let label = format!("{label:>width$}:");
            let label = if terminal { bold(&label) } else { label };
            // Nothing fails to be written to a text.
            writeln!(text, "{label} {}", shown(value)).ok();
        }
    }
    text
}
