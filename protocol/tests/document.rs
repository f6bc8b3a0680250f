// SPDX-License-Identifier: MIT OR Apache-2.0
//! `docs/protocol.md` is normative, so it must not differ from the code: every type, variant, tag,
//! field and limit of the source is in it, and its examples are the golden files.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::tests_outside_test_module,
    reason = "this is a test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use stockade_protocol::header::{Header, MAGIC};
use stockade_protocol::{VERSION, limits};

/// The modules whose types travel.
const MODULES: [&str; 6] = ["request", "event", "check", "codec", "header", "text"];

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document() -> String {
    read("../docs/protocol.md")
}

/// The first cells of a table's row, as the document has to have them.
type Row = Vec<String>;

/// Rows of every type of the source that is encoded by its derive, in order.
fn types() -> BTreeMap<String, Vec<Row>> {
    let mut types = BTreeMap::new();
    for module in MODULES {
        let source = read(&format!("src/{module}.rs"));
        let mut encoded = false;
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("#[derive") {
                encoded = line.contains("Encode");
            }
            let Some(declaration) =
                line.strip_prefix("pub enum ").or_else(|| line.strip_prefix("pub struct "))
            else {
                continue;
            };
            let (name, rest) = declaration.split_at(
                declaration.find(|c: char| !c.is_alphanumeric()).unwrap_or(declaration.len()),
            );
            if !std::mem::take(&mut encoded) {
                continue;
            }
            let rows = if let Some(field) = rest.strip_prefix("(pub ") {
                vec![vec![code("0"), code(field.trim_end_matches(");"))]]
            } else {
                let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "}").collect();
                if line.starts_with("pub enum ") {
                    variants(&body)
                } else {
                    fields(&body, "    pub ")
                        .map(|(field, kind)| vec![code(field), code(kind)])
                        .collect()
                }
            };
            assert!(types.insert(name.to_owned(), rows).is_none(), "{name} is there twice");
        }
    }
    types
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Fields declared behind `prefix`.
fn fields<'a>(body: &'a [&'a str], prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let declared = body.iter().filter_map(move |line| line.strip_prefix(prefix));
    declared
        .filter(|line| !line.starts_with(['/', '#']))
        .filter_map(|line| line.strip_suffix(',')?.split_once(": "))
}

/// Tag, name and content of each variant. A tag is the position.
fn variants(body: &[&str]) -> Vec<Row> {
    let starts: Vec<usize> = (0..body.len())
        .filter(|at| {
            body[*at].strip_prefix("    ").is_some_and(|line| line.starts_with(char::is_uppercase))
        })
        .collect();
    let ends = starts.iter().skip(1).copied().chain([body.len()]);
    let variant = |(tag, (start, end)): (usize, (usize, usize))| {
        let line = body[start].trim();
        let name = &line[..line.find(|c: char| !c.is_alphanumeric()).unwrap()];
        let content = match &line[name.len()..] {
            "," => "–".to_owned(),
            " {" => {
                let inner = &body[start..end];
                let list = fields(inner, "        ");
                list.map(|(field, kind)| code(&format!("{field}: {kind}")))
                    .collect::<Vec<_>>()
                    .join(", ")
            }
            tuple => code(tuple.strip_prefix('(').unwrap().strip_suffix("),").unwrap()),
        };
        vec![tag.to_string(), code(name), content]
    };
    starts.iter().copied().zip(ends).enumerate().map(variant).collect()
}

/// The rows of the table under each heading that is a type's name.
fn documented() -> BTreeMap<String, Vec<Row>> {
    let document = document();
    let sections = document.split("\n### `").skip(1).map(|section| {
        let (name, rest) = section.split_once('`').unwrap();
        let rest = rest.split("\n## ").next().unwrap();
        let rows = rest.lines().filter(|line| line.starts_with('|')).skip(2);
        (name.to_owned(), rows.map(cells).collect())
    });
    sections.collect()
}

fn cells(row: &str) -> Row {
    row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn every_type_is_described_as_it_is() {
    let source = types();
    let documented = documented();
    assert!(source.len() > 25, "the source was not understood");
    assert_eq!(
        documented.keys().collect::<Vec<_>>(),
        source.keys().collect::<Vec<_>>(),
        "headings of docs/protocol.md (left) and types of the source (right)"
    );
    for (name, rows) in source {
        assert!(!rows.is_empty(), "{name} was not understood");
        let width = rows[0].len();
        let said: Vec<Row> =
            documented[&name].iter().map(|row| row.iter().take(width).cloned().collect()).collect();
        assert_eq!(said, rows, "table of {name} in docs/protocol.md (left) and source (right)");
        // And in words.
        assert!(documented[&name].iter().all(|row| row.len() > width), "{name}: no meaning");
    }
}

/// The limits and the names they have in the source.
fn values() -> BTreeMap<&'static str, u64> {
    macro_rules! named {
        ($($name:ident),* $(,)?) => {
            BTreeMap::from([$((stringify!($name), u64::try_from(limits::$name).unwrap())),*])
        };
    }
    named![
        REQUEST_BYTES,
        DECODED_BYTES,
        EVENT_BYTES,
        OPERATIONS,
        DESCRIPTORS,
        DESCRIPTORS_PER_MESSAGE,
        FILESYSTEMS,
        FILTERS,
        FILTER_INSTRUCTIONS,
        FILTER_INSTRUCTION_BYTES,
        ARGUMENT_BYTES,
        ARGUMENTS,
        PROGRAMS,
        DIRECTORIES,
        LAYERS,
        LOCKS,
        GATES,
        PATH_BYTES,
        PATH_COMPONENTS,
        COMPONENT_BYTES,
        SYMLINK_BYTES,
        HOSTNAME_BYTES,
        CONTENT_BYTES,
        TARGET_DESCRIPTOR,
        RESOURCES,
    ]
}

#[test]
fn every_limit_is_there_with_its_number() {
    let source = read("src/limits.rs");
    let mut declared: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    declared.sort_unstable();
    let values = values();
    assert_eq!(values.keys().copied().collect::<Vec<_>>(), declared);
    let document = document();
    for (name, value) in values {
        let row = format!("\n| `{name}` | {value} | ");
        assert!(document.contains(&row), "docs/protocol.md lacks {row:?}");
    }
}

#[test]
fn every_text_type_has_its_rule() {
    let source = read("src/text.rs");
    let declared = source.lines().filter_map(|line| {
        let line = line.strip_prefix("    ").or_else(|| line.strip_prefix("pub struct "))?;
        let name = line.strip_suffix(", |bytes| {").or_else(|| line.strip_suffix("(Vec<u8>);"))?;
        name.chars().all(char::is_alphanumeric).then_some(name)
    });
    let declared: Vec<&str> = declared.collect();
    assert_eq!(declared.len(), 7, "{declared:?}");
    let document = document();
    for name in declared {
        assert!(document.contains(&format!("\n| `{name}` | ")), "docs/protocol.md lacks {name}");
    }
}

#[test]
fn the_header_is_described_as_it_is() {
    let document = document();
    assert!(document.contains(&format!("A header of {} bytes", Header::BYTES)));
    assert!(document.contains(&format!("`{}`", std::str::from_utf8(&MAGIC).unwrap())));
    assert!(document.contains(&format!("**version {VERSION}**")));
    // Offset, size and field, tried one by one.
    let header = Header { version: 0x0201, length: 0x06_0504, descriptors: 0x0a09 };
    let bytes = header.to_bytes();
    for (offset, size, field, value) in [
        (0, 8, "magic", &MAGIC[..]),
        (8, 2, "version", &[1, 2]),
        (10, 2, "reserved", &[0, 0]),
        (12, 4, "length", &[4, 5, 6, 0]),
        (16, 4, "number of descriptors", &[9, 10, 0, 0]),
    ] {
        assert_eq!(&bytes[offset..offset + size], value, "{field}");
        let row =
            document.lines().find(|line| line.starts_with(&format!("| {offset} | {size} | ")));
        assert!(row.is_some_and(|row| row.contains(field)), "{field}");
    }
}

/// The bytes of an example: what stands in front of the two blanks of each line.
fn example(name: &str) -> Vec<u8> {
    let document = document();
    let (_, rest) = document.split_once(&format!("<!-- example: {name} -->\n```\n")).unwrap();
    let (lines, _) = rest.split_once("```").unwrap();
    let bytes = lines.lines().filter_map(|line| line.split("  ").next());
    bytes
        .flat_map(|bytes| bytes.split(' '))
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.bin")))
        .unwrap()
}

#[test]
fn examples_are_the_golden_files() {
    let request = golden("request-smallest");
    let length = u32::try_from(request.len()).unwrap();
    let header = Header { version: VERSION, length, descriptors: 0 };
    assert_eq!(example("request-smallest"), [&header.to_bytes()[..], &request].concat());

    let event = golden("event-started");
    let length = u32::try_from(event.len()).unwrap();
    assert_eq!(example("event-started"), [&length.to_le_bytes()[..], &event].concat());
}

#[test]
fn exit_statuses_are_those_of_the_helper() {
    let source = read("../helper/src/main.rs");
    let (_, body) = source.split_once("enum Status {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let numbers = body.lines().filter_map(|line| line.split_once(" = ")?.1.strip_suffix(','));
    let document = document();
    let (_, table) = document.split_once("| status | meaning |").unwrap();
    let (table, _) = table.split_once("\n\n").unwrap();
    let said = table.lines().skip(2).map(|row| cells(row)[0].clone());
    assert_eq!(said.collect::<Vec<_>>(), numbers.collect::<Vec<_>>());
}
