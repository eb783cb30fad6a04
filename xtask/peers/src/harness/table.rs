//! The report on the terminal: one row a case, then what must hold. Colours on terminals only.

use std::io::{self, IsTerminal, Write};

use super::bars::{Against, Judged, What, by_claim};
use super::bench::Role;
use super::figures::{CellFigures, Figures, RowFigures};
use super::versions;

/// Longest name of a row before its columns move.
const NAME: usize = 44;

/// Prints the table and the claims.
pub(super) fn print(figures: &Figures, judged: &[Judged], all: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let colours = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
    out.write_all(text(figures, judged, all, Paint(colours)).as_bytes())?;
    out.flush()
}

/// Whether to colour.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    fn verdict(self, good: Option<bool>, text: &str) -> String {
        match good {
            Some(true) => self.with("32", text),
            Some(false) => self.with("31;1", text),
            None => text.to_owned(),
        }
    }
}

fn text(figures: &Figures, judged: &[Judged], all: bool, paint: Paint) -> String {
    let mut text = String::new();
    let shown = figures.sections.iter().flat_map(|section| {
        let common = common(&section.rows);
        let names = section.rows.iter();
        names.map(move |row| row.name.chars().count() - common)
    });
    let width = shown.max().unwrap_or(0).min(NAME);
    for section in &figures.sections {
        let rounds = match section.rounds {
            0 => String::new(),
            rounds => format!("ns per {}, minimum of {rounds} rounds", figures.unit),
        };
        text += &format!(
            "\n{}  {}\n",
            paint.bold(section.heading),
            paint.dim(&rounds)
        );
        text += &paint.dim(&heading(figures, width));
        text.push('\n');
        let common = common(&section.rows);
        for row in &section.rows {
            text += &format!("{:width$}", &row.name[common..]);
            text += &line(figures, row, judged, paint);
            if all {
                for cell in &row.cells {
                    text += &paint.dim(&detail(cell, row, width));
                }
            }
        }
    }
    text += &peers(figures, paint);
    text += &claims(judged, paint);
    text
}

fn heading(figures: &Figures, width: usize) -> String {
    let mut line = format!(
        "{:width$}  {:<18} {:>9} {:>9} {:>9}",
        "", "fastest peer", "", "ours", "floor"
    );
    line += &format!(" {:>8} {:>8} {:>7}", "/ floor", "/ peer", "allocs");
    for column in &figures.extras {
        line += &format!(" {column:>10}");
    }
    line
}

/// Length of the word that all names begin with: under a common heading it says nothing.
pub(super) fn common_word(names: &[&str]) -> usize {
    let first = names
        .first()
        .and_then(|name| name.split_inclusive(' ').next());
    let Some(first) = first.filter(|word| word.is_ascii() && word.ends_with(' ')) else {
        return 0;
    };
    let common = names
        .iter()
        .all(|name| name.len() > first.len() && name.starts_with(first));
    if common { first.len() } else { 0 }
}

fn common(rows: &[RowFigures]) -> usize {
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    common_word(&names)
}

/// What follows the name of a row.
fn line(figures: &Figures, row: &RowFigures, judged: &[Judged], paint: Paint) -> String {
    let ours = row.fastest(Role::Ours);
    let floor = row.fastest(Role::Floor);
    let peer = row.fastest_peer();
    let minimum = |cell: Option<(&CellFigures, f64)>| cell.map(|(_, minimum)| minimum);
    let number = |cell| minimum(cell).map_or_else(|| "–".to_owned(), nanoseconds);
    let over = |other| match (minimum(ours), minimum(other)) {
        (Some(own), Some(other)) => format!("{:.2}", own / other),
        _ => "–".to_owned(),
    };
    let allocations = ours
        .and_then(|(cell, _)| cell.time.as_ref())
        .map(|time| time.allocations);
    let good = |what: &dyn Fn(&What) -> bool| {
        let mut bars = judged
            .iter()
            .filter(|one| one.row == row.name && what(&one.bar.what))
            .peekable();
        bars.peek().is_some().then(|| bars.all(Judged::holds))
    };
    let is = |name: &str, cell: Option<(&CellFigures, f64)>| {
        cell.is_some_and(|(cell, _)| cell.contender.name == name)
    };
    let floors = good(
        &|what| matches!(what, What::Ratio(of, Against::Contender(other)) if is(of, ours) && is(other, floor)),
    );
    let peers = good(&|what| matches!(what, What::Ratio(of, Against::FastestPeer) if is(of, ours)));
    let none = good(&|what| matches!(what, What::Allocations(of) if is(of, ours)));

    let name = peer.map_or("–", |(cell, _)| cell.contender.name);
    let mut line = format!("  {name:<18} {:>9}", number(peer));
    line += &format!(
        " {} {:>9}",
        paint.bold(&format!("{:>9}", number(ours))),
        number(floor)
    );
    line += &format!(" {}", paint.verdict(floors, &format!("{:>8}", over(floor))));
    line += &format!(" {}", paint.verdict(peers, &format!("{:>8}", over(peer))));
    let allocations = allocations.map_or_else(|| "–".to_owned(), count);
    line += &format!(" {}", paint.verdict(none, &format!("{allocations:>7}")));
    for column in &figures.extras {
        let value = ours.and_then(|(cell, _)| cell.extra(column));
        line += &format!(" {:>10}", value.map_or_else(|| "–".to_owned(), nanoseconds));
    }
    line.push('\n');
    line
}

/// One contender under its row.
fn detail(cell: &CellFigures, row: &RowFigures, width: usize) -> String {
    let mut line = format!("{:width$}  {:<18}", "", cell.contender.name);
    if let Some(time) = &cell.time {
        let least = row
            .fastest(Role::Ours)
            .map_or(time.minimum, |(_, minimum)| minimum);
        line += &format!(
            " {:>9}, median {:>9}",
            nanoseconds(time.minimum),
            nanoseconds(time.median)
        );
        line += &format!(
            ", {:>6.2} × ours, {} allocations",
            time.minimum / least,
            count(time.allocations)
        );
    }
    for (column, value) in &cell.extras {
        line += &format!(", {column} {}", nanoseconds(*value));
    }
    line.push('\n');
    line
}

fn peers(figures: &Figures, paint: Paint) -> String {
    let peers = figures.contenders.iter().filter(|it| it.role == Role::Peer);
    let named: Vec<String> = peers
        .map(|it| format!("{} {}", it.name, versions::of(it.package).unwrap_or("?")))
        .collect();
    let mut text = String::from("\n");
    let mut line = String::from("Peers:");
    for (index, name) in named.iter().enumerate() {
        let comma = if index + 1 < named.len() { "," } else { "" };
        if line.len() + name.len() > 112 {
            text += &paint.dim(&line);
            text.push('\n');
            line = " ".repeat(6);
        }
        line += &format!(" {name}{comma}");
    }
    text += &paint.dim(&line);
    text.push('\n');
    text
}

/// One line for each claim, and one for each row that misses it.
fn claims(judged: &[Judged], paint: Paint) -> String {
    let mut text = String::new();
    if !judged.is_empty() {
        text += &format!("\n{}\n", paint.bold("What must hold"));
    }
    for (claim, bars) in by_claim(judged) {
        let held = bars.iter().filter(|bar| bar.holds()).count();
        let good = held == bars.len();
        let mark = paint.verdict(Some(good), if good { "held  " } else { "MISSED" });
        let rows = match bars.as_slice() {
            [only] => only
                .value
                .as_ref()
                .map_or_else(|why| why.clone(), |value| format!("{value:.2}")),
            _ => {
                let values = bars.iter().filter_map(|bar| bar.value.as_ref().ok());
                let worst = values.copied().fold(f64::MIN, f64::max);
                format!("{held} of {} rows, at worst {worst:.2}", bars.len())
            }
        };
        text += &format!("  {mark} {claim}: {rows}\n");
        for missed in bars.iter().filter(|bar| !bar.holds()) {
            text += &format!("           {missed}\n");
        }
    }
    text
}

/// A time with as many digits as mean something.
fn nanoseconds(value: f64) -> String {
    if value < 100.0 {
        format!("{value:.1}")
    } else {
        grouped(value)
    }
}

/// A whole number with commas.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn count(value: f64) -> String {
    if value == value.trunc() {
        format!("{value:.0}")
    } else {
        format!("{value:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::bars::{Bar, Limit, judge};
    use super::super::figures::tests::figures;
    use super::*;

    #[test]
    fn a_row_shows_the_fastest_peer_and_the_ratios() {
        let mut figures = figures();
        let ratio = What::Ratio("ours", Against::Contender("floor"));
        let bar = Bar::new("close to the floor", ratio, Limit::AtMost(1.1));
        figures.sections[0].rows[0].bars.push(bar);
        let text = text(&figures, &judge(&figures), true, Paint(false));
        let row = text
            .lines()
            .find(|line| line.starts_with("PUBLISH"))
            .expect("the row");
        let words: Vec<_> = row.split_whitespace().skip(1).collect();
        assert_eq!(
            words,
            ["quick", "18.0", "12.0", "10.0", "1.20", "0.67", "0", "48.0"]
        );
        assert!(text.contains("MISSED close to the floor: 1.20"), "{text}");
        assert!(
            text.contains("decode PUBLISH: 1.200, at most 1.1"),
            "{text}"
        );
        assert!(text.contains("2.00 × ours, 2 allocations"), "{text}");
        assert!(!text.contains('\u{1b}'), "colours are for terminals");
        assert!(
            text.lines().all(|line| line.chars().count() <= 120),
            "{text}"
        );
    }

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let shown = [8.54, 99.94, 100.2, 1234.5, 1_234_567.0].map(nanoseconds);
        assert_eq!(shown, ["8.5", "99.9", "100", "1,234", "1,234,567"]);
        assert_eq!([0.0, 2.0, 0.125].map(count), ["0", "2", "0.12"]);
    }
}
