//! The owned twins [`TopicNameBuf`], [`TopicFilterBuf`] and [`ShareNameBuf`].

use alloc::boxed::Box;
use alloc::string::String;
use core::borrow::Borrow;
use core::fmt;
use core::str::FromStr;

use crate::error::{TopicFilterError, TopicNameError};
use crate::filter::TopicFilter;
use crate::name::TopicName;
use crate::share::ShareName;

/// One twin: everything but the accessor and what only one of them has.
macro_rules! owned {
    ($(#[$doc:meta])* $buf:ident, $borrowed:ident, $error:ident, $as_borrowed:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $buf(Box<str>);

        impl $buf {
            /// Checks `text` and keeps it; a `String` or `Box<str>` is not copied unless it must shrink.
            ///
            /// # Errors
            #[doc = concat!("Those of [`", stringify!($borrowed), "::new`].")]
            pub fn new(text: impl Into<Box<str>>) -> Result<Self, $error> {
                let text = text.into();
                $borrowed::new(&text)?;
                Ok(Self(text))
            }

            /// The borrowed twin.
            #[must_use]
            pub fn $as_borrowed(&self) -> $borrowed<'_> {
                $borrowed::trusted(&self.0)
            }

            /// The text as it was given.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Gives the text back.
            #[must_use]
            pub fn into_boxed_str(self) -> Box<str> {
                self.0
            }
        }

        impl From<$borrowed<'_>> for $buf {
            fn from(borrowed: $borrowed<'_>) -> Self {
                Self(borrowed.as_str().into())
            }
        }

        impl From<$buf> for String {
            fn from(buf: $buf) -> Self {
                buf.0.into()
            }
        }

        impl FromStr for $buf {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                $borrowed::new(text).map(Self::from)
            }
        }

        impl TryFrom<&str> for $buf {
            type Error = $error;

            fn try_from(text: &str) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl TryFrom<String> for $buf {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $buf {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $buf {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $buf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $buf {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl PartialEq<$borrowed<'_>> for $buf {
            fn eq(&self, other: &$borrowed<'_>) -> bool {
                *self.0 == *other.as_str()
            }
        }

        impl $borrowed<'_> {
            /// Copies the text into the owned twin.
            #[must_use]
            pub fn to_buf(self) -> $buf {
                self.into()
            }
        }
    };
}

owned! {
    /// An owned [`TopicName`]: 16 bytes and the text.
    TopicNameBuf, TopicName, TopicNameError, as_name
}
owned! {
    /// An owned [`TopicFilter`]: 16 bytes and the text.
    TopicFilterBuf, TopicFilter, TopicFilterError, as_filter
}
owned! {
    /// An owned [`ShareName`]: 16 bytes and the text.
    ShareNameBuf, ShareName, TopicFilterError, as_share_name
}

#[cfg(test)]
mod tests {
    extern crate std;
    #[expect(
        clippy::disallowed_types,
        reason = "only asked, never iterated: its order cannot show"
    )]
    use std::collections::HashMap;
    use std::string::ToString;

    use super::{ShareNameBuf, TopicFilterBuf, TopicNameBuf};
    use crate::TopicFilter;

    #[test]
    fn the_owned_twins_hold_the_same_rules() {
        assert!(TopicNameBuf::new("a/+").is_err());
        assert!("a/b#".parse::<TopicFilterBuf>().is_err());
        assert!(ShareNameBuf::try_from("a/b").is_err());
        assert_eq!(TopicNameBuf::new("a/b").unwrap().as_name().level_count(), 2);
        assert_eq!(TopicFilter::new("a/+").unwrap().to_buf().to_string(), "a/+");
    }

    #[test]
    fn a_map_with_owned_keys_is_asked_with_a_str() {
        #[expect(
            clippy::disallowed_types,
            reason = "only asked, never iterated: its order cannot show"
        )]
        let map = HashMap::from([(TopicFilterBuf::new("a/#").unwrap(), 1)]);
        assert_eq!(map.get("a/#"), Some(&1));
    }
}
