//! Services at which anybody can get a token, and the claims and issuers that name a tenant of each: see
//! [`crate::shared_hosts`].

use crate::shared_hosts::{Conditions, top_level};
use url::Url;

/// Hosts of one service, and how a rule names its tenant.
pub(crate) struct Service {
    hosts: &'static [Hosts],
    /// Claims that name the tenant, and the values of them that do.
    claims: &'static [(&'static str, Value)],
    /// Whether an issuer names the tenant; none where no issuer does.
    issuer: Option<fn(&Url) -> bool>,
}

enum Hosts {
    /// This one.
    Is(&'static str),
    /// All that begin and end so.
    Between(&'static str, &'static str),
    /// This one, on the paths for which the function holds.
    On(&'static str, fn(&str) -> bool),
}

enum Value {
    Any,
    Begins(&'static str),
    Ends(&'static str),
    Not(&'static str),
}

use Hosts::{Between, Is, On};
use Value::{Any, Begins, Ends, Not};

/// The tenant of Microsoft's personal accounts: anybody's.
pub(crate) const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

const SERVICES: [Service; 23] = [
    // Entra ID, in all clouds.
    Service {
        hosts: &[
            Is("login.microsoftonline.com"),
            Is("login.microsoft.com"),
            Is("login.windows.net"),
            Is("sts.windows.net"),
            Is("login.live.com"),
            Is("login.microsoftonline.us"),
            Is("sts.microsoftonline.us"),
            Is("login.microsoftonline.de"),
            Is("sts.microsoftonline.de"),
            Is("login.chinacloudapi.cn"),
            Is("sts.chinacloudapi.cn"),
            Is("login.partner.microsoftonline.cn"),
        ],
        claims: &[("tid", Not(CONSUMERS))],
        issuer: Some(|issuer| {
            let tenant = first_segment(issuer);
            !["", "common", "organizations", "consumers", CONSUMERS].contains(&tenant.as_str())
        }),
    },
    // Firebase: the audience is the project, as the issuer's path is.
    Service {
        hosts: &[
            Is("securetoken.google.com"),
            Is("session.firebase.google.com"),
            On("www.googleapis.com", |path| path.contains("/securetoken@system.")),
        ],
        claims: &[("aud", Any), ("sub", Any)],
        issuer: Some(has_path),
    },
    // Google accounts and service accounts: the audience is whatever a service account asks for.
    Service {
        hosts: &[Is("accounts.google.com"), On("www.googleapis.com", is_of_google)],
        claims: &[("sub", Any), ("hd", Any), ("azp", Any), ("email", Ends(".gserviceaccount.com"))],
        issuer: None,
    },
    // Google's Identity-Aware Proxy.
    Service {
        hosts: &[On("www.gstatic.com", |path| path.starts_with("/iap/")), Is("cloud.google.com")],
        claims: &[("sub", Any), ("aud", Begins("/projects/")), ("hd", Any)],
        issuer: None,
    },
    // GitHub Actions. A reusable workflow (job_workflow_ref) is anybody's to call; an enterprise can have an
    // issuer of its own.
    Service {
        hosts: &[Is("token.actions.githubusercontent.com")],
        claims: &[
            ("repository", Any),
            ("repository_id", Any),
            ("repository_owner", Any),
            ("repository_owner_id", Any),
            ("enterprise", Any),
            ("enterprise_id", Any),
            ("sub", Begins("repo:")),
        ],
        issuer: Some(has_path),
    },
    // GitLab.com: the same keys sign its users' sign-ins and the jobs of every project.
    Service {
        hosts: &[Is("gitlab.com")],
        claims: &[
            ("namespace_id", Any),
            ("namespace_path", Any),
            ("project_id", Any),
            ("project_path", Any),
            ("sub", Any),
        ],
        issuer: None,
    },
    Service {
        hosts: &[Is("api.bitbucket.org")],
        claims: &[("workspaceUuid", Any), ("repositoryUuid", Any), ("sub", Begins("{"))],
        issuer: Some(has_path),
    },
    Service {
        hosts: &[Is("agent.buildkite.com")],
        claims: &[
            ("organization_id", Any),
            ("organization_slug", Any),
            ("pipeline_id", Any),
            ("sub", Begins("organization:")),
        ],
        issuer: None,
    },
    Service {
        hosts: &[Is("oidc.circleci.com")],
        claims: &[
            ("oidc.circleci.com/project-id", Any),
            ("oidc.circleci.com/context-ids", Any),
            ("sub", Begins("org/")),
        ],
        issuer: Some(has_path),
    },
    Service {
        hosts: &[Is("app.terraform.io"), Is("app.eu.terraform.io")],
        claims: &[
            ("terraform_organization_id", Any),
            ("terraform_organization_name", Any),
            ("terraform_project_id", Any),
            ("terraform_workspace_id", Any),
            ("sub", Begins("organization:")),
        ],
        issuer: None,
    },
    Service {
        hosts: &[Is("oidc.vercel.com")],
        claims: &[("owner", Any), ("owner_id", Any), ("project_id", Any), ("sub", Begins("owner:"))],
        issuer: Some(has_path),
    },
    // One issuer for all organizations; the client is one organization's.
    Service {
        hosts: &[Is("oauth.id.jumpcloud.com"), Is("admin-oauth.id.jumpcloud.com")],
        claims: &[("client_id", Any), ("sub", Any)],
        issuer: None,
    },
    Service {
        hosts: &[
            Is("login.salesforce.com"),
            Is("test.salesforce.com"),
            Between("", ".my.salesforce.com"),
            Between("", ".my.salesforce-setup.com"),
        ],
        claims: &[("sub", Any), ("tnk", Any), ("client_id", Any)],
        issuer: Some(|issuer| issuer.host_str().is_some_and(|host| host.ends_with(".my.salesforce.com"))),
    },
    // The audience is the application, which Apple sets.
    Service {
        hosts: &[Is("appleid.apple.com"), Is("account.apple.com")],
        claims: &[("aud", Any), ("sub", Any)],
        issuer: None,
    },
    // Cognito's identity pools: the audience is the pool, which Amazon sets.
    Service {
        hosts: &[Is("cognito-identity.amazonaws.com")],
        claims: &[("aud", Any), ("sub", Any)],
        issuer: None,
    },
    Service {
        hosts: &[Is("slack.com")],
        claims: &[("https://slack.com/team_id", Any), ("sub", Any), ("aud", Any)],
        issuer: None,
    },
    // Azure DevOps: the issuer's path is the organization.
    Service {
        hosts: &[Is("vstoken.dev.azure.com")],
        claims: &[("org_id", Any), ("prj_id", Any), ("sub", Any)],
        issuer: Some(has_path),
    },
    Service {
        hosts: &[Is("api.pulumi.com")],
        claims: &[("org", Any), ("sub", Begins("pulumi:"))],
        issuer: None,
    },
    Service {
        hosts: &[Is("oidc.fly.io")],
        claims: &[("org_id", Any), ("org_name", Any), ("app_id", Any)],
        issuer: Some(has_path),
    },
    Service {
        hosts: &[Is("www.facebook.com"), Is("limited.facebook.com")],
        claims: &[("aud", Any), ("sub", Any)],
        issuer: None,
    },
    Service {
        hosts: &[On("www.linkedin.com", |path| path.starts_with("/oauth/"))],
        claims: &[("aud", Any), ("sub", Any)],
        issuer: None,
    },
    // Tenants of their own, which anybody can join or make: a client or a subject has to be named.
    Service {
        hosts: &[Between("", ".auth0.com")],
        claims: &[("azp", Any), ("client_id", Any), ("sub", Any), ("org_id", Any)],
        issuer: None,
    },
    Service {
        hosts: &[
            Between("dev-", ".okta.com"),
            Between("trial-", ".okta.com"),
            Between("integrator-", ".okta.com"),
            Between("", ".oktapreview.com"),
        ],
        claims: &[("cid", Any), ("client_id", Any), ("azp", Any), ("uid", Any), ("sub", Any)],
        issuer: None,
    },
];

/// Google's keys of its own; those of one service account (`…@project.iam.gserviceaccount.com`) are its owner's.
fn is_of_google(path: &str) -> bool {
    !path.ends_with(".iam.gserviceaccount.com")
}

fn has_path(issuer: &Url) -> bool {
    !first_segment(issuer).is_empty()
}

fn first_segment(url: &Url) -> String {
    let first = url.path().split('/').find(|segment| !segment.is_empty());
    first.unwrap_or_default().to_ascii_lowercase()
}

impl Hosts {
    fn has(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        match self {
            Is(name) => host == *name,
            Between(first, last) => {
                host.strip_suffix(last).is_some_and(|name| !name.is_empty() && name.starts_with(first))
            }
            On(name, is_shared) => host == *name && is_shared(&url.path().to_ascii_lowercase()),
        }
    }
}

impl Value {
    fn names(&self, value: &str) -> bool {
        match self {
            Any => true,
            Begins(start) => value.starts_with(start),
            Ends(end) => value.ends_with(end),
            Not(other) => !value.eq_ignore_ascii_case(other),
        }
    }
}

impl Service {
    /// The service of a URL's host.
    pub(crate) fn of(url: &Url) -> Option<&'static Self> {
        SERVICES.iter().find(|service| service.hosts.iter().any(|hosts| hosts.has(url)))
    }

    /// The claims that name a tenant.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &'static str> {
        self.claims.iter().map(|(name, _)| *name)
    }

    /// Whether some issuers name a tenant.
    pub(crate) fn has_issuers(&self) -> bool {
        self.issuer.is_some()
    }

    /// Whether a rule's conditions name a tenant.
    pub(crate) fn is_named_by(&self, conditions: &Conditions<'_>) -> bool {
        let by_issuer = |text: &str| {
            let url = Url::parse(text.trim()).ok();
            self.issuer.zip(url).is_some_and(|(names, url)| names(&url))
        };
        let by_claim = |(field, wanted): &(&str, Option<&str>)| {
            let name = top_level(field);
            if name == "iss" {
                return wanted.is_none_or(by_issuer);
            }
            self.claims.iter().any(|(claim, value)| {
                *claim == name && wanted.is_none_or(|wanted| value.names(wanted.trim()))
            })
        };
        let by_audience = || self.claims.iter().any(|(claim, value)| *claim == "aud" && matches!(value, Any));
        conditions.issuer.is_some_and(by_issuer)
            || conditions.claims.iter().any(by_claim)
            || conditions.has_audiences && by_audience()
    }
}
