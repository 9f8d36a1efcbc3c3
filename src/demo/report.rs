//! The demo's report for people: one HTML page that needs nothing beside it.

use super::DemoError;
use super::summary::{ActSummary, Summary, milliseconds};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "\
    body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:105em}\
    body{padding:0 1em;color:#1b1f24}\
    h1{font-size:1.5em}\
    h2{font-size:1.15em;margin-top:2em;border-top:1px solid #d0d7de;padding-top:1em}\
    table{border-collapse:collapse;margin:.8em 0}\
    th,td{padding:.2em .7em;text-align:right;border-bottom:1px solid #eaeef2}\
    th{font-weight:600}\
    td,th{white-space:nowrap}\
    td:first-child,th:first-child,td.t,th.t{text-align:left}\
    td.t:last-child{white-space:normal;min-width:36em}\
    .not{color:#6e7781}\
    .bad{color:#b42318;font-weight:600}\
    .tag{display:inline-block;padding:0 .6em;border-radius:1em;background:#ddf4ff;font-size:.85em}\
    .sim{background:#fff1cc}\
    code{background:#f6f8fa;padding:0 .3em}\
    svg{background:#fff;border:1px solid #eaeef2}";

/// Writes the page.
pub(super) fn write(summary: &Summary, path: &Path) -> Result<(), DemoError> {
    let failed = |source| DemoError::File {
        tried: format!("writing {}", path.display()),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, page(summary)).map_err(failed)
}

fn page(summary: &Summary) -> String {
    let mut out = String::new();
    let written = (|| {
        write!(
            out,
            "<!doctype html><html lang=en><meta charset=utf-8><title>tier0 demo</title>\
             <style>{STYLE}</style><h1>tier0 demo</h1>"
        )?;
        summary
            .acts
            .iter()
            .try_for_each(|act| write_act(&mut out, act))
    })();
    assert!(written.is_ok(), "writing into a string cannot fail");
    out
}

fn text(raw: &str) -> String {
    raw.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn write_act(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    let class = if act.label.starts_with("SIM") {
        "tag sim"
    } else {
        "tag"
    };
    write!(
        out,
        "<h2>Act {} <span class=\"{class}\">{}</span></h2>",
        act.act,
        text(&act.label)
    )?;
    let Some(totals) = act.totals else {
        let reason = act.reason.as_deref().unwrap_or_default();
        return write!(out, "<p class=not>Not run: {}</p>", text(reason));
    };
    write!(
        out,
        "<p>{} runs, {} closed; {} files; events in {}, out {}; {} jobs, {} failed.</p>",
        totals.runs,
        totals.runs_closed,
        totals.files,
        totals.events_in,
        totals.events_out,
        totals.jobs,
        totals.jobs_failed
    )?;
    if let (Some(spot), Some(residual)) = (act.beamspot, act.residual) {
        write!(
            out,
            "<p>Beam spot of all runs: x0 = {:.5} cm, y0 = {:.5} cm; {} intervals of validity. \
            Half width of \
             the impact parameter: <b>{:.1}</b> um with one beam spot for all, <b>{:.1}</b> um \
             with the loop's.</p>",
            spot.x0_cm, spot.y0_cm, spot.iovs, residual.before_um, residual.after_um
        )?;
    }
    if let (Some(peak), Some(scale)) = (act.z_peak, &act.scale) {
        write!(
            out,
            "<p>Z peak {:.2} +- {:.2} GeV, scale k = {:.4} +- {:.4}. Includes final-state \
            radiation and trigger \
             bias: shows the loop, is no measurement.</p>",
            peak.gev, peak.err_gev, scale.k, scale.err
        )?;
    }
    write_drift(out, act)?;
    write_runs(out, act)?;
    write_truth(out, act)
}

fn write_runs(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    write!(
        out,
        "<table><tr><th>run<th>files<th>lumis<th>events in<th>out<th>express p50<th>p99<th>budget\
         <th>critical path<th>programs<th>overhead<th class=t>verdict<th class=t>constants</tr>"
    )?;
    for run in &act.runs {
        let budget = run
            .budget_s
            .map_or_else(|| "none".to_owned(), |s| format!("{s:.0} s"));
        let constants: Vec<String> = run
            .constants
            .iter()
            .map(|c| format!("{}: {} ({})", text(&c.tag), text(&c.gate), text(&c.reason)))
            .collect();
        write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1} ms<td>{:.1} ms<td>{budget}<td>{}\
             <td>{}<td>{}<td class=t>{}<td class=t>{}</tr>",
            run.run,
            run.files,
            run.lumis,
            run.events_in,
            run.events_out,
            run.express_p50_s * 1e3,
            run.express_p99_s * 1e3,
            milliseconds(run.critical_path_s),
            milliseconds(run.program_s),
            milliseconds(run.overhead_s),
            text(&run.verdict),
            constants.join("<br>")
        )?;
    }
    write!(out, "</table>")?;
    for run in &act.runs {
        let found = run.found_inside();
        if !found.is_empty() {
            write!(
                out,
                "<p>Run {}:<br>{}</p>",
                run.run,
                text(&found.join("\n")).replace('\n', "<br>")
            )?;
        }
    }
    Ok(())
}

fn write_truth(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    let Some(pulls) = act.pulls else {
        return Ok(());
    };
    write!(
        out,
        "<p>Against the truth: pulls of x0 and y0 have mean {:.2} and width {:.2} (n = {}).</p>\
         <table><tr><th>run<th>x0 true<th>fit<th>error<th>pull<th>y0 \
         true<th>fit<th>error<th>pull<th></tr>",
        pulls.mean, pulls.width, pulls.n
    )?;
    for row in &act.truth {
        write!(out, "<tr><td>{}", row.run)?;
        for v in [row.x0, row.y0] {
            let (t, fit, error) = (v[0] * 1e4, v[1] * 1e4, v[2] * 1e4);
            write!(
                out,
                "<td>{t:.1} um<td>{fit:.1} um<td>{error:.1} um<td>{:.2}",
                v[3]
            )?;
        }
        write!(
            out,
            "<td class=t>{}</tr>",
            if row.new_iov { "new IOV" } else { "" }
        )?;
    }
    write!(out, "</table>")
}

/// x0 and y0 of each run with errors, as a picture.
fn write_drift(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    let mut points: Vec<(f64, f64, f64, f64)> = Vec::new();
    for run in &act.runs {
        let spot = run.constants.iter().find(|c| c.tag.starts_with("beamspot"));
        let number = |map: &serde_json::Map<String, serde_json::Value>, name: &str| {
            map.get(name).and_then(serde_json::Value::as_f64)
        };
        if let Some(c) = spot
            && let (Some(x), Some(y), Some(ex), Some(ey)) = (
                number(&c.values, "x0_cm"),
                number(&c.values, "y0_cm"),
                number(&c.errors, "x0_cm"),
                number(&c.errors, "y0_cm"),
            )
        {
            points.push((x * 1e4, ex * 1e4, y * 1e4, ey * 1e4));
        }
    }
    if points.len() < 2 {
        return Ok(());
    }
    for (name, series) in [
        ("x0", points.iter().map(|p| (p.0, p.1)).collect::<Vec<_>>()),
        ("y0", points.iter().map(|p| (p.2, p.3)).collect()),
    ] {
        write_series(out, name, &series)?;
    }
    Ok(())
}

fn write_series(out: &mut String, name: &str, series: &[(f64, f64)]) -> std::fmt::Result {
    let low = series
        .iter()
        .map(|(v, e)| v - e)
        .fold(f64::INFINITY, f64::min);
    let high = series
        .iter()
        .map(|(v, e)| v + e)
        .fold(f64::NEG_INFINITY, f64::max);
    let (width, height, margin) = (560.0, 170.0, 24.0);
    let span = (high - low).max(1e-9);
    let y = |v: f64| height - margin - (v - low) / span * (height - 2.0 * margin);
    let x = |i: usize| {
        margin + 46.0 + i as f64 * (width - 2.0 * margin - 46.0) / (series.len() as f64 - 1.0)
    };
    write!(
        out,
        "<svg width={width} height={height} role=img aria-label=\"{name} by run\">\
         <text x=8 y=16 font-size=12>{name} by run (um)</text>\
         <text x=4 y={:.0} font-size=11>{high:.0}</text><text x=4 y={:.0} \
         font-size=11>{low:.0}</text>",
        y(high) + 4.0,
        y(low) + 4.0
    )?;
    for (i, (v, e)) in series.iter().enumerate() {
        write!(
            out,
            "<line x1={0:.1} x2={0:.1} y1={1:.1} y2={2:.1} stroke=#0969da /><circle cx={0:.1} \
            cy={3:.1} r=3 \
             fill=#0969da />",
            x(i),
            y(v - e),
            y(v + e),
            y(*v)
        )?;
    }
    write!(out, "</svg> ")
}
