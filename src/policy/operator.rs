//! Operators' calls: what is asked of the gateway about an account, below its SCIM base and beside SCIM. They
//! are opened by the gateway's own keys, never by an issuer's token.

use crate::operation::needed;
use crate::permission::{Permission, Permissions};
use crate::refusal::{Reason, Refusal};
use scim_edge_scim::endpoint::Kind;

/// A call, named by the last segment of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorCall {
    /// Every check of a token.
    Explain,
    /// What a key set's URL has to offer.
    KeySet,
    /// How the copy of the origin is.
    Replica,
    /// Makes the copy anew.
    Resync,
    /// Puts back what was in use before a switch of the origin.
    Undo,
    /// Compares the copy with the origin.
    Check,
    /// Resources that have changed at the origin.
    Changes,
    /// Who did what.
    Audit,
    /// How much was asked in the last day, and how it was answered.
    Activity,
    /// The whole account, as lines.
    Export,
    /// Deleted resources.
    Deleted,
    /// Restores deleted resources.
    Restore,
    /// Who changed one resource, and which attributes.
    History,
    /// Erases one resource for good, with its history.
    Erase,
    /// Lines of an export, to be taken over.
    Import,
    /// The brake on removals: how it is, and what it lets through.
    Brake,
}

impl OperatorCall {
    /// Every call.
    pub const ALL: [Self; 16] = [
        Self::Explain,
        Self::KeySet,
        Self::Replica,
        Self::Resync,
        Self::Undo,
        Self::Check,
        Self::Changes,
        Self::Audit,
        Self::Activity,
        Self::Export,
        Self::Deleted,
        Self::Restore,
        Self::History,
        Self::Erase,
        Self::Import,
        Self::Brake,
    ];

    /// The call of a path segment.
    pub fn from_segment(segment: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.segment() == segment)
    }

    /// Its path segment.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Explain => ".explain",
            Self::KeySet => ".jwks",
            Self::Replica => ".replica",
            Self::Resync => ".resync",
            Self::Undo => ".undo",
            Self::Check => ".check",
            Self::Changes => ".changes",
            Self::Audit => ".audit",
            Self::Activity => ".activity",
            Self::Export => ".export",
            Self::Deleted => ".deleted",
            Self::Restore => ".restore",
            Self::History => ".history",
            Self::Erase => ".erase",
            Self::Import => ".import",
            Self::Brake => ".brake",
        }
    }

    /// A name for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Explain => "token.explain",
            Self::KeySet => "jwks.show",
            Self::Replica => "replica.status",
            Self::Resync => "replica.resync",
            Self::Undo => "replica.undo",
            Self::Check => "replica.check",
            Self::Changes => "replica.changes",
            Self::Audit => "audit.list",
            Self::Activity => "activity",
            Self::Export => "directory.export",
            Self::Deleted => "deleted.list",
            Self::Restore => "deleted.restore",
            Self::History => "resource.history",
            Self::Erase => "resource.erase",
            Self::Import => "directory.import",
            Self::Brake => "brake",
        }
    }

    /// Its methods, for `Allow`.
    pub fn methods(self) -> &'static str {
        match self {
            Self::Replica | Self::Audit | Self::Activity | Self::Export | Self::Deleted | Self::History => {
                "GET"
            }
            Self::Explain
            | Self::KeySet
            | Self::Resync
            | Self::Undo
            | Self::Check
            | Self::Changes
            | Self::Restore
            | Self::Erase
            | Self::Import => "POST",
            Self::Brake => "GET, POST",
        }
    }

    /// Whether it can tell what it would do, and do nothing.
    pub fn has_dry_run(self) -> bool {
        matches!(self, Self::Resync | Self::Undo)
    }

    /// Whether it has a method.
    pub fn has(self, method: &str) -> bool {
        self.methods().split(", ").any(|one| one == method)
    }

    /// Whether it only tells something.
    pub fn is_read(self, method: &str) -> bool {
        method == "GET" || matches!(self, Self::Explain | Self::KeySet)
    }

    /// Whether a caller's permissions suffice.
    pub fn permit(self, method: &str, held: Permissions) -> Result<(), Refusal> {
        let needed = match self {
            Self::Brake if method == "GET" => Permission::ReplicaView,
            Self::Brake => Permission::BrakeManage,
            Self::Explain => Permission::TokenExplain,
            Self::KeySet => Permission::SettingView,
            Self::Replica => Permission::ReplicaView,
            Self::Resync | Self::Check | Self::Changes => Permission::ReplicaManage,
            Self::Audit | Self::Activity | Self::History => Permission::AuditView,
            // The permissions to create or delete the resource itself are checked for each resource.
            Self::Deleted | Self::Restore | Self::Undo => Permission::DirectoryRestore,
            Self::Erase => Permission::DirectoryErase,
            Self::Export => Permission::DirectoryExport,
            Self::Import => Permission::DirectoryImport,
        };
        match [needed].iter().chain(self.also_needed()).find(|permission| !held.has(**permission)) {
            Some(missing) => Err(Refusal::new(Reason::PermissionMissing, missing.name())),
            None => Ok(()),
        }
    }

    /// The permissions without which the call would do what its caller may not do by other calls.
    fn also_needed(self) -> &'static [Permission] {
        match self {
            Self::Export => &[Permission::UserView, Permission::GroupView],
            Self::Import => &[Permission::UserManage, Permission::UserInvite, Permission::GroupManage],
            _ => &[],
        }
    }
}

/// Whether a caller of `.changes` may send a whole resource of a kind, which the copy then shows, instead of
/// its id, which has the origin asked. A copy that can be told anything can be written to.
pub fn permit_whole(held: Permissions, kind: Kind) -> Result<(), Refusal> {
    match needed("PUT", kind).iter().find(|permission| !held.has(*permission)) {
        Some(missing) => Err(Refusal::new(Reason::PermissionMissing, missing.name())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Permission as P;

    #[test]
    fn a_whole_resource_needs_the_permission_to_manage_its_kind() {
        let held = |permission| Permissions::from_iter([Permission::ReplicaManage, permission]);
        assert!(permit_whole(held(Permission::UserManage), Kind::User).is_ok());
        assert!(permit_whole(held(Permission::GroupManage), Kind::Group).is_ok());
        let refusal = permit_whole(held(Permission::UserManage), Kind::Group).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.detail.as_str()),
            (Reason::PermissionMissing, "core_usergroup_manage")
        );
        assert!(permit_whole(held(Permission::GroupManage), Kind::User).is_err());
    }

    #[test]
    fn an_export_needs_what_it_shows() {
        let with = |permissions: &[Permission]| {
            OperatorCall::Export
                .permit("GET", permissions.iter().copied().collect())
                .map_err(|refusal| refusal.detail)
        };
        let (export, user, group) =
            (Permission::DirectoryExport, Permission::UserView, Permission::GroupView);
        assert_eq!(with(&[export, user, group]), Ok(()));
        assert_eq!(with(&[user, group]).unwrap_err(), "scim_directory_export");
        assert_eq!(with(&[export, group]).unwrap_err(), "core_user_view");
        assert_eq!(with(&[export, user]).unwrap_err(), "core_usergroup_view");
    }

    #[test]
    fn an_import_needs_what_it_writes() {
        let all = [P::DirectoryImport, P::UserManage, P::UserInvite, P::GroupManage];
        assert_eq!(OperatorCall::Import.permit("POST", all.into_iter().collect()), Ok(()));
        for without in all {
            let held = all.into_iter().filter(|permission| *permission != without).collect();
            assert_eq!(OperatorCall::Import.permit("POST", held).unwrap_err().detail, without.name());
        }
    }

    #[test]
    fn each_has_a_path_and_a_permission_of_its_own_kind() {
        for call in OperatorCall::ALL {
            assert_eq!(OperatorCall::from_segment(call.segment()), Some(call));
            for method in call.methods().split(", ") {
                assert!(call.has(method) && call.permit(method, Permissions::all()).is_ok());
                let refused = call.permit(method, Permissions::NONE).unwrap_err();
                assert_eq!(refused.reason, Reason::PermissionMissing);
            }
            assert!(!call.has("DELETE"));
        }
        assert_eq!(OperatorCall::from_segment(".search"), None);
    }

    #[test]
    fn who_sees_the_brake_does_not_let_anything_through() {
        let viewer = Permissions::from_iter([Permission::ReplicaView]);
        assert!(OperatorCall::Brake.permit("GET", viewer).is_ok());
        assert!(OperatorCall::Brake.permit("POST", viewer).is_err());
        let manager = Permissions::from_iter([Permission::BrakeManage]);
        assert!(OperatorCall::Brake.permit("POST", manager).is_ok());
    }
}
