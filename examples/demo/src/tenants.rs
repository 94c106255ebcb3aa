//! The tenants: organizations and their users, each user's settings in a scope of its own, and one
//! organization that is changed and evicted again and again while threads and tasks read all.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cacheado::{CacheHandle, Reply, ScopeFigure, ScopeId, ScopePath, ScopeTree, ScopedHandle};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Runtime;

use crate::database::{self, Database, Setting};
use crate::judge::Fault;

pub(crate) const ORGANIZATIONS: [&str; 5] = ["acme", "globex", "hooli", "initech", "umbrella"];
pub(crate) const USERS: u32 = 20;
/// The same keys in every scope.
pub(crate) const NAMES: [&str; 4] = ["currency", "language", "plan", "theme"];
/// The organization that is evicted.
const EVICTED: usize = 0;
const PER_ORGANIZATION: u64 = USERS as u64 * NAMES.len() as u64;

const THREADS: u64 = 8;
const TASKS: u64 = 8;
const BETWEEN_EVICTIONS: Duration = Duration::from_millis(5);
const TOP: usize = 3;

/// What became of the tenants.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) reads: u64,
    /// Answers from another scope or under another key.
    pub(crate) wrong: u64,
    /// Answers older than an eviction that had returned before they were asked for.
    pub(crate) stale: u64,
    pub(crate) evictions: u64,
    /// What the replies of all evictions counted, and what the cache did.
    pub(crate) removed: [u64; 2],
    /// The longest that an eviction kept its caller.
    pub(crate) longest: Duration,
    /// How often settings of the evicted organization were loaded.
    pub(crate) reloads: u64,
    /// The same of all others, who should have noticed nothing, and how many settings they have.
    pub(crate) others: [u64; 2],
    pub(crate) last: LastEviction,
    /// The scopes that were read most, with the cache's count and the callers' own.
    pub(crate) top: Vec<(String, [u64; 2])>,
    /// Of all scopes, those whose reads the cache counted otherwise than the callers.
    pub(crate) miscounted: u64,
    /// Settings that the global scope shows, and paths without their organization that were accepted.
    pub(crate) leaks: [u64; 2],
}

/// One more eviction, when nobody else is there.
#[derive(Debug)]
pub(crate) struct LastEviction {
    pub(crate) held: u64,
    pub(crate) removed: u64,
    pub(crate) left: u64,
    /// What all other organizations hold, before and after.
    pub(crate) others: [u64; 2],
}

/// What goes wrong in threads is told to the one that waits for them.
type Failure = Box<dyn Error + Send + Sync>;

type Cache = CacheHandle<String, Arc<Setting>>;
type Scope = ScopedHandle<String, Arc<Setting>>;

/// The service of the tenants, and what it knows of its own traffic.
#[derive(Debug)]
struct Tenants {
    cache: Cache,
    database: Arc<Database>,
    /// By organization: the version that whoever asks now must get at least.
    completed: [AtomicU32; ORGANIZATIONS.len()],
    loads: [AtomicU64; ORGANIZATIONS.len()],
    reads: Vec<AtomicU64>,
    wrong: AtomicU64,
    stale: AtomicU64,
}

/// Whose setting is wanted.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    organization: usize,
    user: u32,
    name: &'static str,
}

/// Has threads and tasks read the settings of all for `duration` while one organization is evicted.
pub(crate) fn serve(
    database: &Arc<Database>,
    runtime: &Runtime,
    duration: Duration,
) -> Result<Served, Failure> {
    database.add_settings(&ORGANIZATIONS, USERS, &NAMES)?;
    let tenants = Arc::new(Tenants::start(database)?);
    // Whoever has a handle keeps its scope in use, so its figures stay until they are compared.
    let users = tenants.users()?;
    tenants.read_all()?;

    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..TASKS)
        .map(|seed| {
            let (tenants, users, stop) = (Arc::clone(&tenants), users.clone(), Arc::clone(&stop));
            runtime.spawn(async move { tenants.ask_async(&users, &stop, seed).await })
        })
        .collect();
    let (evictions, removed, longest) = thread::scope(|scope| {
        let threads: Vec<_> = (TASKS..TASKS + THREADS)
            .map(|seed| {
                scope.spawn({
                    let (tenants, stop) = (&tenants, &stop);
                    move || tenants.ask(stop, seed)
                })
            })
            .collect();
        let evicted = tenants.evict_for(duration);
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().expect("a caller does not panic")?;
        }
        evicted
    })?;
    for task in tasks {
        runtime.block_on(task)??;
    }
    tenants.cache.flush().wait()?;
    let counted = tenants.cache.stats().invalidations();
    let last = tenants.evict_alone()?;
    tenants.judge([evictions, removed, counted], longest, last)
}

impl Tenants {
    fn start(database: &Arc<Database>) -> Result<Self, cacheado::Error> {
        // Room for all: what has to be loaded again was evicted with its scope.
        let capacity = 2 * PER_ORGANIZATION * ORGANIZATIONS.len() as u64;
        let tree = ScopeTree::new(["organization/user"])?;
        Ok(Self {
            cache: CacheHandle::builder().max_capacity(capacity).scopes(tree).build()?,
            database: Arc::clone(database),
            completed: Default::default(),
            loads: Default::default(),
            reads: (0..ORGANIZATIONS.len() * USERS as usize).map(|_| AtomicU64::new(0)).collect(),
            wrong: AtomicU64::new(0),
            stale: AtomicU64::new(0),
        })
    }

    fn scope(&self, organization: usize, user: u32) -> Result<Scope, cacheado::Error> {
        let organization = ScopeId::from(ORGANIZATIONS[organization]);
        self.cache.scope([("organization", organization), ("user", ScopeId::from(user))])
    }

    fn users(&self) -> Result<Vec<Scope>, cacheado::Error> {
        Wanted::all_users().map(|(organization, user)| self.scope(organization, user)).collect()
    }

    fn load(&self, wanted: Wanted) -> Result<Arc<Setting>, database::Error> {
        self.loads[wanted.organization].fetch_add(1, Ordering::Relaxed);
        let Wanted { organization, user, name } = wanted;
        self.database.setting(ORGANIZATIONS[organization], user, name).map(Arc::new)
    }

    /// A request in a thread: it finds its scope by its path, as a service does that learns from each
    /// request who asks.
    fn read(&self, wanted: Wanted) -> Result<(), Failure> {
        let oldest = self.oldest(wanted);
        let scope = self.scope(wanted.organization, wanted.user)?;
        let setting = scope.try_get_or_load(wanted.name, || self.load(wanted))?;
        self.count(wanted, oldest, &setting);
        Ok(())
    }

    /// The same in a task, by a handle that is kept.
    async fn read_async(
        self: &Arc<Self>,
        scope: &Scope,
        wanted: Wanted,
    ) -> Result<(), Arc<database::Error>> {
        let oldest = self.oldest(wanted);
        let load = async {
            let tenants = Arc::clone(self);
            let load = tokio::task::spawn_blocking(move || tenants.load(wanted));
            load.await.expect("a database read does not panic")
        };
        let setting = scope.try_get_or_load_async(wanted.name, load).await?;
        self.count(wanted, oldest, &setting);
        Ok(())
    }

    fn oldest(&self, wanted: Wanted) -> u32 {
        // Acquire: a reader that is held to an eviction must also have it behind it.
        self.completed[wanted.organization].load(Ordering::Acquire)
    }

    fn count(&self, wanted: Wanted, oldest: u32, setting: &Setting) {
        self.reads[wanted.place()].fetch_add(1, Ordering::Relaxed);
        match wanted.fault(oldest, setting) {
            Some(Fault::WrongRow) => self.wrong.fetch_add(1, Ordering::Relaxed),
            Some(_) => self.stale.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
    }

    fn read_all(&self) -> Result<(), Failure> {
        Wanted::all().try_for_each(|wanted| self.read(wanted))
    }

    fn ask(&self, stop: &AtomicBool, seed: u64) -> Result<(), Failure> {
        let mut random = SmallRng::seed_from_u64(seed);
        while !stop.load(Ordering::Relaxed) {
            self.read(Wanted::any(&mut random))?;
        }
        Ok(())
    }

    async fn ask_async(
        self: &Arc<Self>,
        users: &[Scope],
        stop: &AtomicBool,
        seed: u64,
    ) -> Result<(), Arc<database::Error>> {
        const REQUESTS_PER_TURN: usize = 32;
        let mut random = SmallRng::seed_from_u64(seed);
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..REQUESTS_PER_TURN {
                let wanted = Wanted::any(&mut random);
                self.read_async(&users[wanted.place()], wanted).await?;
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Changes all settings of an organization at once, and has nobody see the old ones any more: first the
    /// database, then the cache. A load that read the old settings before is not stored after.
    fn renew(&self) -> Result<(Reply<u64>, Duration), Failure> {
        let version = self.database.renew_settings(ORGANIZATIONS[EVICTED])?;
        let began = Instant::now();
        let reply = self.cache.evict_scope([("organization", ORGANIZATIONS[EVICTED])])?;
        let took = began.elapsed();
        // Release: pairs with the load in `oldest`. Only now may readers be held to it.
        self.completed[EVICTED].store(version, Ordering::Release);
        Ok((reply, took))
    }

    /// Evicts again and again; says how often, how many entries that removed, and the longest that one took.
    fn evict_for(&self, duration: Duration) -> Result<(u64, u64, Duration), Failure> {
        let end = Instant::now() + duration;
        let (mut evictions, mut removed, mut longest) = (0, 0, Duration::ZERO);
        while Instant::now() < end {
            let (reply, took) = self.renew()?;
            evictions += 1;
            longest = longest.max(took);
            removed += reply.wait()?;
            thread::sleep(BETWEEN_EVICTIONS);
        }
        Ok((evictions, removed, longest))
    }

    fn evict_alone(&self) -> Result<LastEviction, Failure> {
        self.read_all()?;
        self.cache.flush().wait()?;
        let organization = self.cache.scope([("organization", ORGANIZATIONS[EVICTED])])?;
        let others = || self.cache.len() - organization.len();
        let (held, others_before) = (organization.len(), others());
        let removed = self.renew()?.0.wait()?;
        self.cache.flush().wait()?;
        let left = organization.len();
        Ok(LastEviction { held, removed, left, others: [others_before, others()] })
    }

    fn judge(
        &self,
        [evictions, removed, counted]: [u64; 3],
        longest: Duration,
        last: LastEviction,
    ) -> Result<Served, Failure> {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let others = self.loads.iter().enumerate().filter(|(at, _)| *at != EVICTED);
        let others: u64 = others.map(|(_, loads)| count(loads)).sum();
        let scopes = self.cache.scopes().wait()?;
        let reads_of = |scope: &Scope| {
            let report = scopes.get(&scope.path());
            report.map_or(0, |report| report.own().hits() + report.own().misses())
        };
        let users = self.users()?;
        let top = self.cache.top_scopes(TOP, ScopeFigure::Hits).wait()?;
        let place_of = |path: &ScopePath| users.iter().position(|u| u.path() == *path);
        let top = top.iter().map(|report| {
            let asked = place_of(report.path()).map_or(0, |at| count(&self.reads[at]));
            let counted = report.own().hits() + report.own().misses();
            (report.path().to_string(), [counted, asked])
        });
        let miscounted = users.iter().zip(&self.reads);
        let miscounted = miscounted.filter(|(user, reads)| reads_of(user) != count(reads)).count();
        let in_global = NAMES.iter().filter(|name| self.cache.contains_key(**name)).count();
        let accepted = self.cache.scope([("user", 1)]).is_ok();
        Ok(Served {
            reads: self.reads.iter().map(count).sum(),
            wrong: count(&self.wrong),
            stale: count(&self.stale),
            evictions,
            removed: [removed, counted],
            longest,
            reloads: count(&self.loads[EVICTED]) - PER_ORGANIZATION,
            others: [others, PER_ORGANIZATION * (ORGANIZATIONS.len() as u64 - 1)],
            last,
            top: top.collect(),
            miscounted: miscounted as u64,
            leaks: [in_global as u64, u64::from(accepted)],
        })
    }
}

impl Wanted {
    /// All users of all organizations, each in its place.
    fn all_users() -> impl Iterator<Item = (usize, u32)> {
        let users = |organization| (0..USERS).map(move |user| (organization, user));
        (0..ORGANIZATIONS.len()).flat_map(users)
    }

    fn all() -> impl Iterator<Item = Self> {
        Self::all_users().flat_map(|(organization, user)| {
            NAMES.into_iter().map(move |name| Self { organization, user, name })
        })
    }

    /// Of two draws the lower, so that some users ask more than others.
    fn any(random: &mut SmallRng) -> Self {
        let user = random.random_range(0..USERS).min(random.random_range(0..USERS));
        Self {
            organization: random.random_range(0..ORGANIZATIONS.len()),
            user,
            name: NAMES[random.random_range(0..NAMES.len())],
        }
    }

    fn place(&self) -> usize {
        self.organization * USERS as usize + self.user as usize
    }

    fn fault(&self, oldest: u32, setting: &Setting) -> Option<Fault> {
        let owner = (setting.organization.as_str(), setting.user, setting.name.as_str());
        if owner != (ORGANIZATIONS[self.organization], self.user, self.name) {
            Some(Fault::WrongRow)
        } else if setting.version < oldest {
            Some(Fault::Stale)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_found_by_value() {
        let wanted = Wanted { organization: 1, user: 3, name: NAMES[0] };
        let right = || Setting {
            organization: ORGANIZATIONS[1].to_owned(),
            user: 3,
            name: NAMES[0].to_owned(),
            version: 5,
        };
        assert_eq!(wanted.fault(5, &right()), None);
        assert_eq!(wanted.fault(6, &right()), Some(Fault::Stale));
        let others = [
            Setting { organization: ORGANIZATIONS[0].to_owned(), ..right() },
            Setting { user: 4, ..right() },
            Setting { name: NAMES[1].to_owned(), ..right() },
        ];
        for other in others {
            assert_eq!(wanted.fault(5, &other), Some(Fault::WrongRow), "{other:?}");
        }
    }

    #[test]
    fn an_eviction_that_is_not_carried_out_is_noticed() {
        let database = Arc::new(Database::create(1).expect("a database"));
        database.add_settings(&ORGANIZATIONS, USERS, &NAMES).expect("settings");
        let tenants = Tenants::start(&database).expect("a cache");
        tenants.read_all().expect("settings");
        let version = database.renew_settings(ORGANIZATIONS[EVICTED]).expect("an organization");
        tenants.completed[EVICTED].store(version, Ordering::Release);
        tenants.read_all().expect("settings");
        assert_eq!(tenants.stale.load(Ordering::Relaxed), PER_ORGANIZATION);
        assert_eq!(tenants.wrong.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tenants_are_served_and_kept_apart() {
        let database = Arc::new(Database::create(1).expect("a database"));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        let runtime = runtime.expect("threads");
        let served = serve(&database, &runtime, Duration::from_millis(100)).expect("an answer");
        assert_eq!((served.wrong, served.stale, served.miscounted), (0, 0, 0));
        assert_eq!(served.others[0], served.others[1], "each loaded once");
        assert_eq!(served.removed[0], served.removed[1]);
        let last = &served.last;
        assert_eq!((last.held, last.removed, last.left), (PER_ORGANIZATION, PER_ORGANIZATION, 0));
        assert_eq!(last.others[0], last.others[1]);
        assert_eq!((served.top.len(), served.leaks), (TOP, [0, 0]));
        assert!(served.evictions > 0 && served.reads > 2 * PER_ORGANIZATION);
    }
}
