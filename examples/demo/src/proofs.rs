//! The hard cases, staged on purpose: a stampede, an update during a slow load, expiry.

use std::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Barrier;

use crate::database::Row;
use crate::service::{Service, Update};

/// What a thousand callers of one cold key cost.
#[derive(Debug)]
pub(crate) struct Stampede {
    pub(crate) callers: u64,
    pub(crate) database_reads: u64,
    /// Callers that got the very copy that was loaded.
    pub(crate) answered: u64,
    pub(crate) took: Duration,
}

/// Releases 500 threads and 500 tasks at the same moment on one key that is not in the cache.
pub(crate) fn stampede(
    service: &Arc<Service>,
    runtime: &Runtime,
) -> Result<Stampede, Box<dyn Error>> {
    const THREADS: usize = 500;
    const TASKS: usize = 500;
    const STACK: usize = 128 * 1024;

    let crowd = Arc::new(Crowd {
        service: Arc::clone(service),
        start: Barrier::new(THREADS + TASKS),
        size: THREADS + TASKS,
        asked: AtomicUsize::new(0),
    });
    service.cache.remove(&Crowd::KEY);
    let reads_before = service.database.reads();

    let mut threads = Vec::with_capacity(THREADS);
    for _ in 0..THREADS {
        let (crowd, runtime) = (Arc::clone(&crowd), runtime.handle().clone());
        let caller = thread::Builder::new().stack_size(STACK);
        threads.push(caller.spawn(move || crowd.ask(&runtime))?);
    }
    let tasks: Vec<_> = (0..TASKS).map(|_| runtime.spawn(Arc::clone(&crowd).ask_async())).collect();

    let mut answers = Vec::with_capacity(crowd.size);
    for thread in threads {
        answers.push(thread.join().expect("a caller does not panic")?);
    }
    for task in tasks {
        answers.push(runtime.block_on(task)??);
    }
    let first_asked = answers.iter().map(|(asked, _)| *asked).min();
    let row = &answers[0].1;
    Ok(Stampede {
        callers: crowd.size as u64,
        database_reads: service.database.reads() - reads_before,
        answered: answers.iter().filter(|(_, other)| Arc::ptr_eq(row, other)).count() as u64,
        took: first_asked.map_or(Duration::ZERO, |asked| asked.elapsed()),
    })
}

/// The callers of a stampede, and their slow database.
struct Crowd {
    service: Arc<Service>,
    start: Barrier,
    size: usize,
    asked: AtomicUsize,
}

type Answer = Result<(Instant, Arc<Row>), Arc<rusqlite::Error>>;

impl Crowd {
    const KEY: u32 = 1;
    const SLOW: Duration = Duration::from_millis(50);
    const PAUSE: Duration = Duration::from_millis(1);

    fn ask(&self, runtime: &Handle) -> Answer {
        runtime.block_on(self.start.wait());
        let asked = self.note_question();
        let row = self.service.cache.try_get_or_load(&Self::KEY, || {
            thread::sleep(Self::SLOW);
            while !self.everybody_has_asked() {
                thread::sleep(Self::PAUSE);
            }
            self.service.database.read(Self::KEY).map(Arc::new)
        });
        Ok((asked, row?))
    }

    async fn ask_async(self: Arc<Self>) -> Answer {
        self.start.wait().await;
        let asked = self.note_question();
        let load = async {
            tokio::time::sleep(Self::SLOW).await;
            while !self.everybody_has_asked() {
                tokio::time::sleep(Self::PAUSE).await;
            }
            self.service.database.read(Self::KEY).map(Arc::new)
        };
        let cache = &self.service.cache;
        let row = cache.try_get_or_load_async(&Self::KEY, load).await;
        Ok((asked, row?))
    }

    fn note_question(&self) -> Instant {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Instant::now()
    }

    /// A busy machine may take long to start a thousand callers. The load does not end before
    /// that, or the row could expire in between, and a second read would be quite right.
    fn everybody_has_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) == self.size
    }
}

/// What became of a load that was overtaken by an update.
#[derive(Debug)]
pub(crate) struct StaleLoad {
    pub(crate) how: Update,
    /// The version that the load had read, which its own caller may still get.
    pub(crate) loaded: u32,
    /// The version that the update wrote.
    pub(crate) updated: u32,
    /// What the cache held once the load had ended: at once, after a flush, and by a new load.
    pub(crate) found: [Option<u32>; 3],
}

impl StaleLoad {
    /// Whether the update won: the old version never came back.
    pub(crate) fn update_won(&self) -> bool {
        let held = match self.how {
            Update::Insert => Some(self.updated),
            Update::Remove => None,
        };
        self.loaded < self.updated && self.found == [held, held, Some(self.updated)]
    }
}

/// Updates a row, by each kind of update, while a load of it is under way.
pub(crate) fn stale_loads(service: &Service) -> Result<[StaleLoad; 2], Box<dyn Error>> {
    Ok([stale_load(service, Update::Insert)?, stale_load(service, Update::Remove)?])
}

fn stale_load(service: &Service, how: Update) -> Result<StaleLoad, Box<dyn Error>> {
    const KEY: u32 = 2;
    let Service { cache, database, .. } = service;
    cache.remove(&KEY);

    let (has_read, wait_for_read) = mpsc::channel();
    let (has_updated, wait_for_update) = mpsc::channel::<()>();
    let (loaded, updated) = thread::scope(|scope| {
        let load = scope.spawn(move || {
            cache.try_get_or_load(&KEY, || {
                let row = database.read(KEY)?;
                // A closed channel means that the other side has failed, which it reports itself.
                let _ = has_read.send(());
                let _ = wait_for_update.recv();
                Ok::<_, rusqlite::Error>(Arc::new(row))
            })
        });
        wait_for_read.recv()?;
        let updated = service.update(KEY, how);
        drop(has_updated);
        let loaded = load.join().expect("the load does not panic")?;
        Ok::<_, Box<dyn Error>>((loaded.version, updated?))
    })?;

    let held = || cache.get(&KEY).map(|row: Arc<Row>| row.version);
    let at_once = held();
    cache.flush().wait()?;
    let after_flush = held();
    let reloaded = service.read(KEY)?.version;
    Ok(StaleLoad { how, loaded, updated, found: [at_once, after_flush, Some(reloaded)] })
}

/// What became of entries that were stored for a moment only.
#[derive(Debug)]
pub(crate) struct Expiry {
    pub(crate) stored: u64,
    /// How many were found before their time was over, so that the rest means something.
    pub(crate) found_in_time: u64,
    /// How many were found by a read that began when their time was over.
    pub(crate) found_too_late: u64,
    /// How many left the cache's memory while nobody asked for them any more.
    pub(crate) released: u64,
    /// What the cache counted in the end, since it was built.
    pub(crate) expirations: u64,
}

/// Stores rows for a moment and keeps asking for them until their time is certainly over.
pub(crate) fn expiry(service: &Service) -> Result<Expiry, Box<dyn Error>> {
    const KEYS: Range<u32> = 10..110;
    const TIME_TO_LIVE: Duration = Duration::from_millis(200);
    const PATIENCE: Duration = Duration::from_secs(10);

    let cache = &service.cache;
    let found = || KEYS.filter(|key| cache.get(key).is_some()).count() as u64;
    let mut rows: Vec<Weak<Row>> = Vec::new();
    for key in KEYS {
        let row = Arc::new(service.database.read(key)?);
        rows.push(Arc::downgrade(&row));
        cache.insert_with_ttl(key, row, TIME_TO_LIVE);
    }
    let over = Instant::now() + TIME_TO_LIVE;
    let found_in_time = found();
    while Instant::now() <= over {
        found();
    }
    let found_too_late = found();

    let held = || rows.iter().filter(|row| row.strong_count() > 0).count();
    let give_up = Instant::now() + PATIENCE;
    while held() > 0 && Instant::now() < give_up {
        thread::sleep(Duration::from_millis(1));
    }
    cache.flush().wait()?;
    Ok(Expiry {
        stored: rows.len() as u64,
        found_in_time,
        found_too_late,
        released: (rows.len() - held()) as u64,
        expirations: cache.stats().expirations(),
    })
}
