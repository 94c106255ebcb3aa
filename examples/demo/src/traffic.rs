//! The traffic: threads and tasks that ask the service for rows, and a thread that updates them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cacheado::Stats;
use hdrhistogram::Histogram;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::runtime::Runtime;

use crate::database::{Error, Row};
use crate::judge::{Fault, Question};
use crate::report::LiveLine;
use crate::service::{Service, Update};

const THREADS: u64 = 2;
const TASKS: u64 = 8;

/// A pace at which popular rows change several times a second.
const BETWEEN_UPDATES: Duration = Duration::from_millis(1);

/// What happened while the service was under load.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) took: Duration,
    pub(crate) tally: Tally,
    pub(crate) updates: u64,
    pub(crate) database_reads: u64,
    /// The cache's own counts, taken when everything had been folded.
    pub(crate) stats: Stats,
    pub(crate) max_capacity: u64,
}

/// What one caller counted, or all of them together; the histograms hold nanoseconds.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    pub(crate) bytes: u64,
    pub(crate) hits: Histogram<u64>,
    pub(crate) misses: Histogram<u64>,
    pub(crate) wrong: u64,
    pub(crate) stale: u64,
    pub(crate) expired: u64,
}

/// Keeps the service under load for `duration`, with a live line on the terminal.
pub(crate) fn serve(
    service: &Arc<Service>,
    runtime: &Runtime,
    duration: Duration,
) -> Result<Served, Box<dyn std::error::Error>> {
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|seed| runtime.spawn(ask_async(Arc::clone(service), Arc::clone(&stop), seed)))
        .collect();
    let (mut tally, updates) = thread::scope(|scope| {
        let threads: Vec<_> = (TASKS..TASKS + THREADS)
            .map(|seed| {
                scope.spawn({
                    let stop = &stop;
                    move || ask(service, stop, seed)
                })
            })
            .collect();
        let writer = scope.spawn(|| update(service, &stop, TASKS + THREADS));

        LiveLine::new(service).refresh_for(duration);
        stop.store(true, Ordering::Relaxed);

        let mut tally = Tally::default();
        for thread in threads {
            tally.add(&thread.join().expect("a caller does not panic")?);
        }
        let updates = writer.join().expect("the writer does not panic");
        Ok::<_, Arc<Error>>((tally, updates?))
    })?;
    for task in tasks {
        tally.add(&runtime.block_on(task)??);
    }
    let took = started.elapsed();

    service.cache.flush().wait()?;
    Ok(Served {
        took,
        tally,
        updates,
        database_reads: service.database.reads(),
        stats: service.cache.stats(),
        max_capacity: service.cache.max_capacity(),
    })
}

fn ask(service: &Service, stop: &AtomicBool, seed: u64) -> Result<Tally, Arc<Error>> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let key = service.workload.next(&mut random);
        let question = service.judge.ask(key);
        let row = service.read(key)?;
        tally.count(service, &question, &row);
    }
    Ok(tally)
}

async fn ask_async(
    service: Arc<Service>,
    stop: Arc<AtomicBool>,
    seed: u64,
) -> Result<Tally, Arc<Error>> {
    const REQUESTS_PER_TURN: u64 = 32;
    let mut random = SmallRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    while !stop.load(Ordering::Relaxed) {
        let key = service.workload.next(&mut random);
        let question = service.judge.ask(key);
        let row = service.read_async(key).await?;
        tally.count(&service, &question, &row);
        // A hit is ready at once, so a task with many hits has to let the others run by itself.
        if tally.requests % REQUESTS_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(tally)
}

fn update(service: &Service, stop: &AtomicBool, seed: u64) -> Result<u64, Arc<Error>> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut updates = 0;
    while !stop.load(Ordering::Relaxed) {
        let key = service.workload.any(&mut random);
        let how = [Update::Insert, Update::Remove][updates as usize % 2];
        service.update(key, how)?;
        updates += 1;
        thread::sleep(BETWEEN_UPDATES);
    }
    Ok(updates)
}

impl Tally {
    fn count(&mut self, service: &Service, question: &Question, row: &Row) {
        let verdict = service.judge.answer(question, row);
        self.requests += 1;
        self.bytes += row.body.len() as u64;
        let latencies = if verdict.hit { &mut self.hits } else { &mut self.misses };
        latencies.saturating_record(verdict.latency.as_nanos() as u64);
        match verdict.fault {
            None => {}
            Some(Fault::WrongRow) => self.wrong += 1,
            Some(Fault::Stale) => self.stale += 1,
            Some(Fault::Expired) => self.expired += 1,
        }
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.bytes += other.bytes;
        self.wrong += other.wrong;
        self.stale += other.stale;
        self.expired += other.expired;
        for (ours, theirs) in [(&mut self.hits, &other.hits), (&mut self.misses, &other.misses)] {
            ours.add(theirs).expect("all histograms have the same range");
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        const LONGEST: u64 = Duration::from_secs(60).as_nanos() as u64;
        const DIGITS: u8 = 3;
        let latencies = Histogram::new_with_max(LONGEST, DIGITS).expect("a range that is accepted");
        Self {
            requests: 0,
            bytes: 0,
            hits: latencies.clone(),
            misses: latencies,
            wrong: 0,
            stale: 0,
            expired: 0,
        }
    }
}
