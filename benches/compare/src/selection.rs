//! Which rows of the throughput are measured: by default, in a hurry, and of all that there are.

use crate::draws::{Distribution, Mix};
use crate::options::{Kind, Options};

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// What is done.
    pub mix: Mix,
    /// What is done it to.
    pub scene: Scene,
    /// By how many at once.
    pub threads: usize,
}

/// What rows that are measured on the same filled caches have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scene {
    /// What is cached.
    pub value: Kind,
    /// How many keys there are.
    pub keys: u64,
    /// The capacity in percent of the keys.
    pub percent: u64,
    /// How keys are drawn.
    pub distribution: Distribution,
}

impl Scene {
    /// How many entries a cache may hold.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        (self.keys * self.percent / 100).max(1)
    }

    /// Whether a filled cache holds every key.
    #[must_use]
    pub fn holds_all(&self) -> bool {
        self.percent >= 100
    }
}

const COMMON: Scene =
    Scene { value: Kind::U64, keys: 100_000, percent: 120, distribution: Distribution::Zipf };
const FEW_KEYS: Scene = Scene { keys: 10_000, ..COMMON };
const MANY_KEYS: Scene = Scene { keys: 1_000_000, ..COMMON };
const TIGHT: Scene = Scene { percent: 10, ..COMMON };
const UNIFORM: Scene = Scene { distribution: Distribution::Uniform, ..COMMON };
const SHARED_VALUES: Scene = Scene { value: Kind::Arc, ..COMMON };

/// The rows that the user asked for, those of one scene together.
#[must_use]
pub fn rows(options: &Options) -> Vec<Row> {
    if options.smoke {
        smoke()
    } else if options.full {
        full()
    } else if options.chooses_rows() {
        combinations(options)
    } else {
        usual()
    }
}

fn usual() -> Vec<Row> {
    let some = [Mix::Hits, Mix::R95, Mix::Load];
    let parts = [
        rows_of(FEW_KEYS, &Mix::ALL, &[1, 2]),
        rows_of(COMMON, &Mix::ALL, &[1, 2]),
        rows_of(COMMON, &[Mix::Hits, Mix::R95], &[4]),
        rows_of(TIGHT, &[Mix::R95, Mix::Insert, Mix::Load], &[1, 2]),
        rows_of(UNIFORM, &[Mix::Hits, Mix::R95], &[1, 2]),
        rows_of(SHARED_VALUES, &[Mix::Hits, Mix::R95], &[1, 2]),
        rows_of(MANY_KEYS, &some, &[1, 2]),
    ];
    parts.concat()
}

fn smoke() -> Vec<Row> {
    let parts = [
        rows_of(COMMON, &[Mix::Hits, Mix::R95, Mix::R75, Mix::Insert], &[1, 2]),
        rows_of(TIGHT, &[Mix::Load], &[1, 2]),
    ];
    parts.concat()
}

fn full() -> Vec<Row> {
    product(
        &[Kind::U64, Kind::Arc],
        &[10_000, 100_000, 1_000_000],
        &[120, 10],
        &[Distribution::Zipf, Distribution::Uniform],
    )
    .into_iter()
    .flat_map(|scene| rows_of(scene, &Mix::ALL, &[1, 2, 4]))
    .collect()
}

fn combinations(options: &Options) -> Vec<Row> {
    let scenes = product(
        or(&options.value, &[COMMON.value]),
        or(&options.keys, &[COMMON.keys]),
        or(&options.capacity, &[COMMON.percent]),
        or(&options.distribution, &[COMMON.distribution]),
    );
    let (mixes, threads) = (or(&options.mix, &Mix::ALL), or(&options.threads, &[1, 2]));
    scenes.into_iter().flat_map(|scene| rows_of(scene, mixes, threads)).collect()
}

fn or<'a, T>(chosen: &'a [T], usual: &'a [T]) -> &'a [T] {
    if chosen.is_empty() { usual } else { chosen }
}

fn product(
    values: &[Kind],
    keys: &[u64],
    percents: &[u64],
    distributions: &[Distribution],
) -> Vec<Scene> {
    let mut scenes = Vec::new();
    for &value in values {
        for &keys in keys {
            for &percent in percents {
                for &distribution in distributions {
                    scenes.push(Scene { value, keys, percent, distribution });
                }
            }
        }
    }
    scenes
}

/// Reads that all hit need a cache that holds all keys: without one that mix is left out.
fn rows_of(scene: Scene, mixes: &[Mix], threads: &[usize]) -> Vec<Row> {
    let fits = |mix: &&Mix| scene.holds_all() || **mix != Mix::Hits;
    let row = |mix: Mix| threads.iter().map(move |&threads| Row { mix, scene, threads });
    mixes.iter().filter(fits).flat_map(|&mix| row(mix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn chosen(arguments: &[&str]) -> Vec<Row> {
        let arguments = ["compare"].iter().chain(arguments);
        rows(&Options::try_parse_from(arguments).expect("good arguments"))
    }

    #[test]
    fn everything_is_every_combination_that_makes_sense() {
        // Five mixes at either capacity, and hits where all keys fit.
        assert_eq!(chosen(&["--full"]).len(), (2 * 3 * 2) * 3 * (5 + 6));
    }

    #[test]
    fn a_choice_is_completed_with_the_defaults() {
        let rows = chosen(&["--mix", "load", "--capacity", "10", "--keys", "1m"]);
        let scene = Scene { percent: 10, ..MANY_KEYS };
        let row = |threads| Row { mix: Mix::Load, scene, threads };
        assert_eq!(rows, [row(1), row(2)]);
        assert_eq!(scene.capacity(), 100_000);
    }

    #[test]
    fn hits_need_room_for_all_keys() {
        assert_eq!(chosen(&["--mix", "hits", "--capacity", "10"]), []);
    }
}
