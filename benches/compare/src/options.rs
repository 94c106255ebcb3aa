//! The command line of the comparison.

use crate::caches::Peer;
use crate::draws::{Distribution, Mix};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Where lines of JSON are appended unless the user says otherwise.
pub const JSON: &str = "target/compare.jsonl";

/// Compare the cache with its peers. Without a choice of rows, a selection that takes ten to fifteen
/// minutes; with one, all combinations of what is chosen and, for the rest, of the defaults below.
#[derive(Debug, Parser)]
#[command(about, long_about = None)]
pub struct Options {
    /// Which tables to make [default: all; with a choice of rows: throughput].
    #[arg(long, value_delimiter = ',')]
    pub tables: Vec<Table>,
    /// What is done [default: all].
    #[arg(long, value_delimiter = ',')]
    pub mix: Vec<Mix>,
    /// How many keys there are; `k` and `m` are understood [default: 100k].
    #[arg(long, value_delimiter = ',', value_parser = parse_count)]
    pub keys: Vec<u64>,
    /// How many threads work [default: 1,2].
    #[arg(long, value_delimiter = ',', value_parser = parse_threads)]
    pub threads: Vec<usize>,
    /// What is cached [default: u64].
    #[arg(long, value_delimiter = ',')]
    pub value: Vec<Kind>,
    /// How keys are drawn [default: zipf].
    #[arg(long, value_delimiter = ',')]
    pub distribution: Vec<Distribution>,
    /// The capacity in percent of the keys [default: 120].
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..))]
    pub capacity: Vec<u64>,
    /// Rounds for each row [default: 15, smoke 9].
    #[arg(long, value_parser = parse_threads)]
    pub rounds: Option<usize>,
    /// How long each cache works in a round [default: 60, latency 200].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub millis: Option<u64>,
    /// How many times over each cache is filled with other keys first, for the throughput: so often were its entries
    /// exchanged, as evictions do.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub turnovers: u64,
    /// Who is compared [default: all; latency and smoke: cacheado, `quick_cache`, moka].
    #[arg(long, value_delimiter = ',')]
    pub peers: Vec<Peer>,
    /// Every combination of everything: about an hour and a half.
    #[arg(long, conflicts_with_all = ["mix", "keys", "threads", "value", "distribution", "capacity", "smoke"])]
    pub full: bool,
    /// A few rows, quickly.
    #[arg(long, conflicts_with_all = ["mix", "keys", "threads", "value", "distribution", "capacity"])]
    pub smoke: bool,
    /// Fail if the median of ours / moka is below this in any row of the throughput.
    #[arg(long)]
    pub floor: Option<f64>,
    /// Where to append the results as lines of JSON.
    #[arg(long, default_value = JSON)]
    pub json: PathBuf,
}

impl Options {
    /// Who is compared, ours first.
    #[must_use]
    pub fn peers_or(&self, others: &[Peer]) -> Vec<Peer> {
        let chosen = if self.peers.is_empty() { others } else { &self.peers };
        Peer::ALL.into_iter().filter(|peer| chosen.contains(peer)).collect()
    }

    /// Which tables are made.
    #[must_use]
    pub fn tables(&self) -> &[Table] {
        match &*self.tables {
            [] if self.chooses_rows() => &[Table::Throughput],
            [] => Table::value_variants(),
            chosen => chosen,
        }
    }

    /// Whether the user asks for other rows than the usual ones.
    #[must_use]
    pub fn chooses_rows(&self) -> bool {
        !(self.mix.is_empty()
            && self.keys.is_empty()
            && self.threads.is_empty()
            && self.value.is_empty()
            && self.distribution.is_empty()
            && self.capacity.is_empty())
    }

    /// How many rounds each row has.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.smoke { 9 } else { 15 })
    }

    /// How long a round is, if the user does not care.
    #[must_use]
    pub fn round_or(&self, usual: Duration) -> Duration {
        self.millis.map_or(usual, Duration::from_millis)
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Table {
    /// Operations a second.
    Throughput,
    /// Percentiles of single operations.
    Latency,
    /// Calls of functions whose results are kept.
    Calls,
    /// What a cache does when nothing is asked of it.
    Idle,
}

/// What is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// `u64`.
    U64,
    /// `Arc<[u8; 64]>`, allocated for each write.
    Arc,
}

impl Kind {
    /// The name on the command line and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::U64 => "u64",
            Self::Arc => "arc",
        }
    }
}

/// A number, with `k` for thousands and `m` for millions.
///
/// # Errors
///
/// If it is none, or zero.
pub fn parse_count(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.to_ascii_lowercase() {
        text if text.ends_with('k') => (text[..text.len() - 1].to_owned(), 1_000),
        text if text.ends_with('m') => (text[..text.len() - 1].to_owned(), 1_000_000),
        text => (text, 1),
    };
    let number = digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    number.filter(|n| (1..1 << 31).contains(n)).ok_or("a number from 1 to 2 billion".to_owned())
}

fn parse_threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1024).contains(number));
    number.ok_or("a number from 1 to 1024".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_understood() {
        let options = Options::try_parse_from(["compare", "--mix", "99/1,load", "--keys=10k,1M"]);
        let options = options.expect("good arguments");
        assert_eq!(options.mix, [Mix::R99, Mix::Load]);
        assert_eq!(options.keys, [10_000, 1_000_000]);
    }

    #[test]
    fn ours_comes_first_whatever_the_order() {
        let options = Options::try_parse_from(["compare", "--peers", "moka,cacheado"]);
        let options = options.expect("good arguments");
        assert_eq!(options.peers_or(&Peer::ALL), [Peer::Cacheado, Peer::Moka]);
    }

    #[test]
    fn who_chooses_rows_wants_their_table_only() {
        let tables = |arguments: &[&str]| {
            let arguments = ["compare"].iter().chain(arguments);
            Options::try_parse_from(arguments).expect("good arguments").tables().to_vec()
        };
        assert_eq!(tables(&[]).len(), 4);
        assert_eq!(tables(&["--mix", "load"]), [Table::Throughput]);
        assert_eq!(tables(&["--keys", "10k", "--tables", "latency"]), [Table::Latency]);
    }

    #[test]
    fn wrong_numbers_are_refused() {
        for keys in ["0", "k", "-1", "9000m", "1.5k"] {
            assert!(parse_count(keys).is_err(), "{keys}");
        }
        assert!(Options::try_parse_from(["compare", "--full", "--smoke"]).is_err());
    }
}
