//! Operations a second, of all caches in turn, round by round.
//!
//! All caches of a scene are filled and then kept for its rows. In each round every cache works once, in an
//! order that changes, with a rest after each, and ratios are formed within a round, so that a machine that changes its speed
//! changes both sides. A round is over when the cache has also done what it put off: a flush of ours and the
//! pending tasks of moka belong to the time.
//!
//! Beside the rate stands the processor time that an operation took of all threads together: a thread of
//! the cache's own that works on another core is not seen in the rate, and is there.

use crate::aims::Aim;
use crate::caches::{Cache, Life, Peer, Value, Visit};
use crate::draws::{self, CHUNK, DRAWS, Mix, Table};
use crate::options::{Kind, Options};
use crate::report::Report;
use crate::selection::{Row, Scene, rows};
use crate::statistics::Spread;
use crate::turns::take_turns;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value as Json, json};
use std::error::Error;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

const ROUND: Duration = Duration::from_millis(60);
/// Who is compared in a hurry.
const FEW: [Peer; 3] = [Peer::Cacheado, Peer::QuickCache, Peer::Moka];
/// A hit ratio below this is printed.
const ALL_HIT: f64 = 0.999;

/// Measures all rows and prints them.
///
/// # Errors
///
/// If results cannot be kept, or a ratio is below the floor that was demanded.
pub fn run(options: &Options, report: &mut Report) -> Result<(), Box<dyn Error>> {
    let peers = options.peers_or(if options.smoke { &FEW } else { &Peer::ALL });
    let time = options.round_or(ROUND);
    report.say(format!(
        "\nThroughput in million operations a second, median of {} rounds of {} ms; ratios: median (min-max) of the rounds'",
        options.rounds(),
        time.as_millis()
    ));
    if options.turnovers > 0 {
        report
            .say(format!("Each cache was filled {} times over with other keys", options.turnovers));
    }
    report.say(heading(&peers));
    let mut below = Vec::new();
    for rows in rows(options).chunk_by(|a, b| a.scene == b.scene) {
        let scene = rows[0].scene;
        let open = |&peer| (peer, open(peer, &scene, options.turnovers));
        let subjects: Vec<_> = peers.iter().map(open).collect();
        for row in rows {
            let result = measure(row, &subjects, options.rounds(), time);
            for line in result.lines() {
                report.say(line);
            }
            report.keep(&result.json())?;
            for (aim, reached) in result.aims() {
                report.aim(aim, reached);
            }
            let ratio = result.ratio_to(Peer::Moka);
            below.extend(ratio.filter(|ratio| options.floor.is_some_and(|f| ratio.median < f)));
        }
    }
    match below.len() {
        0 => Ok(()),
        rows => Err(format!("ours / moka is below the floor in {rows} rows").into()),
    }
}

/// A filled cache, whatever its kind.
trait Subject {
    fn work(&self, shift: &Shift) -> Round;
}

/// What is to be done in a round.
struct Shift<'a> {
    tables: &'a [Table],
    mix: Mix,
    from: usize,
    time: Duration,
}

/// What was done in it.
#[derive(Debug, Default, Clone, Copy)]
struct Round {
    operations: u64,
    reads: u64,
    hits: u64,
    elapsed: Duration,
    processor: Duration,
}

impl Round {
    fn mops(&self) -> f64 {
        self.operations as f64 / self.elapsed.as_secs_f64() / 1e6
    }

    /// Nanoseconds of processor time for each operation, on whatever thread.
    fn processor(&self) -> f64 {
        self.processor.as_secs_f64() * 1e9 / self.operations as f64
    }
}

struct Filled<C, V>(C, PhantomData<V>);

fn open(peer: Peer, scene: &Scene, turnovers: u64) -> Box<dyn Subject> {
    struct Fill<'a>(&'a Scene, u64);

    impl<V: Value> Visit<V> for Fill<'_> {
        type Output = Box<dyn Subject>;

        fn visit(self, cache: impl Cache<V> + 'static) -> Self::Output {
            let Self(scene, turnovers) = self;
            for key in (scene.keys..scene.keys * (1 + turnovers)).chain(0..scene.keys) {
                cache.insert(key, V::of(key));
            }
            cache.settle();
            Box::new(Filled(cache, PhantomData))
        }
    }

    let subject = match scene.value {
        Kind::U64 => peer.with::<u64, _>(scene.capacity(), Life::ForEver, Fill(scene, turnovers)),
        Kind::Arc => {
            peer.with::<Arc<[u8; 64]>, _>(scene.capacity(), Life::ForEver, Fill(scene, turnovers))
        }
    };
    subject.expect("every cache can keep entries for ever")
}

impl<V: Value, C: Cache<V>> Subject for Filled<C, V> {
    fn work(&self, shift: &Shift) -> Round {
        let (barrier, stop) = (Barrier::new(shift.tables.len() + 1), AtomicBool::new(false));
        let processor = processor_time();
        let done = thread::scope(|scope| {
            let worker = |table| {
                let (cache, barrier, stop) = (&self.0, &barrier, &stop);
                scope.spawn(move || {
                    barrier.wait();
                    let began = Instant::now();
                    // Relaxed: it only says when to stop.
                    let going = || !stop.load(Ordering::Relaxed);
                    let round = match shift.mix {
                        Mix::Load => load(cache, table, shift.from, going),
                        _ => read_and_write(cache, table, shift.from, going),
                    };
                    (began, round)
                })
            };
            let workers: Vec<_> = shift.tables.iter().map(worker).collect();
            barrier.wait();
            thread::sleep(shift.time);
            // Relaxed: it only says when to stop.
            stop.store(true, Ordering::Relaxed);
            let join = |worker: thread::ScopedJoinHandle<_>| worker.join().expect("no panic");
            workers.into_iter().map(join).collect::<Vec<(Instant, Round)>>()
        });
        self.0.settle();
        let began = done.iter().map(|(began, _)| *began).min().expect("there is a thread");
        let mut sum = Round {
            elapsed: began.elapsed(),
            processor: processor_time() - processor,
            ..Round::default()
        };
        for (_, round) in done {
            sum.operations += round.operations;
            sum.reads += round.reads;
            sum.hits += round.hits;
        }
        sum
    }
}

/// What all threads of the process have used of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a process does not use less than nothing")
}

/// Reads and writes as drawn, from `from` on and round the table, while `going`.
///
/// # Panics
///
/// If a cache answered with another key's value.
fn read_and_write<V: Value>(
    cache: &impl Cache<V>,
    table: &Table,
    from: usize,
    going: impl Fn() -> bool,
) -> Round {
    let (mut round, mut wrong, mut at) = (Round::default(), 0, from);
    while going() {
        for draw in &table[at..at + CHUNK] {
            let key = draw.key();
            if draw.is_write() {
                cache.insert(key, V::of(key));
            } else {
                round.reads += 1;
                if let Some(value) = cache.get(key) {
                    round.hits += 1;
                    wrong |= value.key() ^ key;
                }
            }
        }
        round.operations += CHUNK as u64;
        at = (at + CHUNK) % DRAWS;
    }
    assert_eq!(wrong, 0, "a cache answered with another key's value");
    round
}

/// As [`read_and_write`], but loads every key.
///
/// # Panics
///
/// If a cache answered with another key's value.
fn load<V: Value>(
    cache: &impl Cache<V>,
    table: &Table,
    from: usize,
    going: impl Fn() -> bool,
) -> Round {
    let (mut loads, mut wrong, mut at, mut operations) = (0, 0, from, 0);
    while going() {
        for draw in &table[at..at + CHUNK] {
            let key = draw.key();
            let value = cache.load(key, || {
                loads += 1;
                V::of(key)
            });
            wrong |= value.key() ^ key;
        }
        operations += CHUNK as u64;
        at = (at + CHUNK) % DRAWS;
    }
    assert_eq!(wrong, 0, "a cache answered with another key's value");
    Round { operations, reads: operations, hits: operations - loads, ..Round::default() }
}

/// The rounds of a row.
struct Measured {
    row: Row,
    rounds: Vec<(Peer, Vec<Round>)>,
}

fn measure(
    row: &Row,
    subjects: &[(Peer, Box<dyn Subject>)],
    rounds: usize,
    time: Duration,
) -> Measured {
    let tables = draws::tables(row.scene.keys, row.scene.distribution, row.mix, row.threads);
    let mut done: Vec<_> = subjects.iter().map(|(peer, _)| (*peer, Vec::new())).collect();
    // Each round begins elsewhere in the tables, at the same place for all.
    let from = |round: usize| round * DRAWS / (rounds + 1) / CHUNK * CHUNK;
    let shift = |round| Shift { tables: &tables, mix: row.mix, from: from(round), time };
    for (_, subject) in subjects {
        subject.work(&shift(0));
    }
    for round in 1..=rounds {
        take_turns(round, subjects.len(), |at| {
            done[at].1.push(subjects[at].1.work(&shift(round)));
        });
    }
    Measured { row: *row, rounds: done }
}

impl Measured {
    fn mops(&self, peer: Peer) -> Option<Vec<f64>> {
        let (_, rounds) = self.rounds.iter().find(|(one, _)| *one == peer)?;
        Some(rounds.iter().map(Round::mops).collect())
    }

    /// The peer with the highest median.
    fn best(&self) -> Option<Peer> {
        let rivals = self.rounds.iter().filter(|(peer, _)| peer.is_rival());
        let median = |rounds: &[Round]| Spread::of(rounds.iter().map(Round::mops)).median;
        let best = rivals.max_by(|a, b| median(&a.1).total_cmp(&median(&b.1)));
        best.map(|(peer, _)| *peer)
    }

    fn ratio_to(&self, peer: Peer) -> Option<Spread> {
        Some(Spread::of_ratios(&self.mops(Peer::Cacheado)?, &self.mops(peer)?))
    }

    /// What this row is to show, and what it came to.
    fn aims(&self) -> Vec<(Aim, f64)> {
        let to = |peer: Option<Peer>| self.ratio_to(peer?).map(|ratio| ratio.median);
        let to_best = match (self.row.mix, self.row.threads) {
            (Mix::Hits, 1) => Some(Aim::HitsOfOne),
            (Mix::Hits, 2) => Some(Aim::HitsOfTwo),
            (Mix::R95, 2) => Some(Aim::MixOfTwo),
            _ => None,
        };
        let to_best = to_best.zip(to(self.best()));
        to_best.into_iter().chain(to(Some(Peer::Moka)).map(|ratio| (Aim::Moka, ratio))).collect()
    }

    /// The share of reads that hit, by cache; nothing if in all of them all did, or nothing was read.
    fn hit_ratios(&self) -> Option<Vec<f64>> {
        let ratio = |(_, rounds): &(Peer, Vec<Round>)| {
            let sum = |part: fn(&Round) -> u64| rounds.iter().map(part).sum::<u64>() as f64;
            sum(|round| round.hits) / sum(|round| round.reads)
        };
        let ratios: Vec<_> = self.rounds.iter().map(ratio).collect();
        (self.row.mix != Mix::Insert && ratios.iter().any(|&ratio| ratio < ALL_HIT))
            .then_some(ratios)
    }

    fn processor(&self) -> Vec<Spread> {
        let rounds = self.rounds.iter().map(|(_, rounds)| rounds.iter().map(Round::processor));
        rounds.map(Spread::of).collect()
    }

    fn lines(&self) -> Vec<String> {
        let Row { mix, scene, threads } = self.row;
        let mut line = format!(
            "{:<7}{:>8}{:>5} {:<8}{:<4}{threads:>4} ",
            mix.name(),
            scene.keys,
            format!("{}%", scene.percent),
            format!("{:?}", scene.distribution).to_lowercase(),
            scene.value.name(),
        );
        for (_, rounds) in &self.rounds {
            let median = Spread::of(rounds.iter().map(Round::mops)).median;
            line += &format!("{median:>12.2}");
        }
        let ratio = |peer| self.ratio_to(peer).map_or("-".to_owned(), |ratio| ratio.to_string());
        let best = self.best().map_or("-".to_owned(), |peer| format!("{} {peer}", ratio(peer)));
        line += &format!("   {best:<30}{:<19}{:<19}", ratio(Peer::QuickCache), ratio(Peer::Moka));
        let under = |label: &str, cells: Vec<String>| {
            let cells: String = cells.into_iter().map(|cell| format!("{cell:>12}")).collect();
            format!("  {label:<36}{cells}")
        };
        let processor = self.processor().iter().map(|time| format!("{:.0}", time.median)).collect();
        let mut lines = vec![line, under("processor ns an operation", processor)];
        lines.extend(self.hit_ratios().map(|ratios| {
            let cell = |ratio| format!("{:.1}%", ratio * 100.0);
            under("hits", ratios.into_iter().map(cell).collect())
        }));
        lines
    }

    fn json(&self) -> Json {
        let Row { mix, scene, threads } = self.row;
        let by_peer = |values: Vec<Json>| -> Map<String, Json> {
            let names = self.rounds.iter().map(|(peer, _)| peer.name().to_owned());
            names.zip(values).collect()
        };
        let mops =
            |(_, rounds): &(_, Vec<Round>)| Spread::of(rounds.iter().map(Round::mops)).json();
        let ratio = |peer| self.ratio_to(peer).map_or(Json::Null, Spread::json);
        let hits = |ratios: Vec<f64>| by_peer(ratios.into_iter().map(Json::from).collect());
        json!({
            "table": "throughput",
            "mix": mix.name(),
            "keys": scene.keys,
            "capacity": scene.capacity(),
            "distribution": format!("{:?}", scene.distribution).to_lowercase(),
            "value": scene.value.name(),
            "threads": threads,
            "mops": by_peer(self.rounds.iter().map(mops).collect()),
            "processor_ns": by_peer(self.processor().into_iter().map(Spread::json).collect()),
            "hit_ratios_if_not_all_hit": self.hit_ratios().map(hits),
            "best_peer": self.best().map(Peer::name),
            "ours_to_best_peer": self.best().map_or(Json::Null, ratio),
            "ours_to_quick_cache": ratio(Peer::QuickCache),
            "ours_to_moka": ratio(Peer::Moka),
        })
    }
}

fn heading(peers: &[Peer]) -> String {
    let names: String = peers.iter().map(|peer| format!("{peer:>12}")).collect();
    format!(
        "{:<7}{:>8}{:>5} {:<8}{:<4}{:>4} {names}   {:<30}{:<19}{:<19}",
        "mix",
        "keys",
        "cap",
        "draws",
        "of",
        "thr",
        "ours / best peer",
        "ours / quick_cache",
        "ours / moka"
    )
}
