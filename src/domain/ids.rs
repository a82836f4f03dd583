//! Names that a human types at 3 AM: `INC-7`, `APR-12`. A bare number is accepted too.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The number of an entry within its incident; the first is 1.
pub type Seq = i64;

#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not an id: expected {prefix}-NUMBER, such as {prefix}-7")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = match text.get(..$prefix.len() + 1) {
                    Some(head) if head.eq_ignore_ascii_case(concat!($prefix, "-")) => &text[head.len()..],
                    _ => text,
                };
                match digits.parse() {
                    Ok(number) if number > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(Self(number)),
                    _ => Err(IdError { text: text.chars().take(40).collect(), prefix: $prefix }),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

id!(
    /// An incident's number in this store.
    IncidentId, "INC"
);
id!(
    /// An approval's number in this store.
    ApprovalId, "APR"
);
id!(
    /// An order's number in this store.
    OrderId, "ORD"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_in_any_case_and_as_a_bare_number() {
        assert_eq!("INC-7".parse::<IncidentId>().unwrap(), IncidentId(7));
        assert_eq!("inc-7".parse::<IncidentId>().unwrap(), IncidentId(7));
        assert_eq!("7".parse::<IncidentId>().unwrap().to_string(), "INC-7");
        for bad in ["", "INC-", "-7", "INC-0", "APR-7", "INC-7x", "+7", "ÏNC-7"] {
            assert!(bad.parse::<IncidentId>().is_err(), "{bad}");
        }
    }
}
