//! What a row of a dimuon data set says: two muons and their mass.
//!
//! In: column names and text rows. Out: typed dimuons, in GeV, radian and centimetre. Needed
//! columns are `pt1 eta1 phi1 Q1 pt2 eta2 phi2 Q2`; `dxy1 dxy2` and `M` are used when present.
//! Without `M` the mass is that of two muons of mass [`MUON_MASS_GEV`]. It never guesses a missing
//! value.

/// The row that stands for an event with several: the first. The rows of `uproot-Zmumu.root` are
/// the same pair in several reconstructions (global and tracker muons), and an event must enter a
/// histogram once. With the first rows, 140 events of run 148029 lie between 75 and 105 GeV.
pub fn representative(rows: &[String]) -> Option<&str> {
    rows.first().map(String::as_str)
}

/// Mass of the muon in GeV (PDG 2024: 105.6583755 MeV).
pub const MUON_MASS_GEV: f64 = 0.105_658_375_5;

/// The largest transverse momentum of a muon and mass of a pair, GeV: ten times the energy of any
/// collider that is planned.
const MOMENTUM_GEV_MAX: f64 = 1e6;
/// The largest pseudorapidity: with 1 MeV across it, a muon of 20 has more energy than that.
const ETA_MAX: f64 = 20.0;
/// The largest azimuth, rad: whole turns are counted from 0 or from -pi, rounded either way.
const PHI_RAD_MAX: f64 = 6.3;
/// The largest impact parameter, cm: 100 m are beyond any detector.
pub(crate) const DISTANCE_CM_MAX: f64 = 1e4;

/// Columns without which a row is no dimuon.
const NEEDED_COLUMNS: &str = "pt1 eta1 phi1 Q1 pt2 eta2 phi2 Q2";

/// One reconstructed muon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    /// Transverse momentum in GeV.
    pub pt_gev: f64,
    /// Pseudorapidity.
    pub eta: f64,
    /// Azimuth in radian.
    pub phi_rad: f64,
    /// Charge in units of the positron's.
    pub charge: i32,
    /// Transverse impact parameter from the detector origin in cm, where the data set has it.
    pub dxy_cm: Option<f64>,
}

/// The dimuon of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dimuon {
    /// The two muons in the order of the row.
    pub muons: [Muon; 2],
    /// Invariant mass in GeV.
    pub mass_gev: f64,
}

/// Why a row cannot be read. The caller adds the file and the line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The column set lacks something every dimuon needs.
    #[error("column {name:?} is missing among {have}; needed are {needed}")]
    Column {
        /// The missing column.
        name: String,
        /// The columns there are.
        have: String,
        /// The columns there should be.
        needed: &'static str,
    },
    /// A row of another width than its header.
    #[error("{found} fields, the header has {expected}; repair or remove the row")]
    Fields {
        /// Fields in the row.
        found: usize,
        /// Columns of the header.
        expected: usize,
    },
    /// A field that is no number, or one no muon can have.
    #[error("field {name} is {text:?}: {reason}; repair or remove the row")]
    Value {
        /// Column of the field.
        name: String,
        /// The field's text.
        text: String,
        /// What is wrong.
        reason: &'static str,
    },
}

/// Where the needed columns stand.
#[derive(Clone, Debug)]
pub struct Layout {
    columns: Vec<String>,
    muons: [[usize; 4]; 2],
    dxy: [Option<usize>; 2],
    mass: Option<usize>,
}

impl Layout {
    /// Finds the columns of a data set by name.
    pub fn of(columns: &[String]) -> Result<Self, RowError> {
        let find = |name: &str| columns.iter().position(|column| column == name);
        let need = |name: String| {
            let have = columns.join(" ");
            let needed = NEEDED_COLUMNS;
            find(&name).ok_or(RowError::Column { name, have, needed })
        };
        let muon = |n: u32| -> Result<[usize; 4], RowError> {
            Ok([
                need(format!("pt{n}"))?,
                need(format!("eta{n}"))?,
                need(format!("phi{n}"))?,
                need(format!("Q{n}"))?,
            ])
        };
        Ok(Self {
            muons: [muon(1)?, muon(2)?],
            dxy: [find("dxy1"), find("dxy2")],
            mass: find("M"),
            columns: columns.to_vec(),
        })
    }

    /// Reads one row.
    pub fn dimuon(&self, row: &str) -> Result<Dimuon, RowError> {
        let fields: Vec<&str> = row.split(',').collect();
        if fields.len() != self.columns.len() {
            let (found, expected) = (fields.len(), self.columns.len());
            return Err(RowError::Fields { found, expected });
        }
        let muons = [self.muon(&fields, 0)?, self.muon(&fields, 1)?];
        let mass_gev = match self.mass {
            Some(at) => self.within(&fields, at, MOMENTUM_GEV_MAX, "a mass is below 1e6 GeV")?,
            None => mass_gev(&muons),
        };
        if mass_gev < 0.0 {
            let at = self
                .mass
                .expect("a computed mass is a square root, never below zero");
            return Err(self.refuse(&fields, at, "a mass is not negative"));
        }
        Ok(Dimuon { muons, mass_gev })
    }

    /// The row with the impact parameters moved as a vertex shifted by (x, y) cm moves them:
    /// dxy gains -x sin(phi) + y cos(phi). Rows without `dxy` columns stay as they are.
    pub fn shifted(&self, row: &str, x_cm: f64, y_cm: f64) -> Result<String, RowError> {
        let dimuon = self.dimuon(row)?;
        let mut fields: Vec<String> = row.split(',').map(str::to_owned).collect();
        for (muon, at) in dimuon.muons.iter().zip(self.dxy) {
            if let (Some(dxy_cm), Some(at)) = (muon.dxy_cm, at) {
                let (sine, cosine) = muon.phi_rad.sin_cos();
                fields[at] = (dxy_cm - x_cm * sine + y_cm * cosine).to_string();
            }
        }
        Ok(fields.join(","))
    }

    /// Whether the data set carries impact parameters of both muons.
    pub fn has_dxy(&self) -> bool {
        self.dxy.iter().all(Option::is_some)
    }

    fn muon(&self, fields: &[&str], which: usize) -> Result<Muon, RowError> {
        let [pt, eta, phi, charge] = self.muons[which];
        let most = "a transverse momentum is below 1e6 GeV";
        let pt_gev = self.within(fields, pt, MOMENTUM_GEV_MAX, most)?;
        if pt_gev <= 0.0 {
            return Err(self.refuse(fields, pt, "a transverse momentum is above zero"));
        }
        let charge_value = self.number(fields, charge)?;
        if charge_value.abs() != 1.0 {
            return Err(self.refuse(fields, charge, "a muon's charge is 1 or -1"));
        }
        let dxy_cm = self.dxy[which]
            .map(|at| {
                let most = "an impact parameter is below 1e4 cm";
                self.within(fields, at, DISTANCE_CM_MAX, most)
            })
            .transpose()?;
        let turn = "an azimuth is in radian, within a turn of 0";
        Ok(Muon {
            pt_gev,
            eta: self.within(fields, eta, ETA_MAX, "a pseudorapidity is within 20 of 0")?,
            phi_rad: self.within(fields, phi, PHI_RAD_MAX, turn)?,
            charge: charge_value as i32,
            dxy_cm,
        })
    }

    fn number(&self, fields: &[&str], at: usize) -> Result<f64, RowError> {
        match fields[at].trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            Ok(_) => Err(self.refuse(fields, at, "not a finite number")),
            Err(_) => Err(self.refuse(fields, at, "not a number")),
        }
    }

    /// A number that is no further from 0 than this: what comes after may square it.
    fn within(
        &self,
        fields: &[&str],
        at: usize,
        most: f64,
        reason: &'static str,
    ) -> Result<f64, RowError> {
        let value = self.number(fields, at)?;
        if value.abs() <= most {
            return Ok(value);
        }
        Err(self.refuse(fields, at, reason))
    }

    fn refuse(&self, fields: &[&str], at: usize, reason: &'static str) -> RowError {
        RowError::Value {
            name: self.columns[at].clone(),
            text: fields[at].to_owned(),
            reason,
        }
    }
}

/// Invariant mass in GeV of two muons.
pub fn mass_gev(muons: &[Muon; 2]) -> f64 {
    let mut sum = [0.0; 4];
    for muon in muons {
        let (sine, cosine) = muon.phi_rad.sin_cos();
        let pz = muon.pt_gev * muon.eta.sinh();
        let p = muon.pt_gev * muon.eta.cosh();
        let energy = p.hypot(MUON_MASS_GEV);
        for (total, part) in
            sum.iter_mut()
                .zip([muon.pt_gev * cosine, muon.pt_gev * sine, pz, energy])
        {
            *total += part;
        }
    }
    (sum[3].powi(2) - sum[0].powi(2) - sum[1].powi(2) - sum[2].powi(2))
        .max(0.0)
        .sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    const CSV: &str = "Run,Event,pt1,eta1,phi1,Q1,dxy1,iso1,pt2,eta2,phi2,Q2,dxy2,iso2";
    const ROW: &str = "165617,74969122,54.7055,-0.432396,2.57421,1,-0.0745444,0.499921,34.2464,\
                       -0.98848,-0.498704,-1,0.0712224,3.42214";

    #[test]
    fn a_real_row_gives_the_mass_its_authors_computed() {
        let dimuon = Layout::of(&columns(CSV)).unwrap().dimuon(ROW).unwrap();
        // 2 pt1 pt2 (cosh(eta1 - eta2) - cos(phi1 - phi2)) for massless muons, by hand: 89.8857^2.
        // The companion file says 89.9557: its momenta are of the other reconstruction.
        assert!(
            (dimuon.mass_gev - 89.8857).abs() < 1e-3,
            "{}",
            dimuon.mass_gev
        );
        assert_eq!(dimuon.muons[1].dxy_cm, Some(0.0712224));
        assert_eq!(dimuon.muons.map(|m| m.charge), [1, -1]);
    }

    #[test]
    fn bad_rows_say_what_is_wrong() {
        let layout = Layout::of(&columns(CSV)).unwrap();
        let check = |from: &str, to: &str, expect: &str| {
            let message = layout
                .dimuon(&ROW.replacen(from, to, 1))
                .unwrap_err()
                .to_string();
            assert!(message.contains(expect), "{message:?} lacks {expect:?}");
        };
        check("54.7055", "x", "field pt1 is \"x\": not a number");
        check("54.7055", "-3", "above zero");
        check(
            "2.57421",
            "inf",
            "field phi1 is \"inf\": not a finite number",
        );
        check(",1,", ",2,", "charge is 1 or -1");
        // Finite, and still no muon's.
        check(
            "54.7055",
            "1e304",
            "field pt1 is \"1e304\": a transverse momentum",
        );
        check("-0.98848", "-900", "a pseudorapidity is within 20");
        check("2.57421", "6.4", "an azimuth is in radian");
        check("0.0712224", "-1e304", "an impact parameter is below 1e4 cm");
        check(",3.42214", "", "13 fields, the header has 14");
        let short = Layout::of(&columns("Run,Event,pt1"))
            .unwrap_err()
            .to_string();
        assert!(short.contains("\"eta1\" is missing"), "{short}");
    }

    #[test]
    fn a_shift_moves_dxy_and_nothing_else() {
        let layout = Layout::of(&columns(CSV)).unwrap();
        let (x_cm, y_cm) = (0.01, -0.02);
        let (before, row) = (
            layout.dimuon(ROW).unwrap(),
            layout.shifted(ROW, x_cm, y_cm).unwrap(),
        );
        let after = layout.dimuon(&row).unwrap();
        for (old, new) in before.muons.iter().zip(&after.muons) {
            let moved = new.dxy_cm.unwrap() - old.dxy_cm.unwrap();
            let expect = -x_cm * old.phi_rad.sin() + y_cm * old.phi_rad.cos();
            assert!((moved - expect).abs() < 1e-12);
            assert_eq!(
                Muon {
                    dxy_cm: old.dxy_cm,
                    ..*new
                },
                *old
            );
        }
        assert_eq!(before.mass_gev, after.mass_gev);
    }
}
