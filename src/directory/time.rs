//! Times as SCIM writes them (RFC 7643 §2.3.5): UTC with milliseconds.

/// `2011-05-13T04:42:34.000Z` for milliseconds since the epoch.
pub(crate) fn to_text(ms: i64) -> String {
    let (seconds, milliseconds) = (ms.div_euclid(1000), ms.rem_euclid(1000));
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) =
        (second.div_euclid(3600), second.div_euclid(60).rem_euclid(60), second.rem_euclid(60));
    let mut text = String::with_capacity(24);
    let parts =
        [(year, 4, '-'), (month, 2, '-'), (day, 2, 'T'), (hour, 2, ':'), (minute, 2, ':'), (second, 2, '.')];
    for (number, width, behind) in parts.into_iter().chain([(milliseconds, 3, 'Z')]) {
        push(&mut text, number, width);
        text.push(behind);
    }
    text
}

/// A number of at least so many digits. A page has hundreds of times: `format!` would be a tenth of its work.
fn push(text: &mut String, number: i64, width: u32) {
    if !(0..10_i64.saturating_pow(width)).contains(&number) {
        text.push_str(&number.to_string());
        return;
    }
    for place in (0..width).rev() {
        let digit = number.checked_div(10_i64.saturating_pow(place)).unwrap_or(0).rem_euclid(10);
        text.push(u8::try_from(digit).map_or('0', |digit| char::from(b'0'.saturating_add(digit))));
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01: years are counted from 1 March, so
/// that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let day = days.saturating_add(719_468);
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let leaps = day_of_era
        .div_euclid(1460)
        .saturating_sub(day_of_era.div_euclid(36_524))
        .saturating_add(day_of_era.div_euclid(146_096));
    let year_of_era = day_of_era.saturating_sub(leaps).div_euclid(365);
    let before = year_of_era
        .saturating_mul(365)
        .saturating_add(year_of_era.div_euclid(4))
        .saturating_sub(year_of_era.div_euclid(100));
    let day_of_year = day_of_era.saturating_sub(before);
    let month_from_march = day_of_year.saturating_mul(5).saturating_add(2).div_euclid(153);
    let month_start = month_from_march.saturating_mul(153).saturating_add(2).div_euclid(5);
    let day = day_of_year.saturating_sub(month_start).saturating_add(1);
    let (month, next) = if month_from_march < 10 {
        (month_from_march.saturating_add(3), 0)
    } else {
        (month_from_march.saturating_sub(9), 1)
    };
    (era.saturating_mul(400).saturating_add(year_of_era).saturating_add(next), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times() {
        for (ms, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
            (1_795_464_000_123, "2026-11-23T20:00:00.123Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(to_text(ms), text);
        }
    }
}
