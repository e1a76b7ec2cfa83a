// What the settings' names do not say, and the order in which people think of them.

export const HELP = {
  scim_jwt_token_jwks_keys_url: "Where the issuer's public keys are: an https URL that needs no credentials.",
  scim_jwt_token_key_field: "The claim that says whose token it is, such as sub. A path into the claims begins with /.",
  scim_jwt_token_value_field: "What that claim must be. Of a claim with several values, one must be it.",
  scim_jwt_token_service_account_id: "Whom a request with such a token acts as.",
  scim_jwt_token_issuer: "What iss must be, to the letter. Without it any issuer of these keys is trusted.",
  scim_jwt_token_audience: "One of these must be in aud. Separate several with commas.",
  scim_jwt_token_algorithms: "Accepted signature algorithms, separated by commas.",
  scim_jwt_token_clock_skew_seconds: "How far the issuer's clock may be off: 0 to 300.",
  scim_jwt_token_max_lifetime_seconds: "The longest time from iat to exp. Longer-lived tokens are refused.",
  scim_origin_url: "The SCIM base of your API. Without one the gateway itself is the system of record.",
  scim_origin_authorization: "Sent to the origin with every request; passthrough sends the caller's own. Kept sealed, never shown.",
  scim_origin_supplements: "What the gateway does itself where the origin says it cannot; none turns all of it off.",
  scim_origin_hidden_attributes: "members, groups: what the origin's reads leave out is always asked of the origin.",
  scim_replica_max_staleness_seconds: "How old answers may be: 30 to 86400. The copy is compared with the origin in half that time.",
  scim_replica_when_stale: "serve answers from the copy and says how old it is; forward asks the origin.",
  scim_brake_removals_per_hour: "How many users, or groups, may be deleted or deactivated in an hour before more are stopped; off turns the brake off.",
  scim_brake_removals_percent: "Stopped are only removals that are more than this share of all, too: 0 to 100.",
  scim_brake_least_resources: "A directory with fewer users and groups has no brake.",
  scim_patch_answer: "resource shows the changed resource; empty answers 204.",
  scim_dialect: "tolerant reads what known clients send beside the standard; strict does not.",
  scim_group_names: "unique refuses a second group of the same name; any takes it.",
  scim_unknown_members: "Members that do not exist: refuse the request, accept and keep them, or ignore them and do the rest.",
};

const GROUPS = [
  { title: "Whose tokens are trusted", prefix: "scim_jwt_" },
  { title: "Origin", prefix: "scim_origin_" },
  { title: "Replica", prefix: "scim_replica_" },
  { title: "Brake on removals", prefix: "scim_brake_" },
  { title: "Protocol", prefix: "" },
];

/** The settings under their headings; each is under the first that fits. */
export function groupsOf(list) {
  const left = new Set(list);
  return GROUPS.map(({ title, prefix }) => {
    const settings = [...left].filter(({ setting }) => setting.identifier.startsWith(prefix));
    for (const one of settings) left.delete(one);
    return { title, settings };
  }).filter(({ settings }) => settings.length > 0);
}
