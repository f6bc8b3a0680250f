// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sandbox may use: `memory=2G`, `tasks=100`, `cpu=50%`, as the user gives it, as systemd
//! takes it (`systemd.resource-control(5)`), and as the kernel shows it (`cgroup-v2`).

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Display};

use crate::message::shown;

/// More memory than a machine can have (1 EiB). The kernel takes not much more for no limit at all.
const MOST_MEMORY: u64 = 1 << 60;
/// The most processes that Linux has: `PID_MAX_LIMIT` of the kernel.
const MOST_TASKS: u64 = 1 << 22;
/// Ten thousand processors, far below what the kernel takes for no limit at all.
const MOST_PERCENT: u64 = 1_000_000;

/// Units of memory, the smallest first.
const UNITS: [(char, u64); 4] = [('K', 1 << 10), ('M', 1 << 20), ('G', 1 << 30), ('T', 1 << 40)];

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Bytes of memory, without what is swapped out.
    Memory(u64),
    /// Processes and threads.
    Tasks(u64),
    /// Processor time, in percent of one processor.
    Cpu(u64),
}

/// A value that is no limit.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use the limit '{}'\n{fault}\n\
     write memory=BYTES (with K, M, G or T), tasks=NUMBER or cpu=NUMBER%",
    shown(text)
)]
pub struct LimitError {
    /// As given.
    text: OsString,
    /// What is wrong.
    fault: LimitFault,
}

/// What is wrong with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum LimitFault {
    #[error("it is not of the form WHAT=VALUE")]
    Form,
    #[error("only memory, tasks and cpu can be limited")]
    Unknown,
    #[error("its value is not a whole number with the right unit")]
    Number,
    #[error("nothing can run with a limit of 0")]
    Zero,
    #[error("the number is too large to limit anything")]
    Large,
}

impl Limit {
    /// Reads `WHAT=VALUE`.
    ///
    /// # Errors
    /// [`LimitError`], also for 0 and for numbers so large that they would limit nothing.
    pub fn parse(text: &OsStr) -> Result<Self, LimitError> {
        Self::read(text).map_err(|fault| LimitError { text: text.to_owned(), fault })
    }

    fn read(text: &OsStr) -> Result<Self, LimitFault> {
        let (what, value) =
            text.to_str().and_then(|text| text.split_once('=')).ok_or(LimitFault::Form)?;
        match what {
            "memory" => Ok(Self::Memory(within(bytes(value)?, MOST_MEMORY)?)),
            "tasks" => Ok(Self::Tasks(within(number(value)?, MOST_TASKS)?)),
            "cpu" => {
                let percent = value.strip_suffix('%').ok_or(LimitFault::Number)?;
                Ok(Self::Cpu(within(number(percent)?, MOST_PERCENT)?))
            }
            _ => Err(LimitFault::Unknown),
        }
    }

    /// The property of a scope that sets it.
    #[must_use]
    pub fn property(self) -> (&'static str, u64) {
        match self {
            Self::Memory(bytes) => ("MemoryMax", bytes),
            Self::Tasks(tasks) => ("TasksMax", tasks),
            // Microseconds of a second.
            Self::Cpu(percent) => ("CPUQuotaPerSecUSec", percent.saturating_mul(10_000)),
        }
    }

    /// The file of a control group that shows it.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Memory(_) => "memory.max",
            Self::Tasks(_) => "pids.max",
            Self::Cpu(_) => "cpu.max",
        }
    }

    /// Whether a control group with `content` in [`file`](Self::file) keeps this limit, or less:
    /// the kernel rounds to pages and ticks. `max` stands for no limit.
    #[must_use]
    pub fn is_kept(self, content: &str) -> bool {
        let content = content.trim_end();
        let at_most = |most: u64| content.parse::<u64>().is_ok_and(|value| value <= most);
        match self {
            Self::Memory(most) | Self::Tasks(most) => at_most(most),
            Self::Cpu(percent) => content.split_once(' ').is_some_and(|(quota, period)| {
                let (Ok(quota), Ok(period)) = (quota.parse::<u128>(), period.parse::<u128>())
                else {
                    return false;
                };
                quota.saturating_mul(100) <= period.saturating_mul(percent.into())
            }),
        }
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => {
                let whole = UNITS.iter().rev().find(|(_, unit)| bytes.is_multiple_of(*unit));
                match whole.and_then(|(name, unit)| Some((name, bytes.checked_div(*unit)?))) {
                    Some((name, number)) => write!(f, "memory={number}{name}"),
                    None => write!(f, "memory={bytes}"),
                }
            }
            Self::Tasks(tasks) => write!(f, "tasks={tasks}"),
            Self::Cpu(percent) => write!(f, "cpu={percent}%"),
        }
    }
}

/// The limits of a sandbox: one of each kind at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    memory: Option<Limit>,
    tasks: Option<Limit>,
    cpu: Option<Limit>,
}

impl Limits {
    /// Adds a limit, in place of an earlier one of its kind.
    pub fn set(&mut self, limit: Limit) {
        let place = match limit {
            Limit::Memory(_) => &mut self.memory,
            Limit::Tasks(_) => &mut self.tasks,
            Limit::Cpu(_) => &mut self.cpu,
        };
        *place = Some(limit);
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// What is limited.
    pub fn iter(&self) -> impl Iterator<Item = Limit> {
        [self.memory, self.tasks, self.cpu].into_iter().flatten()
    }
}

fn bytes(text: &str) -> Result<u64, LimitFault> {
    let unit = UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(*name)?, *unit)));
    let (text, unit) = unit.unwrap_or((text, 1));
    number(text)?.checked_mul(unit).ok_or(LimitFault::Large)
}

fn number(text: &str) -> Result<u64, LimitFault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LimitFault::Number);
    }
    // Digits alone can only be too many.
    text.parse().map_err(|_| LimitFault::Large)
}

fn within(number: u64, most: u64) -> Result<u64, LimitFault> {
    match number {
        0 => Err(LimitFault::Zero),
        _ if number > most => Err(LimitFault::Large),
        _ => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Limit, LimitFault> {
        Limit::read(OsStr::new(text))
    }

    #[test]
    fn limits_are_read_with_their_units() {
        for (text, limit) in [
            ("memory=1", Limit::Memory(1)),
            ("memory=4096", Limit::Memory(4096)),
            ("memory=1K", Limit::Memory(1024)),
            ("memory=3M", Limit::Memory(3 * 1024 * 1024)),
            ("memory=2G", Limit::Memory(2 * 1024 * 1024 * 1024)),
            ("memory=1T", Limit::Memory(1024 * 1024 * 1024 * 1024)),
            ("tasks=1", Limit::Tasks(1)),
            ("tasks=0100", Limit::Tasks(100)),
            ("cpu=50%", Limit::Cpu(50)),
            ("cpu=250%", Limit::Cpu(250)),
        ] {
            assert_eq!(parse(text), Ok(limit), "{text}");
        }
    }

    #[test]
    fn what_would_limit_nothing_or_everything_is_refused() {
        for (text, fault) in [
            ("", LimitFault::Form),
            ("memory", LimitFault::Form),
            ("=1", LimitFault::Unknown),
            ("Memory=1", LimitFault::Unknown),
            ("io=1", LimitFault::Unknown),
            ("memory=", LimitFault::Number),
            ("memory=K", LimitFault::Number),
            ("memory=1k", LimitFault::Number),
            ("memory=1KB", LimitFault::Number),
            ("memory=1.5G", LimitFault::Number),
            ("memory=+1", LimitFault::Number),
            ("memory=-1", LimitFault::Number),
            ("memory= 1", LimitFault::Number),
            ("memory=max", LimitFault::Number),
            ("memory=infinity", LimitFault::Number),
            ("memory=50%", LimitFault::Number),
            ("tasks=1K", LimitFault::Number),
            ("cpu=50", LimitFault::Number),
            ("cpu=%", LimitFault::Number),
            ("memory=0", LimitFault::Zero),
            ("memory=0G", LimitFault::Zero),
            ("tasks=0", LimitFault::Zero),
            ("cpu=0%", LimitFault::Zero),
            ("memory=18446744073709551615", LimitFault::Large),
            ("memory=18446744073709551616", LimitFault::Large),
            ("memory=99999999999T", LimitFault::Large),
            ("tasks=4194305", LimitFault::Large),
            ("cpu=1000001%", LimitFault::Large),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn systemd_and_the_kernel_are_told_the_same() {
        assert_eq!(Limit::Memory(5).property(), ("MemoryMax", 5));
        assert_eq!(Limit::Tasks(5).property(), ("TasksMax", 5));
        assert_eq!(Limit::Cpu(5).property(), ("CPUQuotaPerSecUSec", 50_000));
        for (limit, content, kept) in [
            (Limit::Memory(8191), "4096\n", true),
            (Limit::Memory(8192), "8192\n", true),
            (Limit::Memory(8192), "12288\n", false),
            (Limit::Memory(8192), "max\n", false),
            (Limit::Memory(8192), "", false),
            (Limit::Tasks(7), "7\n", true),
            (Limit::Tasks(7), "8\n", false),
            (Limit::Tasks(7), "max\n", false),
            (Limit::Cpu(50), "50000 100000\n", true),
            (Limit::Cpu(50), "49999 100000\n", true),
            (Limit::Cpu(50), "50001 100000\n", false),
            (Limit::Cpu(250), "250000 100000\n", true),
            (Limit::Cpu(50), "max 100000\n", false),
            (Limit::Cpu(50), "50000\n", false),
        ] {
            assert_eq!(limit.is_kept(content), kept, "{limit} {content:?}");
        }
    }

    #[test]
    fn the_last_of_a_kind_counts() {
        let mut limits = Limits::default();
        assert!(limits.is_empty());
        for text in ["memory=1G", "cpu=10%", "memory=2K"] {
            limits.set(parse(text).unwrap());
        }
        assert!(!limits.is_empty());
        assert_eq!(limits.iter().collect::<Vec<_>>(), [Limit::Memory(2048), Limit::Cpu(10)]);
    }

    #[test]
    fn limits_are_shown_as_they_are_written() {
        for text in ["memory=1000", "memory=1025K", "memory=2G", "memory=3T", "tasks=9", "cpu=150%"]
        {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(kind in 0..3_usize, number in 1..MOST_PERCENT) {
            let limit = [Limit::Memory(number), Limit::Tasks(number), Limit::Cpu(number)][kind];
            prop_assert_eq!(parse(&limit.to_string()), Ok(limit));
        }

        #[test]
        fn whatever_is_read_limits(text in "(memory|tasks|cpu)=[0-9]{0,22}[KMGT%]?") {
            if let Ok(limit) = parse(&text) {
                let (_, value) = limit.property();
                prop_assert!(value > 0 && value < u64::MAX);
                prop_assert!(!limit.is_kept("max"));
            }
        }
    }
}
