//! Medians of rounds, with the least and the greatest.

use serde_json::{Value, json};
use std::fmt;

/// The median of the rounds, and how far they spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of all rounds.
    ///
    /// # Panics
    ///
    /// If there are none.
    #[must_use]
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<_> = rounds.into_iter().collect();
        rounds.sort_by(f64::total_cmp);
        let at = |at: usize| rounds[at];
        let middle = rounds.len() / 2;
        let median =
            if rounds.len() % 2 == 1 { at(middle) } else { (at(middle - 1) + at(middle)) / 2.0 };
        Self { median, min: at(0), max: at(rounds.len() - 1) }
    }

    /// Of the rounds' ratios: round by round, not of medians.
    #[must_use]
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Self {
        Self::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }

    /// As a line's field.
    #[must_use]
    pub fn json(self) -> Value {
        json!({ "median": self.median, "min": self.min, "max": self.max })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} ({:.2}-{:.2})", self.median, self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([9.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 9.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn ratios_are_formed_in_each_round() {
        let ratios = Spread::of_ratios(&[10.0, 1.0, 3.0], &[5.0, 1.0, 1.0]);
        assert_eq!(ratios, Spread { median: 2.0, min: 1.0, max: 3.0 });
    }
}
