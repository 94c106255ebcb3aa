//! What the comparison is to show, and whether it did in this run.

use crate::statistics::Spread;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is to be shown, in rows of whatever table shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// Hits by one thread, as a ratio to the best peer.
    HitsOfOne,
    /// Hits by two threads, as a ratio to the best peer.
    HitsOfTwo,
    /// 95 reads to 5 writes by two threads, as a ratio to the best peer.
    MixOfTwo,
    /// Any mix, as a ratio to moka.
    Moka,
    /// The p99.9 of a `get` beside a writer, as a ratio to a peer's.
    Tail,
    /// Bytes of an entry beside key and value.
    Memory,
    /// Wake-ups a second of an idle cache.
    Quiet,
}

impl Aim {
    fn name(self) -> &'static str {
        match self {
            Self::HitsOfOne => "hits by one thread / best peer",
            Self::HitsOfTwo => "hits by two threads / best peer",
            Self::MixOfTwo => "95/5 by two threads / best peer",
            Self::Moka => "any mix / moka",
            Self::Tail => "p99.9 of a get beside a writer / a peer's",
            Self::Memory => "bytes allocated for an entry beside key and value",
            Self::Quiet => "wake-ups a second when idle",
        }
    }

    fn bound(self) -> Bound {
        match self {
            Self::HitsOfOne => Bound::AtLeast(0.95),
            Self::HitsOfTwo => Bound::AtLeast(1.3),
            Self::MixOfTwo => Bound::AtLeast(1.0),
            Self::Moka => Bound::AtLeast(4.0),
            Self::Tail => Bound::Below(1.0),
            Self::Memory => Bound::AtMost(64.0),
            Self::Quiet => Bound::AtMost(0.0),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
    Below(f64),
}

impl Bound {
    fn holds(self, reached: f64) -> bool {
        match self {
            Self::AtLeast(bound) => reached >= bound,
            Self::AtMost(bound) => reached <= bound,
            Self::Below(bound) => reached < bound,
        }
    }

    fn name(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {bound}"),
            Self::AtMost(bound) => format!("at most {bound}"),
            Self::Below(bound) => format!("below {bound}"),
        }
    }
}

/// What the rows of this run came to.
#[derive(Debug, Default)]
pub struct Aims(BTreeMap<Aim, Vec<f64>>);

impl Aims {
    /// Notes what a row came to.
    pub fn note(&mut self, aim: Aim, reached: f64) {
        self.0.entry(aim).or_default().push(reached);
    }

    /// A line for each aim that a row of this run showed; none if no row did.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let heading = format!(
            "\n{:<52}{:<15}{:>10}   {}",
            "Aim", "bound", "rows", "median (min-max) of the rows"
        );
        let line = |(aim, reached): (&Aim, &Vec<f64>)| {
            let rows = format!("{} of {}", held(*aim, reached), reached.len());
            let spread = Spread::of(reached.iter().copied());
            format!("{:<52}{:<15}{rows:>10}   {spread}", aim.name(), aim.bound().name())
        };
        let mut lines: Vec<_> = self.0.iter().map(line).collect();
        if !lines.is_empty() {
            lines.insert(0, heading);
        }
        lines
    }

    /// The same as lines of JSON.
    pub fn json(&self) -> impl Iterator<Item = Value> {
        self.0.iter().map(|(&aim, reached)| {
            json!({
                "table": "aims",
                "aim": aim.name(),
                "bound": aim.bound().name(),
                "held": held(aim, reached),
                "rows": reached.len(),
                "reached": Spread::of(reached.iter().copied()).json(),
            })
        })
    }
}

fn held(aim: Aim, reached: &[f64]) -> usize {
    reached.iter().filter(|&&reached| aim.bound().holds(reached)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_misses_its_aim_is_not_counted_as_held() {
        let mut aims = Aims::default();
        assert!(aims.lines().is_empty());
        for (aim, reached) in [
            (Aim::HitsOfOne, 0.95),
            (Aim::HitsOfOne, 0.94),
            (Aim::Tail, 1.0),
            (Aim::Tail, 0.99),
            (Aim::Tail, 0.5),
            (Aim::Quiet, 0.0),
        ] {
            aims.note(aim, reached);
        }
        let held: Vec<_> = aims.json().map(|line| line["held"].clone()).collect();
        assert_eq!(held, [1, 2, 1]);
        assert_eq!(aims.lines().len(), 1 + 3);
        assert!(aims.lines()[1].contains("1 of 2"), "{:?}", aims.lines());
    }
}
