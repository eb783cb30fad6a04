//! Reports as a table, and what was found in words.

use core::fmt::Write as _;
use core::time::Duration;

use crate::judge::{PROMISES, Promise};
use crate::run::{Kill, Report};
use crate::trace::{LONE, SHARED, Traced};

/// What each promise is called in the table.
const fn row_of(promise: Promise) -> &'static str {
    match promise {
        Promise::Delivered => "acknowledged and lost",
        Promise::Once => "QoS 2 delivered twice",
        Promise::Ordered => "out of order",
        Promise::Genuine => "not what was sent",
        Promise::Retained => "retained: lost, old or risen again",
        Promise::Session => "sessions: lost or risen again",
        Promise::Subscription => "subscriptions: lost, old or risen again",
        Promise::Will => "wills: lost, twice or withdrawn and published",
        Promise::Serving => "refused, cut off or not started",
    }
}

/// Smallest, middle and largest.
fn spread<T: Ord + Copy>(values: impl Iterator<Item = T>, show: impl Fn(T) -> String) -> String {
    let mut values: Vec<T> = values.collect();
    values.sort_unstable();
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(least), Some(middle), Some(most)) => {
            format!("{} / {} / {}", show(*least), show(*middle), show(*most))
        }
        _ => "-".to_owned(),
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1_000.0)
}

/// The reports side by side.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = String::new();
    let mut row = |what: &str, value: &dyn Fn(&Report) -> String| {
        let values: String = reports
            .iter()
            .map(|it| format!(" {:>26}", value(it)))
            .collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{what:<44}{values}");
    };
    let of_kills = |report: &Report, value: fn(&Kill) -> u64| {
        spread(report.kills.iter().map(value), |value| value.to_string())
    };
    row("", &|it| it.name.clone());
    row("kills under load", &|it| it.kills.len().to_string());
    row("… again while it starts (before it listens)", &|it| {
        format!("{} ({})", it.kills_starting, it.kills_before_listening)
    });
    row("… again while sessions are resumed", &|it| {
        it.kills_resuming.to_string()
    });
    row("stopped with SIGTERM", &|it| it.stops.to_string());
    row("acknowledged before a kill: least/middle/most", &|it| {
        of_kills(it, |kill| kill.accepted)
    });
    row("sent and not acknowledged at a kill", &|it| {
        of_kills(it, |kill| kill.unaccepted as u64)
    });
    row("… and not answered either", &|it| {
        of_kills(it, |kill| kill.unanswered as u64)
    });
    row("owed by subscribers at a kill", &|it| {
        of_kills(it, |kill| kill.owed as u64)
    });
    row("time to open, ms: least/middle/most", &|it| {
        spread(it.opens.iter().copied(), millis)
    });
    row("messages acknowledged", &|it| it.accepted.to_string());
    row("messages delivered (7 subscriptions)", &|it| {
        it.received.to_string()
    });
    for promise in PROMISES {
        row(row_of(promise), &|it| it.tally.count(promise).to_string());
    }
    row("given up, and delivered in a later round", &|it| {
        it.late.to_string()
    });
    row("seconds", &|it| format!("{:.0}", it.took.as_secs_f64()));
    text
}

/// The first violations of each promise in a report, at most so many, and where the store is.
#[must_use]
pub fn findings(report: &Report, most: usize) -> String {
    let mut text = String::new();
    let all = report.tally.violations();
    for promise in PROMISES {
        let mine = all.iter().filter(|it| it.promise == promise);
        for violation in mine.take(most) {
            let _ = writeln!(text, "  {violation}");
        }
        let more = report.tally.count(promise).saturating_sub(most);
        if more > 0 {
            let _ = writeln!(text, "    … and {more} like this");
        }
    }
    if let Some(copy) = &report.copy {
        let _ = writeln!(
            text,
            "  the store as each restart of that round found it: {}",
            copy.display()
        );
    }
    text
}

/// Traces side by side.
#[must_use]
pub fn trace_table(traces: &[Traced]) -> String {
    let mut text = String::new();
    let mut row = |what: &str, value: &dyn Fn(&Traced) -> String| {
        let values: String = traces
            .iter()
            .map(|it| format!(" {:>26}", value(it)))
            .collect();
        let _ = writeln!(text, "{what:<58}{values}");
    };
    row("", &|it| it.name.clone());
    row(
        &format!("lone PUBACKs after the sync of their message, of {LONE}"),
        &|it| it.after_sync.to_string(),
    );
    row(
        "time to a lone PUBACK under strace, ms: least/middle/most",
        &|it| spread(it.answers.iter().copied(), millis),
    );
    row("messages in flight under load", &|it| {
        it.in_flight.to_string()
    });
    row("PUBACKs under load", &|it| it.load.0.to_string());
    row("syncs meanwhile", &|it| it.load.1.to_string());
    row(
        &format!("PUBACKs for each sync (ours: at least {SHARED})"),
        &|it| {
            it.shared()
                .map_or_else(|| "-".to_owned(), |shared| format!("{shared:.0}"))
        },
    );
    text
}
