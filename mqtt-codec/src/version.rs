//! The protocol versions this crate speaks.

use core::fmt;

/// A version of the MQTT protocol; the discriminant is the protocol level of its CONNECT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(u8)]
pub enum Version {
    /// MQTT 3.1, the protocol name of which is `MQIsdp`.
    V31 = 3,
    /// MQTT 3.1.1.
    V311 = 4,
    /// MQTT 5.0.
    V5 = 5,
}

impl Version {
    /// Whether this is MQTT 5.0, the only version with properties and reason codes.
    #[inline]
    pub const fn is_v5(self) -> bool {
        matches!(self, Self::V5)
    }

    /// The protocol level byte of a CONNECT of this version: 3, 4 or 5.
    #[inline]
    pub const fn level(self) -> u8 {
        self as u8
    }

    /// The version with this protocol level, `None` for any level but 3, 4 and 5.
    #[inline]
    pub const fn from_level(level: u8) -> Option<Self> {
        match level {
            3 => Some(Self::V31),
            4 => Some(Self::V311),
            5 => Some(Self::V5),
            _ => None,
        }
    }

    /// The protocol name of a CONNECT of this version.
    #[inline]
    pub const fn protocol_name(self) -> &'static str {
        match self {
            Self::V31 => "MQIsdp",
            Self::V311 | Self::V5 => "MQTT",
        }
    }
}

/// A version that is known when the program runs, [`Version`], or when it is compiled, [`OnlyV311`] and [`OnlyV5`].
///
/// Both are written and read by the same code. What the other versions need is left out of a program that is compiled for one.
pub trait AnyVersion: Copy + fmt::Debug + Eq {
    /// The one that is meant where none has been named.
    const DEFAULT: Self;

    /// The version.
    fn version(self) -> Version;

    /// This version, if it is one of them.
    fn of(version: Version) -> Option<Self>;

    /// Whether it is MQTT 5.0.
    #[inline(always)]
    fn is_v5(self) -> bool {
        self.version().is_v5()
    }
}

impl AnyVersion for Version {
    const DEFAULT: Self = Self::V311;

    #[inline(always)]
    fn of(version: Version) -> Option<Self> {
        Some(version)
    }

    #[inline(always)]
    fn version(self) -> Version {
        self
    }
}

/// MQTT 3.1.1, known while compiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlyV311;

impl AnyVersion for OnlyV311 {
    const DEFAULT: Self = Self;

    #[inline(always)]
    fn of(version: Version) -> Option<Self> {
        matches!(version, Version::V311).then_some(Self)
    }

    #[inline(always)]
    fn version(self) -> Version {
        Version::V311
    }
}

/// MQTT 5.0, known while compiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlyV5;

impl AnyVersion for OnlyV5 {
    const DEFAULT: Self = Self;

    #[inline(always)]
    fn of(version: Version) -> Option<Self> {
        matches!(version, Version::V5).then_some(Self)
    }

    #[inline(always)]
    fn version(self) -> Version {
        Version::V5
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::V31 => "3.1",
            Self::V311 => "3.1.1",
            Self::V5 => "5.0",
        })
    }
}
