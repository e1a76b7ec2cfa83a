//! Permissions and the built-in roles that grant them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $variant:ident = $name:literal),* $(,)?) => {
        /// One permission, named as in role definitions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Permission { $($(#[doc = $doc])* $variant),* }

        impl Permission {
            /// Every permission.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }
        }
    };
}

permissions! {
    /// Read users.
    UserView = "core_user_view",
    /// Change and delete users.
    UserManage = "core_user_manage",
    /// With [`Self::UserManage`]: create users.
    UserInvite = "core_user_invite",
    /// Read groups.
    GroupView = "core_usergroup_view",
    /// Create, change and delete groups.
    GroupManage = "core_usergroup_manage",
    /// Read settings.
    SettingView = "core_setting_view",
    /// Change settings.
    SettingEdit = "core_setting_edit",
    /// Read the account.
    AccountView = "core_account_view",
    /// Change the account: register schemas.
    AccountEdit = "core_account_edit",
    /// Read service accounts and API keys (never secrets).
    ServiceAccountView = "core_serviceaccount_view",
    /// Create, change and delete service accounts.
    ServiceAccountEdit = "core_serviceaccount_edit",
    /// Mint and revoke API keys.
    ApiKeyManage = "core_serviceaccount_manageapikey",
    /// Read roles and role assignments.
    RoleView = "core_role_view",
    /// Change roles and role assignments.
    RoleEdit = "core_role_edit",
    /// Have a token explained.
    TokenExplain = "scim_token_explain",
    /// See how the copy of the origin is.
    ReplicaView = "scim_replica_view",
    /// Have the copy of the origin refreshed, compared or made anew.
    ReplicaManage = "scim_replica_manage",
    /// Read the audit and the activity.
    AuditView = "scim_audit_view",
    /// Change how long the audit is kept.
    AuditManage = "scim_audit_manage",
    /// Change the brake's settings, and let through what it stopped.
    BrakeManage = "scim_brake_manage",
    /// List and restore deleted resources, and undo a switch of origin.
    DirectoryRestore = "scim_directory_restore",
    /// Erase a resource for good, with its history.
    DirectoryErase = "scim_directory_erase",
    /// Export the whole account.
    DirectoryExport = "scim_directory_export",
    /// Import into the account.
    DirectoryImport = "scim_directory_import",
}

impl Permission {
    /// The permission of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|permission| permission.name() == name)
    }

    fn bit(self) -> u32 {
        1_u32.checked_shl(u32::from(self as u8)).unwrap_or(0)
    }
}

/// A set of permissions; in JSON, a list of their names. Names that this version does not know grant
/// nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u32);

impl Permissions {
    /// None.
    pub const NONE: Self = Self(0);

    /// All of them.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether the set has it.
    pub fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether the set has every one of them.
    pub fn has_all(self, permissions: Self) -> bool {
        self.0 & permissions.0 == permissions.0
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Its members.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.has(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | permission.bit()))
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Permission::name))
    }
}

impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(names.iter().filter_map(|name| Permission::from_name(name)).collect())
    }
}

/// The roles that every account has.
pub const BUILT_IN_ROLES: [&str; 3] = ["_account_admin", "_account_viewer", "_scim_provisioner"];

/// What a built-in role grants.
pub fn built_in_role(identifier: &str) -> Option<Permissions> {
    use Permission as P;
    match identifier {
        "_account_admin" => Some(Permissions::all()),
        "_account_viewer" => Some(Permissions::from_iter([
            P::UserView,
            P::GroupView,
            P::SettingView,
            P::AccountView,
            P::ServiceAccountView,
            P::RoleView,
            P::ReplicaView,
            P::AuditView,
        ])),
        "_scim_provisioner" => Some(Permissions::from_iter([
            P::UserView,
            P::UserManage,
            P::UserInvite,
            P::GroupView,
            P::GroupManage,
        ])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_a_list_of_names() {
        let set: Permissions =
            serde_json::from_str(r#"["core_user_view","core_from_the_future","core_usergroup_manage"]"#)
                .unwrap();
        assert!(set.has(Permission::UserView) && set.has(Permission::GroupManage));
        assert!(!set.has(Permission::UserManage));
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["core_user_view","core_usergroup_manage"]"#);
    }

    #[test]
    fn every_permission_has_a_bit_of_its_own() {
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }
}
