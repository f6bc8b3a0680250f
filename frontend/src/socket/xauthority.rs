// SPDX-License-Identifier: MIT OR Apache-2.0
//! Picks the keys of one display out of a file of X authority records (R188).
//!
//! A record is a 16-bit family and four strings with 16-bit lengths, big-endian: address, display
//! number, name of the method, key. What is not a whole record ends the file.

use std::net::IpAddr;

/// `FamilyInternet` of X.
const INTERNET: u16 = 0;
/// `FamilyInternet6`.
const INTERNET6: u16 = 6;
/// `FamilyLocal` of Xauth: the address is a host name.
const LOCAL: u16 = 256;
/// `FamilyWild` of Xauth: any address.
const WILD: u16 = 65535;

/// Where a display is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// On this machine.
    Local,
    /// At this address.
    Ipv6(String),
    /// On the machine of this name or IPv4 address.
    Name(String),
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record<'a> {
    family: u16,
    address: &'a [u8],
    number: &'a [u8],
    method: &'a [u8],
    key: &'a [u8],
}

impl<'a> Record<'a> {
    /// The first record of `bytes`, and what follows it.
    fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (family, rest) = integer(bytes)?;
        let (address, rest) = string(rest)?;
        let (number, rest) = string(rest)?;
        let (method, rest) = string(rest)?;
        let (key, rest) = string(rest)?;
        Some((Self { family, address, number, method, key }, rest))
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.family.to_be_bytes());
        for text in [self.address, self.number, self.method, self.key] {
            // Read from a 16-bit length, or a host name, which is shorter.
            bytes.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
            bytes.extend(text);
        }
    }

    fn is_for(&self, host: &Host, number: &[u8], node: &[u8], alias: Option<&[u8]>) -> bool {
        let family = match host {
            Host::Local => matches!(self.family, LOCAL | WILD),
            Host::Ipv6(_) => matches!(self.family, INTERNET6 | WILD),
            Host::Name(_) => true,
        };
        let address = match self.family {
            WILD => true,
            LOCAL => self.address == node || Some(self.address) == alias,
            _ => match host {
                Host::Local => false,
                Host::Ipv6(name) | Host::Name(name) => self.address_is(name),
            },
        };
        family && address && (self.number.is_empty() || self.number == number)
    }

    /// Addresses are stored as names or, by family, as the bytes of an IP address.
    fn address_is(&self, name: &str) -> bool {
        let address: Option<IpAddr> = name.parse().ok();
        self.address == name.as_bytes()
            || match (self.family, address) {
                (INTERNET, Some(IpAddr::V4(address))) => self.address == address.octets(),
                (INTERNET6, Some(IpAddr::V6(address))) => self.address == address.octets(),
                _ => false,
            }
    }
}

fn integer(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = integer(bytes)?;
    rest.split_at_checked(length.into())
}

/// The records of `file` that open the display `number` on `host`, as a file.
///
/// `node` is this machine's name; records for `alias`, by which a session may call it, are written
/// with the name that programs in the sandbox will look for.
#[must_use]
pub fn filter(
    file: &[u8],
    host: &Host,
    number: &[u8],
    node: &[u8],
    alias: Option<&[u8]>,
) -> Vec<u8> {
    let mut rest = file;
    let mut matching = Vec::new();
    while let Some((mut record, after)) = Record::read(rest) {
        rest = after;
        if record.is_for(host, number, node, alias) {
            if record.family == LOCAL {
                record.address = node;
            }
            record.write(&mut matching);
        }
    }
    matching
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(family: u16, address: &[u8], number: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        Record { family, address, number, method: b"MIT-MAGIC-COOKIE-1", key: b"k" }
            .write(&mut bytes);
        bytes
    }

    fn matches(record: &[u8], host: &Host) -> bool {
        filter(record, host, b"1", b"node", Some(b"alias")) == record
    }

    #[test]
    fn r188_local_records_are_for_this_machine() {
        assert!(matches(&record(LOCAL, b"node", b"1"), &Host::Local));
        assert!(!matches(&record(LOCAL, b"other", b"1"), &Host::Local));
        assert!(matches(&record(WILD, b"whatever", b""), &Host::Local));
        assert!(!matches(&record(INTERNET, b"node", b"1"), &Host::Local));
        let rewritten =
            filter(&record(LOCAL, b"alias", b"1"), &Host::Local, b"1", b"node", Some(b"alias"));
        assert_eq!(rewritten, record(LOCAL, b"node", b"1"));
    }

    #[test]
    fn r188_the_display_number_is_equal_or_unset() {
        assert!(matches(&record(LOCAL, b"node", b""), &Host::Local));
        assert!(!matches(&record(LOCAL, b"node", b"11"), &Host::Local));
        assert!(!matches(&record(WILD, b"", b"2"), &Host::Local));
    }

    #[test]
    fn r188_remote_records_are_for_the_displays_host() {
        let name = Host::Name("10.0.0.1".into());
        assert!(matches(&record(INTERNET, &[10, 0, 0, 1], b"1"), &name));
        assert!(!matches(&record(INTERNET, &[10, 0, 0, 2], b"1"), &name));
        assert!(matches(&record(254, b"box", b"1"), &Host::Name("box".into())));
        let local = Host::Ipv6("::1".into());
        let mut address = [0; 16];
        address[15] = 1;
        assert!(matches(&record(INTERNET6, &address, b"1"), &local));
        assert!(!matches(&record(INTERNET, b"::1", b"1"), &local));
    }

    #[test]
    fn a_broken_end_leaves_the_records_before_it() {
        let good = record(WILD, b"", b"1");
        let file = [good.clone(), good[..good.len() - 1].to_vec()].concat();
        assert_eq!(filter(&file, &Host::Local, b"1", b"node", None), good);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_only_records_come_out(file in prop::collection::vec(any::<u8>(), 0..200)) {
            let out = filter(&file, &Host::Name("h".into()), b"0", b"node", None);
            let again = filter(&out, &Host::Name("h".into()), b"0", b"node", None);
            prop_assert_eq!(out, again);
        }
    }
}
