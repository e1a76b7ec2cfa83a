//! Instants: what a dateTime (RFC 7643 §2.3.5, an XML Schema `dateTime` in RFC 3339's spelling) means.
//!
//! `2011-05-13T06:42:34.500+02:00` and `2011-05-13T04:42:34.5Z` are one instant. A time without an
//! offset is taken as UTC, since XML Schema allows it. Digits of a second beyond the eighteenth are
//! ignored.

/// A point in time. Orders by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    /// Whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    seconds: i64,
    /// 10⁻¹⁸ seconds beyond them.
    attoseconds: u64,
}

impl Instant {
    /// Reads a date and time of day.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_at_checked(10)?;
        let time = time.strip_prefix(['T', 't', ' '])?;
        let (clock, rest) = time.split_at_checked(8)?;
        let (fraction, offset) = match rest.strip_prefix('.') {
            Some(rest) => {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let (fraction, offset) = rest.split_at_checked(digits)?;
                (attoseconds(fraction)?, offset)
            }
            None => (0, rest),
        };
        let [hour, minute, second] = numbers(clock, ':')?;
        // Midnight at the end of a day and a leap second are the first moment of what follows.
        let valid = (hour < 24 && minute < 60 && second <= 60)
            || (hour == 24 && minute == 0 && second == 0 && fraction == 0);
        if !valid {
            return None;
        }
        let of_day = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second)?;
        let seconds = midnight(date)?.checked_add(of_day)?.checked_sub(offset_seconds(offset)?)?;
        Some(Self { seconds, attoseconds: fraction })
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, and 10⁻¹⁸ seconds beyond them.
    pub(crate) fn parts(self) -> (i64, u64) {
        (self.seconds, self.attoseconds)
    }

    pub(crate) fn from_parts(seconds: i64, attoseconds: u64) -> Self {
        Self { seconds, attoseconds }
    }

    /// Whole milliseconds since 1970-01-01T00:00:00Z.
    pub fn milliseconds(self) -> i64 {
        let beyond = i64::try_from(self.attoseconds.div_euclid(1_000_000_000_000_000)).unwrap_or(0);
        self.seconds.saturating_mul(1000).saturating_add(beyond)
    }

    /// Reads a date and time of day, or a date alone, which means its first moment in UTC.
    pub fn parse_or_date(text: &str) -> Option<Self> {
        if text.len() == 10 {
            return Some(Self { seconds: midnight(text)?, attoseconds: 0 });
        }
        Self::parse(text)
    }
}

/// `a:b:c`, two digits each.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let numbers = [two(parts.next()?)?, two(parts.next()?)?, two(parts.next()?)?];
    parts.next().is_none().then_some(numbers)
}

fn two(text: &str) -> Option<i64> {
    number(text, 2)
}

fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// The seconds at which a date `YYYY-MM-DD` begins in UTC.
fn midnight(date: &str) -> Option<i64> {
    let mut parts = date.splitn(3, '-');
    let year = number(parts.next()?, 4)?;
    let (month, day) = (two(parts.next()?)?, two(parts.next()?)?);
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let (before, length) = match month {
        1 => (0, 31),
        2 => (31, if leap { 29 } else { 28 }),
        3 => (59, 31),
        4 => (90, 30),
        5 => (120, 31),
        6 => (151, 30),
        7 => (181, 31),
        8 => (212, 31),
        9 => (243, 30),
        10 => (273, 31),
        11 => (304, 30),
        12 => (334, 31),
        _ => return None,
    };
    if day < 1 || day > length {
        return None;
    }
    // Days before 1 January of the year in the proleptic Gregorian calendar, counted from year 0.
    let whole = year.checked_sub(1)?;
    let leaps = whole.div_euclid(4).checked_sub(whole.div_euclid(100))?.checked_add(whole.div_euclid(400))?;
    let of_year = year.checked_mul(365)?.checked_add(leaps)?;
    let past_leap_day = i64::from(leap && month > 2);
    let days = of_year.checked_add(before)?.checked_add(past_leap_day)?.checked_add(day)?;
    days.checked_sub(EPOCH)?.checked_mul(86_400)
}

/// 1970-01-01 in the count of [`midnight`].
const EPOCH: i64 = 1970 * 365 + 477 + 1;

fn attoseconds(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(18);
    Some(digits.fold(0, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')))))
}

fn offset_seconds(offset: &str) -> Option<i64> {
    let (sign, rest) = match offset.split_at_checked(1) {
        None => return Some(0),
        Some(("Z" | "z", "")) => return Some(0),
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        Some(_) => return None,
    };
    let (hour, minute) = rest.split_once(':')?;
    let (hour, minute) = (two(hour)?, two(minute)?);
    if hour > 23 || minute > 59 {
        return None;
    }
    hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_epoch() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2000-03-01T00:00:00Z", 951_868_800),
            ("2011-05-13T04:42:34Z", 1_305_261_754),
            ("2024-12-31T23:59:60Z", 1_735_689_600),
            ("2024-12-31T24:00:00Z", 1_735_689_600),
            ("0001-01-01T00:00:00Z", -62_135_596_800),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31t20:30:00-03:30", 0),
            ("1970-01-01 00:00:00", 0),
        ] {
            assert_eq!(Instant::parse(text), Some(Instant { seconds, attoseconds: 0 }), "{text}");
        }
    }

    #[test]
    fn compares_precisions_and_offsets() {
        let at = |text| Instant::parse(text).unwrap();
        assert_eq!(at("2011-05-13T06:42:34.500+02:00"), at("2011-05-13T04:42:34.5Z"));
        assert!(at("2011-05-13T04:42:34.0000001Z") > at("2011-05-13T04:42:34Z"));
        assert!(at("2011-05-13T04:42:34.10Z") < at("2011-05-13T04:42:34.9Z"));
        assert_eq!(Instant::parse_or_date("2011-05-13"), Instant::parse("2011-05-13T00:00:00Z"));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2011",
            "2011-05-13",
            "2011-05-13T",
            "2011-05-13T04:42Z",
            "2011-05-13T04:42:34.Z",
            "2011-05-13T04:42:34ZZ",
            "2011-05-13T04:42:34+0200",
            "2011-05-13T04:42:34+24:00",
            "2011-13-01T00:00:00Z",
            "2011-02-29T00:00:00Z",
            "2011-04-31T00:00:00Z",
            "2011-05-00T00:00:00Z",
            "2011-05-13T24:00:01Z",
            "2011-05-13T04:60:00Z",
            "+011-05-13T04:42:34Z",
            "2011-05-13T04:4ä:34Z",
            "2011-5-13T004:42:34Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }
}
