//! How a fault test says what it did: one row of a table, printed and judged.

/// So often, times what `FAULTS_TIMES` says.
pub(crate) fn times(count: u64) -> u64 {
    let factor = std::env::var("FAULTS_TIMES").ok().and_then(|text| text.parse().ok());
    count * factor.unwrap_or(1)
}

/// What a campaign of one fault came to. `lost` counts callers that were never answered, values that
/// were never dropped, reads that were wrong: whatever must be none.
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) injected: u64,
    pub(crate) lost: u64,
    pub(crate) outcome: String,
}

impl Row {
    /// Prints the row for `test` and fails if anything was lost.
    #[track_caller]
    pub(crate) fn report<T>(self, test: T) {
        let name = std::any::type_name_of_val(&test);
        let name = name.split_once("::").map_or(name, |(_, name)| name);
        let Self { fault, injected, lost, outcome } = self;
        eprintln!("| {fault} | {} | {lost} | {outcome} | `faults {name}` |", grouped(injected));
        assert!(injected > 0, "nothing was injected");
        assert_eq!(lost, 0, "{fault}");
    }
}

/// A number as the table shows it.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(std::str::from_utf8);
    groups.collect::<Result<Vec<_>, _>>().expect("digits").join(",")
}

/// Numbers that look random and are the same in every run.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64 (Steele, Lea and Flood, 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
