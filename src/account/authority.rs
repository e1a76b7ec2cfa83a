//! The newest document of an account that its directory was told, and its judgment of requests that were admitted by
//! an older one.
//!
//! An isolate admits a request by the document that it knows, which may be old: KV is slow, or lost a write. The
//! Account object tells the directory of each new version, and the directory judges every request by it, once more
//! after the request's body was read. INVARIANT: a newer document is never replaced by an older one.

use crate::published::Published;
use scim_edge_policy::mode::Mode;
use scim_edge_policy::permission::Permissions;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The credential that a request was admitted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Credential {
    /// The root key.
    Root,
    /// An API key, by its identifier.
    Key(String),
    /// A token, by the name of the rule that trusts it.
    Rule(String),
}

/// The grounds on which a request was admitted.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// The version of the document.
    pub version: u64,
    /// The credential; none if the isolate runs an earlier deployment.
    pub credential: Option<&'a Credential>,
    /// The principal that the request acts as.
    pub principal: &'a str,
}

/// The judgment of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgment {
    /// It was admitted by the newest document that is known here.
    Current,
    /// The newer document admits it too, with these permissions and in this mode.
    Admitted(Permissions, Mode),
    /// The account was deleted after the request was admitted.
    Deleted,
    /// The credential or its principal is gone.
    Revoked,
    /// The rule has changed since: only the isolate can verify the token by the new one.
    Unproven,
}

/// The newest document that a directory knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authority {
    document: Published,
    /// The version since which each rule is as it is, by name.
    rules: BTreeMap<String, u64>,
    /// The version of the last tombstone: requests up to it are of a deleted account.
    deleted: u64,
}

impl Authority {
    /// The first document that a directory is told.
    pub fn first(document: Published) -> Self {
        let rules = document.rules.iter().map(|rule| (rule.name.clone(), document.version)).collect();
        let deleted = if document.deleted { document.version } else { 0 };
        Self { document, rules, deleted }
    }

    /// This with a newer document; none if the document is not newer.
    #[must_use]
    pub fn with(&self, document: Published) -> Option<Self> {
        if document.version <= self.document.version {
            return None;
        }
        let mut next = Self::first(document);
        for rule in self.document.rules.iter().filter(|rule| next.document.rules.contains(rule)) {
            if let Some(since) = self.rules.get(&rule.name) {
                next.rules.insert(rule.name.clone(), *since);
            }
        }
        next.deleted = next.deleted.max(self.deleted);
        Some(next)
    }

    /// The document.
    pub fn document(&self) -> &Published {
        &self.document
    }

    /// The document's version.
    pub fn version(&self) -> u64 {
        self.document.version
    }

    /// Whether a request by a document of this version is of a deleted account.
    pub fn is_deleted(&self, version: u64) -> bool {
        version <= self.deleted
    }

    /// Judges a request.
    pub fn judge(&self, grounds: Grounds<'_>, now_ms: i64) -> Judgment {
        if self.is_deleted(grounds.version) {
            return Judgment::Deleted;
        }
        if grounds.version >= self.document.version {
            return Judgment::Current;
        }
        if self.document.deleted {
            return Judgment::Deleted;
        }
        let admitted = match grounds.credential {
            Some(Credential::Root) => Some((Permissions::all(), Mode::Normal)),
            Some(Credential::Key(identifier)) => {
                let key = self.document.api_keys.get(identifier);
                let key = key.filter(|key| key.expires_at.is_none_or(|expiry| now_ms < expiry));
                key.map(|key| self.document.held_by(key))
            }
            Some(Credential::Rule(name)) => match self.rules.get(name) {
                None => None,
                Some(since) if *since > grounds.version => return Judgment::Unproven,
                Some(_) => self.document.service_account(grounds.principal),
            },
            None => return Judgment::Unproven,
        };
        admitted.map_or(Judgment::Revoked, |(held, mode)| Judgment::Admitted(held, mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::published::{PublishedKey, Restricted};
    use scim_edge_policy::permission::Permission;
    use scim_edge_policy::rule::TrustRule;

    fn rule(issuer: &str) -> TrustRule {
        TrustRule {
            name: "okta".to_owned(),
            jwks_url: Some("https://issuer.example/keys".to_owned()),
            jwks: None,
            issuer: Some(issuer.to_owned()),
            audiences: Vec::new(),
            algorithms: Vec::new(),
            claims: Vec::new(),
            service_account: "hr".to_owned(),
            clock_skew_seconds: 0,
            max_lifetime_seconds: None,
            token_types: Vec::new(),
            dpop: false,
        }
    }

    fn document(version: u64, permissions: &[Permission]) -> Published {
        let permissions: Permissions = permissions.iter().copied().collect();
        let key = PublishedKey {
            hash: String::new(),
            service_account: Some("hr".to_owned()),
            permissions,
            expires_at: Some(1_000),
        };
        let mut document = Published::of(&Document::new("acme", 0));
        document.version = version;
        document.rules = vec![rule("https://issuer.example")];
        document.service_accounts.insert("hr".to_owned(), permissions);
        document.api_keys.insert("k1".to_owned(), key);
        document
    }

    fn judge(authority: &Authority, version: u64, credential: &Credential) -> Judgment {
        authority.judge(Grounds { version, credential: Some(credential), principal: "hr" }, 0)
    }

    fn key() -> Credential {
        Credential::Key("k1".to_owned())
    }

    fn token() -> Credential {
        Credential::Rule("okta".to_owned())
    }

    #[test]
    fn authority_judges_by_the_newest_document() {
        let view = [Permission::UserView];
        let authority = Authority::first(document(5, &[]));
        assert_eq!(judge(&authority, 5, &key()), Judgment::Current);
        assert_eq!(judge(&authority, 6, &key()), Judgment::Current, "the isolate knows more");
        let authority = authority.with(document(6, &view)).unwrap();
        let admitted = Judgment::Admitted(view.into_iter().collect(), Mode::Normal);
        assert_eq!(judge(&authority, 5, &key()), admitted);
        assert_eq!(judge(&authority, 5, &token()), admitted);
        let late = Grounds { version: 5, credential: Some(&key()), principal: "hr" };
        assert_eq!(authority.judge(late, 1_000), Judgment::Revoked, "the key has expired");
    }

    #[test]
    fn authority_has_the_mode_of_the_newest_document() {
        let authority = Authority::first(document(5, &[Permission::UserManage]));
        let mut shadow = document(6, &[]);
        let permissions = [Permission::UserManage].into_iter().collect();
        shadow.service_accounts.clear();
        shadow.restricted.insert("hr".to_owned(), Restricted { mode: Mode::Shadow, permissions });
        let authority = authority.with(shadow).unwrap();
        for credential in [key(), token()] {
            assert_eq!(judge(&authority, 5, &credential), Judgment::Admitted(permissions, Mode::Shadow));
        }
    }

    #[test]
    fn authority_refuses_a_credential_that_is_gone() {
        let authority = Authority::first(document(5, &[]));
        let mut without_key = document(6, &[]);
        without_key.api_keys.clear();
        let authority = authority.with(without_key).unwrap();
        assert_eq!(judge(&authority, 5, &key()), Judgment::Revoked);
        assert_ne!(judge(&authority, 5, &token()), Judgment::Revoked);
        let mut without_account = document(7, &[]);
        without_account.service_accounts.clear();
        let authority = authority.with(without_account).unwrap();
        assert_eq!(judge(&authority, 5, &token()), Judgment::Revoked);
        let mut without_rule = document(8, &[]);
        without_rule.rules.clear();
        let authority = authority.with(without_rule).unwrap();
        assert_eq!(judge(&authority, 5, &token()), Judgment::Revoked);
    }

    #[test]
    fn authority_does_not_take_a_token_by_a_rule_that_has_changed() {
        let mut changed = document(6, &[]);
        changed.rules = vec![rule("https://other.example")];
        let authority = Authority::first(document(5, &[])).with(changed.clone()).unwrap();
        assert_eq!(judge(&authority, 5, &token()), Judgment::Unproven);
        changed.version = 7;
        let authority = authority.with(changed).unwrap();
        assert_eq!(judge(&authority, 5, &token()), Judgment::Unproven);
        assert!(matches!(judge(&authority, 6, &token()), Judgment::Admitted(..)));
        let unknown = Grounds { version: 6, credential: None, principal: "hr" };
        assert_eq!(authority.judge(unknown, 0), Judgment::Unproven, "of an earlier deployment");
    }

    #[test]
    fn authority_never_goes_back_in_any_order() {
        let told = [document(5, &[]), document(6, &[Permission::UserView]), Published::tombstone("acme", 7)];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut authority: Option<Authority> = None;
            for document in order.map(|place| told[place].clone()) {
                authority = match authority {
                    None => Some(Authority::first(document)),
                    Some(known) => known.with(document).or(Some(known)),
                };
            }
            let authority = authority.unwrap();
            assert_eq!(authority.version(), 7, "{order:?}");
            for credential in [key(), token(), Credential::Root] {
                assert_eq!(judge(&authority, 6, &credential), Judgment::Deleted);
            }
        }
    }

    #[test]
    fn authority_of_an_account_made_again_refuses_requests_of_the_deleted_one() {
        let deleted = Authority::first(document(5, &[])).with(Published::tombstone("acme", 7)).unwrap();
        let again = deleted.with(document(100, &[])).unwrap();
        for credential in [key(), token(), Credential::Root] {
            assert_eq!(judge(&again, 5, &credential), Judgment::Deleted);
        }
        assert_eq!(judge(&again, 100, &key()), Judgment::Current);
        // What is kept over a restart.
        let text = serde_json::to_string(&again).unwrap();
        assert_eq!(serde_json::from_str::<Authority>(&text).unwrap(), again);
    }
}
