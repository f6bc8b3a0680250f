// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line as typed becomes [`Settings`]. Order counts: operations are collected in
//! order, the environment is edited as the options are met, `--args` is spliced in at its place.

mod effect;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;

use super::descriptors::Descriptors;
use super::message::{Fault, Voice};
use super::number;
use super::option::{self, Meaning, Spelling};
use super::settings::Settings;
use crate::message::shown;

/// Most words, those of `--args` included. Anything that a Linux command line holds fits.
const WORDS: usize = 1_000_000;

/// What is said of `--overlay-src` without an overlay.
const DANGLING_LAYER: &str = "--overlay-src must be followed by another --overlay-src or one of \
     --overlay, --tmp-overlay, or --ro-overlay";

/// Why parsing stopped early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Something was wrong. How to say so depends on what was parsed before.
    Fault(Fault, Voice),
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// What was typed, with what only the parser and the checks need to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) settings: Settings,
    /// `--unshare-user` itself.
    pub(crate) explicit_user: bool,
}

/// Modifiers that wait for their operation.
#[derive(Debug, Default)]
struct Modifiers {
    mode: Option<u32>,
    size: Option<u64>,
    /// What `--overlay-src` named.
    layers: Vec<OsString>,
}

struct Parser<'a> {
    parsed: Parsed,
    modifiers: Modifiers,
    words: usize,
    descriptors: &'a mut dyn Descriptors,
}

/// Parses what stands behind the program's name, in an environment.
pub(crate) fn parse(
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    descriptors: &mut dyn Descriptors,
) -> Result<Parsed, Stop> {
    let mut parser = Parser {
        parsed: Parsed::default(),
        modifiers: Modifiers::default(),
        words: 0,
        descriptors,
    };
    parser.parsed.settings.environment = environment;
    parser.count(arguments.len())?;
    parser.parsed.settings.command = parser.options(arguments, false)?;
    parser.check_layers()?;
    Ok(parser.parsed)
}

type Operands<'a> = &'a mut dyn Iterator<Item = OsString>;

impl Parser<'_> {
    fn fault(&self, text: impl Into<String>) -> Stop {
        Stop::Fault(Fault::new(text), self.parsed.settings.voice)
    }

    fn errno(&self, text: &str, errno: Errno) -> Stop {
        Stop::Fault(Fault::errno(text, errno), self.parsed.settings.voice)
    }

    fn count(&mut self, words: usize) -> Result<(), Stop> {
        self.words = self.words.saturating_add(words);
        if self.words > WORDS {
            return Err(self.fault(format!("Exceeded maximum number of arguments {WORDS}")));
        }
        Ok(())
    }

    /// Parses options up to the first word that is none; gives that and the rest.
    fn options(&mut self, words: Vec<OsString>, in_file: bool) -> Result<Vec<OsString>, Stop> {
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            if word == "--" {
                return Ok(words.collect());
            }
            if !word.as_bytes().starts_with(b"-") {
                return Ok(std::iter::once(word).chain(words).collect());
            }
            let Some(spelling) = option::find(&word) else {
                return Err(self.fault(format!("Unknown option {}", shown(&word))));
            };
            if in_file && spelling.meaning == Meaning::Arguments {
                return Err(self.fault("--args is not supported in the content of --args"));
            }
            let operands: Vec<OsString> = words.by_ref().take(spelling.operands.len()).collect();
            if operands.len() < spelling.operands.len() {
                let number = match spelling.operands.len() {
                    1 => "an argument",
                    2 => "two arguments",
                    _ => "three arguments",
                };
                return Err(self.fault(format!("{} takes {number}", spelling.name)));
            }
            self.check_modifiers(spelling)?;
            self.apply(spelling, &mut operands.into_iter())?;
            if spelling.meaning != Meaning::OverlaySource {
                self.check_layers()?;
            }
        }
        Ok(Vec::new())
    }

    /// A modifier has to be followed by something it modifies.
    fn check_modifiers(&self, spelling: &Spelling) -> Result<(), Stop> {
        use Meaning as M;
        let meaning = spelling.meaning;
        if matches!(meaning, M::Arguments | M::Help | M::Version) {
            return Ok(());
        }
        let creates = matches!(
            meaning,
            M::Tmpfs | M::Directory | M::File | M::BindData | M::ReadOnlyBindData
        );
        if self.modifiers.mode.is_some() && !creates {
            if meaning == M::Permissions {
                return Err(self.fault("--perms given twice for the same action"));
            }
            if meaning != M::Size {
                let text = "--perms must be followed by an option that creates a file";
                return Err(self.fault(text));
            }
        }
        if self.modifiers.size.is_some() && meaning != M::Tmpfs {
            if meaning == M::Size {
                return Err(self.fault("--size given twice for the same action"));
            }
            if meaning != M::Permissions {
                return Err(self.fault("--size must be followed by --tmpfs"));
            }
        }
        Ok(())
    }

    /// Layers have to be used before anything else is said.
    fn check_layers(&self) -> Result<(), Stop> {
        if self.modifiers.layers.is_empty() { Ok(()) } else { Err(self.fault(DANGLING_LAYER)) }
    }

    /// Parses what a descriptor holds, at this place.
    fn splice(&mut self, operands: Operands<'_>) -> Result<(), Stop> {
        let fd = self.fd(operands)?;
        let content =
            self.descriptors.read(fd).map_err(|e| self.errno("Can't read --args data", e))?;
        self.parsed.settings.closed.push(fd);
        let content = content.strip_suffix(b"\0").unwrap_or(&content);
        if content.is_empty() {
            return Ok(());
        }
        let words: Vec<OsString> = content
            .split(|byte| *byte == 0)
            .map(|word| OsString::from_vec(word.to_vec()))
            .collect();
        self.count(words.len())?;
        // What follows the options in there is nobody's.
        self.options(words, true).map(drop)
    }

    fn fd(&self, operands: Operands<'_>) -> Result<u32, Stop> {
        let text = word(operands);
        number::integer(&text).ok_or_else(|| self.fault(format!("Invalid fd: {}", shown(&text))))
    }

    fn id(&self, what: &str, operands: Operands<'_>) -> Result<u32, Stop> {
        let text = word(operands);
        number::integer(&text)
            .ok_or_else(|| self.fault(format!("Invalid {what}: {}", shown(&text))))
    }

    fn mode(&self, name: &str, operands: Operands<'_>) -> Result<u32, Stop> {
        number::mode(&word(operands))
            .ok_or_else(|| self.fault(format!("{name} takes an octal argument <= 07777")))
    }

    /// Notes a descriptor of which the last that is named counts.
    fn descriptor(
        &mut self,
        name: &str,
        operands: Operands<'_>,
        slot: impl FnOnce(&mut Settings) -> &mut Option<u32>,
    ) -> Result<(), Stop> {
        let fd = self.fd(operands)?;
        let repeated = slot(&mut self.parsed.settings).replace(fd).is_some();
        self.warn(name, repeated);
        Ok(())
    }

    fn warn(&self, name: &str, repeated: bool) {
        if repeated {
            let text = format!("Only the last {name} option will take effect");
            self.parsed.settings.voice.warning(&text);
        }
    }
}

/// The next operand; there are as many as the option takes.
fn word(operands: Operands<'_>) -> OsString {
    operands.next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
