//! Reads in front of an origin: from the copy where it is right, else from the origin.

use crate::ask::{asked, has_own_cursor, lacks};
use crate::copies::is_too_old;
use crate::directory::{Directory, Incoming, dialect, internal, let_others_in, respond};
use crate::environment::now_ms;
use crate::http::{Response, scim_error};
use crate::origin::Origin;
use crate::replica::{Sent, is_scim};
use scim_edge_account::published::DirectorySettings;
use scim_edge_account::supplement::Supplement;
use scim_edge_directory::replica::State;
use scim_edge_directory::scan::Scan;
use scim_edge_scim::endpoint::{Endpoint, Kind};
use scim_edge_scim::error::Error as ScimError;
use scim_edge_scim::query::Query;
use worker::Result;

impl Directory {
    pub(crate) async fn read(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
    ) -> Result<Response> {
        let scan = Scan::default();
        loop {
            // Before each turn anew: what was right to answer from the copy may be so no more.
            if let Some(response) = self.read_for_a_turn(incoming, settings, origin, &scan).await? {
                return Ok(response);
            }
            let_others_in().await?;
        }
    }

    async fn read_for_a_turn(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
        scan: &Scan,
    ) -> Result<Option<Response>> {
        let state = self.store()?.replica().map_err(internal)?.unwrap_or_else(|| State::new(&origin.base));
        if self.is_for_origin(incoming, settings, &state)? {
            return self.forward_read(incoming, origin, "bypass").await.map(Some);
        }
        if let Some(why) = self.why_forward(incoming, settings, origin, &state).await? {
            // An origin that does not know filters shows everything, and the client would take the
            // first resource for the one it asked for. A cursor of the copy has no meaning at the origin.
            if has_own_cursor(incoming)
                || asked(incoming).iter().any(|feature| lacks(state.capabilities.as_ref(), *feature))
            {
                let sentence = "The origin cannot answer this, and the gateway's copy of it is not complete";
                return scim_error(&ScimError::status(503, sentence), &[("retry-after", "5")]).map(Some);
            }
            return self.forward_read(incoming, origin, why).await.map(Some);
        }
        self.shown_from_copy(incoming, settings, &state, scan)
    }

    /// Whether a read is left to the origin, however right the copy is.
    pub(crate) fn is_for_origin(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        state: &State,
    ) -> Result<bool> {
        let lacking = |feature: &Supplement| lacks(state.capabilities.as_ref(), *feature);
        let off = |feature: &Supplement| !settings.adds(*feature);
        let is_left_to_origin = asked(incoming)
            .iter()
            .any(|feature| off(feature) && (lacking(feature) || *feature == Supplement::Projection));
        Ok(is_left_to_origin || self.is_hidden(incoming, settings, state)?)
    }

    /// Answers from the copy, or does a part of that, and says how old it is.
    pub(crate) fn shown_from_copy(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        state: &State,
        scan: &Scan,
    ) -> Result<Option<Response>> {
        let age = now_ms().saturating_sub(state.synced_at.unwrap_or(0)).max(0) / 1000;
        let ttl = i64::from(settings.max_staleness_seconds).saturating_sub(age);
        let status = format!("scim-edge; hit; ttl={ttl}");
        let age = age.to_string();
        let response = self.local_in_turns(incoming, settings, scan)?;
        response.map(|response| respond(response, &[("cache-status", &status), ("age", &age)])).transpose()
    }

    /// Whether a read concerns attributes that the origin does not tell the copy.
    fn is_hidden(&self, incoming: &Incoming, settings: &DirectorySettings, state: &State) -> Result<bool> {
        let named = |name: &str| settings.hidden_attributes.iter().any(|hidden| hidden == name);
        let store = self.store()?;
        let concerns = |kind: Kind, attribute: &str| match &incoming.endpoint {
            Endpoint::Collection(of) | Endpoint::Resource(of, _) => {
                *of == kind && store.concerns(&incoming.query, dialect(settings), attribute)
            }
            Endpoint::Search(of) => of.is_none_or(|of| of == kind),
            _ => true,
        };
        // The copy has no attributes that the origin returns on request only.
        let on_request = |kind: Kind| {
            if store.on_request(kind).is_none() {
                return false;
            }
            let body = String::from_utf8_lossy(&incoming.body);
            let text = Query::parse(&incoming.query).map_or_else(
                |_| String::new(),
                |query| query.iter().map(|(_, value)| value).collect::<Vec<_>>().join(" "),
            );
            store.asks_on_request(kind, &text) || store.asks_on_request(kind, &body)
        };
        if on_request(Kind::User) || on_request(Kind::Group) {
            return Ok(true);
        }
        let members = (state.hides_members || named("members")) && concerns(Kind::Group, "members");
        Ok(members || (named("groups") && concerns(Kind::User, "groups")))
    }

    /// Why a read has to go to the origin (RFC 9211 §2.2), if it has to.
    async fn why_forward(
        &self,
        incoming: &Incoming,
        settings: &DirectorySettings,
        origin: &Origin,
        state: &State,
    ) -> Result<Option<&'static str>> {
        if state.filling.is_some() {
            return Ok(Some("miss"));
        }
        if !self.settle_for(&incoming.endpoint, origin).await? {
            return Ok(Some("stale"));
        }
        // The copy may have been begun anew meanwhile.
        if self.store()?.replica().map_err(internal)?.is_none_or(|state| state.filling.is_some()) {
            return Ok(Some("miss"));
        }
        // What one reader has seen at the origin already, the next must not miss.
        if self.memory.races.is_seen(|kind, id| self.concerns(&incoming.endpoint, kind, id)) {
            return Ok(Some("stale"));
        }
        Ok(is_too_old(settings, state).then_some("stale"))
    }

    /// Settles the writes of unknown outcome that a read could show; whether that succeeded.
    async fn settle_for(&self, endpoint: &Endpoint, origin: &Origin) -> Result<bool> {
        let store = self.store()?;
        let mut settled = true;
        for intent in store.unknown().map_err(internal)? {
            if !self.concerns(endpoint, intent.kind, intent.id.as_deref()) {
                continue;
            }
            let Some(id) = &intent.id else {
                // Something may have been created: only a whole reconciliation finds it.
                settled = false;
                continue;
            };
            let _turn = self.memory.locks.acquire((intent.kind, id.clone())).await;
            if !self.reread_written(intent.kind, id, origin).await? {
                // An origin that cannot tell of one is not asked for the others: the read goes there as it is.
                return Ok(false);
            }
            store.settle(intent.number).map_err(internal)?;
        }
        Ok(settled)
    }

    /// Whether a read could show a write; one without an id creates.
    fn concerns(&self, endpoint: &Endpoint, kind: Kind, id: Option<&str>) -> bool {
        match endpoint {
            // A user's groups are other resources.
            Endpoint::Resource(Kind::User, _) if kind == Kind::Group => true,
            Endpoint::Resource(of, asked) if *of == kind => match id {
                Some(id) => id == asked,
                // What the copy has was not created now.
                None => {
                    !self.store().and_then(|store| store.has(kind, asked).map_err(internal)).unwrap_or(false)
                }
            },
            // A user who is deleted leaves groups.
            Endpoint::Resource(Kind::Group, _) | Endpoint::Collection(Kind::Group) if kind == Kind::User => {
                id.is_some()
            }
            Endpoint::Resource(..) => false,
            _ => true,
        }
    }

    async fn forward_read(&self, incoming: &Incoming, origin: &Origin, why: &str) -> Result<Response> {
        let answered = match self.send(incoming, origin, None).await? {
            Sent::Answered(answered) => answered,
            Sent::Refused(response) | Sent::Unknown(response) => return Ok(response),
        };
        self.memory.races.note_seen();
        // Something in front of an origin that is away says that all is well, or that nothing is there.
        if matches!(answered.status, 200..300 | 404 | 410) && !is_scim(&answered) {
            let error = ScimError::status(502, "The origin's answer is not SCIM");
            return scim_error(&error, &[("retry-after", "5")]);
        }
        let status = format!("scim-edge; fwd={why}; fwd-status={}", answered.status);
        self.pass(incoming, origin, &answered, &status)
    }
}
