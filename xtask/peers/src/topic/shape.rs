//! Filters and names: what is subscribed to and published. Made from numbers, the same in every run.

/// A generator of numbers (SplitMix64): small, and the same everywhere.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence that begins with this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let value = value ^ (value >> 31);
        ((u128::from(value) * bound as u128) >> 64) as usize
    }
}

/// How many of each level there are in [`name`]: a million names.
const LEVELS: [(&str, usize); 4] = [("site", 20), ("line", 20), ("device", 50), ("metric", 50)];

/// One of a million names of four levels.
pub fn name(numbers: &mut Numbers) -> String {
    levels(numbers).join("/")
}

fn levels(numbers: &mut Numbers) -> Vec<String> {
    LEVELS
        .iter()
        .map(|(stem, count)| format!("{stem}{}", numbers.below(*count)))
        .collect()
}

/// The filter of one subscription among many: of a hundred, 85 are a name, ten have a `+` in place of one level, five
/// a `#` in place of the last.
pub fn filter(numbers: &mut Numbers) -> String {
    filter_among(numbers, 1)
}

/// The same among so many times a million names.
pub fn filter_among(numbers: &mut Numbers, millions: usize) -> String {
    let mut levels = levels(numbers);
    if millions > 1 {
        levels[LEVELS.len() - 1] += &format!("-{}", numbers.below(millions));
    }
    match numbers.below(100) {
        0..85 => {}
        85..95 => levels[numbers.below(LEVELS.len())] = "+".to_owned(),
        _ => levels[LEVELS.len() - 1] = "#".to_owned(),
    }
    levels.join("/")
}

/// So many filters.
#[must_use]
pub fn filters(count: usize) -> Vec<String> {
    let mut numbers = Numbers::new(1);
    (0..count).map(|_| filter(&mut numbers)).collect()
}

/// Names drawn one by one from all.
#[must_use]
pub fn uniform_names(count: usize) -> Vec<String> {
    let mut numbers = Numbers::new(77);
    (0..count).map(|_| name(&mut numbers)).collect()
}

/// A few names that are published to again and again.
#[must_use]
pub fn hot_names() -> Vec<String> {
    uniform_names(300)
}

/// A fleet: device trees of four to six levels below shared prefixes.
pub mod fleet {
    use super::Numbers;

    const KINDS: [&str; 12] = [
        "temperature",
        "humidity",
        "pressure",
        "status",
        "battery/level",
        "battery/voltage",
        "motor/1/current",
        "motor/1/speed",
        "motor/2/current",
        "motor/2/speed",
        "alarm",
        "command",
    ];

    /// A device, one of 50,000, spread over 40 tenants and 500 sites.
    fn device(numbers: &mut Numbers) -> (usize, usize, usize) {
        let device = numbers.below(50_000);
        (device % 40, device % 500, device)
    }

    /// A name: `tenant/site/device/kind`, the kind of one to three levels.
    pub fn name(numbers: &mut Numbers) -> String {
        let (tenant, site, device) = device(numbers);
        let kind = KINDS[numbers.below(KINDS.len())];
        format!("tenant{tenant}/site{site}/dev-{device:06x}/{kind}")
    }

    /// A filter of the fleet: devices listen to their own commands, dashboards to a reading of a site or to a device,
    /// a few to all of a tenant; one in a hundred belongs to a shared group.
    pub fn filter(numbers: &mut Numbers) -> String {
        let (tenant, site, device) = device(numbers);
        let kind = KINDS[numbers.below(KINDS.len())];
        let path = format!("tenant{tenant}/site{site}");
        let filter = match numbers.below(1000) {
            0..850 => format!("{path}/dev-{device:06x}/{kind}"),
            850..920 => format!("{path}/+/{kind}"),
            920..950 => format!("tenant{tenant}/+/dev-{device:06x}/{kind}"),
            950..999 => format!("{path}/dev-{device:06x}/#"),
            _ => format!("tenant{tenant}/#"),
        };
        if numbers.below(100) == 0 {
            format!("$share/group{}/{filter}", numbers.below(50))
        } else {
            filter
        }
    }
}

/// The part of a shared subscription's filter that names match: a group is one subscriber to it.
#[must_use]
pub fn without_group(filter: &str) -> &str {
    filter
        .strip_prefix("$share/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_, filter)| filter)
}

/// Filters of `+` at every depth up to 128 levels, each with a last level of its own.
#[must_use]
pub fn deep_plus(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| format!("{}n{n}", "+/".repeat(1 + n % 127)))
        .collect()
}

/// Whether the filter matches the name, level by level: the rules of section 4.7 in their plainest form.
#[must_use]
pub fn naive(filter: &str, name: &str) -> bool {
    fn levels(filter: &[&str], name: &[&str]) -> bool {
        match (filter, name) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, name @ ..]) => levels(filter, name),
            ([wanted, filter @ ..], [found, name @ ..]) if wanted == found => levels(filter, name),
            _ => false,
        }
    }
    let (filter, name): (Vec<&str>, Vec<&str>) =
        (filter.split('/').collect(), name.split('/').collect());
    levels(&filter, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shape that the figures are about: shares of kinds, and matches a name.
    #[test]
    fn a_name_has_close_to_seven_matches() {
        let filters = filters(1_000_000);
        let share = |kind: fn(&&String) -> bool| {
            filters.iter().filter(kind).count() as f64 / filters.len() as f64
        };
        assert!((share(|filter| filter.contains('+')) - 0.10).abs() < 0.002);
        assert!((share(|filter| filter.ends_with('#')) - 0.05).abs() < 0.002);
        let names = uniform_names(20);
        let matches: usize = names
            .iter()
            .map(|name| filters.iter().filter(|filter| naive(filter, name)).count())
            .sum();
        let matches = matches as f64 / names.len() as f64;
        assert!((6.0..7.7).contains(&matches), "{matches}");
    }

    #[test]
    fn fleets_have_four_to_six_levels_and_shared_groups() {
        let mut numbers = Numbers::new(3);
        let names: Vec<String> = (0..1_000).map(|_| fleet::name(&mut numbers)).collect();
        assert!(
            names
                .iter()
                .all(|name| (4..=6).contains(&name.split('/').count()))
        );
        let filters: Vec<String> = (0..10_000).map(|_| fleet::filter(&mut numbers)).collect();
        let shared = filters
            .iter()
            .filter(|filter| filter.starts_with("$share/"))
            .count();
        assert!((50..200).contains(&shared), "{shared}");
        assert_eq!(without_group("$share/g/a/+"), "a/+");
        assert_eq!(without_group("a/+"), "a/+");
    }
}
