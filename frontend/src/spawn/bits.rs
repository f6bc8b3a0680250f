// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a sub-sandbox is asked for, as the bits in which it travels (R246).

use std::fmt;
use std::marker::PhantomData;

/// Something that has a bit.
pub trait Bit: Copy + 'static {
    /// All that are known.
    const ALL: &'static [Self];

    /// Its bit.
    fn bit(self) -> u32;
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Bits<T> {
    bits: u32,
    kind: PhantomData<T>,
}

/// How a command is started: `flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// Nothing of the environment but what is given.
    ClearEnvironment,
    /// The version that is installed now, rather than the caller's.
    LatestVersion,
    /// Without the application's permissions (R50).
    Sandbox,
    /// Without the network.
    NoNetwork,
    /// It ends when its caller leaves the bus.
    WatchBus,
    /// The caller sees its processes.
    ExposePids,
    /// The caller is told when it is up.
    NotifyStart,
    /// It sees the caller's processes, and the caller its own.
    SharePids,
    /// With nothing in `/app`.
    EmptyApp,
}

/// What a command without the application's permissions keeps of them: `sandbox-flags`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Wayland and X11.
    Display,
    /// PulseAudio.
    Sound,
    /// Graphics cards.
    Gpu,
    /// The session bus, under a name of its own (R209).
    SessionBus,
    /// The accessibility bus.
    AccessibilityBus,
    /// Input devices.
    Input,
    /// USB devices.
    Usb,
    /// Virtual machines.
    Kvm,
    /// The host's shared memory.
    SharedMemory,
    /// Every device.
    AllDevices,
}

impl Bit for Flag {
    const ALL: &'static [Self] = &[
        Self::ClearEnvironment,
        Self::LatestVersion,
        Self::Sandbox,
        Self::NoNetwork,
        Self::WatchBus,
        Self::ExposePids,
        Self::NotifyStart,
        Self::SharePids,
        Self::EmptyApp,
    ];

    fn bit(self) -> u32 {
        match self {
            Self::ClearEnvironment => 1,
            Self::LatestVersion => 2,
            Self::Sandbox => 4,
            Self::NoNetwork => 8,
            Self::WatchBus => 16,
            Self::ExposePids => 32,
            Self::NotifyStart => 64,
            Self::SharePids => 128,
            Self::EmptyApp => 256,
        }
    }
}

impl Bit for Part {
    const ALL: &'static [Self] = &[
        Self::Display,
        Self::Sound,
        Self::Gpu,
        Self::SessionBus,
        Self::AccessibilityBus,
        Self::Input,
        Self::Usb,
        Self::Kvm,
        Self::SharedMemory,
        Self::AllDevices,
    ];

    fn bit(self) -> u32 {
        match self {
            Self::Display => 1,
            Self::Sound => 2,
            Self::Gpu => 4,
            Self::SessionBus => 8,
            Self::AccessibilityBus => 16,
            Self::Input => 32,
            Self::Usb => 64,
            Self::Kvm => 128,
            Self::SharedMemory => 256,
            Self::AllDevices => 512,
        }
    }
}

impl Part {
    /// What it is called on command lines. Flatpak has words for the first five.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Display => "share-display",
            Self::Sound => "share-sound",
            Self::Gpu => "share-gpu",
            Self::SessionBus => "allow-dbus",
            Self::AccessibilityBus => "allow-a11y",
            Self::Input => "share-input",
            Self::Usb => "share-usb",
            Self::Kvm => "share-kvm",
            Self::SharedMemory => "share-shm",
            Self::AllDevices => "share-all-devices",
        }
    }
}

impl<T: Bit> Bits<T> {
    /// Reads them as they travel. None if there are some that nobody knows: what was asked for is done
    /// whole or not at all.
    #[must_use]
    pub fn read(bits: u32) -> Option<Self> {
        let known = T::ALL.iter().fold(0, |known, one| known | one.bit());
        (bits & !known == 0).then_some(Self { bits, kind: PhantomData })
    }

    /// As they travel.
    #[must_use]
    pub fn number(self) -> u32 {
        self.bits
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, one: T) -> bool {
        self.bits & one.bit() != 0
    }

    /// Adds one.
    pub fn add(&mut self, one: T) {
        self.bits |= one.bit();
    }

    /// The ones that are in here.
    pub fn iter(self) -> impl Iterator<Item = T> {
        T::ALL.iter().copied().filter(move |one| self.has(*one))
    }
}

impl<T> Default for Bits<T> {
    fn default() -> Self {
        Self { bits: 0, kind: PhantomData }
    }
}

impl<T: Bit> FromIterator<T> for Bits<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut bits = Self::default();
        all.into_iter().for_each(|one| bits.add(one));
        bits
    }
}

impl<T: Bit + fmt::Debug> fmt::Debug for Bits<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r246_every_bit_is_one_and_unknown_ones_are_not_read() {
        let numbers = |all: &[u32]| all.iter().sum::<u32>();
        let flags: Vec<u32> = Flag::ALL.iter().map(|flag| flag.bit()).collect();
        let parts: Vec<u32> = Part::ALL.iter().map(|part| part.bit()).collect();
        assert_eq!((numbers(&flags), numbers(&parts)), (511, 1023));
        assert_eq!(Bits::<Flag>::read(512), None);
        assert_eq!(Bits::<Part>::read(1 << 31), None);
        let all = Bits::<Flag>::read(511).unwrap();
        assert_eq!(all.iter().collect::<Bits<Flag>>(), all);
        let some = Bits::from_iter([Flag::Sandbox, Flag::NoNetwork]);
        assert_eq!(some.number(), 12);
        assert!(some.has(Flag::Sandbox) && !some.has(Flag::WatchBus));
    }
}
