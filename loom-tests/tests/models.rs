//! One test for each model, so that each can run in a process of its own: a deadlock that loom finds
//! aborts the process. `run.sh` runs them all and prints the table.
#![cfg(cache_loom)]

use loom_tests::models::{
    budget, graves, index, lanes, load, mailbox, pending, removal, reply, scopes, signal, spaces,
    sums,
};

macro_rules! models {
    ($($module:ident { $(fn $model:ident();)+ })+) => {
        $($(#[test] fn $model() { $module::$model(); })+)+
    };
}

models! {
    pending {
        fn read_your_writes();
        fn no_read_goes_back_in_time();
        fn a_chain_is_seen_whole();
        fn published_before_unlinked();
        fn unlinked_oldest_first();
        fn stale_claim_loses();
        fn stale_claim_loses_beside_a_load();
        fn no_mark_is_lost();
        fn removed_is_removed();
    }
    load {
        fn one_loader_at_a_time();
        fn a_load_stands_on_no_depth();
        fn a_load_ends_below_a_base();
        fn no_waiter_is_lost();
        fn a_load_is_seen_whole();
        fn an_abandoned_load_is_taken_over();
        fn one_waiter_takes_over();
        fn a_waiter_may_go();
        fn a_write_beats_a_load();
        fn a_removal_beats_a_load();
        fn a_superseded_load_stays_its_leaders();
        fn a_clear_beats_a_load();
        fn a_late_write_hides_nothing();
        fn no_circle_waits();
    }
    index {
        fn replaced_in_place();
        fn published_whole();
        fn withdrawn_alone();
        fn home_behind_a_reader();
        fn nearer_behind_a_reader();
        fn nearer_and_home_behind_a_reader();
        fn grown_under_a_reader();
        fn shrunk_under_a_reader();
    }
    graves {
        fn nothing_is_freed_under_a_reader();
        fn batches_follow_each_other();
    }
    removal {
        fn one_remover_wins();
        fn removal_against_replacement();
        fn removal_against_eviction();
    }
    signal {
        fn a_submit_wakes_a_deep_sleeper();
        fn a_write_reaches_a_sleeping_shard();
        fn a_command_wakes_a_light_sleeper();
        fn a_late_count_hides_no_command();
        fn shards_wake_each_other();
        fn who_heard_early_is_woken();
        fn a_deep_chain_waits_for_the_shard();
    }
    mailbox {
        fn nobody_waits_on_a_closed_mailbox();
    }
    reply {
        fn every_reply_is_answered();
        fn a_dropped_responder_says_closed();
        fn a_cancelled_reply_leaves_nothing();
    }
    scopes {
        fn a_scope_ends_under_no_user();
        fn a_path_is_one_scope();
        fn a_number_has_one_owner();
        fn an_eviction_ends_what_was_issued_before();
        fn an_eviction_counts_what_was_read();
        fn each_eviction_counts_its_own();
        fn what_comes_late_is_not_counted();
        fn a_key_is_counted_once();
        fn a_full_cache_counts_an_eviction_once();
        fn an_evicted_entry_does_not_come_back();
        fn a_doubt_hides_nothing();
        fn no_load_is_joined_across_an_eviction();
        fn no_load_outlives_an_eviction();
    }
    spaces {
        fn a_clear_ends_what_was_written_before();
        fn a_full_cache_counts_a_clear_once();
        fn no_load_outlives_a_clear();
        fn no_load_is_joined_across_a_clear();
        fn an_ended_scope_answers_nothing();
    }
    sums {
        fn a_stamp_brings_its_evictions();
        fn what_is_kept_had_ended();
        fn each_eviction_raises_once();
        fn who_ends_an_eviction_hands_it_on();
        fn who_evicts_sees_it_raised();
        fn evictions_hand_on_what_came_before();
        fn a_sum_has_each_scope_once();
    }
    budget {
        fn room_comes_with_its_account();
        fn what_is_over_is_evicted_once();
    }
    lanes {
        fn lanes_are_handed_over();
        fn nothing_is_freed_under_a_lane();
        fn guards_outlive_their_thread();
        fn one_barrier_serves_two();
        fn a_reader_without_a_lane_is_noticed();
        fn the_collector_answers_after_its_readers();
    }
}
