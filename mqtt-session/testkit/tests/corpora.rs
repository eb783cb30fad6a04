//! Inputs that fuzzing found worth keeping, replayed on the stable compiler; and a short run over random ones.

use std::path::{Path, PathBuf};

use mqtt_testkit::fuzz::{TARGETS, Target, corpus, random_input, target};
use mqtt_testkit::rng::seeds;

/// `corpus` or `findings` of a target, as they are committed.
fn file(kind: &str, target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../xtask/fuzz")
        .join(kind)
        .join(format!("{}.txt", target.name))
}

/// Replays a file; says how many inputs it has, and how many of them decode.
fn replay(kind: &str, target: &Target) -> (usize, usize) {
    let path = file(kind, target);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let inputs = corpus::parse(&text);
    let mut decode = 0;
    for (index, input) in inputs.iter().enumerate() {
        let run = std::panic::catch_unwind(|| (target.run)(input));
        let shape =
            run.unwrap_or_else(|_| panic!("{}: input {index} is a finding", path.display()));
        decode += usize::from(shape.decodes);
    }
    (inputs.len(), decode)
}

/// Together these inputs reach every edge that fuzzing has reached: none of them is a finding.
#[test]
fn committed_corpora_find_nothing() {
    for target in TARGETS {
        let (inputs, decode) = replay("corpus", target);
        eprintln!(
            "{}: {decode} of {inputs} committed inputs decode",
            target.name
        );
        assert!(
            inputs >= 100 && decode >= 50,
            "{}: the corpus is missing",
            target.name
        );
    }
}

/// What once was a finding is none any more.
#[test]
fn earlier_findings_stay_mended() {
    for target in TARGETS {
        replay("findings", target);
    }
}

/// Random inputs are judged as a fuzzer's are, and enough of them get somewhere.
#[test]
fn random_inputs_find_nothing() {
    for target in TARGETS {
        let (mut all, mut decode) = (0, 0);
        seeds(target.name, 2_000, |seed| {
            let input = random_input(seed, 300);
            all += 1;
            decode += u32::from((target.run)(&input).decodes);
        });
        eprintln!("{}: {decode} of {all} random inputs decode", target.name);
        assert!(
            all < 100 || decode * 10 > all,
            "{}: too few decode",
            target.name
        );
    }
}

/// Every input must be judged the same each time, or a finding could not be repeated.
#[test]
fn targets_depend_on_their_input_alone() {
    for target in TARGETS {
        for seed in 0..200 {
            let input = random_input(seed, 300);
            assert_eq!(
                (target.run)(&input),
                (target.run)(&input),
                "{}",
                target.name
            );
        }
    }
    assert!(target("decoder").is_some() && target("nothing").is_none());
}
