//! The times of operations under criterion, which keeps them and says what has changed since: `cargo bench`.

use core::time::Duration;
use std::time::Instant;

use criterion::{Criterion, Throughput};

use crate::Op;

/// The whole of a bench target: measures those of the operations that the command line asks for.
pub fn main(group: &str, ops: Vec<Op>) {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    add(&mut criterion, group, ops);
    criterion.final_summary();
}

fn add(criterion: &mut Criterion, group: &str, ops: Vec<Op>) {
    let said = format!("{group}: ");
    let mut group = criterion.benchmark_group(group);
    for mut op in ops {
        let name = op.name.strip_prefix(&said).unwrap_or(&op.name).to_owned();
        group
            .throughput(Throughput::Elements(op.units.into()))
            .bench_function(name, |bencher| {
                bencher.iter_custom(|times| time(&mut op, times));
            });
    }
    group.finish();
}

/// How long it takes to do it so many times: the loop is that of the operation.
fn time(op: &mut Op, times: u64) -> Duration {
    let start = Instant::now();
    let mut left = times;
    while left > 0 {
        let now = u32::try_from(left).unwrap_or(u32::MAX);
        op.run(now);
        left -= u64::from(now);
    }
    start.elapsed()
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::rc::Rc;

    use super::*;

    /// What the time is divided by is how often it was done.
    #[test]
    fn an_operation_is_done_as_often_as_asked() {
        for times in [0, 1, 1_000] {
            let done = Rc::new(Cell::new(0));
            let counter = Rc::clone(&done);
            let mut op = Op::new("count", 1, move || counter.set(counter.get() + 1));
            time(&mut op, times);
            assert_eq!(done.get(), times);
        }
    }
}
