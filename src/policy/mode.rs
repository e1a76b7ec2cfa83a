//! Modes of service accounts: how much of its permissions a service account uses, while an identity provider is
//! being tried.

use serde::{Deserialize, Serialize};

/// A mode. The order is that of what a mode takes away: a lower one allows more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All that its permissions allow.
    #[default]
    Normal,
    /// It adds and changes, and removes nothing.
    AppendOnly,
    /// Its writes are judged, answered and recorded, and change nothing.
    Shadow,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Normal, Self::AppendOnly, Self::Shadow];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::AppendOnly => "append-only",
            Self::Shadow => "shadow",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether nothing is taken away.
    pub fn is_normal(&self) -> bool {
        *self == Self::Normal
    }

    /// Why a call beside SCIM is refused that changes something: only writes of resources can be judged without
    /// being made.
    pub fn refusal(self) -> String {
        format!(
            "The service account is in the mode {}: beside SCIM it may only read. Another one with the permission \
            to edit service accounts sets its mode to normal",
            self.name()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_stored_by_its_name() {
        for mode in Mode::ALL {
            assert_eq!(Mode::from_name(mode.name()), Some(mode));
            assert_eq!(serde_json::to_value(mode).unwrap(), mode.name());
        }
        assert_eq!(Mode::from_name("off"), None);
        assert!(Mode::Normal < Mode::AppendOnly && Mode::AppendOnly < Mode::Shadow);
    }
}
