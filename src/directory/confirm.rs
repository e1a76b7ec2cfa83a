//! Confirmations: the words by which a person says that the consequences of a call are wanted.
//!
//! They name how many resources are concerned. A number may be off by one percent, since a busy directory changes
//! while somebody reads the sentence; any other word may not.

/// How far a number may be off, in percent.
const PERCENT: i64 = 1;

/// Users and groups, counted in words.
pub fn counted(users: i64, groups: i64) -> String {
    let noun = |count: i64, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{} and {}", noun(users, "user"), noun(groups, "group"))
}

/// Resources are replaced by those of another set.
pub fn replacement(users: i64, groups: i64) -> String {
    format!("replace {}", counted(users, groups))
}

/// Resources are merged with those of an import.
pub fn merge(users: i64, groups: i64) -> String {
    format!("merge into {}", counted(users, groups))
}

/// A copy becomes the system of record.
pub fn becomes_record(users: i64, groups: i64) -> String {
    format!("make the copy of {} the system of record", counted(users, groups))
}

/// A kept set is put back.
pub(crate) fn kept_in_place_of(kept_users: i64, kept_groups: i64, users: i64, groups: i64) -> String {
    format!("put back {} in place of {}", counted(kept_users, kept_groups), counted(users, groups))
}

/// Whether words that were sent are those that are asked for.
pub fn confirms(wanted: &str, sent: &str) -> bool {
    let (mut wanted, mut sent) = (wanted.split_whitespace(), sent.split_whitespace());
    loop {
        match (wanted.next(), sent.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_alike(one, other) => {}
            _ => return false,
        }
    }
}

fn is_alike(wanted: &str, sent: &str) -> bool {
    match (wanted.parse::<i64>(), sent.parse::<i64>()) {
        (Ok(wanted), Ok(sent)) => {
            wanted.abs_diff(sent).saturating_mul(100)
                <= wanted.unsigned_abs().saturating_mul(PERCENT.unsigned_abs())
        }
        (Err(_), Err(_)) => wanted.trim_end_matches('s') == sent.trim_end_matches('s'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_must_be_right_and_the_words_the_same() {
        let wanted = replacement(1204, 31);
        assert_eq!(wanted, "replace 1204 users and 31 groups");
        for sent in ["replace 1204 users and 31 groups", " replace  1210 users and 31 groups "] {
            assert!(confirms(&wanted, sent), "{sent}");
        }
        for sent in [
            "",
            "replace",
            "replace 1204 users",
            "replace 1204 users and 32 groups",
            "replace 1300 users and 31 groups",
            "replace 1204 users and 31 groups now",
            "replace 31 users and 1204 groups",
            "replace many users and 31 groups",
            &becomes_record(1204, 31),
        ] {
            assert!(!confirms(&wanted, sent), "{sent}");
        }
        assert_eq!(replacement(1, 1), "replace 1 user and 1 group");
        assert!(confirms(&replacement(1, 0), "replace 1 users and 0 groups"));
        assert!(!confirms(&replacement(3, 0), "replace 2 users and 0 groups"));
    }
}
