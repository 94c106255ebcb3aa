//! The shard's thread: when things happen, sleep and wake. What happens is [`fold`](super::fold)'s.
//!
//! One turn: take the commands that have come, fold what is marked, evict, expire, tell the listener,
//! free what is due, answer the commands. Between turns the thread sleeps in one place, on its
//! [`Signal`](super::signal). It ends when the last handle has gone, after it has folded what was
//! accepted and answered every reply. Layer: shard.

use super::Shard;
use super::budget::Bound;
use super::command::{Command, Message, Need};
use super::docket::Docket;
use super::fold::{Fold, Settings};
use super::graves::KEPT;
use super::groups::Group;
use super::panics::Panics;
use super::pending::Pending;
use super::scopes::Scopes;
use super::signal::{Load, Nap};
use super::upkeep::SLICE;
use crate::reply::Responder;
use crate::scope::trie::{Idle, Trie};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How long a light sleeper sleeps.
const LIGHT: Duration = Duration::from_millis(1);
/// Idle light naps before a deep sleep.
const LIGHT_NAPS: u32 = 8;
/// How often the other shards are asked for what is above their shares before they are asked for more.
const POLITE: u32 = 3;

/// For how many entries of a turn's slice a scope counts that nobody uses any more and that is passed on: a million may end at
/// once, and writes wait meanwhile.
const PROBE_COST: u32 = 4;
/// And an answer to an eviction: somebody is woken.
const ANSWER_COST: u32 = 16;
/// Room for commands that is given back: it takes a million scopes that end at once to need more.
const MANY_COMMANDS: usize = 1024;

/// A shard's thread, before and while it runs.
pub(crate) struct Worker<K, V> {
    shards: Arc<[Shard<K, V>]>,
    number: usize,
    fold: Fold<K, V>,
    /// Commands that have come and are not answered yet, in the order of their coming; each comes after the evictions
    /// up to some place.
    commands: VecDeque<(u64, Command<K, V>)>,
    /// Commands that were taken out of the mailbox while a turn was under way or before a rest: they are for the next.
    later: VecDeque<Command<K, V>>,
    /// The most that came in a turn since the mailbox gave its room back.
    most_came: usize,
    /// Writers that wait for room.
    ready: Vec<Responder<()>>,
    /// Evictions of scopes that have come and are not answered yet.
    docket: Docket,
    /// Groups whose end has come since the last fold.
    ended: Vec<Arc<Group<K, V>>>,
    /// Naps since the last turn that had something to do.
    naps: u32,
    /// The shards together are over the capacity, and this one has paid its part.
    over: bool,
    /// Other shards have asked this one to pay even from below its share.
    needs: Vec<Weak<Need>>,
    /// What this one asks the others for, until it has seen that the bound holds again.
    need: Option<Arc<Need>>,
    /// It has folded something since the bound last held: if that does not hold, it is its business.
    wrote: bool,
    /// How often it has asked the others in a row to pay.
    asked: u32,
    /// How many threads can run beside this one.
    spare_processors: usize,
    /// The clock is moved by hand: a timer says nothing about when to wake.
    clock_by_hand: bool,
}

/// What a turn leaves to be done.
pub(crate) enum Next {
    /// There is more to do at once.
    Again,
    /// Nothing before so many nanoseconds, if that, unless it is woken.
    Idle(Option<u64>),
    /// The last handle has gone.
    End,
}

impl<K: Eq, V> Worker<K, V> {
    /// The worker of one of `shards`, not yet running.
    pub(crate) fn new(
        shards: Arc<[Shard<K, V>]>,
        number: usize,
        trie: Arc<Trie>,
        settings: Settings<K, V>,
    ) -> Self {
        let clock_by_hand = settings.clock.moves_by_hand();
        let spare_processors = settings.spare_processors;
        let scopes = Scopes::new(trie, number, shards.len());
        let fold = Fold::new(settings, scopes);
        fold.show_tick(&shards[number]);
        Self {
            shards,
            number,
            fold,
            commands: VecDeque::new(),
            later: VecDeque::new(),
            most_came: 0,
            ready: Vec::new(),
            docket: Docket::default(),
            ended: Vec::new(),
            naps: 0,
            over: false,
            needs: Vec::new(),
            need: None,
            wrote: false,
            asked: 0,
            spare_processors,
            clock_by_hand,
        }
    }

    /// The thread's life.
    pub(crate) fn run(mut self) {
        crate::shard_thread::enter();
        let died = catch_unwind(AssertUnwindSafe(|| self.live())).is_err();
        let Self { shards, number, mut fold, commands, later, ready, docket, .. } = self;
        let shard = &shards[number];
        // The flag first: whoever sends from now on is answered "closed" by his own hand. Those who wait
        // are woken, and a waker that panics must not keep the others waiting.
        shard.mailbox.close();
        let panics = Panics::default();
        for command in commands {
            panics.catch(|| drop(command));
        }
        for command in later {
            panics.catch(|| drop(command));
        }
        for answer in ready {
            panics.catch(|| drop(answer));
        }
        for answer in docket.into_unanswered() {
            panics.catch(|| drop(answer));
        }
        if died {
            // A bug of ours: what the shard owned may be in any state.
            fold.give_up();
        } else {
            fold.raze(shard);
        }
    }

    fn live(&mut self) {
        loop {
            match self.turn() {
                Next::Again => {}
                Next::Idle(timer) => self.sleep(timer),
                Next::End => return,
            }
        }
    }

    /// One round of everything. Public to the crate so that tests and models can step a shard.
    pub(crate) fn turn(&mut self) -> Next {
        let came = self.take_commands() as u64;
        // Who evicts may have read what its writer has not marked yet: that is to be counted.
        let thorough = self.docket.look() || !self.ended.is_empty();
        let (mut folded, mut of_word) = (0, 0);
        for word in 0..Pending::<K, V>::words() {
            self.give_room(of_word);
            let shard = &self.shards[self.number];
            of_word = self.fold.fold_word(shard, word, thorough);
            folded += of_word;
            // Between words, so that a large batch never stands far above the capacity.
            self.fold.thin_out(shard);
            self.fold.evict(shard, false);
        }
        let shard = &self.shards[self.number];
        for eviction in self.docket.settled() {
            self.fold.scopes.settle(eviction.node(), eviction.generation());
        }
        for group in self.ended.drain(..) {
            self.fold.groups.settle(group);
        }
        if thorough {
            self.fold.let_go();
        }
        shard.signal.folded(came + of_word);
        self.answer_ready();
        let shard = &self.shards[self.number];
        // After the fold: what came to this shard after a need had ended is not to go for it.
        let generous = self.needs.drain(..).any(|need| need.strong_count() > 0);
        let bound = self.fold.evict(shard, generous);
        self.over = bound != Bound::Holds;
        let timer = self.fold.expire(shard);
        self.fold.departures.announce();
        // First free what is due, then seal: so an entry is never freed in the turn in which it left.
        let more_is_due = self.fold.departures.bury(&shard.blocks);
        self.fold.departures.seal();
        self.fold.publish_counts(shard);
        self.wrote |= folded > 0;
        if !self.over {
            (self.wrote, self.asked, self.need) = (false, 0, None);
        } else if self.wrote && bound == Bound::Broken {
            self.ask_relief();
        }
        if came + folded > 0 {
            self.naps = 0;
        }
        let next = self.carry_out(timer);
        for idle in self.fold.scopes.take_idle() {
            self.shards[0].whisper(Command::Probe(idle));
        }
        match next {
            Next::Idle(_) if more_is_due || !self.later.is_empty() => Next::Again,
            next => next,
        }
    }

    /// Takes operations off the backlog while the turn lasts. Writers that wait for room are told when it becomes much,
    /// if they find processors: until they are awake the shard has the rest to do, and does not run dry. It becomes much once
    /// in a turn, so who waits because a chain is deep, which may be the last, does not come again and again.
    fn give_room(&mut self, folded: u64) {
        let shard = &self.shards[self.number];
        let Some(Load { backlog, called }) = shard.signal.folded(folded) else { return };
        if called {
            while let Some(Message { command, rouse }) = shard.receive() {
                drop(rouse);
                match command {
                    Command::Ready(answer) => {
                        shard.signal.folded(1);
                        self.ready.push(answer);
                    }
                    // What is submitted before it must be folded before it, and may lie in a word that was passed.
                    command => self.later.push_back(command),
                }
            }
        }
        let becomes_much =
            backlog > shard.much_room() && backlog - folded as i64 <= shard.much_room();
        if becomes_much && self.ready.len() <= self.spare_processors {
            self.answer_ready();
        }
    }

    fn answer_ready(&mut self) {
        for answer in self.ready.drain(..) {
            self.fold.departures.panics.catch(|| answer.answer(Ok(())));
        }
    }

    /// The oldest command that was not taken yet. Who sleeps below this shard is woken as soon as its message is taken.
    fn next_command(&mut self) -> Option<Command<K, V>> {
        let take = || self.shards[self.number].receive().map(|message| message.command);
        self.later.pop_front().or_else(take)
    }

    fn take_commands(&mut self) -> usize {
        let mut came = 0;
        while let Some(command) = self.next_command() {
            came += 1;
            match command {
                // At once: what is submitted after `events` returned must not be missed.
                Command::Subscribe(subscriber) => self.fold.departures.subscribe(subscriber),
                Command::Unsubscribe(scope) => self.fold.departures.forget_streams(scope),
                // Answered as soon as the fold has made room, not after the commands before it.
                Command::Ready(answer) => self.ready.push(answer),
                Command::Evict(eviction, answer) => self.docket.hear(eviction, answer),
                Command::End { group, count, answer } => {
                    self.ended.push(Arc::clone(&group));
                    self.put_off(Command::End { group, count, answer });
                }
                #[cfg(test)]
                Command::Die => std::panic::resume_unwind(Box::new("by order of a test")),
                // At once: a flush that waits for the bound must not hold back what brings it about.
                Command::Relieve(need) => self.needs.extend(need),
                command => self.put_off(command),
            }
        }
        self.most_came = self.most_came.max(came);
        // It may be long until the next rest.
        self.shrink_mailbox(MANY_COMMANDS);
        came
    }

    /// Has the mailbox give its room back if that is for more than so many: it does as all in it is taken, which is for the
    /// next turn.
    fn shrink_mailbox(&mut self, kept: usize) {
        if self.most_came > kept {
            self.most_came = 0;
            self.later.shrink_to(KEPT);
            let messages = self.shards[self.number].receive_all();
            self.later.extend(messages.map(|message| message.command));
        }
    }

    /// Has a command carried out after those before it, and after the evictions that began before it came.
    fn put_off(&mut self, command: Command<K, V>) {
        self.commands.push_back((self.docket.last_begun(), command));
    }

    /// Carries out commands in their order, and answers the evictions before each, a slice of what there is.
    fn carry_out(&mut self, timer: Option<u64>) -> Next {
        let (due, mut left, mut swept) = (timer == Some(0), SLICE, false);
        let next = loop {
            if let Some(next) = self.carry_out_commands(due, &mut left) {
                break next;
            }
            match self.sweep(&mut left) {
                _ if left == 0 => break Next::Again,
                true => swept = true,
                // The next turn gives back what was swept of the capacity, before the shard rests.
                false if due || swept => break Next::Again,
                false => break Next::Idle(timer),
            }
        };
        let in_use = self.commands.len();
        if self.commands.capacity() > MANY_COMMANDS.max(4 * in_use) {
            // It may be long until the next rest. By half at least, for what is left is moved.
            self.commands.shrink_to(2 * in_use);
        }
        next
    }

    /// Those that come before the next eviction that is to be answered; what follows if not that.
    fn carry_out_commands(&mut self, due: bool, left: &mut u32) -> Option<Next> {
        let mut ended = false;
        while let Some((after, command)) = self.commands.pop_front() {
            match command {
                command if self.docket.answered() < after => {
                    self.commands.push_front((after, command));
                    break;
                }
                Command::Flush(answer) if self.over || due => {
                    self.commands.push_front((after, Command::Flush(answer)));
                    break;
                }
                Command::Flush(answer) => {
                    // An answer wakes its asker, and a waker is user code.
                    self.fold.departures.panics.catch(|| answer.answer(Ok(())));
                }
                Command::End { group, count, answer } => {
                    self.end(group, count, answer);
                    return Some(Next::Again);
                }
                Command::Probe(idle) => {
                    self.probe(idle);
                    *left = left.saturating_sub(PROBE_COST);
                    if *left == 0 && !ended {
                        return Some(Next::Again);
                    }
                }
                Command::Visit(node, visitor) => self.fold.visit(&node, visitor),
                Command::Evict(..)
                | Command::Subscribe(_)
                | Command::Unsubscribe(_)
                | Command::Relieve(_)
                | Command::Ready(_) => unreachable!("these are not put off"),
                Command::Stop => ended = true,
                #[cfg(test)]
                Command::Die => unreachable!("the shard died as it came"),
            }
        }
        ended.then_some(Next::End)
    }

    /// Takes out what the eviction that is to be answered next has ended, as much as is left of the slice; whether there
    /// is one.
    fn sweep(&mut self, left: &mut u32) -> bool {
        let Some(eviction) = self.docket.next().map(Arc::clone) else { return false };
        let shard = &self.shards[self.number];
        let count = self.fold.sweep(shard, eviction.node(), left);
        self.fold.departures.announce();
        self.fold.publish_counts(shard);
        let Some(count) = count else { return true };
        if let Some(answer) = self.docket.take_next() {
            self.fold.departures.panics.catch(|| answer.answer(Ok(count)));
        }
        *left = left.saturating_sub(ANSWER_COST);
        true
    }

    /// One slice of what the end of a group has to take out; if there is more, the next.
    fn end(&mut self, group: Arc<Group<K, V>>, count: u64, answer: Responder<u64>) {
        let shard = &self.shards[self.number];
        let swept = self.fold.sweep_group(shard, &group);
        self.fold.departures.announce();
        self.fold.publish_counts(shard);
        match swept {
            Err(more) => {
                // What has begun since comes after it.
                self.commands.push_front((0, Command::End { group, count: count + more, answer }));
            }
            Ok(rest) => {
                self.fold.departures.panics.catch(|| answer.answer(Ok(count + rest)));
            }
        }
    }

    /// Passes a scope that nobody used on from shard to shard. One that has entries of it uses it, and will
    /// say when it no longer does; if none has, the last one ends it.
    fn probe(&mut self, idle: Idle) {
        if self.fold.scopes.knows(&idle.node) {
            return;
        }
        match self.shards.get(self.number + 1) {
            Some(next) => next.whisper(Command::Probe(idle)),
            None => self.fold.scopes.end(idle),
        }
    }

    /// Has the other shards evict: those that can pay from above their share; if there is none, or they
    /// have been asked in vain, all. An entry that is heavier than a share makes that necessary.
    fn ask_relief(&mut self) {
        self.asked = self.asked.saturating_add(1);
        let can_pay = |shard: &Shard<K, V>| self.fold.must_pay(&shard.published_counts());
        let others = || self.shards.iter().enumerate().filter(|(i, _)| *i != self.number);
        let all_shares = self.asked > POLITE || !others().any(|(_, shard)| can_pay(shard));
        let need = all_shares.then(|| Arc::downgrade(self.need.get_or_insert_default()));
        for (_, shard) in others().filter(|(_, shard)| all_shares || can_pay(shard)) {
            shard.send(Command::Relieve(need.clone()));
        }
    }

    /// Between two turns. Public to the crate for models.
    pub(crate) fn sleep(&mut self, timer: Option<u64>) {
        if !self.docket.await_begin() {
            return;
        }
        let timer = timer.map(Duration::from_nanos);
        if self.naps > 0 && !self.over && self.fold.rest_index(&self.shards[self.number]) {
            return;
        }
        // From the first nap a shard that has work is woken at once.
        if self.naps > 0 && !self.fold.departures.has_graves() {
            self.rest();
            if !self.later.is_empty() {
                return;
            }
        }
        self.naps = self.naps.saturating_add(1);
        let unsettled = self.over || (self.clock_by_hand && timer.is_some());
        let nap = if unsettled || self.naps <= LIGHT_NAPS {
            // A clock that stands just before a timer must not be asked again and again.
            let timer = timer.filter(|_| !self.clock_by_hand);
            Nap::Light(timer.map_or(LIGHT, |timer| timer.min(LIGHT)))
        } else if self.fold.departures.has_graves() {
            // A reader is pinned: look again now and then, more and more seldom.
            let patience = LIGHT * (1 << (self.naps - LIGHT_NAPS).min(7));
            Nap::Deep(Some(timer.map_or(patience, |timer| timer.min(patience))))
        } else {
            Nap::Deep(timer)
        };
        self.shards[self.number].signal.sleep(nap);
    }

    /// Gives back what is kept for the next turn, which is long in coming.
    fn rest(&mut self) {
        self.fold.rest();
        self.shards[self.number].blocks.rest();
        self.shrink_mailbox(KEPT);
        self.commands.shrink_to(KEPT);
        self.ready.shrink_to(KEPT);
        self.ended.shrink_to(KEPT);
        self.needs.shrink_to(KEPT);
        self.docket.rest();
    }
}
