//! Routes: what a request's path names, before anybody is authenticated.
//!
//! Every route is also served under the prefix `/gateway`. Doubled and trailing slashes are
//! tolerated; names keep their case but for SCIM's own (see [`Endpoint`]).

use crate::operator::OperatorCall;
use scim_edge_scim::endpoint::{Endpoint, segments};
use scim_edge_scim::error::Error;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// What concerns the gateway itself and no account.
    Service(ServiceRoute),
    /// `/ng/api/scim/account/{account}/…`
    Scim(ScimRoute),
    /// `/ng/api/scim/account/{account}/.explain` and the like.
    Operator(OperatorRoute),
    /// `/ng/api/accounts/{account}`
    Account(String),
    /// `/ng/api/accounts/{account}/.undelete`
    Undelete(String),
    /// The settings, service account, role and API key calls.
    Admin(AdminRoute),
}

/// What is asked of the gateway itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceRoute {
    /// `/healthz`
    Health,
    /// `/readyz`
    Ready,
    /// `/metrics`
    Metrics,
    /// `/openapi.json`
    OpenApi,
    /// `/.well-known/oauth-protected-resource/…` (RFC 9728 §3.1), and the path of the SCIM base behind it.
    ProtectedResource(String),
}

impl ServiceRoute {
    /// A name for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Metrics => "metrics",
            Self::OpenApi => "openapi",
            Self::ProtectedResource(_) => "metadata",
        }
    }

    fn of(names: &[&str]) -> Option<Self> {
        match names {
            ["healthz"] => Some(Self::Health),
            ["readyz"] => Some(Self::Ready),
            ["metrics"] => Some(Self::Metrics),
            ["openapi.json"] => Some(Self::OpenApi),
            [".well-known", "oauth-protected-resource", below @ ..] => {
                let path = format!("/{}", below.join("/"));
                match Route::parse(&path) {
                    Ok(Some(Route::Scim(route))) if route.endpoint == Some(Endpoint::Root) => {
                        Some(Self::ProtectedResource(route.base))
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// A SCIM call: the account is named by the path and by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScimRoute {
    /// The account's identifier.
    pub account: String,
    /// The path of the account's base as the caller wrote it up to there, `/gateway` included.
    pub base: String,
    /// What lies below the base; `None` for nothing that SCIM knows.
    pub endpoint: Option<Endpoint>,
}

/// An operator's call about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRoute {
    /// The account's identifier.
    pub account: String,
    /// The path of the account's base, as [`ScimRoute::base`].
    pub base: String,
    /// What is asked.
    pub call: OperatorCall,
}

/// An admin call; its account is in the query (`accountIdentifier`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminRoute {
    /// `/ng/api/settings`
    Settings,
    /// `/ng/api/settings/{identifier}`
    Setting(String),
    /// `/ng/api/settings/jwt-rules`
    JwtRules,
    /// `/ng/api/settings/jwt-rules/{name}`
    JwtRule(String),
    /// `/ng/api/serviceaccount`
    ServiceAccounts,
    /// `/ng/api/serviceaccount/{identifier}`
    ServiceAccount(String),
    /// `/authz/api/roles`
    Roles,
    /// `/authz/api/roles/{identifier}`
    Role(String),
    /// `/authz/api/roleassignments`
    RoleAssignments,
    /// `/authz/api/roleassignments/{identifier}`
    RoleAssignment(String),
    /// `/ng/api/token`
    Tokens,
    /// `/ng/api/token/{identifier}`
    Token(String),
}

/// Whether a text can be an account's identifier: 1 to 64 letters, digits, `_` and `-`.
pub fn is_account_identifier(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

impl Route {
    /// The route of an absolute path (percent-encoded, without the query).
    ///
    /// # Errors
    /// The path is not percent-encoded UTF-8.
    pub fn parse(path: &str) -> Result<Option<Self>, Error> {
        let all = segments(path)?;
        let whole: Vec<&str> = all.iter().map(String::as_str).collect();
        if let Some(service) = ServiceRoute::of(&whole) {
            return Ok(Some(Self::Service(service)));
        }
        let (prefix, rest) = match all.split_first() {
            Some((first, rest)) if first == "gateway" => ("/gateway", rest),
            _ => ("", all.as_slice()),
        };
        let names: Vec<&str> = rest.iter().map(String::as_str).collect();
        let owned = |name: &str| name.to_owned();
        let admin = match names.as_slice() {
            ["ng", "api", "scim", "account", account, below @ ..] if is_account_identifier(account) => {
                let (account, base) = (owned(account), format!("{prefix}/ng/api/scim/account/{account}"));
                if let [call] = below
                    && let Some(call) = OperatorCall::from_segment(call)
                {
                    return Ok(Some(Self::Operator(OperatorRoute { account, base, call })));
                }
                let below: Vec<String> = below.iter().map(|name| owned(name)).collect();
                return Ok(Some(Self::Scim(ScimRoute {
                    account,
                    base,
                    endpoint: Endpoint::from_segments(&below),
                })));
            }
            ["ng", "api", "accounts", account] if is_account_identifier(account) => {
                return Ok(Some(Self::Account(owned(account))));
            }
            ["ng", "api", "accounts", account, ".undelete"] if is_account_identifier(account) => {
                return Ok(Some(Self::Undelete(owned(account))));
            }
            ["ng", "api", "settings"] => AdminRoute::Settings,
            ["ng", "api", "settings", "jwt-rules"] => AdminRoute::JwtRules,
            ["ng", "api", "settings", "jwt-rules", name] => AdminRoute::JwtRule(owned(name)),
            ["ng", "api", "settings", name] => AdminRoute::Setting(owned(name)),
            ["ng", "api", "serviceaccount"] => AdminRoute::ServiceAccounts,
            ["ng", "api", "serviceaccount", name] => AdminRoute::ServiceAccount(owned(name)),
            ["authz", "api", "roles"] => AdminRoute::Roles,
            ["authz", "api", "roles", name] => AdminRoute::Role(owned(name)),
            ["authz", "api", "roleassignments"] => AdminRoute::RoleAssignments,
            ["authz", "api", "roleassignments", name] => AdminRoute::RoleAssignment(owned(name)),
            ["ng", "api", "token"] => AdminRoute::Tokens,
            ["ng", "api", "token", name] => AdminRoute::Token(owned(name)),
            _ => return Ok(None),
        };
        Ok(Some(Self::Admin(admin)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::OperatorCall;
    use scim_edge_scim::endpoint::Kind;

    #[track_caller]
    fn scim(path: &str) -> ScimRoute {
        match Route::parse(path).unwrap() {
            Some(Route::Scim(route)) => route,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn scim_calls_name_their_account_in_the_path() {
        let route = scim("/gateway/ng/api/scim/account/acc-1/Users/7");
        assert_eq!(route.account, "acc-1");
        assert_eq!(route.base, "/gateway/ng/api/scim/account/acc-1");
        assert_eq!(route.endpoint, Some(Endpoint::Resource(Kind::User, "7".into())));
        assert_eq!(scim("//ng/api/scim/account/a//users/").endpoint, Some(Endpoint::Collection(Kind::User)));
        assert_eq!(scim("/ng/api/scim/account/a/nonsense").endpoint, None);
    }

    #[test]
    fn operators_calls_begin_with_a_dot() {
        let Some(Route::Operator(route)) = Route::parse("/gateway/ng/api/scim/account/a/.explain").unwrap()
        else {
            panic!("no call");
        };
        assert_eq!((route.account.as_str(), route.call), ("a", OperatorCall::Explain));
        assert_eq!(route.base, "/gateway/ng/api/scim/account/a");
        assert_eq!(scim("/ng/api/scim/account/a/.search").endpoint, Some(Endpoint::Search(None)));
        assert_eq!(scim("/ng/api/scim/account/a/.explain/x").endpoint, None);
    }

    #[test]
    fn metadata_are_behind_the_path_of_the_base() {
        let path = "/.well-known/oauth-protected-resource/gateway/ng/api/scim/account/a";
        let base = "/gateway/ng/api/scim/account/a".to_owned();
        let route = Route::Service(ServiceRoute::ProtectedResource(base));
        assert_eq!(Route::parse(path).unwrap(), Some(route));
        assert_eq!(Route::parse(&format!("{path}/Users")).unwrap(), None);
        assert_eq!(Route::parse("/.well-known/oauth-protected-resource").unwrap(), None);
    }

    #[test]
    fn accounts_are_deleted_and_undeleted_by_their_paths() {
        let account = |path: &str| Route::parse(path).unwrap();
        assert_eq!(account("/ng/api/accounts/a"), Some(Route::Account("a".into())));
        assert_eq!(account("/gateway/ng/api/accounts/a/.undelete"), Some(Route::Undelete("a".into())));
        assert_eq!(account("/ng/api/accounts/a/.delete"), None);
    }

    #[test]
    fn what_is_no_route_is_none() {
        for path in
            ["/", "/ng/api/scim/account", "/ng/api/scim/account/a.b/Users", "/gateway/healthz", "/ng/api/x"]
        {
            assert_eq!(Route::parse(path).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn admin_calls() {
        let cases = [
            ("/ng/api/settings", AdminRoute::Settings),
            ("/gateway/ng/api/settings/x", AdminRoute::Setting("x".into())),
            ("/ng/api/serviceaccount/a%20b", AdminRoute::ServiceAccount("a b".into())),
            ("/authz/api/roleassignments/", AdminRoute::RoleAssignments),
        ];
        for (path, route) in cases {
            assert_eq!(Route::parse(path).unwrap(), Some(Route::Admin(route)), "{path}");
        }
    }
}
