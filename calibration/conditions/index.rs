//! The intervals of one tag, in the order in which they are looked for.
//!
//! In come insertions in any order; out comes the one in force at a point, now or as of an earlier
//! moment. Looking for it is one binary search over the sinces, and behind it a walk back over
//! those that were inserted later than the moment asked for: 100,000 at most, side by side in
//! memory. Must never lose an insertion that was replaced by a later one.

use model::conditions::Since;

/// A row: from its since on, this payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insertion<P> {
    /// When it was inserted, microseconds UTC since 1970.
    pub inserted_us: i64,
    /// Orders insertions of one moment.
    pub sequence: i64,
    /// The payload, or its address.
    pub payload: P,
}

impl<P> Insertion<P> {
    fn place(&self) -> (i64, i64) {
        (self.inserted_us, self.sequence)
    }
}

/// All insertions of one tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index<P> {
    /// Sorted, each once: what is searched.
    sinces: Vec<Since>,
    /// Beside each since, when it was first inserted.
    first_inserted_us: Vec<i64>,
    /// Beside each since, its insertions in their order; never empty.
    insertions: Vec<Vec<Insertion<P>>>,
}

impl<P> Default for Index<P> {
    fn default() -> Self {
        Self {
            sinces: Vec::new(),
            first_inserted_us: Vec::new(),
            insertions: Vec::new(),
        }
    }
}

impl<P> Index<P> {
    /// Keeps a row in its place.
    pub fn insert(&mut self, since: Since, insertion: Insertion<P>) {
        let at = self.sinces.partition_point(|known| *known < since);
        if self.sinces.get(at) == Some(&since) {
            let rows = &mut self.insertions[at];
            let place = rows.partition_point(|known| known.place() <= insertion.place());
            rows.insert(place, insertion);
            self.first_inserted_us[at] = rows[0].inserted_us;
        } else {
            self.sinces.insert(at, since);
            self.first_inserted_us.insert(at, insertion.inserted_us);
            self.insertions.insert(at, vec![insertion]);
        }
    }

    /// The row in force at a point; none before the first since.
    pub fn at(&self, point: Since) -> Option<(Since, &Insertion<P>)> {
        let behind = self.sinces.partition_point(|since| *since <= point);
        let at = behind.checked_sub(1)?;
        Some((self.sinces[at], self.insertions[at].last()?))
    }

    /// As [`Self::at`], but only of the rows inserted up to `snapshot_us` (microseconds UTC): what
    /// a job with that snapshot used, however many rows came later.
    pub fn as_of(&self, point: Since, snapshot_us: i64) -> Option<(Since, &Insertion<P>)> {
        let behind = self.sinces.partition_point(|since| *since <= point);
        let is_known = |first: &i64| *first <= snapshot_us;
        let at = self.first_inserted_us[..behind]
            .iter()
            .rposition(is_known)?;
        Some((self.sinces[at], newest(&self.insertions[at], snapshot_us)?))
    }

    /// The rows in force somewhere from a point up to and with another, as [`Self::as_of`]: the one
    /// in force at the first point, and each that begins behind it; in the order of their sinces.
    pub fn within(
        &self,
        (from, to): (Since, Since),
        snapshot_us: i64,
    ) -> impl Iterator<Item = (Since, &Insertion<P>)> {
        let first = self.as_of(from, snapshot_us);
        let begin = self.sinces.partition_point(|since| *since <= from);
        let end = self.sinces.partition_point(|since| *since <= to);
        let behind = begin..end.max(begin);
        let behind = self.sinces[behind.clone()]
            .iter()
            .zip(&self.insertions[behind]);
        let behind =
            behind.filter_map(move |(since, rows)| Some((*since, newest(rows, snapshot_us)?)));
        first.into_iter().chain(behind)
    }

    /// The intervals as of a moment, in the order of their sinces.
    pub fn intervals(&self, snapshot_us: i64) -> impl Iterator<Item = (Since, &Insertion<P>)> {
        let rows = self.sinces.iter().zip(&self.insertions);
        rows.filter_map(move |(since, rows)| Some((*since, newest(rows, snapshot_us)?)))
    }

    /// The sinces after `from` up to and with `to`.
    pub fn sinces_within(&self, from: Since, to: Since) -> &[Since] {
        let first = self.sinces.partition_point(|since| *since <= from);
        let end = self.sinces.partition_point(|since| *since <= to);
        &self.sinces[first..end.max(first)]
    }

    /// Every insertion, the oldest first.
    pub fn history(&self) -> Vec<(Since, &Insertion<P>)> {
        let rows = self.sinces.iter().zip(&self.insertions);
        let mut all: Vec<_> = rows
            .flat_map(|(since, rows)| rows.iter().map(move |row| (*since, row)))
            .collect();
        all.sort_by_key(|(since, row)| (row.place(), *since));
        all
    }

    /// The insertions with exactly this since, the oldest first.
    pub fn with_since(&self, since: Since) -> &[Insertion<P>] {
        match self.sinces.binary_search(&since) {
            Ok(at) => &self.insertions[at],
            Err(_) => &[],
        }
    }

    /// The greatest since.
    pub fn last_since(&self) -> Option<Since> {
        self.sinces.last().copied()
    }
}

fn newest<P>(rows: &[Insertion<P>], snapshot_us: i64) -> Option<&Insertion<P>> {
    let known = rows.partition_point(|row| row.inserted_us <= snapshot_us);
    rows[..known].last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows as (since, inserted, payload); the sequence is the place in the list.
    type Rows = Vec<(u64, i64, u8)>;

    fn index(rows: &Rows) -> Index<u8> {
        let mut index = Index::default();
        for (sequence, (since, inserted_us, payload)) in (0..).zip(rows) {
            let row = Insertion {
                inserted_us: *inserted_us,
                sequence,
                payload: *payload,
            };
            index.insert(Since(*since), row);
        }
        index
    }

    #[test]
    fn the_last_since_wins_and_a_second_insertion_of_it_too() {
        let index = index(&vec![(10, 10, 1), (20, 20, 2), (15, 30, 3), (20, 40, 4)]);
        for (point, expect) in [
            (9, None),
            (10, Some(1)),
            (14, Some(1)),
            (15, Some(3)),
            (19, Some(3)),
            (20, Some(4)),
            (u64::MAX, Some(4)),
        ] {
            let got = index.at(Since(point)).map(|(_, row)| row.payload);
            assert_eq!(got, expect, "at {point}");
        }
        let nothing: Index<u8> = Index::default();
        assert_eq!(nothing.at(Since(u64::MAX)), None);
        assert_eq!(nothing.as_of(Since(u64::MAX), i64::MAX), None);
    }

    #[test]
    fn a_snapshot_does_not_see_later_rows() {
        let index = index(&vec![(10, 10, 1), (20, 20, 2), (15, 30, 3), (20, 40, 4)]);
        for (snapshot_us, point, expect) in [
            (9, 30, None),
            (10, 30, Some(1)),
            (20, 30, Some(2)),
            (39, 30, Some(2)),
            (40, 30, Some(4)),
            (20, 17, Some(1)),
            (30, 17, Some(3)),
        ] {
            let got = index.as_of(Since(point), snapshot_us);
            let got = got.map(|(_, row)| row.payload);
            assert_eq!(got, expect, "at {point} as of {snapshot_us}");
        }
    }

    proptest! {
        /// Whatever is inserted in whatever order is found as by looking at every row.
        #[test]
        fn every_answer_is_that_of_looking_at_every_row(
            rows in prop::collection::vec((0_u64..12, 0_i64..12, any::<u8>()), 0..40),
            point in 0_u64..13,
            snapshot_us in -1_i64..13,
        ) {
            let index = index(&rows);
            let naive = |snapshot_us: i64| {
                let rows = rows.iter().enumerate();
                rows.filter(|(_, row)| row.0 <= point && row.1 <= snapshot_us)
                    .max_by_key(|(sequence, row)| (row.0, row.1, *sequence))
                    .map(|(_, row)| (Since(row.0), row.2))
            };
            let shown = |found: Option<(Since, &Insertion<u8>)>| {
                found.map(|(since, row)| (since, row.payload))
            };
            prop_assert_eq!(shown(index.as_of(Since(point), snapshot_us)), naive(snapshot_us));
            prop_assert_eq!(shown(index.at(Since(point))), naive(i64::MAX));
            let last_before = index.intervals(snapshot_us).filter(|(since, _)| since.0 <= point);
            prop_assert_eq!(shown(last_before.last()), naive(snapshot_us));
            let history = index.history();
            prop_assert_eq!(history.len(), rows.len());
            prop_assert!(history.is_sorted_by_key(|(_, row)| row.place()));
            prop_assert_eq!(index.last_since(), rows.iter().map(|row| Since(row.0)).max());
        }

        /// What is in force within a stretch is what is in force at one of its points.
        #[test]
        fn within_a_stretch_is_what_is_in_force_at_some_point_of_it(
            rows in prop::collection::vec((0_u64..12, 0_i64..12, any::<u8>()), 0..40),
            (from, to) in (0_u64..13, 0_u64..13),
            snapshot_us in -1_i64..13,
        ) {
            let index = index(&rows);
            let shown = |(since, row): (Since, &Insertion<u8>)| (since, row.payload);
            let points = from..=to.max(from);
            let mut each: Vec<_> = points
                .filter_map(|point| index.as_of(Since(point), snapshot_us).map(shown))
                .collect();
            each.dedup();
            let within = index.within((Since(from), Since(to)), snapshot_us).map(shown);
            prop_assert_eq!(within.collect::<Vec<_>>(), each);
        }

        /// A row that comes later changes nothing as of a moment before it.
        #[test]
        fn the_past_stays_as_it_was(
            rows in prop::collection::vec((0_u64..12, 0_i64..12, any::<u8>()), 0..40),
            later in prop::collection::vec((0_u64..12, 12_i64..24, any::<u8>()), 0..40),
            point in 0_u64..13,
        ) {
            let before = index(&rows);
            let after = index(&rows.iter().chain(&later).copied().collect());
            prop_assert_eq!(before.at(Since(point)), after.as_of(Since(point), 11));
        }
    }
}
