// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the probe saw, and what the intruder got.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::process::Output;

/// One line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Id of the mount.
    pub id: u64,
    /// Id of the mount it is on.
    pub parent: u64,
    /// Path within the file system.
    pub root: String,
    /// Where it is.
    pub point: String,
    /// Options of the mount.
    pub options: Vec<String>,
    /// `shared:N`, `master:N`, …
    pub tags: Vec<String>,
    /// Type of the file system.
    pub kind: String,
    /// Options of the file system.
    pub super_options: Vec<String>,
}

impl Mount {
    /// Parses a mount table.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn table(text: &str) -> Vec<Self> {
        text.lines().map(|line| Self::line(line).unwrap_or_else(|| panic!("{line}"))).collect()
    }

    fn line(line: &str) -> Option<Self> {
        let words = |text: &str| text.split(',').map(str::to_owned).collect();
        let fields: Vec<&str> = line.split(' ').collect();
        let dash = fields.iter().position(|field| *field == "-")?;
        Some(Self {
            id: fields.first()?.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            root: (*fields.get(3)?).to_owned(),
            point: (*fields.get(4)?).to_owned(),
            options: words(fields.get(5)?),
            tags: fields.get(6..dash)?.iter().map(|tag| (*tag).to_owned()).collect(),
            kind: (*fields.get(dash + 1)?).to_owned(),
            super_options: words(fields.get(dash + 3)?),
        })
    }

    /// Whether the mount has this option.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|have| have == option)
    }

    /// Whether it is at `path` or below.
    #[must_use]
    pub fn is_below(&self, path: &str) -> bool {
        self.point.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The report of the probe or the intruder.
#[derive(Clone, Debug)]
pub struct Report(pub Value);

impl Report {
    /// Reads it from the output of a program that ended well.
    ///
    /// # Panics
    /// If it did not, or printed something else.
    #[track_caller]
    #[must_use]
    pub fn of(output: &Output) -> Self {
        output.assert_code(0);
        match serde_json::from_slice(&output.stdout) {
            Ok(value) => Self(value),
            Err(error) => panic!("no report ({error}): {}\n{}", output.text(), output.errors()),
        }
    }

    /// A field of `/proc/self/status`.
    ///
    /// # Panics
    /// If there is none of this name.
    #[track_caller]
    #[must_use]
    pub fn status(&self, field: &str) -> &str {
        match self.0["status"][field].as_str() {
            Some(text) => text,
            None => panic!("no {field} in {}", self.0["status"]),
        }
    }

    /// A field of `/proc/self/status` that is a hexadecimal mask.
    #[track_caller]
    #[must_use]
    pub fn mask(&self, field: &str) -> u64 {
        u64::from_str_radix(self.status(field), 16).expect("a mask")
    }

    /// A text of the report.
    ///
    /// # Panics
    /// If it has none of this name.
    #[track_caller]
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        match self.0[key].as_str() {
            Some(text) => text,
            None => panic!("no {key} in the report: {}", self.0[key]),
        }
    }

    /// A number of the report.
    ///
    /// # Panics
    /// If it has none of this name.
    #[track_caller]
    #[must_use]
    pub fn number(&self, key: &str) -> i64 {
        match self.0[key].as_i64() {
            Some(number) => number,
            None => panic!("no {key} in the report: {}", self.0[key]),
        }
    }

    /// A list of texts of the report.
    #[track_caller]
    #[must_use]
    pub fn list(&self, key: &str) -> Vec<String> {
        let list = self.0[key].as_array().expect("a list");
        list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A table of texts of the report.
    #[track_caller]
    #[must_use]
    pub fn table(&self, key: &str) -> BTreeMap<String, String> {
        texts(&self.0[key])
    }

    /// The intruder's attempts: "ok", or the errno of each.
    #[track_caller]
    #[must_use]
    pub fn attempts(&self) -> BTreeMap<String, String> {
        texts(&self.0)
    }

    /// Its mount table.
    #[track_caller]
    #[must_use]
    pub fn mounts(&self) -> Vec<Mount> {
        Mount::table(self.text("mountinfo"))
    }
}

#[track_caller]
fn texts(table: &Value) -> BTreeMap<String, String> {
    let table = table.as_object().expect("a table");
    table.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or("").to_owned())).collect()
}
