//! Profiles as UHI JSON: storage `mean` while every weight is 1, else `weighted_mean`. The sums
//! behind means and variances travel in `exact`; of a profile of another tool they are made from
//! these.

use super::exactly::Exact;
use super::{Metadata, Storage, Uhi, UhiAxis, UhiError};
use crate::bins::Bins;
use crate::exact::ExactSum;
use crate::histogram::{Axis, Moments};
use crate::profile::{ErrorOption, Profile, ProfileBooking};

const SPREAD: &str = "spread";
const MEAN: &str = "mean";

pub(super) fn to_uhi(profile: &Profile) -> Uhi {
    let booking = profile.booking();
    let bins = 0..booking.axis.bins + 2;
    let (weights, squares) = (
        profile.weights().to_vec(),
        profile.squared_weights().to_vec(),
    );
    let values = bins
        .clone()
        .map(|bin| profile.mean(bin).unwrap_or(0.0))
        .collect();
    let variances = bins.map(|bin| sample_variance(profile, bin)).collect();
    let storage = if profile.is_weighted() {
        Storage::WeightedMean {
            sum_of_weights: weights,
            sum_of_weights_squared: squares,
            values,
            variances,
        }
    } else {
        let counts = weights;
        Storage::Mean {
            counts,
            values,
            variances,
        }
    };
    let mut exact = Exact::default();
    exact.cells(profile.bins());
    exact.sums(["sum_w", "sum_wx", "sum_wx2"], profile.sums());
    let [y, y2] = profile.ordinate_sums();
    for (bin, (y, y2)) in y.iter().zip(y2).enumerate() {
        if y2.value() != 0.0 || y.value() != 0.0 {
            exact.always(format!("y[{bin}]"), y);
            exact.always(format!("y2[{bin}]"), y2);
        }
    }
    let Moments { weight, x, x2 } = profile.moments();
    let error = match booking.error {
        ErrorOption::Mean => MEAN,
        ErrorOption::Spread => SPREAD,
    };
    let (name, title, entries) = (profile.name(), profile.title(), profile.entries());
    Uhi {
        uhi_schema: 1,
        metadata: Metadata {
            ordinate_unit: Some(booking.ordinate_unit.clone()),
            sum_w: Some(weight),
            sum_wx: Some(x),
            sum_wx2: Some(x2),
            ordinate_low: booking.ordinates.map(|[low, _]| low),
            ordinate_high: booking.ordinates.map(|[_, high]| high),
            error: Some(error.to_owned()),
            exact: exact.text(),
            ..Metadata::of(name, title, &booking.unit, entries)
        },
        axes: vec![UhiAxis::of(booking.axis)],
        storage,
    }
}

/// The variance of the ordinates in a bin as the schema means it: unbiased; 0 where it has no
/// meaning, because JSON has no other word for that.
fn sample_variance(profile: &Profile, bin: usize) -> f64 {
    let (weight, squares) = (profile.weights()[bin], profile.squared_weights()[bin]);
    let freedom = weight - squares / weight;
    let Some(spread) = profile.spread(bin).filter(|_| freedom > 0.0) else {
        return 0.0;
    };
    spread * spread * weight / freedom
}

pub(super) fn from_uhi(
    name: &str,
    axis: Axis,
    metadata: Metadata,
    storage: Storage,
) -> Result<Profile, UhiError> {
    let refuse = |why: &str| UhiError::Kind {
        name: name.to_owned(),
        why: why.to_owned(),
    };
    let booking = ProfileBooking {
        unit: metadata.unit().to_owned(),
        ordinate_unit: metadata.ordinate_unit().to_owned(),
        axis,
        ordinates: metadata
            .ordinate_low
            .zip(metadata.ordinate_high)
            .map(|(low, high)| [low, high]),
        error: match metadata.error.as_deref() {
            None | Some(MEAN) => ErrorOption::Mean,
            Some(SPREAD) => ErrorOption::Spread,
            Some(_) => return Err(refuse("an error option that is neither mean nor spread")),
        },
    };
    let empty = Profile::new(name, metadata.title(), booking)?;
    let (weights, squares, values, variances) = match storage {
        Storage::Mean {
            counts,
            values,
            variances,
        } => (counts, None, values, variances),
        Storage::WeightedMean {
            sum_of_weights,
            sum_of_weights_squared,
            values,
            variances,
        } => (
            sum_of_weights,
            Some(sum_of_weights_squared),
            values,
            variances,
        ),
        Storage::Int { .. } | Storage::Double { .. } | Storage::Weighted { .. } => {
            return Err(refuse("a storage without means"));
        }
    };
    let cells = axis.bins + 2;
    if values.len() != cells || variances.len() != cells {
        return Err(refuse("means or variances that are not as many as bins"));
    }
    let bins =
        Bins::made_of(weights, squares, metadata.entries, cells).map_err(|why| refuse(&why))?;
    let text = metadata.exact.unwrap_or_default();
    let exact = if text.is_empty() {
        Some(Exact::default())
    } else {
        Exact::read(&text)
    };
    let exact = exact.ok_or_else(|| refuse("exact sums that cannot be read"))?;
    let (mut y, mut y2) = (Vec::new(), Vec::new());
    let mut centres = Moments::default();
    for bin in 0..cells {
        let (weight, square) = (bins.contents()[bin], bins.variances()[bin]);
        let spread = if weight == 0.0 {
            0.0
        } else {
            variances[bin] * (weight - square / weight)
        };
        let mean = values[bin];
        y.push(exact.sum(&format!("y[{bin}]"), weight * mean));
        y2.push(exact.sum(&format!("y2[{bin}]"), spread + weight * mean * mean));
        if axis.holds(bin) {
            let centre = axis.centre(bin);
            centres.weight += weight;
            centres.x += weight * centre;
            centres.x2 += weight * centre * centre;
        }
    }
    let finite = |sums: &[ExactSum]| sums.iter().all(|sum| sum.value().is_finite());
    if !finite(&y) || !finite(&y2) {
        return Err(refuse("means or variances that are no numbers"));
    }
    let sums = exact.given([
        ("sum_w", metadata.sum_w.unwrap_or(centres.weight)),
        ("sum_wx", metadata.sum_wx.unwrap_or(centres.x)),
        ("sum_wx2", metadata.sum_wx2.unwrap_or(centres.x2)),
    ]);
    let bins = exact.bins(&bins);
    Ok(empty.with_sums(bins, [y, y2], &sums))
}

#[cfg(test)]
mod tests {
    use crate::element::Element;
    use crate::uhi::{read_elements, write_elements};

    /// As boost-histogram 1.8.1 writes two entries 3 and 5 in the first bin; 0 where it says NaN.
    const OTHERS: &str = concat!(
        r#"{"p":{"uhi_schema":1,"axes":[{"type":"regular","lower":0.0,"upper":2.0,"bins":2,"#,
        r#""underflow":true,"overflow":true,"circular":false}],"storage":{"type":"mean","#,
        r#""counts":[0.0,2.0,1.0,0.0],"values":[0.0,4.0,2.0,0.0],"#,
        r#""variances":[0.0,2.0,0.0,0.0]}}}"#,
    );

    #[test]
    fn a_profile_of_another_tool_is_read() {
        let elements = read_elements(OTHERS).unwrap();
        let Element::Profile(profile) = &elements["p"] else {
            panic!("{elements:?}");
        };
        assert_eq!(
            (profile.y(1), profile.y2(1), profile.y2(2)),
            (8.0, 34.0, 4.0)
        );
        assert_eq!(profile.spread(1), Some(1.0));
        let text = write_elements(&elements);
        assert!(text.contains(r#""counts":[0.0,2.0,1.0,0.0],"values":[0.0,4.0,2.0,0.0],"#));
        assert!(text.contains(r#""variances":[0.0,2.0,0.0,0.0]"#), "{text}");
        assert_eq!(read_elements(&text).unwrap(), elements);
        for (from, to) in [
            ("[0.0,4.0,2.0,0.0]", "[0.0,4.0]"),
            ("[0.0,2.0,1.0,0.0]", "[0.0,-2.0,1.0,0.0]"),
            ("y[1]=8e0", "y[1]=8e0,x"),
        ] {
            assert!(text.contains(from), "{text}");
            assert!(read_elements(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }
}
