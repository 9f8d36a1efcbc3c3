//! Published event tables, read back for summaries: what prompt has corrected, and from what.
//!
//! In: the path of an AOD table. Out: tracks. Decides nothing, writes nothing.

use crate::table::Table;
use std::path::Path;

/// One muon's track with its impact parameter before and after correction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CorrectedTrack {
    /// Azimuth in radian.
    pub phi_rad: f64,
    /// Impact parameter against the detector's origin, in cm.
    pub dxy_cm: f64,
    /// Impact parameter after the beam spot of its run was taken off, in cm.
    pub corrected_cm: f64,
}

/// All tracks of an AOD table that carry an impact parameter.
pub fn corrected_tracks(path: &Path) -> Result<Vec<CorrectedTrack>, String> {
    let table = Table::read(path)?;
    let mut tracks = Vec::with_capacity(2 * table.rows());
    for n in [1, 2] {
        let phis = table.f64s(&format!("phi{n}"))?;
        let before = table.optional(&format!("dxy{n}"))?;
        let after = table.optional(&format!("dxy{n}_corrected_cm"))?;
        for (phi_rad, (before, after)) in phis.iter().zip(before.iter().zip(after)) {
            if let (Some(dxy_cm), Some(corrected_cm)) = (*before, *after) {
                tracks.push(CorrectedTrack {
                    phi_rad: *phi_rad,
                    dxy_cm,
                    corrected_cm,
                });
            }
        }
    }
    Ok(tracks)
}
