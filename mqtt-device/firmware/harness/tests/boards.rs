//! The programs `hello` and `hello-async` on every board: bytes both ways, time, sleep, the stack's mark, the exit code.

use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Instant;

use firmware_harness::{Machine, Qemu};

/// Both do the same; one waits in calls, the other in futures.
const PROGRAMS: [(Machine, &str); 4] = [
    (Machine::Lm3s6965evb, "hello"),
    (Machine::Lm3s6965evb, "hello-async"),
    (Machine::Uno, "hello"),
    (Machine::Uno, "hello-async"),
];
const PATIENCE: Duration = Duration::from_secs(60);
/// Ends the program.
const END: u8 = 4;

/// Where the programs are; without them the test says how to have them.
fn built(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("FIRMWARE_BUILT").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("SKIPPED {test}: cargo xtask firmware");
    }
    folder
}

/// A running `hello` that has said so.
struct Hello {
    qemu: Qemu,
    wire: TcpStream,
}

impl Hello {
    fn start((machine, program): (Machine, &str), built: &Path) -> Self {
        let qemu = Qemu::start(machine, &machine.program(built, program))
            .expect("QEMU and the program are there");
        let wire = qemu.wire().try_clone().expect("a socket");
        wire.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut hello = Self { qemu, wire };
        assert_eq!(hello.line(), "hello", "{machine:?} {program}");
        hello
    }

    fn send(&mut self, bytes: &[u8]) {
        self.wire.write_all(bytes).expect("QEMU listens");
    }

    fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.wire
            .read_exact(&mut bytes)
            .expect("the program answers");
        bytes
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            match self.exactly(1)[0] {
                b'\n' => return line,
                byte => line.push(char::from(byte)),
            }
        }
    }

    /// The numbers of the line about the board: the stack's peak, wakes, milliseconds.
    fn ask(&mut self) -> [u32; 3] {
        self.send(b"?");
        let line = self.line();
        let numbers: Vec<u32> = line
            .split(", ")
            .filter_map(|part| part.rsplit(' ').next()?.parse().ok())
            .collect();
        numbers
            .try_into()
            .unwrap_or_else(|_| panic!("not a line about the board: {line}"))
    }
}

#[test]
fn bytes_come_back_in_order_however_many_come_at_once() {
    let Some(built) = built("bytes_come_back_in_order_however_many_come_at_once") else {
        return;
    };
    for program in PROGRAMS {
        let mut hello = Hello::start(program, &built);
        // Far more than ring and hardware hold: the sender has to wait, and nothing is lost.
        let flood: Vec<u8> = (0..4_000_u16)
            .map(|i| b'a' + (i % 23) as u8 + (i / 1_000) as u8)
            .collect();
        let mut writer = hello.wire.try_clone().expect("a socket");
        let sent = flood.clone();
        let thread = std::thread::spawn(move || writer.write_all(&sent));
        assert_eq!(hello.exactly(flood.len()), flood, "{program:?}");
        thread.join().expect("no panic").expect("QEMU listens");
    }
}

#[test]
fn the_end_is_told_with_the_deepest_stack() {
    let Some(built) = built("the_end_is_told_with_the_deepest_stack") else {
        return;
    };
    for program in PROGRAMS {
        let mut hello = Hello::start(program, &built);
        let [stack, ..] = hello.ask();
        assert!((40..1_000).contains(&stack), "{program:?}: {stack} bytes");
        hello.send(&[END]);
        let (verdict, _) = hello.qemu.verdict(&[], PATIENCE).expect("it ends");
        assert_eq!(verdict.code, 0, "{program:?}");
        assert!(
            (stack..stack + 200).contains(&verdict.stack),
            "{program:?}: {stack}, then {verdict}"
        );
    }
}

#[test]
fn the_clock_runs_and_sleeps_end_in_time() {
    let Some(built) = built("the_clock_runs_and_sleeps_end_in_time") else {
        return;
    };
    for program in PROGRAMS {
        let mut hello = Hello::start(program, &built);
        let (start, [_, _, before]) = (Instant::now(), hello.ask());
        // Over the end of a second, and of several rounds of the clock of the Uno.
        hello.send(b"913");
        assert_eq!(hello.exactly(3), b"913");
        let mut last = before;
        while start.elapsed() < Duration::from_millis(2_500) {
            let ([_, _, now], taken) = (hello.ask(), start.elapsed().as_millis());
            let ran = u128::from(now - before);
            assert!(ran >= 1_300, "{program:?}: {ran} ms");
            assert!(now >= last, "{program:?}: {now} ms after {last} ms");
            // Both readings of the board's clock lie between those of the host's; it may be late, but must not run ahead.
            assert!(
                ran <= taken + 2,
                "{program:?}: {ran} ms of the board in {taken} ms"
            );
            last = now;
        }
    }
}

/// A tick would show as processor time, and as wakes without a byte.
#[test]
fn the_processor_sleeps_until_a_byte_or_the_deadline() {
    let Some(built) = built("the_processor_sleeps_until_a_byte_or_the_deadline") else {
        return;
    };
    // QEMU's processor of the Uno cannot end a sleep: there the program waits awake.
    let here = |(machine, _): &&(Machine, &str)| *machine == Machine::Lm3s6965evb;
    for program in PROGRAMS.iter().filter(here) {
        let mut hello = Hello::start(*program, &built);
        let [_, wakes, _] = hello.ask();
        let (before, start) = (hello.qemu.ticks().expect("it runs"), Instant::now());
        // One after the other: a byte that waits ends every sleep.
        for _ in 0..2 {
            hello.send(b"9");
            assert_eq!(hello.exactly(1), b"9");
        }
        let (used, taken) = (
            hello.qemu.ticks().expect("it runs") - before,
            start.elapsed().as_millis() / 10,
        );
        assert!(u128::from(used) * 5 < taken, "{used} of {taken} ticks");
        let [_, later, _] = hello.ask();
        assert!(later - wakes < 10, "{wakes}, then {later} wakes");
    }
}

/// The tracker asks a modem that does not answer every two seconds, and sleeps in between.
#[test]
fn the_processor_sleeps_while_a_modem_thinks() {
    let Some(built) = built("the_processor_sleeps_while_a_modem_thinks") else {
        return;
    };
    let machine = Machine::Lm3s6965evb;
    let qemu =
        Qemu::start(machine, &machine.program(&built, "tracker")).expect("the program is there");
    let mut wire = qemu.wire();
    wire.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut question = [0; 3];
    wire.read_exact(&mut question).expect("the program asks");
    let (before, start) = (qemu.ticks().expect("it runs"), Instant::now());
    for _ in 0..2 {
        wire.read_exact(&mut question)
            .expect("the program asks again");
        assert_eq!(&question, b"AT\r");
    }
    let used = qemu.ticks().expect("it runs") - before;
    let taken = start.elapsed().as_millis() / 10;
    assert!(u128::from(used) * 5 < taken, "{used} of {taken} ticks");
}
