// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes as people read them, with the meaning of GLib's `g_format_size(3)`.

/// What a thousand of the one before are.
const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// A number of bytes in decimal units, with a space that no line breaks at: `1.5 kB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut unit = 1_000_u64;
    for (index, name) in UNITS.iter().enumerate() {
        let next = unit.checked_mul(1000);
        let is_last = index.saturating_add(1) == UNITS.len();
        if bytes >= unit && (is_last || next.is_none_or(|next| bytes < next)) {
            return format!("{:.1}\u{a0}{name}", bytes as f64 / unit as f64);
        }
        unit = next.unwrap_or(unit);
    }
    if bytes == 1 { "1 byte".to_owned() } else { format!("{bytes} bytes") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_glib() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0\u{a0}kB"),
            (1536, "1.5\u{a0}kB"),
            (1_982_976, "2.0\u{a0}MB"),
            (999_999, "1000.0\u{a0}kB"),
            (u64::MAX, "18.4\u{a0}EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }
}
