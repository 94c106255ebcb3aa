//! The mailbox as it closes: every asker is answered or told that it is closed.

use super::rig::search;
use crate::reply::{Reply, Responder};
use crate::sync::mailbox::Mailbox;
use std::sync::Arc;

/// Two askers against an owner that answers one request and closes: a lost one would wait for ever.
pub fn nobody_waits_on_a_closed_mailbox() {
    search("nobody_waits_on_a_closed_mailbox", 4, || {
        let mailbox: Arc<Mailbox<Responder<u32>>> = Arc::new(Mailbox::new());
        let askers = [(); 2].map(|()| {
            let mailbox = Arc::clone(&mailbox);
            loom::thread::spawn(move || {
                let (responder, reply) = Reply::new();
                mailbox.send(responder);
                reply.wait()
            })
        });
        let owner = {
            let mailbox = Arc::clone(&mailbox);
            loom::thread::spawn(move || {
                let first = mailbox.receive();
                let answered = usize::from(first.is_some());
                first.into_iter().for_each(|responder| responder.answer(Ok(7)));
                mailbox.close();
                answered
            })
        };
        let answered = owner.join().unwrap();
        let heard = askers.map(|asker| asker.join().unwrap());
        assert_eq!(heard.iter().filter(|answer| matches!(answer, Ok(7))).count(), answered);
        let closed = |answer: &&Result<u32, crate::Error>| {
            answer.as_ref().is_err_and(crate::Error::is_closed)
        };
        assert_eq!(heard.iter().filter(closed).count(), 2 - answered);
        assert!(mailbox.receive().is_none(), "nothing is left behind");
    });
}
