//! Where callers are, and which of the regions that have copies is near them.
//!
//! Regions are the platform's location hints for objects; of a caller the platform tells the continent, and the
//! longitude where it knows it.

/// Every region that an object can be asked to be in.
pub const REGIONS: [&str; 9] = ["wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me"];

/// West of these longitudes, in degrees, the first of two regions of a continent is nearer than the second.
const NORTH_AMERICA: f64 = -100.0;
const EUROPE: f64 = 15.0;
const ASIA: f64 = 60.0;

/// The regions in a list that is separated by commas; what is none is left out.
pub fn listed(text: &str) -> Vec<&'static str> {
    let named = |name: &str| REGIONS.into_iter().find(|region| *region == name.trim());
    text.split(',').filter_map(named).collect()
}

/// The region of `listed` that is near a place; none where none is.
pub fn near(continent: &str, longitude: Option<f64>, listed: &[&'static str]) -> Option<&'static str> {
    let is_west = |of: f64| longitude.is_some_and(|longitude| longitude < of);
    let wanted: &[&str] = match continent {
        "NA" if is_west(NORTH_AMERICA) => &["wnam", "enam"],
        "NA" => &["enam", "wnam"],
        "EU" if longitude.is_none() || is_west(EUROPE) => &["weur", "eeur"],
        "EU" => &["eeur", "weur"],
        "AS" if is_west(ASIA) => &["me"],
        "AS" => &["apac"],
        "SA" => &["sam"],
        "OC" => &["oc"],
        "AF" => &["afr"],
        _ => &[],
    };
    wanted.iter().find_map(|wanted| listed.iter().copied().find(|region| region == wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_regions_only() {
        assert_eq!(listed(" weur, apac,nowhere,,WEUR"), ["weur", "apac"]);
        assert_eq!(listed(""), [] as [&str; 0]);
    }

    #[test]
    fn callers_are_near_a_region_of_their_continent() {
        let all = REGIONS;
        for (continent, longitude, region) in [
            ("NA", None, Some("enam")),
            ("NA", Some(-122.4), Some("wnam")),
            ("EU", None, Some("weur")),
            ("EU", Some(2.3), Some("weur")),
            ("EU", Some(21.0), Some("eeur")),
            ("AS", Some(46.7), Some("me")),
            ("AS", None, Some("apac")),
            ("SA", None, Some("sam")),
            ("OC", None, Some("oc")),
            ("AF", None, Some("afr")),
            ("AN", None, None),
            ("", None, None),
        ] {
            assert_eq!(near(continent, longitude, &all), region, "{continent} {longitude:?}");
        }
    }

    #[test]
    fn a_region_that_is_not_listed_has_its_neighbour_or_none() {
        assert_eq!(near("EU", Some(21.0), &["weur", "enam"]), Some("weur"));
        assert_eq!(near("NA", Some(-122.4), &["weur", "enam"]), Some("enam"));
        assert_eq!(near("AS", None, &["weur", "enam"]), None);
        assert_eq!(near("EU", None, &[]), None);
    }
}
