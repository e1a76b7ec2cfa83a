//! Dialects: where what RFC 7644 says and what identity providers send exclude each other.
//!
//! | | tolerant | strict |
//! | --- | --- | --- |
//! | unknown attribute in a body | ignored | `invalidValue` |
//! | a body without its core schema's URN, or with an unknown one | accepted | `invalidValue` |
//! | attributes of an extension whose URN `schemas` does not have | accepted | `invalidValue` |
//! | number for a string, string for a number or a boolean, one value for a list | converted | `invalidValue` |
//! | `[{…}]` for one value, or for an extension | taken for the value in it | `invalidValue` |
//! | readOnly attributes in a PATCH without a path | ignored | `mutability` |
//! | dotted and URN names in a body (`"name.givenName"`) | understood | `invalidValue` |
//! | PATCH to a value path that matches nothing | the value it describes is added | `noTarget` |
//! | PATCH that removes what is not there | nothing happens | `noTarget` |
//! | PATCH that removes the `value` of a manager or an e-mail | what described it goes too | stays |
//! | text that is not base64 in a binary attribute | kept | `invalidValue` |
//! | a filter's unquoted value, `emails[…].value eq "x"` | understood | `invalidFilter` |

use crate::parser::Options;
use serde::{Deserialize, Serialize};

/// What becomes of members that a group is given and the directory does not have; a setting of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownMembers {
    /// The request is refused.
    #[default]
    Refuse,
    /// They are kept, and shown without a type.
    Accept,
    /// The request is done without them.
    Ignore,
}

impl UnknownMembers {
    /// The value of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "refuse" => Some(Self::Refuse),
            "accept" => Some(Self::Accept),
            "ignore" => Some(Self::Ignore),
            _ => None,
        }
    }
}

/// How strictly a client is read; a setting of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Everything that has one sensible meaning is accepted.
    #[default]
    Tolerant,
    /// The RFC's letter.
    Strict,
}

impl Dialect {
    /// Whether this is [`Self::Tolerant`].
    pub fn is_tolerant(self) -> bool {
        self == Self::Tolerant
    }

    /// How filters are read.
    pub fn filter_options(self) -> Options {
        match self {
            Self::Tolerant => Options::TOLERANT,
            Self::Strict => Options::STRICT,
        }
    }
}
