//! The figures for programs: every cell, the versions of the peers, every bar. No date and no machine: the same run twice
//! differs in its times alone.

use serde_json::{Map, Value, json};

use super::bars::Judged;
use super::bench::Role;
use super::figures::{CellFigures, Figures, RowFigures};
use super::versions;

/// The document, indented.
pub(super) fn text(figures: &Figures, judged: &[Judged]) -> String {
    let contenders: Vec<Value> = figures
        .contenders
        .iter()
        .map(|it| {
            let role = match it.role {
                Role::Ours => "ours",
                Role::Peer => "peer",
                Role::Floor => "floor",
                Role::Reference => "reference",
            };
            json!({ "name": it.name, "role": role, "version": versions::of(it.package) })
        })
        .collect();
    let sections: Vec<Value> = figures
        .sections
        .iter()
        .map(|section| {
            let rows: Vec<Value> = section.rows.iter().map(row).collect();
            json!({ "heading": section.heading, "rounds": section.rounds, "rows": rows })
        })
        .collect();
    let bars: Vec<Value> = judged.iter().map(bar).collect();
    let document = json!({
        "bench": figures.bench,
        "unit": format!("ns per {}", figures.unit),
        "contenders": contenders,
        "sections": sections,
        "bars": bars,
    });
    format!("{document:#}\n")
}

fn row(row: &RowFigures) -> Value {
    let cells: Map<String, Value> = row
        .cells
        .iter()
        .map(|it| (it.contender.name.to_owned(), cell(it)))
        .collect();
    json!({ "name": row.name, "cells": cells })
}

fn cell(cell: &CellFigures) -> Value {
    let mut fields = Map::new();
    if let Some(time) = &cell.time {
        fields.insert("minimum".to_owned(), thousandths(time.minimum));
        fields.insert("median".to_owned(), thousandths(time.median));
        fields.insert("allocations".to_owned(), thousandths(time.allocations));
    }
    for (column, value) in &cell.extras {
        fields.insert((*column).to_owned(), thousandths(*value));
    }
    Value::Object(fields)
}

fn bar(judged: &Judged) -> Value {
    let (value, why) = match &judged.value {
        Ok(value) => (thousandths(*value), None),
        Err(why) => (Value::Null, Some(why)),
    };
    json!({
        "claim": judged.bar.claim,
        "row": judged.row,
        "value": value,
        "missing": why,
        "limit": judged.bar.limit.to_string(),
        "held": judged.holds(),
    })
}

/// More digits would be noise.
fn thousandths(value: f64) -> Value {
    json!((value * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::super::bars::{Bar, Limit, What, judge};
    use super::super::figures::tests::figures;
    use super::*;

    #[test]
    fn every_cell_and_every_bar_is_written() {
        let mut figures = figures();
        let what = What::Allocations("slow");
        figures.sections[0].rows[0].bars.push(Bar::new(
            "nothing is allocated",
            what,
            Limit::AtMost(0.0),
        ));
        let text = text(&figures, &judge(&figures));
        let read: Value = serde_json::from_str(&text).expect("JSON");
        let cells = &read["sections"][0]["rows"][0]["cells"];
        assert_eq!(
            cells["slow"],
            json!({ "minimum": 24.0, "median": 26.4, "allocations": 2.0 })
        );
        assert_eq!(cells["ours"]["bytes"], 48.0);
        assert_eq!(
            read["contenders"][3],
            json!({ "name": "slow", "role": "peer", "version": null })
        );
        assert_eq!(read["bars"][0]["held"], false);
    }
}
