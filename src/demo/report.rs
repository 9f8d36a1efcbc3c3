//! The demo's report for people: one HTML page that needs nothing beside it and runs no script.
//!
//! In: the summary and its figures. Out: a page that can be read in light and dark, on a telephone
//! and on paper. Beside each picture are its numbers as a JSON document, for whoever wants to hold
//! them against the published files. Every act says first whether its data are real or simulated;
//! acts that were not played are named with how to get them.

use super::DemoError;
use super::figures::{self, Figure};
use super::summary::{ActSummary, Summary, milliseconds};
use crate::draw::{self, escape};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--paper:#fff;--quiet:#59636e;--line:#d0d7de;\
--code:#f2f4f6;--real:#ddf4ff;--sim:#fff1cc;--tag:#1b1f24}\
@media (prefers-color-scheme:dark){:root{--ink:#e6e8eb;--paper:#1b1d20;--quiet:#9aa4af;\
--line:#3a4047;--code:#2a2e33;--real:#b6dcf5;--sim:#f2dc9b}}\
*{box-sizing:border-box}\
body{font:15px/1.5 system-ui,\"DejaVu Sans\",sans-serif;margin:0 auto;max-width:84em;padding:1em;\
color:var(--ink);background:var(--paper)}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em;border-top:1px solid var(--line);\
padding-top:1em}h3{font-size:1em;margin:1.2em 0 .3em}\
p,figcaption{overflow-wrap:anywhere}\
.wide{overflow-x:auto}\
table{border-collapse:collapse;margin:.8em 0;font-size:.93em}\
th,td{padding:.2em .7em;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}\
td:first-child,th:first-child,td.t,th.t{text-align:left}\
td.t:last-child{white-space:normal;min-width:20em}\
.not{color:var(--quiet)}\
.tag{display:inline-block;padding:0 .6em;border-radius:1em;background:var(--real);\
color:var(--tag)}.sim{background:var(--sim);border-radius:0}\
code{background:var(--code);padding:0 .3em;overflow-wrap:anywhere}\
.gallery{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26em),1fr));\
gap:1em;grid-auto-flow:dense}\
.pairs{grid-template-columns:repeat(auto-fit,minmax(min(100%,34em),1fr))}\
figure{margin:0;min-width:0;break-inside:avoid}\
@media (min-width:60em){figure.double{grid-column:span 2}}\
figure svg{display:block;width:100%;height:auto;border:1px solid var(--line)}\
figure .wide svg{min-width:36em}\
figcaption{font-size:.87em;color:var(--quiet);margin-top:.3em}\
@media print{body{max-width:none;font-size:11px}.wide{overflow:visible}\
figure .wide svg{min-width:0}}";

/// Nothing is fetched and nothing is run, whatever a name in the data may hold.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// Writes the page; `not_asked` are acts that nobody wanted to see played.
pub(super) fn write(
    summary: &Summary,
    not_asked: &[ActSummary],
    path: &Path,
) -> Result<(), DemoError> {
    let failed = |source| DemoError::File {
        tried: format!("writing {}", path.display()),
        source,
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, page(summary, not_asked)).map_err(failed)
}

fn page(summary: &Summary, not_asked: &[ActSummary]) -> String {
    let mut out = String::new();
    let written = (|| {
        write!(
            out,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
             <title>tier0 demo</title><style>{STYLE}{}</style></head><body><h1>tier0 demo</h1>\
             <p>Each act is an instance of its own; real and simulated data never share an act, a \
             dataset, a histogram or a good-run list. Paths are below the folder of this page. \
             Beside each picture are the numbers that it shows, as JSON in the source of this \
             page.</p>",
            draw::STYLE
        )?;
        let mut acts: Vec<&ActSummary> = summary.acts.iter().chain(not_asked).collect();
        acts.sort_by_key(|act| act.act);
        for act in acts {
            write_act(&mut out, act)?;
        }
        write_beside(&mut out, summary)?;
        write!(out, "</body></html>")
    })();
    assert!(written.is_ok(), "writing into a string cannot fail");
    out
}

/// Label of the data, as a mark whose form differs too.
fn tag(act: &ActSummary) -> String {
    let class = if act.is_real() { "tag" } else { "tag sim" };
    format!("<span class=\"{class}\">{}</span>", escape(&act.label))
}

fn write_act(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    write!(
        out,
        "<h2 id=\"act{}\">{} Act {}</h2>",
        act.act,
        tag(act),
        act.act
    )?;
    let Some(totals) = act.totals else {
        let reason = act.reason.as_deref().unwrap_or_default();
        return write!(out, "<p class=\"not\">Not run: {}</p>", escape(reason));
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
            "<p>Beam spot of all runs: x0 = {:.5} +- {:.5} cm, y0 = {:.5} +- {:.5} cm; {} intervals \
             of validity. Half width of the impact parameter: <b>{:.1}</b> um with one beam spot \
             for all, <b>{:.1}</b> um with the loop's.</p>",
            spot.x0_cm,
            spot.x0_err_cm,
            spot.y0_cm,
            spot.y0_err_cm,
            spot.iovs,
            residual.before_um,
            residual.after_um
        )?;
    }
    if let (Some(peak), Some(scale)) = (act.z_peak, &act.scale) {
        write!(
            out,
            "<p>Z peak {:.2} +- {:.2} GeV, scale k = {:.4} +- {:.4} ({}); {}.</p>",
            peak.gev,
            peak.err_gev,
            scale.k,
            scale.err,
            escape(&scale.gate),
            act.honesty()
        )?;
    }
    write!(out, "<div class=\"gallery\">")?;
    for (n, figure) in act.figures.iter().enumerate() {
        write_figure(out, figure, &format!("act{}-{n}", act.act))?;
    }
    write!(out, "</div>")?;
    write_runs(out, act)?;
    write_truth(out, act)
}

fn write_figure(out: &mut String, figure: &Figure, id: &str) -> std::fmt::Result {
    let (class, box_class) = if figure.is_wide {
        ("double", "wide")
    } else {
        ("", "")
    };
    // In a data block only the beginning of a tag could end it.
    let data = figure.data.to_string().replace('<', "\\u003c");
    write!(
        out,
        "<figure class=\"{class}\" data-picture=\"{}\"><div class=\"{box_class}\">{}</div>\
         <figcaption>{}</figcaption>\
         <script type=\"application/json\" id=\"{id}-data\">{data}</script></figure>",
        figure.kind,
        figure.picture.inline(id),
        escape(&figure.caption)
    )
}

/// The same histograms of a real act and of the simulated one, each in its own picture.
fn write_beside(out: &mut String, summary: &Summary) -> std::fmt::Result {
    write!(out, "<h2 id=\"beside\">Data beside Monte Carlo</h2>")?;
    let pairs = figures::beside(&summary.acts);
    if pairs.is_empty() {
        return write!(
            out,
            "<p class=\"not\">Not shown: it needs a played act of real dimuons and the simulated \
             one (`tier0 demo --acts 1,2`).</p>"
        );
    }
    write!(
        out,
        "<p>Of each pair the first is recorded, the second simulated: two pictures with scales of \
         their own. The simulation is thin: a Z with resolution, a falling background, a beam \
         spot. Nothing is added up across the two.</p><div class=\"gallery pairs\">"
    )?;
    for (n, figure) in pairs.iter().flatten().enumerate() {
        write_figure(out, figure, &format!("beside-{n}"))?;
    }
    write!(out, "</div>")
}

fn write_runs(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    write!(
        out,
        "<h3>Runs</h3><div class=\"wide\"><table><tr><th>run<th>files<th>lumis<th>events in<th>out\
         <th>express p50<th>p99<th>budget<th>critical path<th>programs<th>overhead\
         <th class=\"t\">verdict<th class=\"t\">constants</tr>"
    )?;
    for run in &act.runs {
        let budget = run
            .budget_s
            .map_or_else(|| "none".to_owned(), |s| format!("{s:.0} s"));
        let constants: Vec<String> = run
            .constants
            .iter()
            .map(|c| {
                let (tag, gate, reason) = (escape(&c.tag), escape(&c.gate), escape(&c.reason));
                format!("{tag}: {gate} ({reason})")
            })
            .collect();
        write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1} ms<td>{:.1} ms<td>{budget}<td>{}\
             <td>{}<td>{}<td class=\"t\">{}<td class=\"t\">{}</tr>",
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
            escape(&run.verdict),
            constants.join("<br>")
        )?;
    }
    write!(out, "</table></div>")?;
    for run in &act.runs {
        let found = run.found_inside();
        if !found.is_empty() {
            write!(
                out,
                "<p>Run {}:<br>{}</p>",
                run.run,
                escape(&found.join("\n")).replace('\n', "<br>")
            )?;
        }
    }
    if let Some(digest) = &act.digest {
        write!(
            out,
            "<p>Digest of what was published: <code>{}</code></p>",
            escape(digest)
        )?;
    }
    Ok(())
}

fn write_truth(out: &mut String, act: &ActSummary) -> std::fmt::Result {
    let Some(pulls) = act.pulls else {
        return Ok(());
    };
    write!(
        out,
        "<h3>Against the truth</h3><p>Pulls of x0 and y0 have mean {:.2} and width {:.2} \
         (n = {}).</p><div class=\"wide\"><table><tr><th>run<th>x0 true<th>fit<th>error<th>pull\
         <th>y0 true<th>fit<th>error<th>pull<th></tr>",
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
            "<td class=\"t\">{}</tr>",
            if row.new_iov { "new IOV" } else { "" }
        )?;
    }
    write!(out, "</table></div>")
}

#[cfg(test)]
mod tests {
    use super::super::summary::Totals;
    use super::*;
    use crate::draw::HistogramPicture;
    use serde_json::json;

    /// What a hostile detector might call its things.
    const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&";

    fn act(number: u8, label: &str) -> ActSummary {
        let picture = HistogramPicture {
            title: HOSTILE.to_owned(),
            label: label.to_owned(),
            ..HistogramPicture::default()
        };
        ActSummary {
            act: number,
            label: label.to_owned(),
            status: "done".to_owned(),
            totals: Some(Totals::default()),
            figures: vec![Figure {
                kind: "mass",
                picture: picture.draw(),
                caption: HOSTILE.to_owned(),
                data: json!({ "sources": [HOSTILE] }),
                is_wide: false,
            }],
            ..ActSummary::default()
        }
    }

    #[test]
    fn nothing_in_the_data_becomes_markup() {
        let mut hostile = act(1, "REAL, CMS 2010");
        hostile.digest = Some(HOSTILE.to_owned());
        let summary = Summary::of(vec![
            hostile,
            ActSummary::not_run(3, "REAL", HOSTILE.to_owned()),
        ]);
        let page = page(&summary, &[]);
        assert!(!page.contains("<img"), "{page}");
        assert_eq!(
            page.matches("<script").count(),
            1,
            "the numbers of the picture"
        );
        assert_eq!(page.matches("</script>").count(), 1);
        let (_, data) = page.split_once("-data\">").expect("the numbers");
        let (data, _) = data.split_once("</script>").expect("their end");
        let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(data["sources"][0], HOSTILE, "and they are what they were");
        for outside in ["http://", "https://", "src=", "@import", "url("] {
            let page = page
                .replace("http://www.w3.org/2000/svg", "")
                .replace(&escape(HOSTILE), "");
            let page = page.replace("src=x onerror", "");
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn the_label_comes_first_and_acts_not_played_are_named() {
        let not_asked = ActSummary::not_run(4, "REAL, CMS 2011", "not asked for".to_owned());
        let page = page(
            &Summary::of(vec![act(2, "SIMULATED, truth known")]),
            &[not_asked],
        );
        let label = page.find("<span class=\"tag sim\">SIMULATED, truth known</span> Act 2");
        assert!(label.is_some_and(|at| at < page.find("data-picture").expect("a picture")));
        assert!(page.contains("<span class=\"tag\">REAL, CMS 2011</span> Act 4</h2>"));
        assert!(page.contains("Not run: not asked for"));
        assert!(page.contains("Not shown: it needs a played act of real dimuons"));
    }
}
