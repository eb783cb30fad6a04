//! The modem engine against the emulator, in virtual time: every fault, every dialect, any chunks.

#[path = "modem/world.rs"]
mod world;

use mqtt_at_modem::{Dialect, Options};
use mqtt_device::modem::{ModemError, Settings, Task};
use proptest::prelude::*;
use world::{End, SETTINGS, World};

const DIALECTS: [Dialect; 2] = [Dialect::Sim800, Dialect::EspAt];

/// Bytes that look like everything a modem says, and every byte.
fn message(len: usize) -> Vec<u8> {
    let nasty = b"\r\nOK\r\n> ERROR\r\n+CIPRXGET: 1\r\n+IPD,9\r\nCLOSED\r\nSEND OK\r\n+CIPRXGET: 2,4,0\r\n+CIPRECVDATA:3,";
    nasty
        .iter()
        .copied()
        .chain(0..=255)
        .cycle()
        .take(len)
        .collect()
}

fn options(dialect: Dialect) -> Options {
    Options {
        dialect,
        seed: 1,
        ..Options::default()
    }
}

/// The last command, as it stands in the dialect's table.
fn command(world: &World) -> String {
    world.engine.report().command().collect()
}

#[test]
fn what_is_written_comes_back() {
    for dialect in DIALECTS {
        for memory in [64, 80, 128, 1_024] {
            let mut world = World::new(options(dialect), memory, 1);
            assert_eq!(world.dial(), Ok(()), "{dialect:?}");
            assert_eq!(
                world.converse(&message(700)),
                End::Complete,
                "{dialect:?} with {memory} bytes of memory"
            );
            assert_eq!(world.run(Task::Close), Ok(()));
        }
    }
}

#[test]
fn a_locked_card_is_unlocked() {
    let mut world = World::new(
        Options {
            pin: Some("1234".to_owned()),
            ..options(Dialect::Sim800)
        },
        64,
        1,
    );
    assert_eq!(world.dial(), Ok(()));
}

#[test]
fn a_wrong_pin_is_an_error_that_names_the_command() {
    let mut world = World::new(
        Options {
            pin: Some("9999".to_owned()),
            ..options(Dialect::Sim800)
        },
        64,
        1,
    );
    let error = world.dial().expect_err("the PIN is wrong");
    assert_eq!(error, ModemError::Refused);
    assert_eq!(command(&world), "AT+CPIN=\"$i\"");
    assert_eq!(
        world.engine.report().answer(),
        b"+CME ERROR: incorrect password"
    );
}

/// A card locks itself when it is told a wrong PIN three times: it is told once.
#[test]
fn a_wrong_pin_is_given_once() {
    let mut world = World::new(
        Options {
            pin: Some("9999".to_owned()),
            ..options(Dialect::Sim800)
        },
        64,
        1,
    );
    assert_eq!(world.dial(), Err(ModemError::Refused));
    for _ in 0..5 {
        assert_eq!(world.dial(), Err(ModemError::PinRefused));
    }
    let given = |world: &World| {
        let pins = world.told.windows(9).filter(|it| it == b"AT+CPIN=\"");
        pins.count()
    };
    assert_eq!(given(&world), 1);
    let right = Settings {
        pin: "9999",
        ..SETTINGS
    };
    world.engine.set_settings(Box::leak(Box::new(right)));
    assert_eq!(world.dial(), Ok(()));
    assert_eq!(given(&world), 2);
}

#[test]
fn the_signal_is_told_in_dbm() {
    for (dialect, dbm) in [(Dialect::Sim800, -79), (Dialect::EspAt, -54)] {
        let mut world = World::new(options(dialect), 64, 1);
        assert_eq!(world.dial(), Ok(()));
        assert_eq!(world.run(Task::Signal), Ok(()));
        assert_eq!(
            world.engine.signal().map(|signal| signal.0),
            Some(dbm),
            "{dialect:?}"
        );
        // The connection is still there.
        assert_eq!(world.converse(b"hello"), End::Complete);
    }
}

#[test]
fn a_modem_that_sleeps_wakes_up() {
    for dialect in DIALECTS {
        let mut world = World::new(options(dialect), 64, 1);
        assert_eq!(world.dial(), Ok(()));
        assert_eq!(world.run(Task::Sleep(60)), Ok(()));
        assert_eq!(world.run(Task::Wake), Ok(()));
        assert_eq!(world.dial(), Ok(()));
        assert_eq!(world.converse(b"hello"), End::Complete);
    }
}

#[test]
fn refused_dials_are_errors_and_the_next_one_works() {
    for dialect in DIALECTS {
        let mut world = World::new(
            Options {
                refuse: 2,
                ..options(dialect)
            },
            64,
            1,
        );
        for _ in 0..2 {
            let error = world.dial().expect_err("refused");
            assert_eq!(error, ModemError::Refused);
            assert!(command(&world).starts_with("AT+CIPSTART"));
        }
        assert_eq!(world.dial(), Ok(()));
        assert_eq!(world.converse(&message(200)), End::Complete);
    }
}

/// The TCP link breaks at every byte: what crossed it before is read, then comes the end or an error; the next dial works.
#[test]
fn a_link_cut_at_every_byte_loses_nothing_that_came_before() {
    let message = message(60);
    for dialect in DIALECTS {
        for cut in 1..=2 * message.len() as u64 {
            for chatter in [false, true] {
                let mut world = World::new(
                    Options {
                        cut: Some(cut),
                        chatter,
                        seed: cut,
                        ..options(dialect)
                    },
                    64,
                    cut,
                );
                assert_eq!(world.dial(), Ok(()), "{dialect:?}, cut at {cut}");
                let end = world.converse(&message);
                assert!(
                    matches!(end, End::Closed | End::Failed(_) | End::Complete),
                    "{dialect:?}, cut at {cut}: {end:?}"
                );
                assert_eq!(
                    world.read.len(),
                    world.crossed,
                    "{dialect:?}, cut at {cut}: {end:?}"
                );
                assert_eq!(world.dial(), Ok(()), "{dialect:?}, cut at {cut}");
                assert_eq!(
                    world.converse(&message),
                    End::Complete,
                    "{dialect:?}, cut at {cut}"
                );
            }
        }
    }
}

/// The modem falls silent at every byte of the conversation: an error in bounded time; once it speaks again, everything works.
#[test]
fn silence_from_every_byte_on_is_an_error_value() {
    let message = message(60);
    for dialect in DIALECTS {
        let mut whole = World::new(options(dialect), 64, 1);
        assert_eq!(whole.dial(), Ok(()));
        assert_eq!(whole.converse(&message), End::Complete);
        for at in 0..whole.spoken {
            let mut world = World::new(options(dialect), 64, 1);
            world.silent_from = Some(at);
            match world.dial() {
                Err(error) => {
                    assert_eq!(error, ModemError::TimedOut, "{dialect:?}, byte {at}");
                }
                Ok(()) => match world.converse(&message) {
                    End::Failed(error) => {
                        assert_eq!(error, ModemError::TimedOut, "{dialect:?}, byte {at}");
                    }
                    // The notice itself was lost: nothing says that there are bytes. The protocol's keep-alive finds that.
                    // Or only the last OK was.
                    End::Idle | End::Complete => {}
                    end => panic!("{dialect:?}, byte {at}: {end:?}"),
                },
            }
            world.silent_from = None;
            assert_eq!(world.dial(), Ok(()), "{dialect:?}, silent from byte {at}");
            assert_eq!(
                world.converse(&message),
                End::Complete,
                "{dialect:?}, silent from byte {at}"
            );
        }
    }
}

/// Any single byte from the modem is lost: no panic, an end in bounded time, and the next dial works.
#[test]
fn any_lost_byte_is_overcome() {
    let message = message(40);
    for dialect in DIALECTS {
        for at in 0..1_000 {
            let mut world = World::new(options(dialect), 64, 1);
            world.lose = Some(at);
            if world.dial().is_ok() {
                world.converse(&message);
            }
            if world.spoken < at {
                break;
            }
            world.lose = None;
            assert_eq!(world.dial(), Ok(()), "{dialect:?}, lost byte {at}");
            assert_eq!(
                world.converse(&message),
                End::Complete,
                "{dialect:?}, lost byte {at}"
            );
        }
    }
}

#[test]
fn one_byte_at_a_time_gets_everything_through() {
    for dialect in DIALECTS {
        let mut world = World::new(
            Options {
                mtu: Some(1),
                ..options(dialect)
            },
            64,
            3,
        );
        assert_eq!(world.dial(), Ok(()));
        assert_eq!(world.converse(&message(300)), End::Complete);
    }
}

/// A modem that refuses or ignores commands: every attempt ends, and what was read was right as far as it went.
#[test]
fn errors_and_silence_end_in_error_values() {
    for dialect in DIALECTS {
        for k in 2..40 {
            for (error, silent) in [(Some(k), None), (None, Some(k)), (Some(k), Some(k + 1))] {
                let mut world = World::new(
                    Options {
                        error,
                        silent,
                        chatter: k % 2 == 0,
                        seed: k.into(),
                        ..options(dialect)
                    },
                    64,
                    k.into(),
                );
                let complete = (0..40)
                    .any(|_| world.dial().is_ok() && world.converse(&message(30)) == End::Complete);
                assert!(
                    complete || k < 25,
                    "{dialect:?}, error {error:?}, silent {silent:?}: never got through"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// All faults at once, any chunks, reads, writes and questions in any order: what is read is what was sent.
    #[test]
    fn any_faults_in_any_chunks(
        esp in any::<bool>(), seed in any::<u64>(), latency in prop_oneof![Just(0_u64), 0..4_000_u64], chatter in any::<bool>(),
        mtu in prop_oneof![Just(None), (1..100_u16).prop_map(Some)], cut in prop_oneof![Just(None), (1..600_u64).prop_map(Some)],
        error in prop_oneof![3 => Just(None), 1 => (2..60_u32).prop_map(Some)],
        silent in prop_oneof![3 => Just(None), 1 => (2..60_u32).prop_map(Some)],
        memory in 64..200_usize, len in 1..400_usize,
    ) {
        let dialect = if esp { Dialect::EspAt } else { Dialect::Sim800 };
        let options = Options { dialect, seed, latency, cut, mtu, chatter, error, silent, ..Options::default() };
        let mut world = World::new(options.clone(), memory, seed);
        world.restless = true;
        for _ in 0..4 {
            if world.dial().is_ok() {
                world.converse(&message(len));
            }
        }
        if error.is_none() && silent.is_none() {
            // The cut may come only now, but it comes once.
            let ends = [(); 2].map(|()| world.dial().map(|()| world.converse(&message(len))));
            prop_assert!(ends.contains(&Ok(End::Complete)), "{:?}", ends);
        }
    }
}
