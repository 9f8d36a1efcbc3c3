//! The receiving end: one thread takes batches from one lane or several, urgent lanes first, with
//! one wake-up for all.
//!
//! In: lanes. Out: batches in a vector of the caller. Within a lane the order of sending is kept;
//! between data lanes the turn goes round, so none starves another; urgent lanes always come first,
//! so commands overtake data. It never returns empty-handed before the deadline unless every lane
//! is closed and drained.

use crate::coalesce::Slot;
use crossbeam_channel as channel;
use std::time::Instant;
use thiserror::Error;

/// Every sender of every lane is gone and everything sent has been taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "every sender of this receiver is gone and nothing is left to take; end the loop that reads it"
)]
pub struct AllClosed;

#[derive(Debug)]
pub(crate) enum Lane<T> {
    Plain(channel::Receiver<T>),
    Coalesced(channel::Receiver<Slot<T>>),
}

impl<T> Lane<T> {
    fn try_take(&self) -> Result<T, channel::TryRecvError> {
        match self {
            Self::Plain(lane) => lane.try_recv(),
            Self::Coalesced(lane) => lane.try_recv().map(|slot| {
                slot.lock()
                    .take()
                    .expect("a slot is sent full, once, and emptied only here")
            }),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Plain(lane) => lane.len(),
            Self::Coalesced(lane) => lane.len(),
        }
    }
}

/// The one receiving end of one or several lanes.
#[derive(Debug)]
pub struct Receiver<T> {
    urgent: Vec<Lane<T>>,
    data: Vec<Lane<T>>,
    /// The data lane whose turn comes first next time.
    turn: usize,
}

impl<T> Receiver<T> {
    pub(crate) fn single(lane: Lane<T>) -> Self {
        Self {
            urgent: Vec::new(),
            data: vec![lane],
            turn: 0,
        }
    }

    /// Puts several receivers behind one wake-up: what `urgent` holds is taken before anything of
    /// `data`.
    ///
    /// A lane that was urgent in one of `data` stays urgent.
    pub fn joined(urgent: Vec<Self>, data: Vec<Self>) -> Self {
        let mut joined = Self {
            urgent: Vec::new(),
            data: Vec::new(),
            turn: 0,
        };
        for receiver in urgent {
            joined.urgent.extend(receiver.urgent);
            joined.urgent.extend(receiver.data);
        }
        for receiver in data {
            joined.urgent.extend(receiver.urgent);
            joined.data.extend(receiver.data);
        }
        joined
    }

    /// How many values wait in all lanes.
    pub fn depth(&self) -> usize {
        self.urgent.iter().chain(&self.data).map(Lane::depth).sum()
    }

    /// Appends what is there to `out`, at most `max` values (at least 1), urgent ones first; waits
    /// for the first value until `deadline`, for ever without one. Says how many were taken: zero
    /// only when the deadline passed.
    pub fn recv_batch(
        &mut self,
        out: &mut Vec<T>,
        max: usize,
        deadline: Option<Instant>,
    ) -> Result<usize, AllClosed> {
        assert!(max > 0, "a batch of nothing would never end a wait");
        loop {
            let taken = self.take_what_is_there(out, max);
            if taken > 0 {
                return Ok(taken);
            }
            if self.urgent.is_empty() && self.data.is_empty() {
                return Err(AllClosed);
            }
            if !self.wait_for_any(deadline) {
                // Something may have come between the last look and the deadline.
                return Ok(self.take_what_is_there(out, max));
            }
        }
    }

    /// As [`Self::recv_batch`], but leaves the data lanes alone: for a taker that has enough to do
    /// already.
    pub fn recv_urgent_batch(
        &mut self,
        out: &mut Vec<T>,
        max: usize,
        deadline: Option<Instant>,
    ) -> Result<usize, AllClosed> {
        let data = std::mem::take(&mut self.data);
        let taken = self.recv_batch(out, max, deadline);
        self.data = data;
        taken
    }

    /// One value, by the same rules.
    pub fn recv(&mut self, deadline: Option<Instant>) -> Result<Option<T>, AllClosed> {
        let mut one = Vec::with_capacity(1);
        self.recv_batch(&mut one, 1, deadline).map(|_| one.pop())
    }

    /// Takes without waiting, and forgets lanes that are closed and empty: they would be "ready"
    /// for ever.
    fn take_what_is_there(&mut self, out: &mut Vec<T>, max: usize) -> usize {
        let mut room = max;
        self.urgent.retain(|lane| drain(lane, out, &mut room));
        if !self.data.is_empty() {
            self.turn %= self.data.len();
            self.data.rotate_left(self.turn);
            // Lanes stand in order of turn now; the next batch begins with the second of them.
            self.turn = 1;
            self.data.retain(|lane| drain(lane, out, &mut room));
        }
        max - room
    }

    /// Sleeps until a lane has something or closes; `false` when the deadline passed.
    fn wait_for_any(&self, deadline: Option<Instant>) -> bool {
        let mut select = channel::Select::new();
        for lane in self.urgent.iter().chain(&self.data) {
            match lane {
                Lane::Plain(lane) => select.recv(lane),
                Lane::Coalesced(lane) => select.recv(lane),
            };
        }
        match deadline {
            Some(deadline) => select.ready_deadline(deadline).is_ok(),
            None => {
                select.ready();
                true
            }
        }
    }
}

/// Moves values into `out` while there is room; `false` when the lane is closed and empty.
fn drain<T>(lane: &Lane<T>, out: &mut Vec<T>, room: &mut usize) -> bool {
    while *room > 0 {
        match lane.try_take() {
            Ok(value) => {
                out.push(value);
                *room -= 1;
            }
            Err(channel::TryRecvError::Empty) => return true,
            Err(channel::TryRecvError::Disconnected) => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lane::{refuse, wait};
    use std::thread;

    #[test]
    fn urgent_values_overtake_and_data_lanes_take_turns() {
        let (command, commands) = refuse(10);
        let (file, files) = wait(10);
        let (report, reports) = wait(10);
        let mut receiver = Receiver::joined(vec![commands], vec![files, reports]);
        for n in 0..4 {
            file.send(("file", n)).expect("room");
            report.send(("report", n)).expect("room");
        }
        command.offer(("command", 0)).expect("room");
        assert_eq!(receiver.depth(), 9);
        let mut only_urgent = Vec::new();
        assert_eq!(receiver.recv_urgent_batch(&mut only_urgent, 9, None), Ok(1));
        command.offer(("command", 0)).expect("room");
        let mut check = |max, expect: &[(&str, i32)]| {
            let mut out = Vec::new();
            assert_eq!(receiver.recv_batch(&mut out, max, None), Ok(expect.len()));
            assert_eq!(out, expect);
        };
        check(2, &[("command", 0), ("file", 0)]);
        check(2, &[("report", 0), ("report", 1)]);
        command.offer(("command", 1)).expect("room");
        check(2, &[("command", 1), ("file", 1)]);
        check(9, &[("report", 2), ("report", 3), ("file", 2), ("file", 3)]);
    }

    #[test]
    fn a_deadline_ends_a_wait_and_closing_ends_the_receiver() {
        let (urgent, first) = refuse::<u8>(1);
        let (data, second) = wait::<u8>(1);
        let mut receiver = Receiver::joined(vec![first], vec![second]);
        let mut out = Vec::new();
        assert_eq!(
            receiver.recv_batch(&mut out, 5, Some(Instant::now())),
            Ok(0)
        );
        data.send(1).expect("room");
        drop(data);
        assert_eq!(
            receiver.recv_batch(&mut out, 5, Some(Instant::now())),
            Ok(1)
        );
        assert_eq!(
            receiver.recv(Some(Instant::now())),
            Ok(None),
            "the urgent lane is open"
        );
        urgent.offer(2).expect("room");
        drop(urgent);
        assert_eq!(
            receiver.recv(None),
            Ok(Some(2)),
            "what was sent before closing is taken"
        );
        assert_eq!(receiver.recv(None), Err(AllClosed));
        assert_eq!(receiver.recv_batch(&mut out, 5, None), Err(AllClosed));
    }

    #[test]
    fn one_sleeper_is_woken_by_every_lane() {
        // Answered one by one, so that the receiver is asleep (or about to be) at each sending: a
        // lost wake-up hangs.
        let (urgent, first) = refuse(1);
        let (left, second) = wait(1);
        let (right, third) = wait(1);
        let (answer, mut answers) = wait(1);
        let mut receiver = Receiver::joined(vec![first], vec![second, third]);
        let taker = thread::spawn(move || {
            let mut taken = 0_u32;
            while let Ok(Some(value)) = receiver.recv(None) {
                taken += 1;
                answer.send(value).expect("the asker lives");
            }
            taken
        });
        const ROUNDS: u32 = 30_000;
        for n in 0..ROUNDS {
            match n % 3 {
                0 => urgent.offer(n).expect("it is empty: the last was answered"),
                1 => left.send(n).expect("the taker lives"),
                _ => right.send(n).expect("the taker lives"),
            }
            assert_eq!(answers.recv(None), Ok(Some(n)));
        }
        drop((urgent, left, right));
        assert_eq!(taker.join().expect("the taker ends"), ROUNDS);
    }

    #[test]
    fn many_senders_on_many_lanes_arrive_once_each_in_their_order() {
        const LANES: usize = 3;
        const SENDERS: usize = 2;
        const EACH: u32 = 20_000;
        let mut ends = Vec::new();
        let mut lanes = Vec::new();
        for _ in 0..LANES {
            let (sender, receiver) = wait(64);
            ends.push(sender);
            lanes.push(receiver);
        }
        let urgent = lanes.remove(0);
        let mut receiver = Receiver::joined(vec![urgent], lanes);
        for (lane, sender) in ends.into_iter().enumerate() {
            for who in 0..SENDERS {
                let (sender, who) = (sender.clone(), lane * SENDERS + who);
                thread::spawn(move || {
                    for n in 0..EACH {
                        sender.send((who, n)).expect("the receiver lives");
                    }
                });
            }
        }
        let mut next = [0; LANES * SENDERS];
        let mut batch = Vec::new();
        while receiver.recv_batch(&mut batch, 100, None).is_ok() {
            for (who, n) in batch.drain(..) {
                assert_eq!(n, next[who], "sender {who}");
                next[who] += 1;
            }
        }
        assert_eq!(next, [EACH; LANES * SENDERS]);
    }
}
