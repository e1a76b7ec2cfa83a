//! Hosts at which anybody can get a token: clouds and build services that sign for all their customers with one
//! key set, and the domains of free developer accounts. A rule that trusts such a host's keys trusts strangers,
//! unless it also compares a claim that names the tenant and that a stranger cannot choose.
//!
//! An audience is such a claim only where the service itself sets it: build services let each job choose.

use crate::rule::TrustRule;
use crate::token_services::Service;
use url::Url;

/// The conditions of a rule, which need not be complete yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// The URL of the key set.
    pub jwks_url: Option<&'a str>,
    /// What `iss` must be.
    pub issuer: Option<&'a str>,
    /// Whether `aud` is compared with audiences.
    pub has_audiences: bool,
    /// The claims, each with the value that is wanted of it; none while that is not written yet.
    pub claims: Vec<(&'a str, Option<&'a str>)>,
}

/// The claim that a field names, where that is one at the top (RFC 6901 where it begins with `/`).
pub(crate) fn top_level(field: &str) -> String {
    match field.trim().strip_prefix('/') {
        Some(rest) if !rest.contains('/') => rest.replace("~1", "/").replace("~0", "~"),
        Some(_) => String::new(),
        None => field.trim().to_owned(),
    }
}

impl<'a> Conditions<'a> {
    /// The conditions of a complete rule.
    pub fn of(rule: &'a TrustRule) -> Self {
        Self {
            jwks_url: rule.jwks_url.as_deref(),
            issuer: rule.issuer.as_deref(),
            has_audiences: !rule.audiences.is_empty(),
            claims: rule
                .claims
                .iter()
                .map(|claim| (claim.field.as_str(), Some(claim.value.as_str())))
                .collect(),
        }
    }

    /// Why the conditions let strangers in, as a sentence: the keys, or the issuer that says where they are, are
    /// of a host at which anybody can get a token, and no condition names a tenant of it.
    pub fn open_to_strangers(&self) -> Option<String> {
        let issuers = self.claims.iter().filter(|(field, _)| top_level(field) == "iss");
        let urls = [self.jwks_url, self.issuer].into_iter().chain(issuers.map(|(_, wanted)| *wanted));
        let mut urls = urls.flatten().filter_map(|text| Url::parse(text.trim()).ok());
        urls.find_map(|url| {
            let service = Service::of(&url).filter(|service| !service.is_named_by(self))?;
            let names: Vec<&str> = service.claims().collect();
            Some(format!(
                "anybody can get a token at {}: compare a claim that names your tenant there ({}{})",
                url.host_str().unwrap_or_default(),
                names.join(", "),
                if service.has_issuers() { "; or set the tenant's own issuer" } else { "" },
            ))
        })
    }

    /// Whether the audience is the only condition.
    pub fn compares_audience_only(&self) -> bool {
        let mut claims = self.claims.iter().map(|(field, _)| top_level(field));
        let compares = self.has_audiences || !self.claims.is_empty();
        compares && self.issuer.is_none() && claims.all(|name| name == "aud")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_services::CONSUMERS;

    /// A claim and its value.
    type Pair = (&'static str, &'static str);

    fn refused(url: &str, claims: &[(&str, &str)]) -> bool {
        let claims: Vec<(&str, Option<&str>)> =
            claims.iter().map(|(field, value)| (*field, Some(*value))).collect();
        let by_keys = Conditions { jwks_url: Some(url), claims: claims.clone(), ..Conditions::default() };
        let by_discovery = Conditions { issuer: Some(url), claims, ..Conditions::default() };
        let (by_keys, by_discovery) = (by_keys.open_to_strangers(), by_discovery.open_to_strangers());
        assert_eq!(by_keys.is_some(), by_discovery.is_some(), "{url}");
        by_keys.is_some()
    }

    #[test]
    fn shared_hosts_need_a_claim_that_names_the_tenant_also_by_discovery() {
        let cases: [(&str, Pair, Pair); 25] = [
            (
                "https://token.actions.githubusercontent.com",
                ("repository_owner_id", "1"),
                ("job_workflow_ref", "o/r"),
            ),
            (
                "https://token.actions.githubusercontent.com",
                ("sub", "repo:o/r:ref:refs/heads/main"),
                ("sub", "environment:prod"),
            ),
            ("https://gitlab.com", ("namespace_id", "7"), ("user_login", "x")),
            ("https://securetoken.google.com", ("aud", "project"), ("email", "a@example.com")),
            ("https://accounts.google.com", ("hd", "example.com"), ("aud", "chosen")),
            (
                "https://www.googleapis.com",
                ("email", "a@p.iam.gserviceaccount.com"),
                ("email", "a@example.com"),
            ),
            ("https://oauth.id.jumpcloud.com/", ("client_id", "c"), ("aud", "chosen")),
            ("https://login.salesforce.com", ("sub", "https://login.salesforce.com/id/o/u"), ("aud", "c")),
            ("https://appleid.apple.com", ("aud", "com.example.app"), ("email", "a@example.com")),
            ("https://login.microsoftonline.com", ("tid", "t"), ("appid", "a")),
            ("https://login.microsoftonline.com", ("tid", "t"), ("tid", CONSUMERS)),
            ("https://login.microsoftonline.us", ("tid", "t"), ("upn", "a@example.com")),
            ("https://login.microsoftonline.de", ("tid", "t"), ("aud", "a")),
            ("https://login.partner.microsoftonline.cn", ("tid", "t"), ("aud", "a")),
            ("https://login.chinacloudapi.cn", ("tid", "t"), ("aud", "a")),
            ("https://sts.windows.net", ("/tid", "t"), ("/a/tid", "t")),
            ("https://agent.buildkite.com", ("organization_slug", "o"), ("pipeline_slug", "p")),
            ("https://oidc.vercel.com", ("owner_id", "o"), ("environment", "production")),
            (
                "https://app.terraform.io",
                ("terraform_organization_id", "o"),
                ("terraform_workspace_name", "w"),
            ),
            ("https://oidc.circleci.com", ("sub", "org/o/project/p/user/u"), ("aud", "o")),
            ("https://api.bitbucket.org", ("workspaceUuid", "w"), ("aud", "a")),
            ("https://acme.eu.auth0.com", ("azp", "c"), ("aud", "api")),
            ("https://dev-123.okta.com", ("cid", "c"), ("aud", "api://default")),
            ("https://acme.oktapreview.com", ("sub", "s"), ("aud", "api://default")),
            ("https://slack.com", ("/https:~1~1slack.com~1team_id", "T"), ("email", "a@example.com")),
        ];
        for (url, named, unnamed) in cases {
            assert!(refused(url, &[]), "{url}");
            assert!(refused(url, &[unnamed]), "{url} {unnamed:?}");
            assert!(!refused(url, &[named]), "{url} {named:?}");
            assert!(!refused(url, &[unnamed, named]), "{url}");
        }
        for url in [
            "https://example.okta.com/oauth2/v1/keys",
            "https://acme.onelogin.com/oidc/2",
            "https://idp.example.com/keys",
            "https://auth0.com.example.com/keys",
            "https://www.googleapis.com/service_accounts/v1/jwk/a@p.iam.gserviceaccount.com",
        ] {
            assert!(!refused(url, &[]), "{url}");
        }
    }

    #[test]
    fn an_issuer_names_the_tenant_where_it_is_the_tenants_own() {
        let keys = |url: &str, issuer: &str| {
            let by_setting =
                Conditions { jwks_url: Some(url), issuer: Some(issuer), ..Conditions::default() };
            let claims = vec![("iss", Some(issuer))];
            let by_claim = Conditions { jwks_url: Some(url), claims, ..Conditions::default() };
            assert_eq!(by_setting.open_to_strangers(), by_claim.open_to_strangers(), "{issuer}");
            by_setting.open_to_strangers().is_none()
        };
        let microsoft = "https://login.microsoftonline.com/common/discovery/v2.0/keys";
        assert!(keys(microsoft, "https://sts.windows.net/t/"));
        assert!(keys(microsoft, "https://login.microsoftonline.com/t/v2.0"));
        assert!(!keys(microsoft, "https://login.microsoftonline.com/common/v2.0"));
        assert!(!keys(
            microsoft,
            "https://login.microsoftonline.com/9188040D-6c67-4c5b-b112-36a304b66dad/v2.0"
        ));
        let google = "https://www.googleapis.com/oauth2/v3/certs";
        assert!(!keys(google, "https://accounts.google.com") && !keys(google, "accounts.google.com"));
        let firebase =
            "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
        assert!(keys(firebase, "https://securetoken.google.com/project"));
        assert!(!keys("https://gitlab.com/oauth/discovery/keys", "https://gitlab.com"));
        let github = "https://token.actions.githubusercontent.com/.well-known/jwks";
        assert!(keys(github, "https://token.actions.githubusercontent.com/octo-enterprise"));
        assert!(!keys(github, "https://token.actions.githubusercontent.com"));
        assert!(keys("https://login.salesforce.com/id/keys", "https://acme.my.salesforce.com"));
        assert!(!keys("https://acme.auth0.com/.well-known/jwks.json", "https://acme.auth0.com/"));
        // Keys that were copied into the rule, or lie elsewhere, are still that issuer's.
        assert!(!keys("https://mirror.example.com/keys", "https://token.actions.githubusercontent.com"));
    }

    #[test]
    fn an_audience_alone_says_nothing_of_who_the_token_is_of() {
        let audience = Conditions { has_audiences: true, ..Conditions::default() };
        assert!(audience.compares_audience_only());
        let by_claim = Conditions { claims: vec![("aud", Some("scim"))], ..Conditions::default() };
        assert!(by_claim.compares_audience_only());
        let more = Conditions { claims: vec![("aud", Some("scim")), ("sub", Some("x"))], ..audience.clone() };
        assert!(!more.compares_audience_only());
        let issued = Conditions { issuer: Some("https://idp.example.com"), ..audience };
        assert!(!issued.compares_audience_only() && !Conditions::default().compares_audience_only());
    }
}
