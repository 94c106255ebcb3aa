//! A reply is answered exactly once, whoever goes first.

use super::rig::search;
use crate::reply::Reply;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

/// Answers and drops in every order: the asker hears the answer or "closed", and never waits for ever.
pub fn every_reply_is_answered() {
    search("every_reply_is_answered", 4, || {
        let mut responders = Vec::new();
        let reply = Reply::sum_of(2, |a: u32, b| a + b, |_, responder| responders.push(responder));
        let asker = loom::thread::spawn(move || reply.wait());
        let (second, first) = (responders.pop().expect("two"), responders.pop().expect("two"));
        let one = loom::thread::spawn(move || first.answer(Ok(1)));
        let two = loom::thread::spawn(move || second.answer(Ok(2)));
        one.join().unwrap();
        two.join().unwrap();
        assert!(matches!(asker.join().unwrap(), Ok(3)));
    });
}

/// A responder that is dropped unused answers "closed".
pub fn a_dropped_responder_says_closed() {
    search("a_dropped_responder_says_closed", 3, || {
        let (responder, reply) = Reply::<u32>::new();
        let asker = loom::thread::spawn(move || reply.wait());
        let shard = loom::thread::spawn(move || drop(responder));
        shard.join().unwrap();
        assert!(asker.join().unwrap().is_err_and(|error| error.is_closed()));
    });
}

/// An asker that polls once and goes does not hold up the answer, and nothing is left of the answer.
pub fn a_cancelled_reply_leaves_nothing() {
    search("a_cancelled_reply_leaves_nothing", 3, || {
        let (responder, mut reply) = Reply::<Arc<()>>::new();
        let answer = Arc::new(());
        let asker = loom::thread::spawn(move || {
            let _ = Pin::new(&mut reply).poll(&mut Context::from_waker(Waker::noop()));
        });
        let given = Arc::clone(&answer);
        let shard = loom::thread::spawn(move || responder.answer(Ok(given)));
        shard.join().unwrap();
        asker.join().unwrap();
        assert_eq!(Arc::strong_count(&answer), 1, "the answer was dropped once");
    });
}
