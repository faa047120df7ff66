//! The rows. Ids N, P, C, G and S are those of the design's list of faults; H is what a host does to all of them.

use super::Row;
use super::Shown::{Cell, Test};

const ARBITER: &str = "protocol/tests/arbiter_cases.rs";
const EPOCHS: &str = "protocol/tests/arbiter_epoch_cases.rs";
const WORLD: &str = "tests/tests/world.rs";
const PAIR_WORLD: &str = "tests/tests/world_pair.rs";
const LEGS: &str = "subscriber/tests/legs.rs";
const SUBSCRIPTION: &str = "subscriber/tests/administration.rs";
const SERVICE: &str = "stream-admin/tests/service/main.rs";
const FAILOVER: &str = "tests/tests/e2e_failover.rs";
const JOIN: &str = "tests/tests/e2e_join.rs";
const SUBSCRIBER_JOIN: &str = "subscriber/tests/join.rs";
const FILLS: &str = "tests/tests/e2e_fills.rs";
const REQUESTS: &str = "tests/tests/e2e_requests.rs";
const SOUP: &str = "tests/tests/e2e_soup.rs";
const RESUME: &str = "tests/tests/e2e_resume.rs";
const RESUME_CASES: &str = "protocol/tests/arbiter_resume_cases.rs";
const SIMULATE: &str = "tests/tests/simulate.rs";
const FILL_WORLD: &str = "tests/tests/world_filled.rs";
const LOSS: &str = "tests/tests/loss.rs";
const ROLES: &str = "tests/tests/e2e_roles.rs";
const SPLIT: &str = "tests/tests/e2e_split_brain.rs";
const ADMINISTRATION: &str = "tests/tests/e2e_administration.rs";

const fn row(
    id: &'static str,
    fault: &'static str,
    expected: &'static str,
    bound: &'static str,
    shown: &'static [super::Shown],
    open: &'static str,
) -> Row {
    Row {
        id,
        fault,
        expected,
        bound,
        shown,
        open,
    }
}

/// All.
pub const ROWS: &[Row] = &[
    row(
        "N1",
        "loss on one leg or one line alone",
        "L D O, and no gap: the twin has it",
        "extra delay: the skew between the twins",
        &[
            Cell("loss-leg"),
            Cell("loss-line"),
            Cell("burst-leg"),
            Test(
                WORLD,
                "every_seventh_datagram_lost_on_one_leg_costs_nothing",
            ),
            Test(
                LEGS,
                "every_seventh_datagram_lost_on_one_leg_is_nobodys_loss",
            ),
            Test(
                FAILOVER,
                "a_cable_cut_behind_the_active_is_noticed_and_costs_nothing",
            ),
        ],
        "",
    ),
    row(
        "N2",
        "the same lost on both legs, or on both lines of a source",
        "L D O: adapters, and the exchange, are asked for it; what nobody has is one gap that names it, in its place",
        "`reorder_hold` after the last live leg has passed it; `repair_time`, `request_time` and `soup.time` where somebody is asked",
        &[
            Cell("burst-both"),
            Test(
                ARBITER,
                "a_hole_on_both_legs_is_declared_after_both_passed_it_and_not_before",
            ),
            Test(LEGS, "a_hole_on_both_legs_is_a_gap_in_its_place"),
            Test(FILLS, "what_both_legs_lost_is_filled_under_first_arrival"),
            Test(FILLS, "with_one_adapter_dead_the_other_gives_what_it_lost"),
            Test(REQUESTS, "what_both_lines_lost_is_given_by_the_exchange"),
            Test(SOUP, "what_both_lines_lost_is_given_over_soupbintcp_alone"),
            Test(
                FILL_WORLD,
                "what_both_streams_lost_is_given_and_without_servers_it_is_a_gap",
            ),
            Test(LOSS, "at_100_000_messages_a_second_every_loss_is_made_good"),
            Test(LOSS, "with_one_adapter_dead_every_loss_is_made_good"),
            Test(
                WORLD,
                "no_seed_breaks_a_promise_and_everything_happens_in_some",
            ),
        ],
        "",
    ),
    row(
        "N3",
        "a burst lost on both legs at full rate",
        "L D O: declared; what waits is bounded, and full declares instead of evicting",
        "`held_records`, `held_bytes`",
        &[
            Cell("link-subscriber"),
            Cell("burst-both"),
            Test(ARBITER, "a_full_hold_declares_and_never_evicts"),
            Test(LOSS, "at_ten_times_the_rate_every_loss_is_made_good"),
            Test(
                "subscriber/tests/join.rs",
                "a_hole_that_nobody_fills_is_closed_by_a_snapshot_where_the_application_wants_one",
            ),
        ],
        "",
    ),
    row(
        "N4",
        "duplicates",
        "D",
        "always",
        &[
            Cell("babble"),
            Test(
                ARBITER,
                "the_second_copy_is_dropped_whichever_leg_brings_it",
            ),
            Test(
                WORLD,
                "no_seed_breaks_a_promise_and_everything_happens_in_some",
            ),
        ],
        "",
    ),
    row(
        "N5",
        "reordering and jitter, within the hold and beyond it",
        "O; within the hold no gap; beyond it the late copy is counted and dropped",
        "`reorder_hold`",
        &[
            Test(ARBITER, "a_late_copy_within_the_hold_closes_the_hole"),
            Test(
                "protocol/tests/arbiter_unordered_cases.rs",
                "what_both_legs_passed_is_declared_after_the_reorder_hold_and_never_delivered_then",
            ),
            Test(
                WORLD,
                "no_seed_breaks_a_promise_and_everything_happens_in_some",
            ),
        ],
        "on real hosts nothing reorders: this kernel's `netem` is not everywhere",
    ),
    row(
        "N6",
        "skew between the legs; one side clogged",
        "the faster side is followed; a backlog repeats nothing",
        "`lag_time`, `lag_messages`",
        &[
            Cell("stop-backup"),
            Test(
                WORLD,
                "a_stopped_adapter_is_left_and_its_backlog_repeats_nothing",
            ),
            Test(
                ARBITER,
                "prefer_active_delivers_a_held_record_after_lag_time_whatever_heartbeats_say",
            ),
        ],
        "",
    ),
    row(
        "N7",
        "corrupt, cut, oversize and foreign datagrams",
        "refused and counted; nothing else changes",
        "the datagram itself",
        &[
            Cell("babble"),
            Test(
                "wire/tests/roundtrip.rs",
                "damage_is_refused_or_read_literally",
            ),
            Test("wire/tests/roundtrip.rs", "noise_never_panics"),
            Test(LEGS, "a_foreign_sender_is_counted_and_changes_nothing"),
        ],
        "a line over a threshold of such packets is not called suspect; a corrupted copy of what was delivered may be counted as a copy (decision 24)",
    ),
    row(
        "N8",
        "old packets mixed in: of a sender, an epoch or a generation that is over",
        "never delivered",
        "always",
        &[
            Cell("stop-active"),
            Cell("babble"),
            Test(
                EPOCHS,
                "replays_foreigners_and_replaced_processes_are_counted_and_dropped",
            ),
            Test(WORLD, "old_and_new_epochs_never_ping_pong"),
            Test(
                SPLIT,
                "what_an_old_active_originates_beside_its_successor_reaches_no_application",
            ),
        ],
        "",
    ),
    row(
        "N9",
        "a session ends and the next begins; its end is lost on one side or both",
        "all of the old session or a gap, then one `Reset`, then the next",
        "the next session's first datagrams",
        &[
            Test(EPOCHS, "a_new_epoch_waits_for_the_rest_of_the_old_one"),
            Test(
                EPOCHS,
                "the_lost_tail_of_an_epoch_is_declared_before_the_reset",
            ),
            Test(EPOCHS, "an_unknown_end_is_said_to_be_unknown"),
            Test(
                WORLD,
                "no_seed_breaks_a_promise_and_everything_happens_in_some",
            ),
        ],
        "",
    ),
    row(
        "N10",
        "silence of one line, or of both",
        "one: nothing; both at one adapter: it hands over; at both adapters: told as stale, in order, once",
        "`silence` + `source_hold` + a third of a lease",
        &[
            Test(
                "tests/tests/e2e_sources.rs",
                "an_active_without_a_source_hands_over_and_a_source_that_stops_is_told_of_once_at_every_subscriber",
            ),
            Test(
                EPOCHS,
                "silence_of_every_leg_is_stale_and_the_first_datagram_live",
            ),
            Test(EPOCHS, "two_deaf_adapters_are_stale_although_they_speak"),
        ],
        "",
    ),
    row(
        "N11",
        "the last message is lost, and then nothing comes",
        "noticed by the next heartbeat; filled by the twin or declared",
        "one heartbeat + `reorder_hold`",
        &[
            Test(ARBITER, "a_lost_tail_is_noticed_by_the_heartbeat"),
            Test(WORLD, "a_lost_tail_is_declared"),
            Test(
                FILLS,
                "a_lost_tail_is_noticed_by_heartbeats_and_filled_up_to_the_end",
            ),
        ],
        "",
    ),
    row(
        "N12",
        "a late join, of a subscriber or of an adapter",
        "a subscriber is told where it joins, and with a snapshot what there is, exact at that place; an adapter takes its peer's context over, and what it would tell who joins, or a snapshot and the session from its source, or says that it lacks it",
        "the length of a context, or of a session over TCP; else the next session",
        &[
            Test(ARBITER, "the_first_record_is_told_to_be_a_join"),
            Test(
                "protocol/tests/join_twin.rs",
                "who_joins_with_a_snapshot_has_what_one_has_who_was_there_from_the_start",
            ),
            Test(
                JOIN,
                "who_joins_at_any_point_has_the_books_of_one_who_was_there_from_the_start",
            ),
            Test(
                JOIN,
                "an_adapter_that_dies_during_the_join_delays_it_at_most",
            ),
            Test(JOIN, "who_joins_while_the_active_dies_has_the_same_books"),
            Test(
                JOIN,
                "who_joins_in_a_halt_has_the_same_books_before_anything_is_said",
            ),
            Test(
                JOIN,
                "who_joins_after_both_adapters_were_restarted_in_mid_session_has_the_same_books",
            ),
            Test(
                JOIN,
                "who_joins_after_both_adapters_died_at_once_has_the_books_of_the_whole_session",
            ),
            Test(
                JOIN,
                "who_joins_after_both_adapters_died_at_once_has_the_books_of_the_sources_snapshot",
            ),
            Test(
                "feed-adapter/tests/snapshots/server.rs",
                "what_began_in_mid_session_is_made_whole_by_the_other_adapter",
            ),
            Test(
                "tests/tests/e2e_late.rs",
                "a_late_backup_that_learns_the_past_is_in_step_when_it_has_and_not_before",
            ),
            Test(
                "tests/tests/e2e_transfer.rs",
                "both_adapters_may_die_one_after_the_other_in_one_session",
            ),
            Test(
                SOUP,
                "an_adapter_started_at_noon_beside_nobody_becomes_complete",
            ),
            Test(
                SOUP,
                "a_backup_restarted_at_noon_is_a_useful_one_without_its_peers_help",
            ),
            Test(
                SOUP,
                "a_pair_started_at_noon_goes_on_from_snapshots_of_two_moments_as_one",
            ),
        ],
        "",
    ),
    row(
        "N13",
        "the source begins again: a channel reset, both producers restarted",
        "one `Reset`, in order",
        "the next datagrams",
        &[
            Test(
                EPOCHS,
                "a_source_that_begins_again_under_the_same_name_is_a_reset",
            ),
            Test(
                EPOCHS,
                "stepping_back_in_one_epoch_is_a_reset_when_every_live_leg_does",
            ),
        ],
        "",
    ),
    row(
        "N14",
        "one number, two contents",
        "`Divergence`: the source stream is pinned to one leg, and the pair is not called protected",
        "one digest range of 4,096 numbers",
        &[
            Test(
                "tests/tests/e2e_divergence.rs",
                "a_wrong_backup_is_set_apart_under_first_arrival",
            ),
            Test(
                "tests/tests/e2e_divergence.rs",
                "a_wrong_backup_is_set_apart_under_prefer_active",
            ),
            Test(
                "protocol/tests/arbiter_divergence_property.rs",
                "the_application_never_sees_the_two_mixed",
            ),
        ],
        "",
    ),
    row(
        "N15",
        "an absurd number: a huge jump, a step back, a generation that is none",
        "quarantined until confirmed; no gap and no switch before",
        "three datagrams and a heartbeat, or the twin",
        &[
            Cell("babble"),
            Test(ARBITER, "an_absurd_number_changes_nothing"),
            Test(EPOCHS, "one_datagram_of_a_new_epoch_is_not_believed"),
            Test(WORLD, "an_absurd_number_changes_nothing"),
        ],
        "",
    ),
    row(
        "N16",
        "a replay server that is slow, refuses, lies or dies",
        "the next one, then a snapshot, then a gap",
        "`repair_time`; `request_time` and `soup.time` for an exchange's",
        &[
            Test(FILL_WORLD, "one_server_that_does_anything_else_is_survived"),
            Test(
                "protocol/tests/arbiter_fill_twin.rs",
                "what_an_honest_adapter_retains_is_delivered_and_the_rest_declared",
            ),
            Test(
                REQUESTS,
                "an_exchange_that_leaves_some_requests_unanswered_is_asked_again",
            ),
            Test(SOUP, "after_a_server_that_refuses_the_other_is_asked"),
            Test(
                SOUP,
                "after_a_server_that_is_slow_or_absent_or_breaks_off_the_other_is_asked",
            ),
            Test(
                SOUP,
                "a_wrong_password_is_named_with_its_remedy_and_the_hole_is_declared",
            ),
            Test(
                "protocol/tests/line_recovery.rs",
                "an_answer_says_nothing_but_what_was_asked_for",
            ),
            Test(
                SUBSCRIBER_JOIN,
                "whatever_a_server_does_the_other_one_or_the_next_attempt_helps",
            ),
            Test(JOIN, "a_server_that_is_gone_or_says_nothing_is_passed_over"),
            Test(
                SUBSCRIBER_JOIN,
                "a_hole_that_nobody_fills_is_closed_by_a_snapshot_where_the_application_wants_one",
            ),
        ],
        "",
    ),
    row(
        "H1",
        "a host loses its cable",
        "L D O at whoever hears the other leg; who loses both is told what is missing",
        "`missed_heartbeats` × `heartbeat`",
        &[
            Cell("link-active"),
            Cell("link-subscriber"),
            Cell("link-admin"),
        ],
        "",
    ),
    row(
        "H2",
        "the pair link is cut, or deaf one way",
        "L D O; the pair is not called protected; no takeover",
        "`missed_beats` × `beat`",
        &[
            Cell("one-way-link"),
            Test(
                "tests/tests/e2e_link.rs",
                "a_cut_link_moves_nothing_under_first_arrival",
            ),
            Test(
                "tests/tests/e2e_link.rs",
                "a_cut_link_moves_nothing_under_prefer_active",
            ),
            Test(
                PAIR_WORLD,
                "a_split_pair_is_contiguous_and_one_generation_counts",
            ),
        ],
        "",
    ),
    row(
        "H3",
        "no descriptor left",
        "L D O: what is open goes on; what is new is served when there are descriptors again",
        "as soon as there are",
        &[Cell("descriptors")],
        "",
    ),
    row(
        "H4",
        "an application dies and is started again, here or on another host",
        "it goes on at its cursor, on either leg, behind the end of a session that ended meanwhile: each record has its effect once",
        "what the adapters retain; beyond, one gap",
        &[
            Test(RESUME, "what_passed_meanwhile_is_given_by_the_adapters"),
            Test(
                RESUME,
                "it_holds_on_the_other_leg_when_the_active_has_died_meanwhile",
            ),
            Test(
                RESUME,
                "a_session_that_ended_meanwhile_is_finished_before_the_next_one",
            ),
            Test(RESUME_CASES, "two_runs_are_told_what_one_would_be"),
            Test(
                SIMULATE,
                "long_worlds_keep_their_promises_and_have_enough_in_them",
            ),
        ],
        "",
    ),
    row(
        "P1",
        "SIGKILL of the active",
        "hot: L D O without an interruption; standby: the backup transmits; the backup takes over",
        "the kernel's reset of the pair link; else 3 × heartbeat",
        &[
            Cell("kill-active"),
            Test(
                FAILOVER,
                "nothing_is_lost_or_repeated_when_the_active_dies_under_first_arrival",
            ),
            Test(
                FAILOVER,
                "nothing_is_lost_or_repeated_when_the_active_dies_under_prefer_active",
            ),
            Test(
                "tests/tests/e2e_kills.rs",
                "the_active_dies_everywhere_under_first_arrival",
            ),
            Test(
                "tests/tests/e2e_kills.rs",
                "the_active_dies_everywhere_under_prefer_active",
            ),
            Test(
                "tests/tests/e2e_standby.rs",
                "a_silent_backup_loses_nothing_when_the_active_dies_under_first_arrival",
            ),
            Test(PAIR_WORLD, "a_death_at_any_moment_but_one_loses_nothing"),
        ],
        "",
    ),
    row(
        "P2",
        "SIGSTOP of the active beyond its lease, another one in its place, SIGCONT",
        "L D O; what it originates then is fenced; it comes back as backup",
        "`missed_heartbeats` × `heartbeat`; a lease for the role",
        &[
            Cell("stop-active"),
            Test(
                ROLES,
                "a_silent_active_is_replaced_where_the_feed_says_so_and_comes_back_as_backup",
            ),
            Test(
                SPLIT,
                "an_old_active_whose_authority_is_over_originates_nothing_beside_its_successor",
            ),
            Test(
                PAIR_WORLD,
                "an_active_that_was_stopped_and_replaced_is_fenced",
            ),
        ],
        "",
    ),
    row(
        "P3",
        "the backup is dead, stopped or out of step",
        "L D O; the pair is not called protected; a promotion is refused unless forced, and says what is missing",
        "a third of a lease",
        &[
            Cell("kill-backup"),
            Cell("stop-backup"),
            Test(ROLES, "a_hand_over_that_cannot_be_says_what_is_missing"),
            Test(PAIR_WORLD, "a_backup_that_dies_changes_nothing"),
            Test("tests/tests/alerts.rs", "the_alerts_fire_when_they_should"),
            Test(
                "tests/tests/alerts.rs",
                "every_alert_asks_for_what_real_processes_show",
            ),
        ],
        "",
    ),
    row(
        "P4",
        "adapters that end again and again",
        "bounded switches and takeovers; L D O",
        "one switch back per `hold_down`; `takeovers_per_minute`",
        &[
            Test(
                "tests/tests/e2e_flapping.rs",
                "a_flapping_active_moves_a_subscriber_there_and_back_at_most_once_per_hold_down",
            ),
            Test(
                "tests/tests/e2e_flapping.rs",
                "adapters_that_end_in_turn_take_over_no_more_often_than_the_limit_says_and_nothing_is_lost",
            ),
        ],
        "",
    ),
    row(
        "P5",
        "a rolling upgrade: two settings, or two builds, in one pair",
        "L D O, no discontinuity; another conversion is refused a seat",
        "always",
        &[
            Cell("builds"),
            Test(
                "tests/tests/e2e_upgrade.rs",
                "a_setting_outside_the_digest_rolls_under_prefer_active",
            ),
            Test(
                "tests/tests/e2e_upgrade.rs",
                "another_build_rolls_in_and_out_again",
            ),
            Test(
                "tests/tests/e2e_upgrade.rs",
                "a_setting_inside_the_digest_gets_no_seat_and_takes_nothing_away",
            ),
        ],
        "",
    ),
    row(
        "C1",
        "stream-admin killed, cut off, deaf one way, or standing still",
        "L D O: data, switches and restarts go on under the last grants; no new ones; nobody's lease ends by its standstill",
        "without end for data; a lease for authority",
        &[
            Cell("kill-admin"),
            Cell("link-admin"),
            Cell("one-way-admin"),
            Test(
                ADMINISTRATION,
                "data_switches_and_restarts_go_on_without_stream_admin",
            ),
            Test(
                ADMINISTRATION,
                "nobodys_lease_ends_while_stream_admin_itself_stands_still",
            ),
            Test(
                "feed-adapter/tests/processes.rs",
                "who_finds_stream_admin_absent_resumes_unverified_from_what_it_remembers",
            ),
        ],
        "",
    ),
    row(
        "C2",
        "the leader of its store is killed",
        "no double grant; operations try again",
        "the store's election",
        &[],
        "one embedded store: stream-admin's own death is C1",
    ),
    row(
        "C3",
        "the wall clock jumps or drifts",
        "no lease ends early or late",
        "the drift margin",
        &[],
        "leases are counted by monotonic clocks; no test steps a clock yet",
    ),
    row(
        "C4",
        "a watch breaks",
        "it begins with the whole truth again; no withdrawal is missed",
        "one reconnection",
        &[
            Cell("one-way-admin"),
            Test(
                SERVICE,
                "a_watch_begins_with_the_whole_truth_and_tells_every_change",
            ),
            Test(
                SERVICE,
                "a_restart_keeps_generations_and_subscriptions_and_watches_come_back",
            ),
            Test(SUBSCRIPTION, "a_withdrawn_grant_is_never_resumed"),
        ],
        "",
    ),
    row(
        "C5",
        "an operator's order is repeated, concurrent, or not his to give",
        "one key is one order; everything is on record",
        "always",
        &[
            Test(
                SERVICE,
                "refusals_name_culprit_and_remedy_and_leak_no_endpoint",
            ),
            Test(
                ROLES,
                "a_generation_is_handed_over_and_back_unnoticed_under_first_arrival",
            ),
        ],
        "",
    ),
    row(
        "G1",
        "a remote client reconnects, to another gateway too",
        "contiguous from its last acknowledgement; D",
        "the reconnection",
        &[],
        "there is no gateway yet",
    ),
    row(
        "G2",
        "a subscriber that is too slow",
        "it is told, and its policy alone happens: warn (then what its own host dropped), skip, disconnect; nobody else notices",
        "`slow_time`; its receive buffer",
        &[
            Cell("slow"),
            Test(
                "subscriber/tests/slow.rs",
                "who_is_warned_is_told_everything_all_the_same",
            ),
            Test(
                "subscriber/tests/slow.rs",
                "what_waits_is_left_out_and_the_gap_names_it",
            ),
            Test(
                "subscriber/tests/slow.rs",
                "who_wants_no_more_is_closed_and_has_left",
            ),
            Test(
                "subscriber/tests/join.rs",
                "who_is_too_slow_goes_on_with_a_snapshot",
            ),
            Test(
                ADMINISTRATION,
                "a_paused_application_is_told_what_its_own_host_dropped",
            ),
            Test(
                LEGS,
                "a_paused_application_overruns_its_sockets_and_is_told",
            ),
            Test(
                "net/tests/fanout.rs",
                "a_dead_destination_delays_nobody_and_is_counted",
            ),
        ],
        "a gateway's policies for slow readers are not built",
    ),
    row(
        "G3",
        "a gateway is killed; power is lost",
        "what was acknowledged survives",
        "its restart",
        &[],
        "there is no gateway and no journal yet",
    ),
    row(
        "G4",
        "a disk that is full, or slow; a state file that is torn or flipped",
        "full: what cannot be written is refused and everything else goes on, by itself again with space; slow: only what must not be lost waits for it; torn: refused, never half believed",
        "the next attempt",
        &[
            Cell("disk-full"),
            Test(
                "feed-adapter/src/state.rs",
                "a_file_torn_or_flipped_at_any_byte_is_refused",
            ),
            Test(
                "feed-adapter/src/remembering.rs",
                "the_newest_is_written_and_what_comes_first_is_not_overwritten_by_what_waits",
            ),
            Test(SERVICE, "an_answer_leaves_only_after_the_disk_has_it"),
        ],
        "errors of the device, of fsync, and misdirected writes are not tried",
    ),
    row(
        "G5",
        "a position outside retention",
        "an explicit gap, with that cause",
        "always",
        &[
            Test(
                FILLS,
                "a_hole_beyond_all_retention_is_one_gap_and_then_the_data_go_on",
            ),
            Test(REQUESTS, "what_the_exchange_has_no_more_is_declared"),
            Test(
                RESUME_CASES,
                "adapters_are_asked_and_what_none_retains_is_one_gap",
            ),
            Test(
                SUBSCRIBER_JOIN,
                "books_that_a_gap_made_suspect_are_mended_by_another_snapshot",
            ),
        ],
        "",
    ),
    row(
        "S1",
        "a token that is wrong, withdrawn or somebody else's",
        "refused with a reason; a withdrawal closes the subscription and stays",
        "the watch; else `subscription_grace`",
        &[
            Test(SERVICE, "wrong_tokens_are_limited_and_right_ones_pass"),
            Test(
                SUBSCRIPTION,
                "a_withdrawn_subscription_is_closed_once_and_stays_closed",
            ),
            Test(
                "stream-admin/tests/service/tls.rs",
                "a_trusted_certificate_carries_the_token_and_an_unknown_one_does_not",
            ),
        ],
        "certificates are not rotated under way; open multicast cannot be withdrawn, nor a ring from whoever of an admitted user has mapped it, until its adapter ends",
    ),
    row(
        "S2",
        "floods: of connections, of requests, of wrong tokens",
        "bounded by configuration; data do not notice",
        "`[limits]` of stream-admin",
        &[
            Cell("descriptors"),
            Test(SERVICE, "an_oversize_body_and_a_typing_error_are_refused"),
            Test(SERVICE, "wrong_tokens_are_limited_and_right_ones_pass"),
        ],
        "other clients' latency under a flood is not measured",
    ),
    row(
        "S3",
        "a sender that is not the one",
        "dropped by address, stream and check, and counted",
        "the datagram itself",
        &[
            Cell("babble"),
            Test(LEGS, "a_foreign_sender_is_counted_and_changes_nothing"),
            Test(SUBSCRIPTION, "two_groups_on_one_port_never_mix"),
        ],
        "whoever forges address and check is believed: streams are not sealed yet; a line without `source` believes whatever is well formed and within its `window`",
    ),
];
