//! Operations: what a SCIM call does, and which permissions it needs.

use crate::permission::{Permission as P, Permissions};
use crate::refusal::{Reason, Refusal};
use scim_edge_scim::endpoint::{Endpoint, Kind};

/// Whether a call is answered by the directory alone or changes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answers, changes nothing.
    Read,
    /// Changes resources.
    Write,
}

/// What a call does and needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// A name for logs.
    pub name: &'static str,
    /// Reading or writing.
    pub effect: Effect,
    /// All of these are needed; none where being authenticated is enough. A bulk request's parts are
    /// checked one by one, see [`needed`].
    pub needs: Permissions,
}

/// The methods of an endpoint, for `Allow`.
pub fn allowed(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Root
        | Endpoint::ServiceProviderConfig
        | Endpoint::ResourceTypes(_)
        | Endpoint::Schemas(None) => "GET, HEAD, OPTIONS",
        Endpoint::Schemas(Some(_)) => "GET, HEAD, PUT, DELETE, OPTIONS",
        Endpoint::Collection(_) => "GET, HEAD, POST, OPTIONS",
        Endpoint::Resource(..) => "GET, HEAD, PUT, PATCH, DELETE, OPTIONS",
        Endpoint::Me => "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        Endpoint::Search(_) | Endpoint::Bulk => "POST, OPTIONS",
    }
}

/// The permissions that one method on one resource type needs; also for the parts of a bulk request.
pub fn needed(method: &str, kind: Kind) -> Permissions {
    let needs: &[P] = match (method, kind) {
        ("GET" | "HEAD", Kind::User) => &[P::UserView],
        ("GET" | "HEAD", Kind::Group) => &[P::GroupView],
        ("POST", Kind::User) => &[P::UserManage, P::UserInvite],
        (_, Kind::User) => &[P::UserManage],
        (_, Kind::Group) => &[P::GroupManage],
    };
    needs.iter().copied().collect()
}

/// The permissions of everything that a bulk request can do. It is judged by these where its operations are not
/// known.
pub fn needed_for_any() -> Permissions {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let all = Kind::ALL.into_iter().flat_map(|kind| methods.map(|method| needed(method, kind)));
    all.fold(Permissions::NONE, Permissions::union)
}

impl Operation {
    /// Whether permissions suffice; the refusal names the first that is missing.
    pub fn permit(&self, held: Permissions) -> Result<(), Refusal> {
        match self.needs.iter().find(|needed| !held.has(*needed)) {
            Some(missing) => Err(Refusal::new(Reason::PermissionMissing, missing.name())),
            None => Ok(()),
        }
    }

    /// The operation of a method on an endpoint; `None` where the endpoint has no such method
    /// (405, with [`allowed`]).
    pub fn of(method: &str, endpoint: &Endpoint) -> Option<Self> {
        if !allowed(endpoint).split(", ").any(|name| name == method) {
            return None;
        }
        let read = |name, needs| Self { name, effect: Effect::Read, needs };
        let write = |name, needs| Self { name, effect: Effect::Write, needs };
        let one = |permission: P| Permissions::from_iter([permission]);
        let both = needed("GET", Kind::User).union(needed("GET", Kind::Group));
        Some(match (method, endpoint) {
            ("OPTIONS", _) => read("options", Permissions::NONE),
            (_, Endpoint::ServiceProviderConfig | Endpoint::ResourceTypes(_)) => {
                read("discovery", Permissions::NONE)
            }
            ("GET" | "HEAD", Endpoint::Schemas(_)) => read("discovery", Permissions::NONE),
            (_, Endpoint::Schemas(_)) => write("schema.write", one(P::AccountEdit)),
            (_, Endpoint::Root) => read("query", both),
            (_, Endpoint::Search(None)) => read("search", both),
            (_, Endpoint::Search(Some(kind))) => read("search", needed("GET", *kind)),
            (_, Endpoint::Bulk) => write("bulk", Permissions::NONE),
            (_, Endpoint::Me) => match method {
                "GET" | "HEAD" => read("me", one(P::UserView)),
                "POST" => write("me", needed(method, Kind::User)),
                _ => write("me", one(P::UserManage)),
            },
            ("GET" | "HEAD", Endpoint::Collection(kind)) => read(named("list", *kind), needed(method, *kind)),
            ("GET" | "HEAD", Endpoint::Resource(kind, _)) => read(named("get", *kind), needed(method, *kind)),
            ("POST", Endpoint::Collection(kind)) => write(named("create", *kind), needed(method, *kind)),
            ("PUT", Endpoint::Resource(kind, _)) => write(named("replace", *kind), needed(method, *kind)),
            ("PATCH", Endpoint::Resource(kind, _)) => write(named("patch", *kind), needed(method, *kind)),
            ("DELETE", Endpoint::Resource(kind, _)) => write(named("delete", *kind), needed(method, *kind)),
            _ => return None,
        })
    }
}

fn named(verb: &str, kind: Kind) -> &'static str {
    match (verb, kind) {
        ("list", Kind::User) => "user.list",
        ("list", Kind::Group) => "group.list",
        ("get", Kind::User) => "user.get",
        ("get", Kind::Group) => "group.get",
        ("create", Kind::User) => "user.create",
        ("create", Kind::Group) => "group.create",
        ("replace", Kind::User) => "user.replace",
        ("replace", Kind::Group) => "group.replace",
        ("patch", Kind::User) => "user.patch",
        ("patch", Kind::Group) => "group.patch",
        (_, Kind::User) => "user.delete",
        (_, Kind::Group) => "group.delete",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn needs(method: &str, endpoint: &Endpoint, names: &[&str]) {
        let operation = Operation::of(method, endpoint).unwrap();
        let needed: Vec<&str> = operation.needs.iter().map(P::name).collect();
        assert_eq!(needed, names, "{method} {endpoint:?}");
    }

    #[test]
    fn each_call_needs_what_the_contract_says() {
        let user = Endpoint::Resource(Kind::User, "1".into());
        let group = Endpoint::Resource(Kind::Group, "1".into());
        needs("GET", &Endpoint::Collection(Kind::User), &["core_user_view"]);
        needs("POST", &Endpoint::Search(Some(Kind::User)), &["core_user_view"]);
        needs("POST", &Endpoint::Collection(Kind::User), &["core_user_manage", "core_user_invite"]);
        needs("PUT", &user, &["core_user_manage"]);
        needs("PATCH", &user, &["core_user_manage"]);
        needs("DELETE", &user, &["core_user_manage"]);
        needs("GET", &group, &["core_usergroup_view"]);
        needs("POST", &Endpoint::Collection(Kind::Group), &["core_usergroup_manage"]);
        needs("PATCH", &group, &["core_usergroup_manage"]);
        needs("GET", &Endpoint::ServiceProviderConfig, &[]);
        needs("GET", &Endpoint::Root, &["core_user_view", "core_usergroup_view"]);
    }

    #[test]
    fn other_methods_are_none() {
        assert_eq!(Operation::of("DELETE", &Endpoint::Collection(Kind::User)), None);
        assert_eq!(Operation::of("BREW", &Endpoint::Collection(Kind::User)), None);
        assert_eq!(Operation::of("get", &Endpoint::Collection(Kind::User)), None);
    }
}
