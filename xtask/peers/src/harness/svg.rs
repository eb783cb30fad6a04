//! The chart for a README: a panel for each case, a bar for each contender, ours highlighted. One self-contained SVG.

use super::bench::Role;
use super::figures::{CellFigures, Figures, RowFigures};
use super::table::{common_word, grouped};
use super::versions;

const WIDTH: f64 = 880.0;
const MARGIN: f64 = 24.0;
const COLUMN_GAP: f64 = 32.0;
/// Room above the first panel.
const HEAD: f64 = 76.0;
const PANEL_HEAD: f64 = 26.0;
const PANEL_GAP: f64 = 22.0;
const BAR: f64 = 14.0;
const PITCH: f64 = 19.0;
/// Room for the names, left of the bars, and for the values, right of them.
const NAMES: f64 = 128.0;
const VALUES: f64 = 64.0;

const INK: &str = "#1f2328";
const FAINT: &str = "#59636e";
const OURS: &str = "#c2410c";
const PEER: &str = "#9fb3c8";
const FLOOR: &str = "#dfe3e8";
const STYLE: &str = "font-family=\"ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\"";

/// A finished panel.
struct Panel {
    height: f64,
    body: String,
}

/// The drawing of the rows that the bench chose for it.
pub(super) fn text(figures: &Figures) -> String {
    let rows = figures
        .chart
        .rows
        .iter()
        .filter_map(|name| figures.row(name));
    let width = (WIDTH - 2.0 * MARGIN - COLUMN_GAP) / 2.0;
    let rows: Vec<&RowFigures> = rows.collect();
    let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let common = common_word(&names);
    let panels: Vec<Panel> = rows
        .iter()
        .map(|row| panel(row, &row.name[common..], figures.unit, width))
        .collect();
    let mut bottom = HEAD;
    let mut body = String::new();
    // Two panels side by side, under a common top: what belongs together stands together.
    for pair in panels.chunks(2) {
        for (column, panel) in pair.iter().enumerate() {
            let x = MARGIN + column as f64 * (width + COLUMN_GAP);
            body += &format!(
                "<g transform=\"translate({x} {bottom:.1})\">\n{}</g>\n",
                panel.body
            );
        }
        bottom += pair.iter().map(|panel| panel.height).fold(0.0, f64::max) + PANEL_GAP;
    }
    let height = bottom + 4.0;
    let title = escape(figures.chart.title);
    let about = format!(
        "nanoseconds per {}, shorter is better; floor: the least code that can do the work",
        figures.unit
    );
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\" {STYLE}>\n\
         <title>{title}</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height:.0}\" rx=\"8\" fill=\"#ffffff\"/>\n\
         <text x=\"{MARGIN}\" y=\"36\" font-size=\"19\" font-weight=\"600\" fill=\"{INK}\">{title}</text>\n\
         <text x=\"{MARGIN}\" y=\"56\" font-size=\"12.5\" fill=\"{FAINT}\">{}</text>\n\
         {body}</svg>\n",
        escape(&about)
    )
}

fn panel(row: &RowFigures, title: &str, unit: &str, width: f64) -> Panel {
    let shown = |cell: &&CellFigures| cell.contender.role != Role::Reference;
    let mut bars: Vec<(&CellFigures, f64)> = row
        .cells
        .iter()
        .filter(shown)
        .filter_map(|cell| Some((cell, cell.time.as_ref()?.minimum)))
        .collect();
    // Ours first and the floor last, whatever their times; between them the peers by time.
    let place = |cell: &CellFigures| match cell.contender.role {
        Role::Ours => 0,
        Role::Peer | Role::Reference => 1,
        Role::Floor => 2,
    };
    bars.sort_by(|(a, at), (b, bt)| place(a).cmp(&place(b)).then(at.total_cmp(bt)));
    let longest = bars.iter().map(|(_, time)| *time).fold(1.0, f64::max);
    let room = width - NAMES - VALUES;
    let mut body = format!(
        "<text x=\"0\" y=\"12\" font-size=\"13.5\" font-weight=\"600\" fill=\"{INK}\">{}</text>\n",
        escape(title)
    );
    for (index, (cell, time)) in bars.iter().enumerate() {
        let y = PANEL_HEAD + index as f64 * PITCH;
        let length = (time / longest * room).max(1.5);
        let (fill, weight, ink) = match cell.contender.role {
            Role::Ours => (OURS, 700, OURS),
            Role::Floor => (FLOOR, 400, FAINT),
            Role::Peer | Role::Reference => (PEER, 400, INK),
        };
        let text_y = y + BAR - 3.0;
        let version = versions::of(cell.contender.package)
            .map_or_else(String::new, |version| format!(" {version}"));
        body += &format!(
            "<text x=\"{:.0}\" y=\"{text_y:.1}\" font-size=\"12\" text-anchor=\"end\" font-weight=\"{weight}\" fill=\"{ink}\">{}</text>\n",
            NAMES - 8.0,
            escape(label(cell))
        );
        body += &format!(
            "<rect x=\"{NAMES:.0}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{BAR}\" rx=\"2\" fill=\"{fill}\"><title>{}{}: {time:.1} ns per {}</title></rect>\n",
            escape(cell.contender.name),
            escape(&version),
            escape(unit)
        );
        body += &format!(
            "<text x=\"{:.1}\" y=\"{text_y:.1}\" font-size=\"12\" font-weight=\"{weight}\" fill=\"{ink}\">{}</text>\n",
            NAMES + length + 6.0,
            value(*time)
        );
    }
    Panel {
        height: PANEL_HEAD + bars.len() as f64 * PITCH,
        body,
    }
}

/// Ours goes by the name of its package.
fn label(cell: &CellFigures) -> &'static str {
    match cell.contender.role {
        Role::Ours if !cell.contender.package.is_empty() => cell.contender.package,
        _ => cell.contender.name,
    }
}

fn value(time: f64) -> String {
    match time {
        ..20.0 => format!("{time:.1}"),
        ..1000.0 => format!("{time:.0}"),
        _ => grouped(time),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::figures;
    use super::*;

    #[test]
    fn ours_is_on_top_and_the_copy_is_left_out() {
        let text = text(&figures());
        let at = |name: &str| text.find(&format!(">{name}</text>"));
        let order = ["ours", "quick", "slow", "floor"].map(|name| at(name).expect(name));
        assert!(order.is_sorted(), "{text}");
        assert_eq!(at("copy"), None);
        assert!(
            !text.contains("<script") && !text.contains("href"),
            "self-contained"
        );
    }

    #[test]
    fn markup_in_names_is_escaped() {
        let mut figures = figures();
        figures.sections[0].rows[0].name = "<a&b>".to_owned();
        figures.chart.rows = vec!["<a&b>".to_owned()];
        assert!(text(&figures).contains("&lt;a&amp;b&gt;"));
    }
}
